//! One sign-on for several hosts (`portal.host`): the way of a browser to the portal host, the code that leads it back, and the value that
//! it gets there.
//!
//! For whoever is not signed in, nothing is kept: the [`Way`] goes along sealed, so that it says what this gateway has said or nothing, and
//! strangers fill no store. From the sign-in on the way back is kept here, with the code. A code is spent by the commit that makes the
//! host's session, which compares both: of many requests with one code, one is in.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ServiceError;
use super::context::{Context, TRIES};
use super::events::{self, By};
use super::own::Own;
use super::records::{SessionAt, session_place};
use super::visit::Visit;
use crate::audit::Kind;
use crate::authn::session::Session;
use crate::authn::sign_on::{CODE_LIFETIME, Handoff, HostSession, Verdict};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::id::UserId;
use crate::secret::{KeyError, Purpose, Sealed, Token, TokenDigest};
use crate::store::engine::Expect;
use crate::store::record::Change;

/// How long a way is good for; later it only leads back to where it began, to begin anew.
const WAY_LIFETIME: Duration = Duration::from_secs(60 * 60);
/// The longest that a way is spelled, so that it can stand in an address that stands in an address. In characters.
const LONGEST: usize = 3500;

/// Carries sign-ins from the portal host to the others.
pub struct SignOns {
    context: Arc<Context>,
}

/// Where a browser comes from, and where it wants to go there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Way {
    pub host: String,
    /// Of the cookie that it has there.
    cookie: TokenDigest,
    /// A checked path on that host.
    pub return_to: String,
    begun_at: Timestamp,
}

/// What became of a code.
#[derive(Debug)]
pub enum Redeemed {
    /// In: the host's own value.
    SignedIn { account: UserId, session: Token, return_to: String },
    /// No such code, any more; or it is another host's or browser's, and nobody's from now on.
    Refused,
}

impl Way {
    /// The way from the host of this visit, for a browser with this cookie.
    #[must_use]
    pub fn from(visit: &Visit, cookie: &Token, return_to: &str) -> Self {
        let host = visit.target.host().as_str().to_owned();
        Self { host, cookie: cookie.digest(), return_to: return_to.to_owned(), begun_at: visit.now }
    }

    /// As it goes along. A path that is too long for that is left out.
    ///
    /// # Errors
    /// Where there is no randomness.
    pub fn spelled(&self, config: &Config) -> Result<String, KeyError> {
        let spelled = self.seal(config)?;
        if spelled.len() <= LONGEST { Ok(spelled) } else { Self { return_to: "/".into(), ..self.clone() }.seal(config) }
    }

    fn seal(&self, config: &Config) -> Result<String, KeyError> {
        let plain = serde_json::to_vec(self).map_err(|_| KeyError::Forged)?;
        config.keys.seal(Purpose::SignOn, WAY, &plain).map(String::from)
    }

    /// Reads what [`Way::spelled`] wrote, and nothing else.
    #[must_use]
    pub fn read(spelled: &str, config: &Config) -> Option<Self> {
        let sealed = Sealed::try_from(spelled.to_owned()).ok().filter(|_| spelled.len() <= LONGEST)?;
        let plain = config.keys.open(Purpose::SignOn, WAY, &sealed).ok()?;
        serde_json::from_slice(&plain).ok()
    }

    /// Whether it began just now, as far as the clock can tell.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now.since(self.begun_at) < WAY_LIFETIME && !self.begun_at.is_ahead_of(now)
    }
}

/// What a way is sealed to: nothing that is stored is ever taken for one.
const WAY: &str = "way";

/// What the way back of the code of this digest is sealed to.
pub fn return_owner(code: &TokenDigest) -> String {
    format!("{code}/return-to")
}

impl SignOns {
    pub(super) const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// A code for whoever is signed in at the portal host, to go this way; `None`: nobody is any more.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn mint(&self, visit: &Visit, way: &Way) -> Result<Option<Token>, ServiceError> {
        let context = &*self.context;
        for _ in 0..TRIES {
            let Some(Own { token, session, seen, .. }) = Own::load(context, visit).await? else { return Ok(None) };
            let code = Token::generate()?;
            let digest = code.digest();
            let return_to =
                visit.config.keys.seal(Purpose::SignOn, &return_owner(&digest), way.return_to.as_bytes())?;
            let handoff = Handoff {
                user: session.user,
                session: session.id,
                begun_at: session.created_at,
                host: way.host.clone(),
                cookie: way.cookie,
                return_to,
                expires_at: visit.now.plus(CODE_LIFETIME),
            };
            let mut after = session;
            let too_many = after.elsewhere.minted(digest);
            let name = token.digest().to_string();
            let change = Change::new().unchanged::<Session>(&name, seen).put(&name, &after);
            let change = too_many.iter().fold(change, |change, code| change.delete::<Handoff>(&code.to_string()));
            if context.commit(change.put(&digest.to_string(), &handoff), &[]).await?.is_some() {
                return Ok(Some(code));
            }
        }
        Err(ServiceError::Contended)
    }

    /// Spends a code at the host of this visit. One that comes to the wrong host or from the wrong browser is spent as well: somebody has
    /// seen it who should not have.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn redeem(
        &self,
        visit: &Visit,
        user_agent: Option<&str>,
        code: &Token,
    ) -> Result<Redeemed, ServiceError> {
        let (context, digest) = (&*self.context, code.digest());
        if !visit.may_sign_in {
            return Ok(Redeemed::Refused);
        }
        for _ in 0..TRIES {
            let slot = context.store.get::<Handoff>(&digest.to_string(), visit.now).await?;
            let Some(handoff) = slot.record else { return Ok(Redeemed::Refused) };
            let given = Given { visit, user_agent, digest, handoff, seen: slot.seen };
            let host = visit.target.host();
            let tried = match given.handoff.judge(host, visit.cookies.handoff.as_ref(), visit.now) {
                Verdict::Good => given.enter(context).await?,
                Verdict::Expired => given.refuse(context, None).await?,
                Verdict::OtherHost => given.refuse(context, Some("a code for another host")).await?,
                Verdict::OtherBrowser => given.refuse(context, Some("a code of another browser")).await?,
            };
            if let Some(redeemed) = tried {
                return Ok(redeemed);
            }
        }
        Err(ServiceError::Contended)
    }
}

