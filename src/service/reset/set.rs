//! Opening a link, and setting the password by it.

use super::link;
use crate::audit::{Event, Kind};
use crate::authn::lockout::AccountThrottle;
use crate::authn::login::facts;
use crate::authn::password::Weakness;
use crate::authn::recovery_code::RecoverySet;
use crate::authn::reset_link::{self, NewestLink, ResetLink, SentBy};
use crate::authn::user::User;
use crate::config::Config;
use crate::secret::{SecretString, Token};
use crate::service::ServiceError;
use crate::service::context::{self, Context, Found, TRIES};
use crate::service::events::{self, By};
use crate::service::login::recovery::{self, Guess};
use crate::service::login::{Browser, KnownOf};
use crate::service::mailer::Notice;
use crate::service::visit::Visit;
use crate::service::{passwords, records};
use crate::store::engine::Expect;
use crate::store::record::Change;

/// What the page of a link shows.
#[derive(Debug, Clone)]
pub struct ResetView {
    pub login: String,
    pub personal: KnownOf,
    /// The mailbox is this account's second factor: it alone is not enough.
    pub needs_recovery_code: bool,
    /// There is no password yet.
    pub first: bool,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The password is changed, and the link spent.
    Set,
    /// The link was used, is too old, or a newer one was sent; or the account is not what it was.
    Gone,
    Weak(Weakness),
    /// No such recovery code, or it was used before.
    WrongCode,
    /// Too many wrong codes: none is judged for this account.
    Locked,
}

/// A link that is good, with its account, and what a commit must compare.
struct Loaded {
    link: ResetLink,
    seen: Expect,
    newest: Expect,
    account: Found,
    needs_code: bool,
}

async fn load(context: &Context, visit: &Visit, token: &Token) -> Result<Option<Loaded>, ServiceError> {
    if !visit.may_sign_in {
        return Ok(None);
    }
    let (digest, now) = (token.digest(), visit.now);
    let slot = context.store.get::<ResetLink>(&digest.to_string(), now).await?;
    let Some(link) = slot.record else { return Ok(None) };
    let newest = context.store.get::<NewestLink>(&link.user.to_string(), now).await?;
    let Some(account) = context.user(link.user, now).await? else { return Ok(None) };
    let is_newest = newest.record.is_some_and(|newest| newest.digest == digest);
    let bound = link::bound_like(link.bound(), &visit.config, &account.user)?;
    if !is_newest || !link.stands(&account.user, &bound, now) {
        return Ok(None);
    }
    let needs_code = needs_code(&visit.config, &account.user, link.sent_by);
    Ok(Some(Loaded { link, seen: slot.seen, newest: newest.seen, account, needs_code }))
}

fn needs_code(config: &Config, user: &User, sent_by: SentBy) -> bool {
    let facts = facts(user);
    let asked = config.portal_demand().applies_to(facts)
        || config.routes.iter().any(|(_, route)| route.second_factor.applies_to(facts));
    reset_link::needs_recovery_code(user, sent_by, asked)
}

/// Whether a link that the owner asks for could never be used.
pub fn lacks_codes(config: &Config, user: &User) -> bool {
    let left = user.second_factor.recovery.as_ref().map_or(0, RecoverySet::left);
    needs_code(config, user, SentBy::Asker) && left == 0
}

pub async fn view(context: &Context, visit: &Visit, token: &Token) -> Result<Option<ResetView>, ServiceError> {
    let loaded = load(context, visit, token).await?;
    Ok(loaded.map(|Loaded { account: Found { user, .. }, needs_code, .. }| ResetView {
        login: user.login.to_string(),
        personal: KnownOf::of(&user),
        needs_recovery_code: needs_code,
        first: user.password.is_none(),
    }))
}

