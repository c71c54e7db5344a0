//! The code step. A code is spent by the commit that compares the account's record: of many requests with the same code one
//! wins, and the others are judged by what it left.

use super::flows::Found as Flow;
use super::{Browser, Refusal, Step, exhausted, flows, mailed, sign_in};
use crate::audit::Kind;
use crate::authn::code;
use crate::authn::lockout::{AccountThrottle, hints_at_the_clock};
use crate::authn::login::{Along, CodeDue, Ready, Stale, State};
use crate::authn::mail_code;
use crate::authn::totp::{self, TotpKey, Verdict};
use crate::authn::user::{Method, User};
use crate::secret::{KeyError, Purpose, Token};
use crate::service::ServiceError;
use crate::service::context::{self, Context, Found, TRIES};
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
        let reading = match read(context, browser, token).await? {
            Ok(reading) => reading,
            Err(step) => return Ok(step),
        };
        if let Some(step) = attempt(context, browser, reading, &code, remember).await? {
            return Ok(step);
        }
    }
    Err(ServiceError::Contended)
}

/// What a code is judged by, as it is now.
pub struct Reading {
    token: Token,
    pub flow: Flow,
    pub due: CodeDue,
    pub account: Found,
    throttle: Slot<AccountThrottle>,
}

/// How a code was judged.
pub enum Judged {
    Right(Ready),
    /// To be counted, in the state and for the account, before anybody is told.
    Wrong {
        due: CodeDue,
        refusal: Refusal,
        why: &'static str,
    },
    /// Not judged at all, so there is nothing to count.
    Dead(Refusal),
    /// The account is not what it was when the flow began.
    Stale,
}

impl From<Result<Ready, Stale>> for Judged {
    fn from(result: Result<Ready, Stale>) -> Self {
        result.map_or(Self::Stale, Self::Right)
    }
}

/// Reads what a code is judged by. `Err`: no code is judged in this flow, and this is the answer.
pub async fn read(
    context: &Context,
    browser: Browser<'_>,
    token: &Token,
) -> Result<Result<Reading, Step>, ServiceError> {
    let (now, config) = (browser.visit.now, &browser.visit.config);
    let Some(flow) = flows::load(context, browser.visit, token).await? else {
        return Ok(Err(Step::Refused(Refusal::RestartLogin)));
    };
    let due = match flow.flow.state.clone() {
        State::CodeDue(due) => due,
        other => return Ok(Err(Step::at(&other, token.clone()))),
    };
    if due.is_exhausted() {
        return Ok(Err(exhausted(browser, &flow)));
    }
    let Some(account) = context.user(flow.flow.state.user(), now).await? else {
        flow.drop(context).await?;
        return Ok(Err(Step::Refused(Refusal::RestartLogin)));
    };
    let name = records::account_throttle(account.user.id);
    let throttle = context.store.get::<AccountThrottle>(&name, now).await?;
    let locked = throttle.record.as_ref().is_some_and(|counted| counted.codes_are_locked(context::limits(config)));
    if locked || !flow.flow.state.stands(&account.user) {
        flow.drop(context).await?;
        return Ok(Err(Step::Refused(Refusal::Locked)));
    }
    Ok(Ok(Reading { token: token.clone(), flow, due, account, throttle }))
}

/// One try: judge, commit. `None`: somebody came in between.
async fn attempt(
    context: &Context,
    browser: Browser<'_>,
    mut reading: Reading,
    code: &str,
    remember: bool,
) -> Result<Option<Step>, ServiceError> {
    let due = reading.due.clone();
    let judged = match due.method() {
        Method::Totp => by_app(browser, due, &mut reading.account.user, code)?,
        Method::Mail => by_mail(browser, &reading.flow, due, &reading.account.user, code)?,
    };
    conclude(context, browser, reading, judged, remember).await
}

