//! After the app: its recovery codes, shown until they are saved; and the new app of whoever had to use one of them.

use super::Enrolments;
use crate::authn::login::{Along, State, again};
use crate::authn::session::Session;
use crate::clock::Timestamp;
use crate::secret::{SecretString, Token};
use crate::service::ServiceError;
use crate::service::context::TRIES;
use crate::service::login::flows;
use crate::service::login::sign_in::{self, Arriving};
use crate::service::login::{Browser, Refusal, Step};
use crate::service::visit::Visit;
use crate::store::record::Change;

/// The recovery codes of an app that was just enrolled: readable until they are saved, or for 10 minutes.
#[derive(Debug)]
pub struct RecoveryCodesView {
    pub codes: Vec<SecretString>,
    pub account: String,
    pub issuer: String,
    pub made_at: Timestamp,
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
            let remember = shown.remember();
            let Ok(ready) = shown.saved(&mut account.user) else {
                found.drop(&self.context).await?;
                return Ok(Step::Refused(Refusal::Locked));
            };
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

    /// A session that was begun by a recovery code enrols a new app: the code counts as the second factor for it.
    /// `return_to`: a checked path on the same host, where the way goes on afterwards.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn again(&self, visit: &Visit, return_to: &str) -> Result<Step, ServiceError> {
        let restart = Ok(Step::Refused(Refusal::RestartLogin));
        let (Some(live), Some(token)) = (&visit.session, &visit.cookies.session) else { return restart };
        if !visit.may_sign_in || !live.is_alive(visit.now) {
            return restart;
        }
        let record = self.context.store.get::<Session>(&token.digest().to_string(), visit.now).await?.record;
        let Some(session) = record.filter(|session| session.id == live.id()) else { return restart };
        let Some(account) = self.context.user(session.user, visit.now).await? else { return restart };
        let Ok(due) = again(&session, &account.user, visit.config.portal_demand(), visit.now) else { return restart };
        let flow = Token::generate()?;
        let change = flows::begin(Change::new(), visit, &flow, State::EnrolmentDue(due), return_to)?;
        match self.context.commit(change, &[]).await? {
            Some(_) => Ok(Step::Enrol { flow }),
            None => Err(ServiceError::Contended),
        }
    }
}
