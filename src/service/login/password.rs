//! The password step.
//!
//! Whoever asks cannot tell a login that nobody has from a wrong password, a disabled account or a locked one: each costs
//! the same hashes ([`password::beside`]: of today's cost, or of the dearest that an account has; and of each scheme that was imported
//! and is not renewed yet), one durable commit under `throttle/`, and gets the same answer.

use std::time::Duration;

use super::device_keys::Key;
use super::{Browser, Credentials, Destination, Refusal, Step, device_keys, flows, mailed, sign_in};
use crate::audit::{Event, Kind};
use crate::authn::lockout::{AccountThrottle, AddressThrottle, Limits};
use crate::authn::login::{Along, Next, Start, State, facts};
use crate::authn::password::{self, Matches};
use crate::authn::user::{LoginName, User};
use crate::authz::SecondFactorDemand;
use crate::clock::Timestamp;
use crate::id::DeviceId;
use crate::secret::{ExposeSecret, Purpose, SecretString, Token};
use crate::service::ServiceError;
use crate::service::context::{self, Context, Found, TRIES};
use crate::service::events::{self, By};
use crate::service::records;
use crate::store::record::{Change, Slot};

/// Longer than any login; what is typed beyond does not make another one.
const TYPED: usize = 256;

/// Whose password it is said to be, and where its failures are counted.
pub(super) struct Subject {
    /// The login, where somebody has it.
    login: Option<LoginName>,
    typed: String,
    throttle: String,
    /// What a failure is told as.
    kind: Kind,
}

/// A password that was judged by the hash that the account had then.
pub(super) struct Judged {
    pub proof: Option<Matches>,
    /// A hash of today's cost, where the account's is cheaper.
    renewed: Option<String>,
}

/// What a step is judged by, as it is now.
pub(super) struct Reading {
    account: Option<Found>,
    /// The browser's valid device key for the account.
    key: Option<Key>,
    throttle: Slot<AccountThrottle>,
    /// What was counted of the browser's address.
    from_there: Slot<AddressThrottle>,
}

pub async fn step(
    context: &Context,
    browser: Browser<'_>,
    credentials: Credentials,
    destination: &Destination,
) -> Result<Step, ServiceError> {
    if !password::is_possible(credentials.password.expose_secret()) {
        return Ok(Step::Refused(Refusal::InvalidCredentials));
    }
    let (subject, account) = subject(context, browser, &credentials.login).await?;
    if let Some(refusal) = address_waits(context, browser, account.as_ref()).await? {
        return Ok(Step::Refused(refusal));
    }
    let mut judged = judge(context, browser, account.as_ref(), credentials.password.clone()).await?;
    judged.renewed = renew(context, browser, &subject, &judged, credentials.password, destination).await?;
    let _turn = context.turn(&subject.throttle).await;
    for _ in 0..TRIES {
        let reading = read(context, browser, &subject).await?;
        // Counted meanwhile: of many guesses at once from one address no more are judged than that one may have wrong.
        if let Some(refusal) = reading.address_waits(context, browser) {
            return Ok(Step::Refused(refusal));
        }
        let step = match verdict(browser, &judged, &reading, destination) {
            Some(next) => succeed(context, browser, &subject, &judged, reading, next, destination).await?,
            None => fail(context, browser, &subject, reading).await?,
        };
        if let Some(step) = step {
            return Ok(step);
        }
    }
    Err(ServiceError::Contended)
}

/// An address with too many failures is told so before a password is looked at, whatever the login. But for the owner's own
/// browser: it is known by its device key and has a count of its own ([`AccountThrottle`]), so that nobody behind the same
/// address keeps the owner out.
pub(super) async fn address_waits(
    context: &Context,
    browser: Browser<'_>,
    user: Option<&User>,
) -> Result<Option<Refusal>, ServiceError> {
    let now = browser.visit.now;
    let name = records::address_throttle(browser.visit.client);
    let mut counted = context.store.get::<AddressThrottle>(&name, now).await?;
    if let Some(strange) = counted.record.as_mut().filter(|counted| counted.is_of_another_time(now)) {
        *strange = strange.as_of(now);
        // Where somebody came in between, they have done the same.
        let change = Change::new().unchanged::<AddressThrottle>(&name, counted.seen).put(&name, strange);
        context.commit(change, &[]).await?;
    }
    let Some(wait) = wait(browser, &counted) else { return Ok(None) };
    if let Some(key) = device_keys::find_any(context, browser, user).await?
        && let Some(user) = user
    {
        let throttle = context.store.get::<AccountThrottle>(&records::account_throttle(user.id), now).await?;
        if !is_locked(&throttle, Some(key.device.id), context::limits(&browser.visit.config), now) {
            return Ok(None);
        }
    }
    Ok(Some(told_to_wait(context, wait)))
}

