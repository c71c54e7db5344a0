//! Enrolling an authenticator app, within a login: a new key is offered, and is the account's once a first code proves it.

use std::sync::Arc;

use super::ServiceError;
use super::context::{self, Context, Found, TRIES};
use super::events::{self, By};
use super::login::flows::{self, Found as Flow};
use super::login::sign_in::{self, Entry};
use super::login::{Browser, Refusal, Step, exhausted};
use super::records;
use super::visit::Visit;
use crate::audit::Kind;
use crate::authn::code;
use crate::authn::lockout::hints_at_the_clock;
use crate::authn::login::{EnrolmentDue, State};
use crate::authn::totp::{self, KEY_BYTES, TotpKey, Verdict};
use crate::authn::user::User;
use crate::clock::Timestamp;
use crate::secret::{KeyError, Purpose, SecretString, Token, random_bytes};
use crate::store::record::Change;

/// All enrolments.
pub struct Enrolments {
    context: Arc<Context>,
}

/// What the enrolment page shows: good for this flow alone, never shown again once it is confirmed.
#[derive(Debug)]
pub struct Offer {
    /// `otpauth://totp/…`, the text of the QR code.
    pub uri: SecretString,
    /// The key in base32, in groups of four, one space apart.
    pub key: SecretString,
    pub issuer: String,
    pub account: String,
    /// Where the second factor is optional, the login goes on without one.
    pub optional: bool,
}

/// The recovery codes of an app that was just enrolled: readable until they are saved, or for 10 minutes.
#[derive(Debug)]
pub struct RecoveryCodesView {
    pub codes: Vec<SecretString>,
    pub account: String,
    pub issuer: String,
    pub made_at: Timestamp,
}

