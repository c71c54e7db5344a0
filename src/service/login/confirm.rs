//! The password given again, within a session (ASVS 7.5.1). A wrong one is counted as at the login, and a lock holds here too:
//! whoever finds an open session has no more tries than whoever finds the login page.

use super::password::{self, Subject};
use super::{Browser, Refusal, Step};
use crate::audit::Kind;
use crate::authn::confirmation;
use crate::authn::password::is_possible;
use crate::authn::session::Session;
use crate::secret::{ExposeSecret, SecretString, Token};
use crate::service::ServiceError;
use crate::service::context::{self, Context, TRIES};
use crate::service::events::{self, By};
use crate::service::own::Own;
use crate::service::records;
use crate::store::record::Change;

/// The session has a new value where the password was right; its inner id, and with it what is open, stays.
pub async fn password(
    context: &Context,
    browser: Browser<'_>,
    given: SecretString,
    return_to: &str,
) -> Result<Step, ServiceError> {
    let visit = browser.visit;
    let Some(own) = Own::load(context, visit).await? else { return Ok(Step::Refused(Refusal::RestartLogin)) };
    if !is_possible(given.expose_secret()) {
        return Ok(Step::Refused(Refusal::InvalidCredentials));
    }
    if let Some(refusal) = password::address_waits(context, browser, Some(&own.account.user)).await? {
        return Ok(Step::Refused(refusal));
    }
    let subject = Subject::of(&own.account.user, Kind::Confirmation);
    let judged = password::judge(context, browser, Some(&own.account.user), given).await?;
    let _turn = context.turn(&records::account_throttle(own.account.user.id)).await;
    for _ in 0..TRIES {
        let Some(own) = Own::load(context, visit).await? else { return Ok(Step::Refused(Refusal::RestartLogin)) };
        let reading = password::read(context, browser, &subject).await?;
        let limits = context::limits(&visit.config);
        let proof = judged.proof.as_ref().filter(|_| !reading.is_locked(limits, visit.now));
        let confirmed = proof
            .and_then(|proof| confirmation::password_given(&own.session, &own.account.user, proof, visit.now).ok());
        let Some(session) = confirmed else {
            match password::fail(context, browser, &subject, reading).await? {
                Some(step) => return Ok(step),
                None => continue,
            }
        };
        let change = reading.forget_failures(Change::new(), &subject);
        if let Some(token) = renew(context, browser, &own, session, change).await? {
            let (account, return_to) = (own.account.user.id, return_to.to_owned());
            return Ok(Step::SignedIn { account, session: token, device: None, return_to, welcome: false });
        }
    }
    Err(ServiceError::Contended)
}

/// Commits the session under a new value. `None`: somebody came in between.
async fn renew(
    context: &Context,
    browser: Browser<'_>,
    own: &Own,
    session: Session,
    change: Change,
) -> Result<Option<Token>, ServiceError> {
    let now = browser.visit.now;
    let user = &own.account.user;
    let (change, renewal) = own.renewed(context, browser.visit, change, session, None).await?;
    let by = By::InSession(browser.visit.origin(browser.user_agent), own.session.id);
    let event = events::success(Kind::Confirmation, now, Some(user.id), user.login.as_str(), by)?;
    if context.commit(change, &[event]).await?.is_none() {
        return Ok(None);
    }
    Ok(Some(renewal.took_place(context, now).await))
}
