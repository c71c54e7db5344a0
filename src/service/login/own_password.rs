//! Another password for somebody signed in, who wishes it (F29). It is a factor: so the other one must have been given a moment
//! ago ([`crate::authn::confirmation`]), and the password that they have comes along. A wrong one counts as at the login, and a
//! lock holds here too. Only then is anything said of the new one.

use super::password::{self, Subject};
use super::{Browser, Refusal, Step, device_keys};
use crate::audit::Kind;
use crate::authn::password::{Weakness, is_possible};
use crate::authn::session::Session;
use crate::authn::user::StoredPassword;
use crate::secret::{ExposeSecret, SecretString, Token};
use crate::service::ServiceError;
use crate::service::context::{self, Context, TRIES};
use crate::service::events::{self, By};
use crate::service::mailer::Notice;
use crate::service::own::Own;
use crate::service::{passwords, records};
use crate::store::record::Change;

pub async fn step(
    context: &Context,
    browser: Browser<'_>,
    current: SecretString,
    new: SecretString,
) -> Result<Result<Step, Weakness>, ServiceError> {
    let visit = browser.visit;
    let restart = Ok(Ok(Step::Refused(Refusal::RestartLogin)));
    let Some(own) = Own::load(context, visit).await? else { return restart };
    if own.lacks_code(visit) {
        return restart;
    }
    if !is_possible(current.expose_secret()) {
        return Ok(Ok(Step::Refused(Refusal::InvalidCredentials)));
    }
    let limits = context::limits(&visit.config);
    let user = &own.account.user;
    if let Some(refusal) = password::address_waits(context, browser, Some(user)).await? {
        return Ok(Ok(Step::Refused(refusal)));
    }
    let subject = Subject::of(user, Kind::PasswordChanged);
    let judged = password::judge(context, browser, Some(user), current.clone()).await?;
    // Made before the turn, as it takes a while; not during a lock, when a right password must not take longer than a wrong one.
    let locked = password::read(context, browser, &subject).await?.is_locked(limits, visit.now);
    let made = match judged.proof.is_some() && !locked {
        true if current.expose_secret() == new.expose_secret() => Some(Err(Weakness::Unchanged)),
        true => Some(passwords::make(context, &visit.config, user, new, visit.now).await?),
        false => None,
    };
    let _turn = context.turn(&records::account_throttle(user.id)).await;
    for _ in 0..TRIES {
        let Some(own) = Own::load(context, visit).await? else { return restart };
        let reading = password::read(context, browser, &subject).await?;
        let stored = own.account.user.password.as_ref();
        let proved = judged.proof.as_ref().zip(stored).is_some_and(|(proof, stored)| proof.is_of(&stored.hash));
        let made = made.as_ref().filter(|_| proved && !reading.is_locked(limits, visit.now));
        let new = match made {
            Some(Ok(new)) => new,
            Some(Err(weakness)) => return Ok(Err(*weakness)),
            None => match password::fail(context, browser, &subject, reading).await? {
                Some(step) => return Ok(Ok(step)),
                None => continue,
            },
        };
        let change = reading.forget_failures(Change::new(), &subject);
        if let Some(session) = replace(context, browser, &own, new, change).await? {
            let return_to = "/".to_owned();
            let account = own.account.user.id;
            return Ok(Ok(Step::SignedIn { account, session, device: None, return_to, welcome: false }));
        }
    }
    Err(ServiceError::Contended)
}

/// Commits. The account's other sessions and the keys of its other browsers end with the epoch; this session and this browser's
/// key are taken over it. `None`: somebody came in between.
async fn replace(
    context: &Context,
    browser: Browser<'_>,
    own: &Own,
    new: &StoredPassword,
    change: Change,
) -> Result<Option<Token>, ServiceError> {
    let (visit, now) = (browser.visit, browser.visit.now);
    let mut user = own.account.user.clone();
    let key = device_keys::find(context, browser, &user).await?;
    user.change_password(new.clone());
    let change = match key {
        Some(key) => key.carried_over(change, browser, &user),
        None => change,
    };
    let session = Session { password_at: Some(now), ..own.session.clone() };
    let (change, renewal) = own.renewed(context, visit, change, session, Some(&user)).await?;
    let by = By::InSession(visit.origin(browser.user_agent), own.session.id);
    let event = events::success(Kind::PasswordChanged, now, Some(user.id), user.login.as_str(), by)?;
    if context.commit(change, &[event]).await?.is_none() {
        return Ok(None);
    }
    let token = renewal.took_place(context, now).await;
    let notice = Notice::PasswordChanged { address: visit.client };
    context.mailer.notice(&visit.config, visit.language, &user, notice, now);
    Ok(Some(token))
}