/// A code that came.
struct Given<'a> {
    visit: &'a Visit,
    user_agent: Option<&'a str>,
    digest: TokenDigest,
    handoff: Handoff,
    seen: Expect,
}

impl Given<'_> {
    /// In, if the session lives. `None`: somebody came in between.
    async fn enter(&self, context: &Context) -> Result<Option<Redeemed>, ServiceError> {
        let (visit, host) = (self.visit, self.visit.target.host());
        let Some((value, seen, session)) = self.session(context).await? else {
            return self.refuse(context, None).await;
        };
        let Some(account) = context.user(session.user, visit.now).await? else {
            return self.refuse(context, None).await;
        };
        let return_to =
            visit.config.keys.open(Purpose::SignOn, &return_owner(&self.digest), &self.handoff.return_to)?;
        let return_to = String::from_utf8(return_to.to_vec()).map_err(|_| KeyError::Forged)?;
        let token = Token::generate()?;
        let here = HostSession::of(&session, host);
        let mut after = session;
        after.elsewhere.spent(&self.digest);
        let replaced = after.elsewhere.seated(host, token.digest());
        let name = value.to_string();
        let change = self.spend(Change::new()).unchanged::<Session>(&name, seen).put(&name, &after);
        let change = replaced.iter().fold(change, |change, old| change.delete::<HostSession>(&old.to_string()));
        let change = change.put(&token.digest().to_string(), &here);
        let by = By::InSession(visit.origin(self.user_agent), after.id);
        let login = account.user.login.as_str();
        let event = events::success(Kind::SignOn, visit.now, Some(after.user), login, by)?;
        let event = events::detailed(event, host.as_str());
        if context.commit(change, &[event]).await?.is_none() {
            return Ok(None);
        }
        replaced.iter().for_each(|old| context.sessions.forget_value(old));
        Ok(Some(Redeemed::SignedIn { account: after.user, session: token, return_to }))
    }

    /// The session that the code carries on, with its value and what a commit must compare; `None`: it is over.
    async fn session(&self, context: &Context) -> Result<Option<(TokenDigest, Expect, Session)>, ServiceError> {
        let (handoff, now) = (&self.handoff, self.visit.now);
        let place = session_place(handoff.begun_at, handoff.session);
        let Some(at) = context.store.get::<SessionAt>(&place, now).await?.record else { return Ok(None) };
        let slot = context.store.get::<Session>(&at.digest.to_string(), now).await?;
        let Some(session) = slot.record.filter(|session| session.id == handoff.session) else { return Ok(None) };
        // What is known of it in memory counts too: when it was last seen, and whether the account still stands.
        let live = context.sessions.find(&at.digest, now).await?;
        let lives = live.is_some_and(|live| live.id() == session.id && live.is_alive(now));
        Ok(lives.then_some((at.digest, slot.seen, session)))
    }

    /// The code is nobody's any more. `why`: somebody tried what they should not have. `None`: somebody came in between.
    async fn refuse(&self, context: &Context, why: Option<&str>) -> Result<Option<Redeemed>, ServiceError> {
        let (visit, user) = (self.visit, self.handoff.user);
        let mut told = Vec::new();
        if let Some(why) = why {
            let account = context.user(user, visit.now).await?;
            let login = account.map(|found| found.user.login.to_string()).unwrap_or_default();
            let by = By::Oneself(visit.origin(self.user_agent));
            let event = events::failure(Kind::SignOn, visit.now, Some(user), &login, by)?;
            told.push(events::detailed(event, format!("{why}, at {}", visit.target.host())));
        }
        Ok(context.commit(self.spend(Change::new()), &told).await?.map(|_| Redeemed::Refused))
    }

    fn spend(&self, change: Change) -> Change {
        let name = self.digest.to_string();
        change.unchanged::<Handoff>(&name, self.seen).delete::<Handoff>(&name)
    }
}