/// For how long the browser's address has to wait, if it has to.
fn wait(browser: Browser<'_>, counted: &Slot<AddressThrottle>) -> Option<Duration> {
    let max_failures = browser.visit.config.lockout.per_address.max_failures;
    counted.record.as_ref().and_then(|counted| counted.wait(max_failures, browser.visit.now))
}

fn told_to_wait(context: &Context, retry_after: Duration) -> Refusal {
    context.metrics.logins.throttled.inc();
    Refusal::TooManyAttempts { retry_after }
}

async fn subject(
    context: &Context,
    browser: Browser<'_>,
    typed: &str,
) -> Result<(Subject, Option<User>), ServiceError> {
    let login = typed.parse::<LoginName>().ok();
    let account = match &login {
        Some(login) => context.user_by_login(login, browser.visit.now).await?.map(|found| found.user),
        None => None,
    };
    let typed: String = typed.trim().to_lowercase().chars().take(TYPED).collect();
    let subject = match &account {
        Some(user) => Subject { typed, ..Subject::of(user, Kind::Login) },
        None => {
            let digest = browser.visit.config.keys.mac(Purpose::UnknownLogin, &[typed.as_bytes()])?;
            let [high, low, ..] = *digest.as_bytes();
            let throttle = records::unknown_throttle(u16::from_be_bytes([high, low]));
            Subject { login, typed, throttle, kind: Kind::Login }
        }
    };
    Ok((subject, account))
}

/// The same work, whoever it is.
pub(super) async fn judge(
    context: &Context,
    browser: Browser<'_>,
    user: Option<&User>,
    password: SecretString,
) -> Result<Judged, ServiceError> {
    let cost = context::cost(&browser.visit.config);
    let in_use = context.directory.known_schemes(browser.visit.now).await?;
    let stored = user.and_then(|user| user.password.as_ref()).map(|stored| stored.hash.as_str());
    let proof = context.hasher.verify_like_any(stored, password, &in_use, cost).await?;
    Ok(Judged { proof, renewed: None })
}

/// A hash of today's cost, where the account's is cheaper or another gate's. It is one hash more, so it is made only where the
/// login goes on: during a lock, or for a disabled account, the time that it takes would tell that the password is right.
async fn renew(
    context: &Context,
    browser: Browser<'_>,
    subject: &Subject,
    judged: &Judged,
    password: SecretString,
    destination: &Destination,
) -> Result<Option<String>, ServiceError> {
    if !judged.proof.as_ref().is_some_and(Matches::is_whole) {
        return Ok(None);
    }
    let reading = read(context, browser, subject).await?;
    if verdict(browser, judged, &reading, destination).is_none() {
        return Ok(None);
    }
    let stored = reading.account.as_ref().and_then(|found| found.user.password.as_ref());
    match stored.and_then(|stored| password::renewed(&stored.hash, context::cost(&browser.visit.config))) {
        // Where too many wait, the next login renews it.
        Some(cost) => Ok(context.hasher.hash(password, cost).await.ok()),
        None => Ok(None),
    }
}

pub(super) async fn read(context: &Context, browser: Browser<'_>, subject: &Subject) -> Result<Reading, ServiceError> {
    let now = browser.visit.now;
    let account = match &subject.login {
        Some(login) => context.user_by_login(login, now).await?,
        None => None,
    };
    let key = device_keys::find_any(context, browser, account.as_ref().map(|found| &found.user)).await?;
    let throttle = context.store.get::<AccountThrottle>(&subject.throttle, now).await?;
    let from_there =
        context.store.get::<AddressThrottle>(&records::address_throttle(browser.visit.client), now).await?;
    Ok(Reading { account, key, throttle, from_there })
}

