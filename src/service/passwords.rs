//! New passwords, from whomever: judged by the policy, then hashed.

use super::ServiceError;
use super::context::{self, Context};
use crate::authn::password::{Personal, Policy, Weakness};
use crate::authn::user::{Email, StoredPassword, User};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::secret::{ExposeSecret, SecretString};

/// A first password, or one that somebody else sets.
pub async fn make(
    context: &Context,
    config: &Config,
    user: &User,
    new: SecretString,
    now: Timestamp,
) -> Result<Result<StoredPassword, Weakness>, ServiceError> {
    let personal = Personal {
        login: user.login.as_str(),
        name: user.name.as_str(),
        email: user.email.as_ref().map(Email::as_str).unwrap_or_default(),
    };
    if let Err(weakness) = policy(config).check(new.expose_secret(), personal) {
        return Ok(Err(weakness));
    }
    let hash = context.hasher.hash(new, context::cost(config)).await?;
    Ok(Ok(StoredPassword { hash, changed_at: now, must_change: false }))
}

/// One that its owner sets in place of another: not the same again.
pub async fn replace(
    context: &Context,
    config: &Config,
    user: &User,
    new: SecretString,
    now: Timestamp,
) -> Result<Result<StoredPassword, Weakness>, ServiceError> {
    let made = make(context, config, user, new.clone(), now).await?;
    if made.is_ok()
        && let Some(before) = &user.password
        && context.hasher.verify(before.hash.clone(), new).await?.is_some()
    {
        return Ok(Err(Weakness::Unchanged));
    }
    Ok(made)
}

pub const fn policy(config: &Config) -> Policy {
    Policy { min_length: config.password.min_length, min_classes: config.password.min_classes }
}
