//! The last commit of every login: the account, the session, the device key, what is spent, and the event, all at once. Or,
//! where the password has to be changed first, the one before the last.

use super::flows::{self, Found as Flow};
use super::{Browser, Step, device_keys, welcome};
use crate::audit::{Event, Kind};
use crate::authn::login::{Along, Arrival, Ready, SignedIn, State};
use crate::authn::session::Session;
use crate::authn::sign_on::Elsewhere;
use crate::authn::user::User;
use crate::id::{DeviceId, SessionId};
use crate::secret::{Token, TokenDigest, random_bytes};
use crate::service::ServiceError;
use crate::service::actor::Actor;
use crate::service::context::{Context, Found};
use crate::service::events::{self, By};
use crate::service::mailer::Notice;
use crate::service::session::Sessions;
use crate::store::record::Change;

/// A login to which nothing is missing but, perhaps, another password.
pub struct Arriving<'a> {
    pub ready: Ready,
    /// The account as it is to be, and as it was read.
    pub account: Found,
    pub along: Along,
    /// The key that the browser has shown, where no new one is made.
    pub device: Option<DeviceId>,
    pub return_to: &'a str,
    /// The flow that led here, and its value; none where the password alone did.
    pub flow: Option<(&'a Token, &'a Flow)>,
    /// What else happens with it, as that failures are forgotten.
    pub change: Change,
}

/// What a login has led to, to be committed.
pub struct Entry<'a> {
    pub signed_in: SignedIn,
    /// The account as it is to be, and as it was read.
    pub account: Found,
    pub along: Along,
    /// The key that the browser has shown, where no new one is made.
    pub device: Option<DeviceId>,
    pub return_to: &'a str,
    /// What else happens with it: the flow is spent, failures are forgotten.
    pub change: Change,
    pub events: Vec<Event>,
}

/// What there is to do once it has happened.
struct Aftermath {
    token: Token,
    session: SessionId,
    /// The browser's session before, whoever's it was.
    replaced: Option<SessionId>,
    ended: Vec<(TokenDigest, Session)>,
    rotated: Option<(TokenDigest, SessionId)>,
}

/// In, or on to a new password. `None`: somebody came in between, and nothing happened.
pub async fn arrive(
    context: &Context,
    browser: Browser<'_>,
    arriving: Arriving<'_>,
) -> Result<Option<Step>, ServiceError> {
    let Arriving { ready, account, along, device, return_to, flow, change } = arriving;
    let visit = browser.visit;
    let due = match ready.arrive(&account.user, along, visit.config.password.max_age, visit.now) {
        Arrival::PasswordChange(due) => State::PasswordChangeDue(due),
        Arrival::SignedIn(signed_in) => {
            let change = match flow {
                Some((_, flow)) => flow.spend(change),
                None => change,
            };
            let entry = Entry { signed_in, account, along, device, return_to, change, events: Vec::new() };
            return complete(context, browser, entry).await;
        }
    };
    let (token, change) = match flow {
        Some((token, flow)) => (token.clone(), flow.entered(change, visit, due)),
        None => {
            let token = Token::generate()?;
            let change = flows::begin(change, visit, &token, due, return_to)?;
            (token, change)
        }
    };
    let name = account.user.id.to_string();
    let change = change.unchanged::<User>(&name, account.seen).put(&name, &account.user);
    Ok(context.commit(change, &[]).await?.map(|_| Step::ChangePassword { flow: token }))
}

/// Commits. `None`: somebody came in between, and nothing happened.
pub async fn complete(context: &Context, browser: Browser<'_>, entry: Entry<'_>) -> Result<Option<Step>, ServiceError> {
    let Entry { signed_in, account: Found { mut user, seen }, along, return_to, mut change, mut events, .. } = entry;
    let now = browser.visit.now;
    let mut device = None;
    let mut device_id = entry.device;
    let mut is_new_device = false;
    if signed_in.gave_second_factor() {
        let given_at = signed_in.second_factor_at().unwrap_or(now);
        let known = device_keys::Known { user: &user, epoch: signed_in.epoch_before() };
        let renewed = device_keys::renew(context, browser, known, along.remember, given_at, change).await?;
        (device, device_id) = (Some(renewed.token), Some(renewed.id));
        (change, is_new_device) = (renewed.change, renewed.is_new);
    }
    let begun = match signed_in.session() {
        Some(id) => rotate(context, browser, &signed_in, id, device_id, change).await?,
        None => {
            user.last_login = Some(now);
            Some(begin(context, browser, &signed_in, &user, device_id, change).await?)
        }
    };
    let Some((aftermath, change)) = begun else { return Ok(None) };
    let kind = if signed_in.session().is_some() { Kind::SecondFactor } else { Kind::Login };
    let origin = browser.visit.origin(browser.user_agent);
    let by = By::InSession(origin, aftermath.session);
    let event = events::success(kind, now, Some(user.id), user.login.as_str(), by)?;
    events.push(events::detailed(event, how(&signed_in, is_new_device)));
    let mut ends = Vec::new();
    for (_, ended) in &aftermath.ended {
        ends.push(session_ended(context, browser, &aftermath, ended, &user).await?);
    }
    let (change, ends) = context.sessions.without_each(change, &aftermath.ended, &ends).await?;
    events.extend_from_slice(ends);
    let name = user.id.to_string();
    let change = change.unchanged::<User>(&name, seen).put(&name, &user);
    if context.commit(change, &events).await?.is_none() {
        return Ok(None);
    }
    let sessions = &context.sessions;
    sessions.refresh(user.id, now).await;
    if let Some((old, id)) = aftermath.rotated {
        sessions.rotated(&old, aftermath.token.digest(), id);
    }
    sessions.forget_all(&aftermath.ended, now).await?;
    if is_new_device && along.tells_of_new_device {
        let notice = Notice::NewDevice { address: browser.visit.client };
        context.mailer.notice(&browser.visit.config, browser.visit.language, &user, notice, now);
    }
    let begins = signed_in.session().is_none();
    let welcome = signed_in.by_recovery_code() || (begins && welcome::is_due(&browser.visit.config, &user));
    let session = aftermath.token;
    Ok(Some(Step::SignedIn { account: user.id, session, device, return_to: return_to.to_owned(), welcome }))
}