/// What follows from a right password. `None`: it was wrong, or it is not judged for now, which looks the same.
fn verdict(browser: Browser<'_>, judged: &Judged, reading: &Reading, destination: &Destination) -> Option<Next> {
    let (now, limits) = (browser.visit.now, context::limits(&browser.visit.config));
    if reading.is_locked(limits, now) {
        return None;
    }
    let user = &reading.account.as_ref()?.user;
    let passed = Start.password(user, judged.proof.as_ref()?, demand(browser, user, destination)).ok()?;
    let key = reading.key.as_ref().and_then(|key| key.sparing(browser));
    passed.next(user, key, now).ok()
}

/// What this login has to satisfy. One that leads to another password asks whoever has a second factor for it as sekisho's own pages do,
/// whatever the route that it came from asks for.
fn demand(browser: Browser<'_>, user: &User, destination: &Destination) -> SecondFactorDemand {
    let config = &browser.visit.config;
    let stored = user.password.as_ref();
    let leads_to_another =
        stored.is_some_and(|stored| stored.change_is_due(config.password.max_age, browser.visit.now));
    match leads_to_another && facts(user).usable {
        true => destination.demand.and(config.portal_demand()),
        false => destination.demand,
    }
}

/// Commits the step forward: a session, or a flow that waits for what is due.
async fn succeed(
    context: &Context,
    browser: Browser<'_>,
    subject: &Subject,
    judged: &Judged,
    reading: Reading,
    next: Next,
    destination: &Destination,
) -> Result<Option<Step>, ServiceError> {
    let device = reading.device();
    let counts = !reading.is_at_home(browser);
    let Reading { account, key, throttle, from_there } = reading;
    let Some(Found { mut user, seen }) = account else { return Ok(None) };
    let mut change = forget_failures(Change::new(), subject, &throttle, device);
    if counts {
        change = change.unchanged::<AddressThrottle>(&records::address_throttle(browser.visit.client), from_there.seen);
    }
    // The browser will not have its value any more, so whatever it had outstanding (a mailed code, recovery codes) is void.
    if let Some(begun) = &browser.visit.cookies.flow
        && let Some(begun) = flows::load(context, browser.visit, begun).await?
    {
        change = begun.spend(change);
    }
    let renewed = judged.renewed.as_ref().zip(user.password.as_mut());
    let renews = renewed.is_some();
    if let Some((hash, stored)) = renewed {
        stored.hash.clone_from(hash);
    }
    let flow = Token::generate()?;
    let mut letter = None;
    let state = match next {
        Next::Ready(ready) => {
            if let Some(key) = key.filter(|_| ready.second_factor_at().is_some()) {
                change = key.used(change, browser);
            }
            let arriving = sign_in::Arriving {
                ready,
                account: Found { user, seen },
                along: Along { remember: Some(false), tells_of_new_device: true },
                device,
                return_to: &destination.return_to,
                flow: None,
                change,
            };
            return sign_in::arrive(context, browser, arriving).await;
        }
        Next::Code(due) => {
            let prepared = mailed::prepare(context, browser, &flow.digest(), &user, due, change).await?;
            (change, letter) = (prepared.change, prepared.code);
            State::CodeDue(prepared.due)
        }
        Next::Enrolment(due) => State::EnrolmentDue(due),
    };
    if renews {
        let name = user.id.to_string();
        change = change.unchanged::<User>(&name, seen).put(&name, &user);
    }
    let enrols = matches!(state, State::EnrolmentDue(_));
    let change = flows::begin(change, browser.visit, &flow, state, &destination.return_to)?;
    if context.commit(change, &[]).await?.is_none() {
        return Ok(None);
    }
    mailed::post(context, browser.visit, &flow.digest(), &user, letter);
    Ok(Some(if enrols { Step::Enrol { flow } } else { Step::Code { flow } }))
}

