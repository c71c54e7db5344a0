//! Codes by mail (F9): drawn here, kept as a keyed digest in the flow alone, posted once the flow is committed. However many
//! logins somebody begins, the account is sent no more of them than [`mail_limit`] allows.

use std::time::Duration;

use super::flows::Found as Flow;
use super::{Browser, MailView, Refusal, Step, device_keys, flows};
use crate::authn::code::random_digits;
use crate::authn::lockout::AccountThrottle;
use crate::authn::login::{CodeDue, State};
use crate::authn::mail_code::{DIGITS, MailedCode};
use crate::authn::user::{Email, Method, User};
use crate::config::Config;
use crate::id::UserId;
use crate::secret::{KeyError, Mac, Purpose, SecretString, Token, TokenDigest, random_bytes};
use crate::service::ServiceError;
use crate::service::context::{self, Context, TRIES};
use crate::service::mail_limit::{self, Allowance, Letter};
use crate::service::records;
use crate::service::visit::Visit;
use crate::store::record::Change;

/// A state with the code that goes with it.
pub struct Prepared {
    pub due: CodeDue,
    /// To be posted once the change is committed; `None`: none is due, or it has to wait.
    pub code: Option<SecretString>,
    /// Counts the mail.
    pub change: Change,
}

/// Draws a code where the account's method is mail, and notes it in the state. [`post`] follows the commit. Where the account
/// was sent too many, the flow begins without one: another flow's code is no good in it, and "send again" is there.
pub async fn prepare(
    context: &Context,
    browser: Browser<'_>,
    flow: &TokenDigest,
    user: &User,
    due: CodeDue,
    change: Change,
) -> Result<Prepared, ServiceError> {
    if due.method() != Method::Mail {
        return Ok(Prepared { due, code: None, change });
    }
    let allowance = allowance(context, browser, user).await?;
    if !allowance.wait().is_zero() {
        tracing::info!(user = %user.id, "no code was mailed: another one was, a moment ago, or too many were");
        return Ok(Prepared { due, code: None, change });
    }
    draw(browser.visit, flow, user, due, allowance.spend(change))
}

fn draw(
    visit: &Visit,
    flow: &TokenDigest,
    user: &User,
    due: CodeDue,
    change: Change,
) -> Result<Prepared, ServiceError> {
    let code = random_digits(DIGITS, || random_bytes().map(u32::from_ne_bytes))?;
    let mac = digest(&visit.config, flow, user.id, &code)?;
    Ok(Prepared { due: due.sent(MailedCode::new(mac, visit.now)), code: Some(code.into()), change })
}

/// What the account may be sent, at the wish of this browser.
async fn allowance(context: &Context, browser: Browser<'_>, user: &User) -> Result<Allowance, ServiceError> {
    let visit = browser.visit;
    let device = device_keys::find(context, browser, user).await?.map(|key| key.device.id);
    let resend_after = visit.config.second_factor.mail_code.resend_after;
    mail_limit::read(context, user.id, Letter::LoginCode, device, resend_after, visit.now).await
}

/// Hands the code over to the outbox; nobody waits for the mail server.
pub fn post(context: &Context, visit: &Visit, flow: &TokenDigest, user: &User, code: Option<SecretString>) {
    if let Some(code) = code {
        context.mailer.code(visit, flow, user, &code);
    }
}

/// What is kept of a code: it is good for this account in this flow alone.
pub fn digest(config: &Config, flow: &TokenDigest, user: UserId, code: &str) -> Result<Mac, KeyError> {
    config.keys.mac(Purpose::MailedCode, &[flow.as_bytes(), user.to_string().as_bytes(), code.as_bytes()])
}

/// The digest of a code that was given, to be compared with the one that is kept.
pub fn digest_like(
    known: &Mac,
    config: &Config,
    flow: &TokenDigest,
    user: UserId,
    code: &str,
) -> Result<Mac, KeyError> {
    let user = user.to_string();
    config.keys.mac_like(known, Purpose::MailedCode, &[flow.as_bytes(), user.as_bytes(), code.as_bytes()])
}

/// What the page tells of the mail.
pub async fn view(
    context: &Context,
    visit: &Visit,
    flow: &Flow,
    user: &User,
) -> Result<Option<MailView>, ServiceError> {
    let (State::CodeDue(due), Some(address)) = (&flow.flow.state, user.email.as_ref()) else { return Ok(None) };
    if due.method() != Method::Mail {
        return Ok(None);
    }
    let settings = context::mail_settings(&visit.config);
    let browser = Browser { visit, user_agent: None };
    Ok(Some(MailView {
        address: masked(address),
        lifetime: settings.lifetime,
        resend_wait: resend_wait(due, &allowance(context, browser, user).await?, visit),
        delivery: due.mailed().map(|_| context.mailer.delivery(&flow.digest)),
    }))
}

/// How long another code has to wait: for the account's sake and for the flow's, whose code may be counted elsewhere.
fn resend_wait(due: &CodeDue, allowance: &Allowance, visit: &Visit) -> Duration {
    let settings = context::mail_settings(&visit.config);
    let own = due.mailed().map(|code| code.resend_wait(settings, visit.now)).unwrap_or_default();
    own.max(allowance.wait())
}

/// Enough to know one's own address by, and no more: `b••@example.com`.
pub fn masked(address: &Email) -> String {
    let (local, domain) = address.as_str().split_once('@').unwrap_or_default();
    let first = local.chars().next().map(String::from).unwrap_or_default();
    format!("{first}••@{domain}")
}

/// Another code takes the place of the one that is outstanding.
pub async fn resend(context: &Context, browser: Browser<'_>, token: &Token) -> Result<Step, ServiceError> {
    let visit = browser.visit;
    let Some(user) = flows::load(context, visit, token).await?.map(|flow| flow.flow.state.user()) else {
        return Ok(Step::Refused(Refusal::RestartLogin));
    };
    let name = records::account_throttle(user);
    let _turn = context.turn(&name).await;
    for _ in 0..TRIES {
        let Some(flow) = flows::load(context, visit, token).await? else { break };
        let due = match flow.flow.state.clone() {
            State::CodeDue(due) => due,
            other => return Ok(Step::at(&other, token.clone())),
        };
        let throttle = context.store.get::<AccountThrottle>(&name, visit.now).await?.record;
        let locked = throttle.is_some_and(|counted| counted.codes_are_locked(context::limits(&visit.config)));
        let account = context.user(user, visit.now).await?.filter(|found| flow.flow.state.stands(&found.user));
        let Some(account) = account.filter(|_| !locked) else {
            flow.drop(context).await?;
            return Ok(Step::Refused(Refusal::Locked));
        };
        if due.method() != Method::Mail {
            return Ok(Step::Code { flow: token.clone() });
        }
        let allowance = allowance(context, browser, &account.user).await?;
        let wait = resend_wait(&due, &allowance, visit);
        if !wait.is_zero() {
            return Ok(Step::Refused(Refusal::TooManyAttempts { retry_after: wait }));
        }
        let change = allowance.spend(Change::new());
        let Prepared { due, code, change } = draw(visit, &flow.digest, &account.user, due, change)?;
        let change = flow.entered(change, visit, State::CodeDue(due));
        if context.commit(change, &[]).await?.is_some() {
            post(context, visit, &flow.digest, &account.user, code);
            return Ok(Step::Code { flow: token.clone() });
        }
    }
    Ok(Step::Refused(Refusal::RestartLogin))
}
