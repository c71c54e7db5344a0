//! A link as it is kept, and as it stands in a mail.

use std::time::Duration;

use crate::authn::reset_link::{NewestLink, ResetLink, SentBy};
use crate::authn::user::{Email, User};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::secret::{ExposeSecret, KeyError, Mac, Purpose, SecretString, Token};
use crate::service::ServiceError;
use crate::service::context::{Context, Found};
use crate::store::record::Change;

/// Between two links.
pub const PAUSE: Duration = Duration::from_secs(60);

/// A change that makes `token` the account's one link.
pub async fn with(
    context: &Context,
    config: &Config,
    change: Change,
    found: &Found,
    sent_by: SentBy,
    token: &Token,
    now: Timestamp,
) -> Result<Change, ServiceError> {
    let user = &found.user;
    let name = user.id.to_string();
    let newest = context.store.get::<NewestLink>(&name, now).await?;
    let link = ResetLink::new(user.id, sent_by, bound(config, user)?, now);
    let mut change = change.unchanged::<User>(&name, found.seen).unchanged::<NewestLink>(&name, newest.seen);
    if let Some(before) = newest.record {
        change = change.delete::<ResetLink>(&before.digest.to_string());
    }
    let digest = token.digest();
    Ok(change.put(&name, &NewestLink { digest, sent_by, expires_at: link.expires_at }).put(&digest.to_string(), &link))
}

/// What a link is bound to: see [`ResetLink`].
pub fn bound(config: &Config, user: &User) -> Result<Mac, KeyError> {
    let address = user.email.as_ref().map(Email::as_str).unwrap_or_default();
    let (id, epoch) = (user.id.to_string(), user.epoch.to_be_bytes());
    config.keys.mac(Purpose::ResetLink, &[id.as_bytes(), &epoch, address.as_bytes()])
}

/// The same for the account as it is now, to be compared with what the link is bound to.
pub fn bound_like(known: &Mac, config: &Config, user: &User) -> Result<Mac, KeyError> {
    let address = user.email.as_ref().map(Email::as_str).unwrap_or_default();
    let (id, epoch) = (user.id.to_string(), user.epoch.to_be_bytes());
    config.keys.mac_like(known, Purpose::ResetLink, &[id.as_bytes(), &epoch, address.as_bytes()])
}

/// What stands in the mail. The page behind it takes the value out of the address at once.
pub fn address(config: &Config, token: &Token) -> SecretString {
    let origin = config.portal.url.as_deref().unwrap_or_default().trim_end_matches('/');
    let value = token.encode();
    format!("{origin}{}/password/reset?token={}", config.portal.path, value.expose_secret()).into()
}
