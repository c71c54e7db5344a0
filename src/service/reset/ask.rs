//! Asking for a link. The answer is given before anything is looked up: one durable commit that counts the address it came from,
//! whoever is named. Everything else happens later, and ends in one commit too, for an account or for none.

use std::sync::Arc;
use std::time::Duration;

use super::{Resets, link};
use crate::audit::{Event, Kind};
use crate::authn::lockout::AddressThrottle;
use crate::authn::reset_link::{self, NewestLink, SentBy};
use crate::authn::user::{Email, LoginName, User};
use crate::id::UserId;
use crate::secret::Token;
use crate::service::ServiceError;
use crate::service::context::{Context, TRIES};
use crate::service::events::{self, By};
use crate::service::login::{Browser, device_keys};
use crate::service::mail_limit::{self, Letter};
use crate::service::mailer::Notice;
use crate::service::visit::Visit;
use crate::service::{records, reset};
use crate::store::record::Change;

/// How many may be asked for from one address within [`WINDOW`]: an office behind one address has a bad morning.
const PER_ADDRESS: u32 = 20;
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// More accounts than share one mailbox for good reasons.
const ACCOUNTS: usize = 5;
/// Longer than any login or mail address.
const TYPED: usize = 320;

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// If there is such an account, its owner gets a mail.
    Taken,
    /// Too many from this address, whoever they named.
    TooMany { retry_after: Duration },
}

pub async fn ask(resets: &Resets, visit: &Visit, user_agent: Option<&str>, typed: &str) -> Result<Asked, ServiceError> {
    if let Some(retry_after) = count(&resets.context, visit).await? {
        return Ok(Asked::TooMany { retry_after });
    }
    let typed: String = typed.trim().chars().take(TYPED).collect();
    if typed.is_empty() || !visit.may_sign_in || visit.config.portal.url.is_none() {
        return Ok(Asked::Taken);
    }
    let Ok(place) = Arc::clone(&resets.waiting).try_acquire_owned() else {
        tracing::warn!("too many ask for links to forgotten passwords; one was dropped");
        return Ok(Asked::Taken);
    };
    let (context, one) = (Arc::clone(&resets.context), Arc::clone(&resets.one));
    let (visit, user_agent) = (visit.clone(), user_agent.map(str::to_owned));
    resets.context.errands.spawn(async move {
        let _one = one.lock().await;
        let browser = Browser { visit: &visit, user_agent: user_agent.as_deref() };
        if let Err(error) = look(&context, browser, &typed).await {
            tracing::warn!(%error, "a link to a forgotten password was asked for and could not be sent");
        }
        drop(place);
    });
    Ok(Asked::Taken)
}

/// Counts the address; how long it has to wait, if it has to.
async fn count(context: &Context, visit: &Visit) -> Result<Option<Duration>, ServiceError> {
    let name = records::asking_throttle(visit.client);
    for _ in 0..TRIES {
        let slot = context.store.get::<AddressThrottle>(&name, visit.now).await?;
        let wait = slot.record.as_ref().and_then(|counted| counted.wait(PER_ADDRESS, visit.now));
        let counted = AddressThrottle::count(slot.record, WINDOW, visit.now);
        let change = Change::new().unchanged::<AddressThrottle>(&name, slot.seen).put(&name, &counted);
        if context.commit(change, &[]).await?.is_some() {
            return Ok(wait);
        }
    }
    Err(ServiceError::Contended)
}

/// Who is meant, and what they get.
async fn look(context: &Context, browser: Browser<'_>, typed: &str) -> Result<(), ServiceError> {
    let users = meant(context, browser.visit, typed).await?;
    if users.is_empty() {
        let event = failed(browser, None, typed, "no such account")?;
        context.commit(Change::new(), &[event]).await?;
    }
    for user in users {
        give(context, browser, user).await?;
    }
    Ok(())
}

