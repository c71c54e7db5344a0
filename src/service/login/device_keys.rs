//! Device access keys (F11–F13): a browser that has passed the second factor as one account.
//!
//! One cookie holds the keys of all accounts that use the browser: `device/SHA256/USER`. At every second factor the browser
//! gets a new value, and the records of all accounts under the old one move along in the same commit.

use std::cmp::Reverse;
use std::ops::Bound;

use super::Browser;
use crate::authn::device::Device;
use crate::authn::user::User;
use crate::clock::Timestamp;
use crate::config::RememberDevice;
use crate::id::DeviceId;
use crate::secret::{Token, TokenDigest, random_bytes};
use crate::service::ServiceError;
use crate::service::context::{Context, NOBODY};
use crate::service::devices;
use crate::service::records::device_name;
use crate::store::engine::Expect;
use crate::store::record::{Change, Listed};

/// More accounts than use one browser.
const ACCOUNTS: usize = 1000;
/// Most keys of other accounts that go along to a browser's new value: one commit takes them all.
const OTHERS: usize = 100;

/// A key as it was read.
pub struct Key {
    pub device: Device,
    digest: TokenDigest,
    seen: Expect,
}

/// The browser's valid key for this account, whether it spares the code or not.
pub async fn find(context: &Context, browser: Browser<'_>, user: &User) -> Result<Option<Key>, ServiceError> {
    find_any(context, browser, Some(user)).await
}

/// The same with as many reads where there is no account.
pub async fn find_any(
    context: &Context,
    browser: Browser<'_>,
    user: Option<&User>,
) -> Result<Option<Key>, ServiceError> {
    let Some(token) = &browser.visit.cookies.device else { return Ok(None) };
    let digest = token.digest();
    let name = device_name(&digest, user.map_or(NOBODY, |user| user.id));
    let slot = context.store.get::<Device>(&name, browser.visit.now).await?;
    let valid = slot.record.filter(|device| user.is_some_and(|user| device.is_of(user)));
    Ok(valid.map(|device| Key { device, digest, seen: slot.seen }))
}

impl Key {
    /// Whether keys spare anybody the code, as the configuration stands now.
    pub fn sparing(&self, browser: Browser<'_>) -> Option<&Device> {
        let spares = browser.visit.config.second_factor.remember_device != RememberDevice::Never;
        spares.then_some(&self.device)
    }

    /// A change by which the key outlives the new password that its own browser has set; the others' fell with the epoch.
    pub fn carried_over(&self, change: Change, browser: Browser<'_>, user: &User) -> Change {
        let carried = Self { device: Device { epoch: user.epoch, ..self.device.clone() }, ..*self };
        carried.used(change, browser)
    }

    /// A change that notes that the key was used. When its second factor was given stays as it is.
    pub fn used(&self, change: Change, browser: Browser<'_>) -> Change {
        let used = Device {
            last_seen: browser.visit.now,
            client: browser.visit.origin(browser.user_agent),
            ..self.device.clone()
        };
        let name = device_name(&self.digest, used.user);
        devices::with(change.unchanged::<Device>(&name, self.seen), &self.digest, &used)
    }
}

/// Whose browser it is, and up to which epoch it was known as such: one lower than the account's where the login has changed
/// the password.
pub struct Known<'a> {
    pub user: &'a User,
    pub epoch: u64,
}

/// The browser's new value.
pub struct Renewed {
    pub token: Token,
    pub id: DeviceId,
    /// The browser had no key for this account before.
    pub is_new: bool,
    pub change: Change,
}

/// The second factor was given at `given_at`, just now: a new value for the browser, with a new key for `user`.
pub async fn renew(
    context: &Context,
    browser: Browser<'_>,
    Known { user, epoch }: Known<'_>,
    remember: Option<bool>,
    given_at: Timestamp,
    mut change: Change,
) -> Result<Renewed, ServiceError> {
    let token = Token::generate()?;
    let digest = token.digest();
    let (mut known, mut others) = (None, Vec::new());
    for old in under_old_value(context, browser).await? {
        change = change.unchanged::<Device>(&old.name, old.seen);
        if let Some(before) = &browser.visit.cookies.device {
            change = devices::without(change, &[(before.digest(), old.record.clone())]);
        }
        if old.record.user == user.id {
            known = Some(old.record).filter(|device| device.epoch == epoch);
        } else {
            others.push(old.record);
        }
    }
    others.sort_by_key(|device| Reverse(device.last_seen));
    for device in others.iter().take(OTHERS) {
        change = devices::with(change, &digest, device);
    }
    let now = browser.visit.now;
    let is_new = known.is_none();
    let (id, first_seen, spared) = match known {
        Some(device) => (device.id, device.first_seen, device.spares),
        None => (DeviceId::from_bytes(random_bytes()?), now, false),
    };
    let spares = match browser.visit.config.second_factor.remember_device {
        RememberDevice::Ask => remember.unwrap_or(spared),
        RememberDevice::Always => true,
        RememberDevice::Never => false,
    };
    let device = Device {
        id,
        user: user.id,
        epoch: user.epoch,
        second_factor_at: given_at,
        spares,
        first_seen,
        last_seen: now,
        client: browser.visit.origin(browser.user_agent),
    };
    Ok(Renewed { token, id, is_new, change: devices::with(change, &digest, &device) })
}

async fn under_old_value(context: &Context, browser: Browser<'_>) -> Result<Vec<Listed<Device>>, ServiceError> {
    let Some(old) = &browser.visit.cookies.device else { return Ok(Vec::new()) };
    let prefix = format!("{}/", old.digest());
    Ok(context.store.list::<Device>(&prefix, Bound::Unbounded, ACCOUNTS, browser.visit.now).await?)
}
