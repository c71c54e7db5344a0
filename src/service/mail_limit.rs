//! How often an account is sent a mail with a code or a link, as it is kept: durable, one count for each kind of mail, spent by
//! the same commit as what the mail is for.
//!
//! ```text
//! read ──▶ wait? ─┬─ some: no mail, and the page says when
//!                  └─ none ──▶ spend(change) ──▶ commit ─┬─ done ──▶ post
//!                                                         └─ somebody else was first: read again
//! ```

use std::time::Duration;

use super::ServiceError;
use super::context::Context;
use super::records;
use crate::authn::mail_limit::MailThrottle;
use crate::clock::Timestamp;
use crate::id::{DeviceId, UserId};
use crate::store::record::{Change, Slot};

/// What a mail is for. Each has a count of its own: who asks for links to a forgotten password, which takes no password, must
/// not use up the codes of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Letter {
    /// The code of a login or a step-up.
    LoginCode,
    /// The code that proves a new mail address.
    AddressCode,
    /// The link to a new password, for whoever says that they forgot theirs.
    PasswordLink,
    /// The same, sent by a manager: whoever asks for links must not keep a manager's from being sent.
    ManagersLink,
    /// That a factor was changed by the owner, who can do so again and again: what cannot be told in time is not done.
    Notice,
}

impl Letter {
    const ALL: [Self; 5] = [Self::LoginCode, Self::AddressCode, Self::PasswordLink, Self::ManagersLink, Self::Notice];

    const fn name(self) -> &'static str {
        match self {
            Self::LoginCode => "login-code",
            Self::AddressCode => "address-code",
            Self::PasswordLink => "password-link",
            Self::ManagersLink => "managers-link",
            Self::Notice => "notice",
        }
    }
}

/// What was counted for one account, as it was read.
pub struct Allowance {
    name: String,
    counted: Slot<MailThrottle>,
    device: Option<DeviceId>,
    wait: Duration,
    now: Timestamp,
}

/// Reads the count. `device`: the browser's valid key for the account, which has a count of its own. `resend_after`: the least
/// time between two mails.
pub async fn read(
    context: &Context,
    user: UserId,
    letter: Letter,
    device: Option<DeviceId>,
    resend_after: Duration,
    now: Timestamp,
) -> Result<Allowance, ServiceError> {
    let name = records::mail_throttle(user, letter.name());
    let counted = context.store.get::<MailThrottle>(&name, now).await?;
    let wait = counted.record.as_ref().map(|counted| counted.wait(device, resend_after, now)).unwrap_or_default();
    Ok(Allowance { name, counted, device, wait, now })
}

impl Allowance {
    /// For how long the next mail has to wait; zero: not any more.
    pub const fn wait(&self) -> Duration {
        self.wait
    }

    /// A change that counts one mail, if nobody else has had one counted since. The mail is posted once it is committed.
    pub fn spend(self, change: Change) -> Change {
        let Self { name, counted, device, now, .. } = self;
        let sent = counted.record.unwrap_or_default().sent(device, now);
        change.unchanged::<MailThrottle>(&name, counted.seen).put(&name, &sent)
    }
}

/// A change that takes all counts of an account that is deleted.
pub fn forget(change: Change, user: UserId) -> Change {
    let names = Letter::ALL.map(|letter| records::mail_throttle(user, letter.name()));
    names.iter().fold(change, |change, name| change.delete::<MailThrottle>(name))
}
