//! The code step. A code is spent by the commit that compares the account's record: of many requests with the same code one
//! wins, and the others are judged by what it left.

use super::flows::Found as Flow;
use super::{Browser, Refusal, Step, exhausted, flows, sign_in};
use crate::audit::Kind;
use crate::authn::code;
use crate::authn::lockout::{AccountThrottle, hints_at_the_clock};
use crate::authn::login::{CodeDue, State};
use crate::authn::totp::{self, TotpKey, Verdict};
use crate::authn::user::{TotpEnrolment, User};
use crate::config::Config;
use crate::secret::{Purpose, Token};
use crate::service::ServiceError;
use crate::service::context::{self, Context, TRIES};
use crate::service::events::{self, By};
use crate::service::records;
use crate::store::record::{Change, Slot};

pub async fn step(
    context: &Context,
    browser: Browser<'_>,
    token: &Token,
    typed: &str,
    remember: bool,
) -> Result<Step, ServiceError> {
    let Some(user) = flows::load(context, browser.visit, token).await?.map(|flow| flow.flow.state.user()) else {
        return Ok(Step::Refused(Refusal::RestartLogin));
    };
    // What is no code at all is judged as a wrong one.
    let code = code::normalise(typed).unwrap_or_default();
    let _turn = context.turn(&records::account_throttle(user)).await;
    for _ in 0..TRIES {
        if let Some(step) = attempt(context, browser, token, &code, remember).await? {
            return Ok(step);
        }
    }
    Err(ServiceError::Contended)
}

/// One try: read everything as it is now, judge, commit. `None`: somebody came in between.
async fn attempt(
    context: &Context,
    browser: Browser<'_>,
    token: &Token,
    code: &str,
    remember: bool,
) -> Result<Option<Step>, ServiceError> {
    let (now, config) = (browser.visit.now, &browser.visit.config);
    let Some(flow) = flows::load(context, browser.visit, token).await? else {
        return Ok(Some(Step::Refused(Refusal::RestartLogin)));
    };
    let due = match flow.flow.state.clone() {
        State::CodeDue(due) => due,
        State::EnrolmentDue(_) => return Ok(Some(Step::Enrol { flow: token.clone() })),
    };
    if due.is_exhausted() {
        return Ok(Some(exhausted(browser, &flow)));
    }
    let Some(mut account) = context.user(flow.flow.state.user(), now).await? else {
        flow.drop(context).await?;
        return Ok(Some(Step::Refused(Refusal::RestartLogin)));
    };
    let name = records::account_throttle(account.user.id);
    let throttle = context.store.get::<AccountThrottle>(&name, now).await?;
    let locked = throttle.record.as_ref().is_some_and(|counted| counted.codes_are_locked(context::limits(config)));
    let enrolled = account.user.second_factor.totp.clone().filter(|_| flow.flow.state.stands(&account.user));
    let Some(enrolled) = enrolled.filter(|_| !locked) else {
        flow.drop(context).await?;
        return Ok(Some(Step::Refused(Refusal::Locked)));
    };
    let accepted = match judge(config, &account.user, &enrolled, code, browser)? {
        Verdict::Accepted(accepted) => accepted,
        verdict => return refuse(context, browser, &flow, due, &account.user, throttle, &verdict).await,
    };
    let Ok(ready) = due.accept(&mut account.user, &accepted, now) else {
        flow.drop(context).await?;
        return Ok(Some(Step::Refused(Refusal::Locked)));
    };
    let entry = sign_in::Entry {
        signed_in: ready.sign_in(),
        account,
        remember,
        return_to: &flow.return_to(config)?,
        change: forget_failures(flow.spend(Change::new()), &name, throttle),
        events: Vec::new(),
    };
    sign_in::complete(context, browser, entry).await
}

fn judge(
    config: &Config,
    user: &User,
    enrolled: &TotpEnrolment,
    code: &str,
    browser: Browser<'_>,
) -> Result<Verdict, ServiceError> {
    let plain = config.keys.open(Purpose::TotpKey, &user.id.to_string(), &enrolled.key)?;
    let key = TotpKey::from_slice(&plain).ok_or(crate::secret::KeyError::Forged)?;
    Ok(totp::verify(&key, context::totp_settings(config), code, Some(enrolled.last_step), browser.visit.now))
}

/// A right code ends the row of wrong ones; what was counted is compared even where nothing changes.
fn forget_failures(change: Change, name: &str, throttle: Slot<AccountThrottle>) -> Change {
    let change = change.unchanged::<AccountThrottle>(name, throttle.seen);
    let Some(before) = throttle.record else { return change };
    let mut after = before.clone();
    after.right_code();
    if after == before { change } else { change.put(name, &after) }
}

/// Counts the failure, in the flow and for the account, before anybody is told. A code that was used before counts as one.
async fn refuse(
    context: &Context,
    browser: Browser<'_>,
    flow: &Flow,
    due: CodeDue,
    user: &User,
    throttle: Slot<AccountThrottle>,
    verdict: &Verdict,
) -> Result<Option<Step>, ServiceError> {
    let name = records::account_throttle(user.id);
    let mut counted = throttle.record.unwrap_or_default();
    counted.wrong_code();
    let due = due.wrong();
    let used = matches!(verdict, Verdict::Used);
    let step = if due.is_exhausted() {
        exhausted(browser, flow)
    } else if used {
        Step::Refused(Refusal::UsedCode)
    } else {
        Step::Refused(Refusal::WrongCode { clock_hint: hints_at_the_clock(due.wrong_so_far()) })
    };
    let change = Change::new().unchanged::<AccountThrottle>(&name, throttle.seen).put(&name, &counted);
    let by = By::Oneself(browser.visit.origin(browser.user_agent));
    let event = events::failure(Kind::SecondFactor, browser.visit.now, Some(user.id), user.login.as_str(), by)?;
    let event = events::detailed(event, if used { "used code" } else { "wrong code" });
    Ok(context.commit(flow.moved(change, State::CodeDue(due)), &[event]).await?.map(|_| step))
}
