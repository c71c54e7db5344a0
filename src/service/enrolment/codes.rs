//! After the app: its recovery codes, shown until they are saved. And within a session: another app, another set of codes.

use std::time::Duration;

use super::Enrolments;
use crate::audit::Kind;
use crate::authn::login::{self, Along, State};
use crate::authn::user::User;
use crate::clock::Timestamp;
use crate::secret::{SecretString, Token};
use crate::service::ServiceError;
use crate::service::context::{Found, TRIES};
use crate::service::events::{self, By};
use crate::service::login::flows::{self, Found as Flow};
use crate::service::login::recovery::{self, Fresh};
use crate::service::login::sign_in::{self, Arriving};
use crate::service::login::{Browser, Refusal, Step};
use crate::service::mail_limit::{self, Letter};
use crate::service::mailer::Notice;
use crate::service::own::{self, Obstacle, Outcome, Own};
use crate::service::visit::Visit;
use crate::store::record::Change;

/// The recovery codes of an app that was just enrolled: readable until they are saved, or for 10 minutes.
#[derive(Debug)]
pub struct RecoveryCodesView {
    pub codes: Vec<SecretString>,
    pub account: String,
    pub issuer: String,
    pub made_at: Timestamp,
    /// Made anew, without an app.
    pub alone: bool,
}