/// A new session. The browser's old one ends, whoever's it was, and so does the oldest where the account has too many.
async fn begin(
    context: &Context,
    browser: Browser<'_>,
    signed_in: &SignedIn,
    user: &User,
    device: Option<DeviceId>,
    change: Change,
) -> Result<(Aftermath, Change), ServiceError> {
    let (visit, now) = (browser.visit, browser.visit.now);
    let limits = visit.config.session;
    let token = Token::generate()?;
    let session = Session {
        id: SessionId::from_bytes(random_bytes()?),
        user: user.id,
        epoch: signed_in.epoch(),
        created_at: now,
        expires_at: now.plus(limits.max_lifetime),
        last_seen: now,
        route_last_seen: Vec::new(),
        second_factor_at: signed_in.second_factor_at(),
        by_recovery_code: signed_in.by_recovery_code(),
        password_at: Some(now),
        device,
        client: visit.origin(browser.user_agent),
        elsewhere: Elsewhere::default(),
    };
    let mut ended = Vec::new();
    if let Some(old) = visit.cookies.session.as_ref().map(Token::digest) {
        ended.extend(context.sessions.record_of(&old, now).await?);
    }
    let mut others = context.sessions.of_user(user.id, now).await?;
    let replaced = ended.first().map(|(_, session)| session.id);
    others.retain(|(digest, _)| ended.iter().all(|(old, _)| old != digest));
    others.sort_by_key(|(_, session)| session.created_at);
    let too_many = match signed_in.changed_password() {
        true => others.len(),
        false => (others.len() + 1).saturating_sub(limits.max_per_user.max(1)),
    };
    ended.extend(others.into_iter().take(too_many));
    let change = Sessions::with(change, &token.digest(), &session);
    Ok((Aftermath { token, session: session.id, replaced, ended, rotated: None }, change))
}

/// That a session has ended by this login: the browser's own of before, or the oldest where there were too many.
async fn session_ended(
    context: &Context,
    browser: Browser<'_>,
    aftermath: &Aftermath,
    ended: &Session,
    user: &User,
) -> Result<Event, ServiceError> {
    let now = browser.visit.now;
    let login = match ended.user == user.id {
        true => user.login.to_string(),
        false => context.user(ended.user, now).await?.map(|found| found.user.login.to_string()).unwrap_or_default(),
    };
    let event = events::success(Kind::SessionEnded, now, Some(ended.user), &login, By::Actor(&Actor::Sekisho))?;
    let event = events::in_session(event, ended.id);
    if aftermath.replaced != Some(ended.id) {
        return Ok(events::detailed(event, "more than session.max_per_user"));
    }
    Ok(Event {
        actor: Some(user.login.to_string()),
        actor_id: Some(user.id),
        client: browser.visit.origin(browser.user_agent),
        ..events::detailed(event, "the browser has signed in anew")
    })
}

/// How somebody signed in, for the event.
fn how(signed_in: &SignedIn, is_new_device: bool) -> &'static str {
    match (signed_in.gave_second_factor(), signed_in.by_recovery_code(), is_new_device) {
        (true, true, _) => "recovery code",
        (true, false, true) => "code, from a new device",
        (true, false, false) => "code",
        (false, ..) if signed_in.second_factor_at().is_some() => "remembered device",
        (false, ..) => "password alone",
    }
}

/// The session that has stepped up gets a new value; its inner id, and with it what is open, stays. `None`: it is over.
async fn rotate(
    context: &Context,
    browser: Browser<'_>,
    signed_in: &SignedIn,
    id: SessionId,
    device: Option<DeviceId>,
    change: Change,
) -> Result<Option<(Aftermath, Change)>, ServiceError> {
    let now = browser.visit.now;
    let Some(old) = browser.visit.cookies.session.as_ref().map(Token::digest) else { return Ok(None) };
    let slot = context.store.get::<Session>(&old.to_string(), now).await?;
    let Some(session) = slot.record.filter(|session| session.id == id && session.epoch == signed_in.epoch()) else {
        return Ok(None);
    };
    let stepped_up = Session {
        second_factor_at: signed_in.second_factor_at(),
        by_recovery_code: signed_in.by_recovery_code(),
        last_seen: session.last_seen.max(now),
        device: device.or(session.device),
        ..session.clone()
    };
    let token = Token::generate()?;
    let change = change.unchanged::<Session>(&old.to_string(), slot.seen);
    let change = Sessions::renewed(change, (&old, &session), (&token.digest(), &stepped_up));
    Ok(Some((Aftermath { token, session: id, replaced: None, ended: Vec::new(), rotated: Some((old, id)) }, change)))
}