pub async fn set(
    context: &Context,
    visit: &Visit,
    user_agent: Option<&str>,
    token: &Token,
    new: SecretString,
    code: &str,
) -> Result<Outcome, ServiceError> {
    let browser = Browser { visit, user_agent };
    let Some(loaded) = load(context, visit, token).await? else { return Ok(Outcome::Gone) };
    let user = loaded.account.user.id;
    // Both take a while, and hold for as long as the link does: it is bound to the account's epoch.
    let stored = match passwords::replace(context, &visit.config, &loaded.account.user, new, visit.now).await? {
        Ok(stored) => stored,
        Err(weakness) => return Ok(Outcome::Weak(weakness)),
    };
    let guess = match loaded.needs_code {
        true => Some(recovery::guess(context, visit, user, code).await?),
        false => None,
    };
    let throttle = records::account_throttle(user);
    let _turn = context.turn(&throttle).await;
    for _ in 0..TRIES {
        let Some(mut loaded) = load(context, visit, token).await? else { return Ok(Outcome::Gone) };
        let counted = context.store.get::<AccountThrottle>(&throttle, visit.now).await?;
        let change = Change::new().unchanged::<AccountThrottle>(&throttle, counted.seen);
        let counted = counted.record.unwrap_or_default();
        let mut after = counted.clone().without_passwords();
        match (loaded.needs_code, &guess) {
            (false, _) => {}
            // It came to be needed since the form was shown.
            (true, None) => return Ok(Outcome::WrongCode),
            (true, Some(guess)) => {
                if counted.codes_are_locked(context::limits(&visit.config)) {
                    return Ok(Outcome::Locked);
                }
                if !spend(&visit.config, &mut loaded.account.user, guess)? {
                    match wrong(context, browser, token, loaded, change, counted).await? {
                        true => return Ok(Outcome::WrongCode),
                        false => continue,
                    }
                }
                after.right_code();
            }
        }
        let change = if after == AccountThrottle::default() {
            change.delete::<AccountThrottle>(&throttle)
        } else {
            change.put(&throttle, &after)
        };
        loaded.account.user.change_password(stored.clone());
        if finish(context, browser, token, loaded, change).await? {
            return Ok(Outcome::Set);
        }
    }
    Err(ServiceError::Contended)
}

/// Spends the recovery code that was guessed; false: there is no such one.
fn spend(config: &Config, user: &mut User, guess: &Guess) -> Result<bool, ServiceError> {
    let Some(unspent) = recovery::find(config, user, guess)? else { return Ok(false) };
    user.second_factor.recovery = user.second_factor.recovery.take().map(|set| set.spend(unspent));
    Ok(true)
}

/// Counts a wrong recovery code, for the link and for the account, before anybody is told. False: somebody came in between.
async fn wrong(
    context: &Context,
    browser: Browser<'_>,
    token: &Token,
    loaded: Loaded,
    change: Change,
    mut counted: AccountThrottle,
) -> Result<bool, ServiceError> {
    let Loaded { link, seen, account: Found { user, .. }, .. } = loaded;
    counted.wrong_code();
    let name = token.digest().to_string();
    let change = change
        .put(&records::account_throttle(user.id), &counted)
        .unchanged::<ResetLink>(&name, seen)
        .put(&name, &link.tried());
    let by = By::Oneself(browser.visit.origin(browser.user_agent));
    let event = events::failure(Kind::PasswordReset, browser.visit.now, Some(user.id), user.login.as_str(), by)?;
    let event = events::detailed(event, "wrong or used recovery code");
    Ok(context.commit(change, &[event]).await?.is_some())
}

/// The commit that spends the link. False: somebody came in between.
async fn finish(
    context: &Context,
    browser: Browser<'_>,
    token: &Token,
    loaded: Loaded,
    change: Change,
) -> Result<bool, ServiceError> {
    let (visit, now) = (browser.visit, browser.visit.now);
    let Loaded { link, seen, newest, account: Found { user, seen: user_seen }, .. } = loaded;
    let (name, digest) = (user.id.to_string(), token.digest().to_string());
    let sessions = context.sessions.of_user(user.id, now).await?;
    let change = context.sessions.without_all(change, &sessions).await?;
    let change = change
        .unchanged::<User>(&name, user_seen)
        .put(&name, &user)
        .unchanged::<ResetLink>(&digest, seen)
        .delete::<ResetLink>(&digest)
        .unchanged::<NewestLink>(&name, newest)
        .delete::<NewestLink>(&name);
    let event = event(browser, &user, link.sent_by)?;
    if context.commit(change, &[event]).await?.is_none() {
        return Ok(false);
    }
    context.sessions.refresh(user.id, now).await;
    sessions.iter().for_each(|(digest, session)| context.sessions.forget(digest, Some(session.id)));
    let notice = Notice::PasswordChanged { address: visit.client };
    context.mailer.notice(&visit.config, visit.language, &user, notice, now);
    Ok(true)
}

fn event(browser: Browser<'_>, user: &User, sent_by: SentBy) -> Result<Event, ServiceError> {
    let by = By::Oneself(browser.visit.origin(browser.user_agent));
    let event = events::success(Kind::PasswordChanged, browser.visit.now, Some(user.id), user.login.as_str(), by)?;
    Ok(events::detailed(
        event,
        match sent_by {
            SentBy::Asker => "by a link that was asked for",
            SentBy::Manager => "by a manager's link",
        },
    ))
}