impl Enrolments {
    /// The codes to be shown in this flow; `None`: none, or they were saved already.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn recovery_codes(&self, visit: &Visit, flow: &Token) -> Result<Option<RecoveryCodesView>, ServiceError> {
        if !visit.may_sign_in {
            return Ok(None);
        }
        let Some(found) = flows::load(&self.context, visit, flow).await? else { return Ok(None) };
        let State::RecoveryCodesShown(shown) = &found.flow.state else { return Ok(None) };
        let account = self.context.user(found.flow.state.user(), visit.now).await?;
        let Some(account) = account.filter(|account| found.flow.state.stands(&account.user)) else { return Ok(None) };
        let plain = found.open_codes(&visit.config, shown.codes())?;
        let codes = plain.split(|byte| *byte == b'\n').filter(|code| !code.is_empty());
        Ok(Some(RecoveryCodesView {
            codes: codes.map(|code| String::from_utf8_lossy(code).into_owned().into()).collect(),
            account: account.user.login.to_string(),
            issuer: visit.config.second_factor.totp.issuer.clone(),
            made_at: shown.made_at(),
            alone: shown.is_alone(),
        }))
    }

    /// The person has saved the codes: nobody sees them again, and the login goes on.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn saved(&self, visit: &Visit, user_agent: Option<&str>, flow: &Token) -> Result<Step, ServiceError> {
        let browser = Browser { visit, user_agent };
        for _ in 0..TRIES {
            if !visit.may_sign_in {
                break;
            }
            let Some(found) = flows::load(&self.context, visit, flow).await? else { break };
            let shown = match found.flow.state.clone() {
                State::RecoveryCodesShown(shown) => shown,
                other => return Ok(Step::at(&other, flow.clone())),
            };
            let Some(mut account) = self.context.user(found.flow.state.user(), visit.now).await? else { break };
            let (remember, is_alone) = (shown.remember(), shown.is_alone());
            let Ok(ready) = shown.saved(&mut account.user) else {
                found.drop(&self.context).await?;
                return Ok(Step::Refused(Refusal::Locked));
            };
            if is_alone {
                match self.saved_alone(visit, &found, &account).await? {
                    Some(step) => return Ok(step),
                    None => continue,
                }
            }
            let arriving = Arriving {
                ready,
                account,
                along: Along { remember: Some(remember), tells_of_new_device: false },
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

    /// Nothing was proved by codes that were made anew: the session goes on as it is. `None`: somebody came in between.
    async fn saved_alone(&self, visit: &Visit, flow: &Flow, account: &Found) -> Result<Option<Step>, ServiceError> {
        let Some(session) = visit.cookies.session.clone() else {
            return Ok(Some(Step::Refused(Refusal::RestartLogin)));
        };
        let name = account.user.id.to_string();
        let change = flow.spend(Change::new()).unchanged::<User>(&name, account.seen).put(&name, &account.user);
        let return_to = flow.return_to(&visit.config)?;
        let committed = self.context.commit(change, &[]).await?;
        Ok(committed.map(|_| Step::SignedIn {
            account: account.user.id,
            session,
            device: None,
            return_to,
            welcome: false,
        }))
    }

    /// A session that was begun by a recovery code enrols a new app: the code counts as the second factor for it. Where the
    /// password was given too long ago, it is asked for again ([`Refusal::RestartLogin`]). `return_to`: a checked path on the same
    /// host, where the way goes on afterwards.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn again(&self, visit: &Visit, return_to: &str) -> Result<Step, ServiceError> {
        let restart = Ok(Step::Refused(Refusal::RestartLogin));
        let Some(own) = Own::load(&self.context, visit).await? else { return restart };
        let demand = visit.config.portal_demand();
        if !login::has_lost_app(&own.session, &own.account.user, demand, visit.now) {
            return restart;
        }
        match self.another_app(visit, return_to).await? {
            Outcome::Done(step) => Ok(step),
            _ => restart,
        }
    }

    /// Somebody signed in sets up an app: the first one, or one in the place of that which is there until the new one is proved.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn another_app(&self, visit: &Visit, return_to: &str) -> Result<Outcome<Step>, ServiceError> {
        let Some(own) = Own::load(&self.context, visit).await? else { return Ok(Outcome::SignedOut) };
        let user = &own.account.user;
        if user.second_factor.totp.is_none() && !own::is_asked_for_anywhere(&visit.config) {
            return Ok(Outcome::Refused(Obstacle::NotInUse));
        }
        let Ok(confirmed) = own.for_another_app(visit) else { return Ok(Outcome::ConfirmationDue) };
        let Ok(due) = login::another_app(&confirmed, user, visit.config.portal_demand()) else {
            return Ok(Outcome::SignedOut);
        };
        let flow = Token::generate()?;
        let change = flows::begin(Change::new(), visit, &flow, State::EnrolmentDue(due), return_to)?;
        match self.context.commit(change, &[]).await? {
            Some(_) => Ok(Outcome::Done(Step::Enrol { flow })),
            None => Err(ServiceError::Contended),
        }
    }

    /// A new set of recovery codes, to be shown until they are saved; earlier ones are void at once (F7).
    ///
    /// # Errors
    /// [`ServiceError::Busy`] where too many hashes wait; others where the store cannot.
    pub async fn renew_codes(
        &self,
        visit: &Visit,
        user_agent: Option<&str>,
        return_to: &str,
    ) -> Result<Outcome<Step>, ServiceError> {
        let mut made: Option<Fresh> = None;
        for _ in 0..TRIES {
            let Some(own) = Own::load(&self.context, visit).await? else { return Ok(Outcome::SignedOut) };
            let mut user = own.account.user.clone();
            if !login::facts(&user).usable {
                return Ok(Outcome::Refused(Obstacle::NoSecondFactor));
            }
            let Ok(confirmed) = own.confirmed(visit) else { return Ok(Outcome::ConfirmationDue) };
            let context = &self.context;
            let allowance = mail_limit::read(context, user.id, Letter::Notice, None, Duration::ZERO, visit.now).await?;
            if !allowance.wait().is_zero() {
                return Ok(Outcome::Refused(Obstacle::TooManyMails(allowance.wait())));
            }
            let Fresh { set, codes } = match &made {
                Some(fresh) => fresh.clone(),
                None => made.insert(recovery::fresh(&self.context, visit, user.id).await?).clone(),
            };
            let flow = Token::generate()?;
            let sealed = flows::seal_codes(&visit.config, &flow.digest(), recovery::lines(&codes).as_bytes())?;
            let Ok(shown) = login::new_codes(&confirmed, &mut user, visit.config.portal_demand(), set, sealed) else {
                return Ok(Outcome::SignedOut);
            };
            let name = user.id.to_string();
            let state = State::RecoveryCodesShown(shown);
            let change = flows::begin(allowance.spend(Change::new()), visit, &flow, state, return_to)?;
            let change = change.unchanged::<User>(&name, own.account.seen).put(&name, &user);
            let by = By::InSession(visit.origin(user_agent), own.session.id);
            let event = events::success(Kind::RecoveryCodesRenewed, visit.now, Some(user.id), user.login.as_str(), by)?;
            if self.context.commit(change, &[event]).await?.is_some() {
                let notice = Notice::RecoveryCodesRenewed;
                self.context.mailer.notice(&visit.config, visit.language, &user, notice, visit.now);
                return Ok(Outcome::Done(Step::RecoveryCodes { flow, session: None }));
            }
        }
        Err(ServiceError::Contended)
    }
}
