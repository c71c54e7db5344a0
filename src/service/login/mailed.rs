//! Codes by mail (F9): drawn here, kept as a keyed digest in the flow alone, posted once the flow is committed.

use super::flows::Found as Flow;
use super::{Browser, MailView, Refusal, Step, flows};
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
use crate::service::records;
use crate::service::visit::Visit;
use crate::store::record::Change;

/// Draws a code where the account's method is mail, and notes it in the state. [`post`] follows the commit.
pub fn prepare(
    visit: &Visit,
    flow: &TokenDigest,
    user: &User,
    due: CodeDue,
) -> Result<(CodeDue, Option<SecretString>), ServiceError> {
    if due.method() != Method::Mail {
        return Ok((due, None));
    }
    let code = random_digits(DIGITS, || random_bytes().map(u32::from_ne_bytes))?;
    let mac = digest(&visit.config, flow, user.id, &code)?;
    Ok((due.sent(MailedCode::new(mac, visit.now)), Some(code.into())))
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

/// What the page tells of the mail.
pub fn view(context: &Context, visit: &Visit, flow: &Flow, user: &User) -> Option<MailView> {
    let State::CodeDue(due) = &flow.flow.state else { return None };
    let (code, address) = (due.mailed()?, user.email.as_ref()?);
    let settings = context::mail_settings(&visit.config);
    Some(MailView {
        address: masked(address),
        lifetime: settings.lifetime,
        resend_wait: code.resend_wait(settings, visit.now),
        delivery: context.mailer.delivery(&flow.digest),
    })
}

/// Enough to know one's own address by, and no more: `b••@example.com`.
fn masked(address: &Email) -> String {
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
            State::EnrolmentDue(_) => return Ok(Step::Enrol { flow: token.clone() }),
            State::RecoveryCodesShown(_) => return Ok(Step::RecoveryCodes { flow: token.clone() }),
        };
        let throttle = context.store.get::<AccountThrottle>(&name, visit.now).await?.record;
        let locked = throttle.is_some_and(|counted| counted.codes_are_locked(context::limits(&visit.config)));
        let account = context.user(user, visit.now).await?.filter(|found| flow.flow.state.stands(&found.user));
        let Some(account) = account.filter(|_| !locked) else {
            flow.drop(context).await?;
            return Ok(Step::Refused(Refusal::Locked));
        };
        let settings = context::mail_settings(&visit.config);
        let wait = due.mailed().map(|code| code.resend_wait(settings, visit.now)).unwrap_or_default();
        if !wait.is_zero() {
            return Ok(Step::Refused(Refusal::TooManyAttempts { retry_after: wait }));
        }
        let (due, code) = prepare(visit, &flow.digest, &account.user, due)?;
        let change = flow.entered(Change::new(), visit, State::CodeDue(due));
        if context.commit(change, &[]).await?.is_some() {
            post(context, visit, &flow.digest, &account.user, code);
            return Ok(Step::Code { flow: token.clone() });
        }
    }
    Ok(Step::Refused(Refusal::RestartLogin))
}
