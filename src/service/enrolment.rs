//! Enrolling an authenticator app, within a login or a session begun by a recovery code: a new key is offered, and is the
//! account's once a first code proves it. Recovery codes come with it, shown until they are saved.

use std::sync::Arc;
use std::time::Duration;

use super::ServiceError;
use super::context::{self, Context, Found, TRIES};
use super::events::{self, By};
use super::login::flows::{self, Found as Flow};
use super::login::recovery::{self, Fresh};
use super::login::sign_in::{self, Arriving};
use super::login::{Browser, Refusal, Step, exhausted};
use super::mail_limit::{self, Allowance, Letter};
use super::mailer::Notice;
use super::own::Own;
use super::records;
use super::visit::Visit;
use crate::audit::Kind;
use crate::authn::code;
use crate::authn::lockout::hints_at_the_clock;
use crate::authn::login::{Along, EnrolmentDue, NewFactor, State};
use crate::authn::totp::{self, Accepted, KEY_BYTES, TotpKey, Verdict};
use crate::authn::user::User;
use crate::clock::Timestamp;
use crate::id::UserId;
use crate::secret::{KeyError, Purpose, SecretString, Token, random_bytes};
use crate::store::record::Change;

mod codes;

pub use self::codes::RecoveryCodesView;

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

    /// A first code: if it is right, the app is enrolled, and its recovery codes are to be shown.
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
        let Some((found, due, account)) = self.load(visit, flow).await? else {
            return Ok(Step::Refused(Refusal::RestartLogin));
        };
        // Made before the turn, as it takes a while.
        let proved = offered(&found, &due, visit)?.is_some_and(|key| is_right(&key, &code, visit).is_some());
        let waits = match self.allowance(&due, account.user.id, visit.now).await? {
            Some(allowance) => !allowance.wait().is_zero(),
            None => false,
        };
        let mut fresh = match proved && !waits {
            true => Some(recovery::fresh(&self.context, visit, account.user.id).await?),
            false => None,
        };
        let _turn = self.context.turn(&records::account_throttle(account.user.id)).await;
        for _ in 0..TRIES {
            if let Some(step) = self.attempt(browser, flow, &code, remember, &mut fresh).await? {
                return Ok(step);
            }
        }
        Err(ServiceError::Contended)
    }

    /// Not now: goes on without a second factor where that is allowed, else ends the flow ([`Refusal::RestartLogin`]). A
    /// session that wanted an app goes on as it is.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn cancel(&self, visit: &Visit, user_agent: Option<&str>, flow: &Token) -> Result<Step, ServiceError> {
        let browser = Browser { visit, user_agent };
        for _ in 0..TRIES {
            let Some((found, due, account)) = self.load(visit, flow).await? else { break };
            if let Some(session) = visit.cookies.session.clone().filter(|_| due.is_in_session()) {
                let return_to = found.return_to(&visit.config)?;
                found.drop(&self.context).await?;
                return Ok(Step::SignedIn {
                    account: account.user.id,
                    session,
                    device: None,
                    return_to,
                    welcome: false,
                });
            }
            let Ok(ready) = due.declined(&account.user) else {
                found.drop(&self.context).await?;
                break;
            };
            let arriving = Arriving {
                ready,
                account,
                along: Along { remember: Some(false), tells_of_new_device: true },
                device: None,
                return_to: &found.return_to(&visit.config)?,
                flow: Some((flow, &found)),
                change: Change::new(),
            };
            if let Some(step) = sign_in::arrive(&self.context, browser, arriving).await? {
                return Ok(step);
            }
        }
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
        let open = due.is_open(&account.user);
        Ok(open.then_some((found, due, account)))
    }

    /// Whoever is signed in can set up one app after another, and each is told by mail: they are counted like other changes of a
    /// factor. `None`: a login's, of which there is one.
    async fn allowance(
        &self,
        due: &EnrolmentDue,
        user: UserId,
        now: Timestamp,
    ) -> Result<Option<Allowance>, ServiceError> {
        match due.is_in_session() {
            true => mail_limit::read(&self.context, user, Letter::Notice, None, Duration::ZERO, now).await.map(Some),
            false => Ok(None),
        }
    }

    /// One try: read everything as it is now, judge, commit. `None`: somebody came in between.
    async fn attempt(
        &self,
        browser: Browser<'_>,
        flow: &Token,
        code: &str,
        remember: bool,
        fresh: &mut Option<Fresh>,
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
        let Some(proof) = is_right(&key, code, visit) else {
            return self.refuse(browser, &found, due, &account.user).await;
        };
        let (in_session, replaces) = (due.is_in_session(), due.is_renewal());
        let change = match self.allowance(&due, account.user.id, now).await? {
            None => Change::new(),
            Some(allowance) if allowance.wait().is_zero() => allowance.spend(Change::new()),
            Some(allowance) => {
                let retry_after = allowance.wait();
                return Ok(Some(Step::Refused(Refusal::TooManyChanges { retry_after })));
            }
        };
        let Fresh { set, codes } = match fresh {
            Some(made) => made.clone(),
            None => fresh.insert(recovery::fresh(&self.context, visit, account.user.id).await?).clone(),
        };
        let new = NewFactor {
            key: config.keys.seal(Purpose::TotpKey, &account.user.id.to_string(), key.as_bytes())?,
            recovery: set,
            codes: found.seal_codes(config, recovery::lines(&codes).as_bytes())?,
            remember,
        };
        let Found { user, seen } = &mut account;
        let Ok(shown) = due.proved(user, new, &proof, now) else {
            return Ok(Some(Step::Refused(Refusal::RestartLogin)));
        };
        let name = user.id.to_string();
        let change = found.entered(change, visit, State::RecoveryCodesShown(shown));
        let mut change = change.unchanged::<User>(&name, *seen);
        let mut renewal = None;
        if in_session {
            let Some(own) = Own::load(&self.context, visit).await? else {
                return Ok(Some(Step::Refused(Refusal::RestartLogin)));
            };
            change = self.context.without_devices(change, user.id, now).await?;
            let session = own.session.clone();
            let (with_session, renewed) = own.renewed(&self.context, visit, change, session, Some(user)).await?;
            (change, renewal) = (with_session, Some(renewed));
        } else {
            change = change.put(&name, &*user);
        }
        let by = By::Oneself(visit.origin(browser.user_agent));
        let event = events::success(Kind::Enrolment, now, Some(user.id), user.login.as_str(), by)?;
        let event = if replaces { events::detailed(event, "in the place of the app before") } else { event };
        if self.context.commit(change, &[event]).await?.is_none() {
            return Ok(None);
        }
        let session = match renewal {
            Some(renewal) => Some(renewal.took_place(&self.context, now).await),
            None => {
                self.context.sessions.refresh(user.id, now).await;
                None
            }
        };
        self.context.mailer.notice(config, visit.language, user, Notice::AppAdded, now);
        Ok(Some(Step::RecoveryCodes { flow: flow.clone(), session }))
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

/// Whether it is a code of the app that is being set up.
fn is_right(key: &TotpKey, code: &str, visit: &Visit) -> Option<Accepted> {
    match totp::verify(key, context::totp_settings(&visit.config), code, None, visit.now) {
        Verdict::Accepted(proof) => Some(proof),
        _ => None,
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