/// The right password ends the row of wrong ones. What was counted is compared even where nothing changes, so that guesses
/// at once are judged one after the other.
fn forget_failures(
    change: Change,
    subject: &Subject,
    throttle: &Slot<AccountThrottle>,
    device: Option<DeviceId>,
) -> Change {
    let change = change.unchanged::<AccountThrottle>(&subject.throttle, throttle.seen);
    let Some(before) = &throttle.record else { return change };
    let mut after = before.clone();
    after.right_password(device);
    if after == *before {
        change
    } else if after == AccountThrottle::default() {
        change.delete::<AccountThrottle>(&subject.throttle)
    } else {
        change.put(&subject.throttle, &after)
    }
}

/// Counts the failure, for the account and for the address, before anybody is told.
pub(super) async fn fail(
    context: &Context,
    browser: Browser<'_>,
    subject: &Subject,
    reading: Reading,
) -> Result<Option<Step>, ServiceError> {
    let (visit, now) = (browser.visit, browser.visit.now);
    let limits = context::limits(&visit.config);
    let device = reading.device();
    let locked_before = reading.is_locked(limits, now);
    let mut counted = reading.throttle.record.unwrap_or_default();
    let locks = counted.wrong_password(device, limits, now);
    let address = records::address_throttle(visit.client);
    let from_there = reading.from_there;
    let per_address = visit.config.lockout.per_address;
    let change = Change::new()
        .unchanged::<AccountThrottle>(&subject.throttle, reading.throttle.seen)
        .put(&subject.throttle, &counted)
        .unchanged::<AddressThrottle>(&address, from_there.seen)
        .put(&address, &AddressThrottle::count(from_there.record, per_address.window, now));
    let user = reading.account.as_ref().map(|found| &found.user);
    let why = match user {
        None => "no such account",
        Some(user) if user.disabled => "the account is disabled",
        Some(_) if locked_before => "locked",
        Some(_) => "wrong password",
    };
    let mut events = vec![event(subject.kind, browser, subject, user, why)?];
    if locks && user.is_some() {
        events.push(event(Kind::Lockout, browser, subject, user, "too many wrong passwords")?);
    }
    let counted = context.commit(change, &events).await?;
    Ok(counted.map(|_| Step::Refused(Refusal::InvalidCredentials)))
}

fn event(
    kind: Kind,
    browser: Browser<'_>,
    subject: &Subject,
    user: Option<&User>,
    why: &str,
) -> Result<Event, ServiceError> {
    let by = By::Oneself(browser.visit.origin(browser.user_agent));
    let event = events::failure(kind, browser.visit.now, user.map(|user| user.id), &subject.typed, by)?;
    Ok(events::detailed(event, why))
}

fn is_locked(throttle: &Slot<AccountThrottle>, device: Option<DeviceId>, limits: Limits, now: Timestamp) -> bool {
    throttle.record.as_ref().is_some_and(|counted| counted.password_lock(device, limits, now).is_some())
}

impl Subject {
    /// Somebody whose account is known.
    pub fn of(user: &User, kind: Kind) -> Self {
        Self {
            login: Some(user.login.clone()),
            typed: user.login.to_string(),
            throttle: records::account_throttle(user.id),
            kind,
        }
    }
}

impl Reading {
    /// Whether no password from this browser is judged for now.
    pub fn is_locked(&self, limits: Limits, now: Timestamp) -> bool {
        is_locked(&self.throttle, self.device(), limits, now)
    }

    /// As [`address_waits`], by what was read.
    fn address_waits(&self, context: &Context, browser: Browser<'_>) -> Option<Refusal> {
        let wait = wait(browser, &self.from_there).filter(|_| !self.is_at_home(browser));
        wait.map(|wait| told_to_wait(context, wait))
    }

    /// Whether it is the owner's own browser, which its address does not keep out.
    fn is_at_home(&self, browser: Browser<'_>) -> bool {
        self.key.is_some() && !self.is_locked(context::limits(&browser.visit.config), browser.visit.now)
    }

    /// A change that ends the row of wrong ones.
    pub fn forget_failures(&self, change: Change, subject: &Subject) -> Change {
        forget_failures(change, subject, &self.throttle, self.device())
    }

    fn device(&self) -> Option<DeviceId> {
        self.key.as_ref().map(|key| key.device.id)
    }
}