/// The account with this login, and those with this mail address.
async fn meant(context: &Context, visit: &Visit, typed: &str) -> Result<Vec<UserId>, ServiceError> {
    let mut users = Vec::new();
    if let Ok(login) = typed.parse::<LoginName>()
        && let Some(found) = context.user_by_login(&login, visit.now).await?
    {
        users.push(found.user.id);
    }
    if let Ok(address) = typed.parse::<Email>() {
        let theirs = context.directory.with_address(&address, ACCOUNTS, visit.now).await?;
        users.extend(theirs.into_iter().filter(|id| !users.contains(id)).collect::<Vec<_>>());
    }
    Ok(users)
}

/// What one account gets.
enum Gift {
    Link(Token),
    /// Word that a link would lead nowhere, and who can help.
    Word,
    Nothing(&'static str),
}

/// One commit and one event, whatever it comes to.
async fn give(context: &Context, browser: Browser<'_>, user: UserId) -> Result<(), ServiceError> {
    let (visit, config, now) = (browser.visit, &browser.visit.config, browser.visit.now);
    for _ in 0..TRIES {
        let Some(found) = context.user(user, now).await? else { return Ok(()) };
        let device = device_keys::find(context, browser, &found.user).await?.map(|key| key.device.id);
        let allowance = mail_limit::read(context, user, Letter::PasswordLink, device, link::PAUSE, now).await?;
        let newest = context.store.get::<NewestLink>(&user.to_string(), now).await?.record;
        let waits = !allowance.wait().is_zero();
        let gift = match why_not(&found.user, newest.as_ref(), waits) {
            Some(why) => Gift::Nothing(why),
            None if reset::set::lacks_codes(config, &found.user) => Gift::Word,
            None => Gift::Link(Token::generate()?),
        };
        let login = found.user.login.as_str();
        let by = By::Oneself(visit.origin(browser.user_agent));
        let (change, event) = match &gift {
            Gift::Nothing(why) => (Change::new(), failed(browser, Some(user), login, why)?),
            Gift::Word => {
                (allowance.spend(Change::new()), failed(browser, Some(user), login, "only a manager's link is good")?)
            }
            Gift::Link(token) => {
                let change = allowance.spend(Change::new());
                let change = link::with(context, config, change, &found, SentBy::Asker, token, now).await?;
                let event = events::success(Kind::PasswordReset, now, Some(user), login, by)?;
                (change, Event { actor: None, actor_id: None, ..events::detailed(event, "asked for") })
            }
        };
        if context.commit(change, &[event]).await?.is_none() {
            continue;
        }
        match gift {
            Gift::Nothing(_) => {}
            Gift::Word => {
                let notice = Notice::LinkNeedsManager { address: visit.client };
                context.mailer.notice(config, visit.language, &found.user, notice, now);
            }
            Gift::Link(token) => {
                let link = link::address(config, &token);
                context.mailer.link(config, visit.language, &found.user, SentBy::Asker, &link);
            }
        }
        return Ok(());
    }
    Err(ServiceError::Contended)
}

fn why_not(user: &User, newest: Option<&NewestLink>, waits: bool) -> Option<&'static str> {
    if user.disabled {
        return Some("the account is disabled");
    }
    if user.email.is_none() {
        return Some("no mail address");
    }
    if !reset_link::is_possible(user, SentBy::Asker) {
        return Some("no password was ever set");
    }
    // Whoever asks must not void it: for some accounts no other one is good.
    if newest.is_some_and(|newest| newest.sent_by == SentBy::Manager) {
        return Some("a manager's link is under way");
    }
    waits.then_some("too many mails")
}

fn failed(browser: Browser<'_>, user: Option<UserId>, login: &str, why: &str) -> Result<Event, ServiceError> {
    let by = By::Oneself(browser.visit.origin(browser.user_agent));
    let event = events::failure(Kind::PasswordReset, browser.visit.now, user, login, by)?;
    Ok(events::detailed(event, why))
}