fn by_app(browser: Browser<'_>, due: CodeDue, user: &mut User, code: &str) -> Result<Judged, ServiceError> {
    let (now, config) = (browser.visit.now, &browser.visit.config);
    let Some(enrolled) = &user.second_factor.totp else { return Ok(Judged::Stale) };
    let plain = config.keys.open(Purpose::TotpKey, &user.id.to_string(), &enrolled.key)?;
    let key = TotpKey::from_slice(&plain).ok_or(KeyError::Forged)?;
    let verdict = totp::verify(&key, context::totp_settings(config), code, Some(enrolled.last_step), now);
    Ok(match verdict {
        Verdict::Accepted(proof) => due.accept(user, &proof, now).into(),
        // A code that was used before counts as a wrong one.
        Verdict::Used => Judged::Wrong { due: due.wrong(), refusal: Refusal::UsedCode, why: "used code" },
        Verdict::Wrong => {
            let due = due.wrong();
            let refusal = Refusal::WrongCode { clock_hint: hints_at_the_clock(due.wrong_so_far()) };
            Judged::Wrong { due, refusal, why: "wrong code" }
        }
    })
}

fn by_mail(browser: Browser<'_>, flow: &Flow, due: CodeDue, user: &User, code: &str) -> Result<Judged, ServiceError> {
    use mail_code::Verdict;
    let (now, config) = (browser.visit.now, &browser.visit.config);
    let Some(mailed) = due.mailed().cloned() else { return Ok(Judged::Dead(Refusal::NoCodeYet)) };
    let given = mailed::digest_like(mailed.mac(), config, &flow.digest, user.id, code)?;
    let settings = context::mail_settings(config);
    Ok(match mailed.judge(&given, settings, now) {
        Verdict::Accepted(proof) => due.accept_mailed(user, proof, now).into(),
        Verdict::Expired => Judged::Dead(Refusal::ExpiredCode),
        Verdict::TooManyTries => Judged::Dead(Refusal::TooManyTries),
        Verdict::Wrong => {
            let tried = mailed.tried();
            let is_dead = tried.judge(&given, settings, now) == Verdict::TooManyTries;
            let refusal = if is_dead { Refusal::TooManyTries } else { Refusal::WrongCode { clock_hint: false } };
            Judged::Wrong { due: due.sent(tried), refusal, why: "wrong code" }
        }
    })
}

/// Commits what a judgement leads to, and gives its answer. `None`: somebody came in between.
pub async fn conclude(
    context: &Context,
    browser: Browser<'_>,
    reading: Reading,
    judged: Judged,
    remember: bool,
) -> Result<Option<Step>, ServiceError> {
    let Reading { token, flow, account, throttle, .. } = reading;
    match judged {
        Judged::Right(ready) => {
            let remember = (!flow.flow.state.confirms()).then_some(remember);
            let name = records::account_throttle(account.user.id);
            let arriving = sign_in::Arriving {
                ready,
                account,
                along: Along { remember, tells_of_new_device: true },
                device: None,
                return_to: &flow.return_to(&browser.visit.config)?,
                flow: Some((&token, &flow)),
                change: forget_failures(Change::new(), &name, throttle),
            };
            sign_in::arrive(context, browser, arriving).await
        }
        Judged::Wrong { due, refusal, why } => {
            let step = if due.is_exhausted() { exhausted(browser, &flow) } else { Step::Refused(refusal) };
            let change = count_failure(flow.moved(Change::new(), State::CodeDue(due)), &account.user, throttle);
            let (origin, user) = (browser.visit.origin(browser.user_agent), &account.user);
            // Within a session it is known who tries.
            let by = flow.flow.state.session().map_or(By::Oneself(origin.clone()), |id| By::InSession(origin, id));
            let event = events::failure(Kind::SecondFactor, browser.visit.now, Some(user.id), user.login.as_str(), by)?;
            Ok(context.commit(change, &[events::detailed(event, why)]).await?.map(|_| step))
        }
        Judged::Dead(refusal) => Ok(Some(Step::Refused(refusal))),
        Judged::Stale => {
            flow.drop(context).await?;
            Ok(Some(Step::Refused(Refusal::Locked)))
        }
    }
}

/// A right code ends the row of wrong ones; what was counted is compared even where nothing changes.
fn forget_failures(change: Change, name: &str, throttle: Slot<AccountThrottle>) -> Change {
    let change = change.unchanged::<AccountThrottle>(name, throttle.seen);
    let Some(before) = throttle.record else { return change };
    let mut after = before.clone();
    after.right_code();
    if after == before { change } else { change.put(name, &after) }
}

fn count_failure(change: Change, user: &User, throttle: Slot<AccountThrottle>) -> Change {
    let name = records::account_throttle(user.id);
    let mut counted = throttle.record.unwrap_or_default();
    counted.wrong_code();
    change.unchanged::<AccountThrottle>(&name, throttle.seen).put(&name, &counted)
}