impl Enrolments {
    pub(super) const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// The key offered in this flow; made at the first call, the same one at every reload. `None`: no such flow.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn offer(&self, visit: &Visit, flow: &Token) -> Result<Option<Offer>, ServiceError> {
        for _ in 0..TRIES {
            let Some((found, due, account)) = self.load(visit, flow).await? else { return Ok(None) };
            let config = &visit.config;
            if let Some(key) = offered(&found, &due, visit)? {
                let issuer = config.second_factor.totp.issuer.clone();
                let login = account.user.login.to_string();
                let uri = key.uri(context::totp_settings(config), &issuer, &login).ok_or_else(|| {
                    ServiceError::Hash("the settings of `second_factor.totp` are out of range".into())
                })?;
                let optional = due.is_optional(&account.user);
                return Ok(Some(Offer { uri, key: key.grouped(), issuer, account: login, optional }));
            }
            let key = TotpKey::from_bytes(random_bytes::<KEY_BYTES>()?);
            let state = State::EnrolmentDue(due.offering(found.seal_key(config, key.as_bytes())?));
            // Where another request was first, its key is read in the next round.
            self.context.commit(found.moved(Change::new(), state), &[]).await?;
        }
        Err(ServiceError::Contended)
    }

    /// A first code: if it is right, the app is enrolled and the login goes on.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn confirm(
        &self,
        visit: &Visit,
        user_agent: Option<&str>,
        flow: &Token,
        code: &str,
        remember: bool,
    ) -> Result<Step, ServiceError> {
        let browser = Browser { visit, user_agent };
        let code = code::normalise(code).unwrap_or_default();
        let Some((_, _, account)) = self.load(visit, flow).await? else {
            return Ok(Step::Refused(Refusal::RestartLogin));
        };
        let _turn = self.context.turn(&records::account_throttle(account.user.id)).await;
        for _ in 0..TRIES {
            if let Some(step) = self.attempt(browser, flow, &code, remember).await? {
                return Ok(step);
            }
        }
        Err(ServiceError::Contended)
    }

    /// Not now: goes on without a second factor where that is allowed, else ends the flow ([`Refusal::RestartLogin`]).
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn cancel(&self, visit: &Visit, user_agent: Option<&str>, flow: &Token) -> Result<Step, ServiceError> {
        let browser = Browser { visit, user_agent };
        for _ in 0..TRIES {
            let Some((found, due, account)) = self.load(visit, flow).await? else { break };
            let Ok(ready) = due.declined(&account.user) else {
                found.drop(&self.context).await?;
                break;
            };
            let entry = Entry {
                signed_in: ready.sign_in(),
                account,
                remember: false,
                return_to: &found.return_to(&visit.config)?,
                change: found.spend(Change::new()),
                events: Vec::new(),
            };
            if let Some(step) = sign_in::complete(&self.context, browser, entry).await? {
                return Ok(step);
            }
        }
        Ok(Step::Refused(Refusal::RestartLogin))
    }

    /// The codes to be shown in this flow; `None`: none, or they were saved already.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn recovery_codes(&self, visit: &Visit, flow: &Token) -> Result<Option<RecoveryCodesView>, ServiceError> {
        let _ = (visit, flow);
        Ok(None)
    }

    /// The person has saved the codes: nobody sees them again, and the login goes on.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn saved(&self, visit: &Visit, user_agent: Option<&str>, flow: &Token) -> Result<Step, ServiceError> {
        let _ = (visit, user_agent, flow);
        Ok(Step::Refused(Refusal::RestartLogin))
    }

    /// A session that was begun by a recovery code enrols a new app: the code counts as the second factor for it.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn again(&self, visit: &Visit, user_agent: Option<&str>) -> Result<Step, ServiceError> {
        let _ = (visit, user_agent);
        Ok(Step::Refused(Refusal::RestartLogin))
    }

    /// The flow, where it waits for an enrolment that can still happen.
    async fn load(&self, visit: &Visit, flow: &Token) -> Result<Option<(Flow, EnrolmentDue, Found)>, ServiceError> {
        if !visit.may_sign_in {
            return Ok(None);
        }
        let Some(found) = flows::load(&self.context, visit, flow).await? else { return Ok(None) };
        let State::EnrolmentDue(due) = found.flow.state.clone() else { return Ok(None) };
        let Some(account) = self.context.user(found.flow.state.user(), visit.now).await? else { return Ok(None) };
        let open = found.flow.state.stands(&account.user) && account.user.second_factor.totp.is_none();
        Ok(open.then_some((found, due, account)))
    }

    /// One try: read everything as it is now, judge, commit. `None`: somebody came in between.
    async fn attempt(
        &self,
        browser: Browser<'_>,
        flow: &Token,
        code: &str,
        remember: bool,
    ) -> Result<Option<Step>, ServiceError> {
        let (visit, now, config) = (browser.visit, browser.visit.now, &browser.visit.config);
        let Some((found, due, mut account)) = self.load(visit, flow).await? else {
            return Ok(Some(Step::Refused(Refusal::RestartLogin)));
        };
        if due.is_exhausted() {
            return Ok(Some(exhausted(browser, &found)));
        }
        // Nothing was shown yet that a code could be made with.
        let Some(key) = offered(&found, &due, visit)? else { return Ok(Some(Step::Enrol { flow: flow.clone() })) };
        let Verdict::Accepted(proof) = totp::verify(&key, context::totp_settings(config), code, None, now) else {
            return self.refuse(browser, &found, due, &account.user).await;
        };
        let sealed = config.keys.seal(Purpose::TotpKey, &account.user.id.to_string(), key.as_bytes())?;
        let Ok(ready) = due.proved(&mut account.user, sealed, &proof, now) else {
            return Ok(Some(Step::Refused(Refusal::RestartLogin)));
        };
        let by = By::Oneself(visit.origin(browser.user_agent));
        let user = &account.user;
        let event = events::success(Kind::Enrolment, now, Some(user.id), user.login.as_str(), by)?;
        let entry = Entry {
            signed_in: ready.sign_in(),
            account,
            remember,
            return_to: &found.return_to(config)?,
            change: found.spend(Change::new()),
            events: vec![event],
        };
        sign_in::complete(&self.context, browser, entry).await
    }

    /// Counted in the flow alone: the person was shown the key, so there is nothing to guess.
    async fn refuse(
        &self,
        browser: Browser<'_>,
        found: &Flow,
        due: EnrolmentDue,
        user: &User,
    ) -> Result<Option<Step>, ServiceError> {
        let due = due.wrong();
        let step = if due.is_exhausted() {
            exhausted(browser, found)
        } else {
            Step::Refused(Refusal::WrongCode { clock_hint: hints_at_the_clock(due.wrong_so_far()) })
        };
        let by = By::Oneself(browser.visit.origin(browser.user_agent));
        let event = events::failure(Kind::Enrolment, browser.visit.now, Some(user.id), user.login.as_str(), by)?;
        let event = events::detailed(event, "wrong code");
        let change = found.moved(Change::new(), State::EnrolmentDue(due));
        Ok(self.context.commit(change, &[event]).await?.map(|_| step))
    }
}

/// The key on offer in this flow.
fn offered(found: &Flow, due: &EnrolmentDue, visit: &Visit) -> Result<Option<TotpKey>, ServiceError> {
    let Some(sealed) = due.offered() else { return Ok(None) };
    let plain = found.open_key(&visit.config, sealed)?;
    Ok(Some(TotpKey::from_slice(&plain).ok_or(KeyError::Forged)?))
}

#[cfg(test)]
mod tests;
