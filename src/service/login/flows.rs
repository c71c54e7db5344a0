//! Logins in progress, as they are kept between requests: under the digest of a value that one browser has.

use std::time::Duration;

use crate::authn::login::{Flow, Part, State};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::secret::{KeyError, Purpose, Sealed, Token, TokenDigest};
use crate::service::ServiceError;
use crate::service::context::Context;
use crate::service::visit::Visit;
use crate::store::engine::Expect;
use crate::store::record::Change;

/// How long a login may take from the right password on.
const LIFETIME: Duration = Duration::from_secs(15 * 60);
/// For how long recovery codes can be read.
const CODES_SHOWN: Duration = Duration::from_secs(10 * 60);

/// A flow as it was read, and what a commit must compare.
pub struct Found {
    pub flow: Flow,
    pub digest: TokenDigest,
    seen: Expect,
}

/// The living flow of this value. One that steps a session up is there for that session alone, and while it lives.
pub async fn load(context: &Context, visit: &Visit, token: &Token) -> Result<Option<Found>, ServiceError> {
    let digest = token.digest();
    let slot = context.store.get::<Flow>(&digest.to_string(), visit.now).await?;
    let Some(flow) = slot.record else { return Ok(None) };
    // Nothing lasts longer; the clock was set back since.
    if flow.expires_at.is_ahead_of(visit.now.plus(visit.config.second_factor.mail_code.lifetime + LIFETIME)) {
        return Ok(None);
    }
    if let Some(session) = flow.state.session() {
        let living = visit.session.as_ref().is_some_and(|live| live.id() == session && live.is_alive(visit.now));
        if !living {
            return Ok(None);
        }
    }
    Ok(Some(Found { flow, digest, seen: slot.seen }))
}

/// A change that begins the flow of `token`.
pub fn begin(
    change: Change,
    visit: &Visit,
    token: &Token,
    state: State,
    return_to: &str,
) -> Result<Change, ServiceError> {
    let digest = token.digest();
    let flow = Flow {
        expires_at: end(visit, &state),
        state,
        return_to: visit.config.keys.seal(Purpose::Flow, &return_owner(&digest), return_to.as_bytes())?,
    };
    Ok(change.put(&digest.to_string(), &flow))
}

/// When a flow ends that enters `state` now. A mailed code is good for its whole lifetime, and afterwards there is time to
/// ask for another one. Recovery codes are there to be read for no longer than [`CODES_SHOWN`].
fn end(visit: &Visit, state: &State) -> Timestamp {
    let lifetime = match state {
        State::CodeDue(due) if due.mailed().is_some() => visit.config.second_factor.mail_code.lifetime + LIFETIME,
        State::CodeDue(_) | State::EnrolmentDue(_) | State::PasswordChangeDue(_) => LIFETIME,
        State::RecoveryCodesShown(_) => CODES_SHOWN,
    };
    visit.now.plus(lifetime)
}

impl Found {
    /// Where the person wanted to go.
    pub fn return_to(&self, config: &Config) -> Result<String, KeyError> {
        let plain = config.keys.open(Purpose::Flow, &return_owner(&self.digest), &self.flow.return_to)?;
        String::from_utf8(plain.to_vec()).map_err(|_| KeyError::Forged)
    }

    /// The same flow with another way to go on.
    pub fn leading_to(&self, config: &Config, return_to: &str) -> Result<Flow, KeyError> {
        let return_to = config.keys.seal(Purpose::Flow, &return_owner(&self.digest), return_to.as_bytes())?;
        Ok(Flow { return_to, ..self.flow.clone() })
    }

    /// Seals something for this flow alone.
    pub fn seal_key(&self, config: &Config, key: &[u8]) -> Result<Sealed, KeyError> {
        config.keys.seal(Purpose::Flow, &key_owner(&self.digest), key)
    }

    /// Opens what [`Found::seal_key`] made.
    pub fn open_key(&self, config: &Config, sealed: &Sealed) -> Result<zeroize::Zeroizing<Vec<u8>>, KeyError> {
        config.keys.open(Purpose::Flow, &key_owner(&self.digest), sealed)
    }

    /// Seals recovery codes for this flow alone.
    pub fn seal_codes(&self, config: &Config, codes: &[u8]) -> Result<Sealed, KeyError> {
        seal_codes(config, &self.digest, codes)
    }

    /// Opens what [`Found::seal_codes`] made.
    pub fn open_codes(&self, config: &Config, sealed: &Sealed) -> Result<zeroize::Zeroizing<Vec<u8>>, KeyError> {
        config.keys.open(Purpose::Flow, &codes_owner(&self.digest), sealed)
    }

    /// A change that enters another stage, which has a time of its own, if nobody else did.
    pub fn entered(&self, change: Change, visit: &Visit, state: State) -> Change {
        self.advance(change, &Flow { expires_at: end(visit, &state), state, ..self.flow.clone() })
    }

    /// A change that goes on in another state, if nobody else did.
    pub fn moved(&self, change: Change, state: State) -> Change {
        self.advance(change, &Flow { state, ..self.flow.clone() })
    }

    /// A change that goes on with `flow`, if nobody else did.
    pub fn advance(&self, change: Change, flow: &Flow) -> Change {
        let name = self.digest.to_string();
        change.unchanged::<Flow>(&name, self.seen).put(&name, flow)
    }

    /// A change that spends the flow, if nobody else did.
    pub fn spend(&self, change: Change) -> Change {
        let name = self.digest.to_string();
        change.unchanged::<Flow>(&name, self.seen).delete::<Flow>(&name)
    }

    /// The flow leads nowhere any more. Where somebody else has moved it meanwhile, it is theirs to end.
    pub async fn drop(&self, context: &Context) -> Result<(), ServiceError> {
        context.commit(self.spend(Change::new()), &[]).await?;
        Ok(())
    }
}

/// Seals recovery codes for the flow of this digest alone.
pub fn seal_codes(config: &Config, flow: &TokenDigest, codes: &[u8]) -> Result<Sealed, KeyError> {
    config.keys.seal(Purpose::Flow, &codes_owner(flow), codes)
}

/// What a sealed part of the flow of this digest is bound to.
pub fn owner(digest: &TokenDigest, part: Part) -> String {
    match part {
        Part::ReturnTo => return_owner(digest),
        Part::TotpKey => key_owner(digest),
        Part::RecoveryCodes => codes_owner(digest),
    }
}

fn return_owner(digest: &TokenDigest) -> String {
    format!("{digest}/return-to")
}

fn codes_owner(digest: &TokenDigest) -> String {
    format!("{digest}/recovery-codes")
}

fn key_owner(digest: &TokenDigest) -> String {
    format!("{digest}/totp-key")
}
