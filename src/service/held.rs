//! Forms kept over a login (F34): what somebody was sending when their session had just ended, or when a second factor had come due.
//!
//! ```text
//! sent in vain ──keep──▶ held/ID (sealed) ──find──▶ shown to its owner ──spend──▶ on its way to the tool, once
//!                                          └──time──▶ gone
//! ```
//!
//! Who may, `authz::hold` says; whom a cookie of an ended session stands for, `authn::session::Ended`. Here it is looked up, and judged
//! again in the commit: of fifty who send one form at once, one does. Bounds are part of the same commit, so that no number of requests
//! at once gets past them. What is spent is gone, whatever becomes of the request: a form is never sent twice.

mod kept;

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::header::REFERER;

pub(super) use self::kept::{Held, OfSession, Total, sealed};
use self::kept::{Share, TOTAL};
use super::ServiceError;
use super::context::{Context, TRIES};
use super::events::{self, By};
use super::session::{LiveSession, Remembered};
use crate::audit::{Event, Kind};
use crate::authn::session::{Ended, Origin};
use crate::authn::user::User;
use crate::authz::hold::Owner;
use crate::authz::{Host, Place};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::id::{HeldId, SessionId, UserId};
use crate::secret::{TokenDigest, random_bytes};
use crate::store::engine::Expect;
use crate::store::record::Change;

/// The pages of these forms, below the portal's path.
pub const PAGES: &str = "/held/";

/// Commits of these records wait for each other within this process: all change the same sum.
const TURN: &str = "held";

/// What was sent. No `Debug`: it is somebody's input.
#[derive(Clone)]
pub struct Form {
    /// Path and query.
    pub target: String,
    pub content_type: String,
    pub body: Bytes,
}

/// Who sends it, as the request shows: by a session that lives, or by the value of one that does not any more.
#[derive(Clone)]
pub struct Claim {
    pub live: Option<Arc<LiveSession>>,
    pub value: TokenDigest,
    /// Where it is shown: a value counts at its own host, that of an ended session like any other.
    pub host: Host,
    pub place: Place,
    pub origin: String,
}

/// Where and when, for what is kept and told of it.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    pub config: &'a Config,
    pub now: Timestamp,
    /// The route's name.
    pub route: Option<&'a str>,
}

/// Why a form is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotKept {
    /// The session, or the account, is none whose forms are kept.
    Nobodys,
    TooLarge,
    /// As many of this session are kept as may be.
    TooMany,
    /// No room is left for anybody's.
    Full,
}

/// A form that is there to be sent by who has asked for it.
#[derive(Clone)]
pub struct Found {
    pub id: HeldId,
    pub form: Form,
    pub expires_at: Timestamp,
}

/// A page says: this one is to be sent now. Goes from the portal to the gateway along with a response.
#[derive(Clone)]
pub struct Release(pub Arc<Found>);

/// All kept forms.
pub struct HeldForms {
    context: Arc<Context>,
}

/// Whose a form would be, and by what that was judged.
struct Holder {
    owner: Owner,
    session: SessionId,
    login: String,
    user_seen: Expect,
    /// The value under which the session is remembered that has ended.
    ended: Option<(TokenDigest, Expect)>,
}

impl HeldForms {
    pub(super) const fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Whether anything would be kept for whoever makes this claim: asked before the form is read.
    ///
    /// # Errors
    /// Where the store cannot tell.
    pub async fn is_somebodys(&self, claim: &Claim, now: Timestamp) -> Result<bool, ServiceError> {
        Ok(self.holder(claim, now).await?.is_some())
    }

    /// Keeps a form.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn keep(
        &self,
        claim: &Claim,
        form: &Form,
        from: Origin,
        scene: Scene<'_>,
    ) -> Result<Result<HeldId, NotKept>, ServiceError> {
        let Scene { config, now, route } = scene;
        let limits = config.held;
        if form.body.len() > limits.max_size {
            return Ok(Err(NotKept::TooLarge));
        }
        let id = HeldId::from_bytes(random_bytes()?);
        let _turn = self.context.turn(TURN).await;
        for _ in 0..TRIES {
            let Some(holder) = self.holder(claim, now).await? else { return Ok(Err(NotKept::Nobodys)) };
            let (mut of_session, of_seen) = self.of_session(holder.session, now).await?;
            let (mut total, total_seen) = self.total(now).await?;
            if of_session.count(now) >= limits.per_session {
                return Ok(Err(NotKept::TooMany));
            }
            let share = Share::of(form, now, limits.lifetime);
            if total.bytes(now).saturating_add(share.bytes) > limits.total {
                return Ok(Err(NotKept::Full));
            }
            let expires_at = now.plus(limits.lifetime);
            of_session.add(id, expires_at, now);
            total.add(share, now);
            let held =
                Held::seal(&config.keys, id, holder.owner.clone(), holder.session, form, (now, expires_at), share)?;
            let by = By::InSession(from.clone(), holder.session);
            let event = events::success(Kind::FormHeld, now, Some(holder.owner.user), &holder.login, by)?;
            let event = Event { route: route.map(str::to_owned), ..event };
            let mut change = Change::new()
                .unchanged::<User>(&holder.owner.user.to_string(), holder.user_seen)
                .unchanged::<Held>(&id.to_string(), Expect::Absent)
                .put(&id.to_string(), &held)
                .unchanged::<OfSession>(&holder.session.to_string(), of_seen)
                .put(&holder.session.to_string(), &of_session)
                .unchanged::<Total>(TOTAL, total_seen)
                .put(TOTAL, &total);
            if let Some((value, seen)) = holder.ended {
                change = change.unchanged::<Ended>(&value.to_string(), seen);
            }
            if self.context.commit(change, &[event]).await?.is_some() {
                return Ok(Ok(id));
            }
        }
        Err(ServiceError::Contended)
    }

    /// The form, where `live` may see and send it at `origin`. For anybody else there is none.
    ///
    /// # Errors
    /// Where the store cannot tell, or it does not open.
    pub async fn find(
        &self,
        id: HeldId,
        live: &LiveSession,
        origin: &str,
        scene: Scene<'_>,
    ) -> Result<Option<Found>, ServiceError> {
        let slot = self.context.store.get::<Held>(&id.to_string(), scene.now).await?;
        let Some(held) = slot.record.filter(|held| is_theirs(held, live, origin, scene.now)) else { return Ok(None) };
        let (form, expires_at) = (held.open(&scene.config.keys, id)?, held.expires_at);
        Ok(Some(Found { id, form, expires_at }))
    }

    /// Takes the form away for good, to be sent: durable before it returns. False: it is not there any more, or not for them.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn spend(
        &self,
        id: HeldId,
        live: &LiveSession,
        origin: &str,
        from: Origin,
        scene: Scene<'_>,
    ) -> Result<bool, ServiceError> {
        let Scene { now, route, .. } = scene;
        let name = id.to_string();
        let _turn = self.context.turn(TURN).await;
        for _ in 0..TRIES {
            let slot = self.context.store.get::<Held>(&name, now).await?;
            let Some(held) = slot.record.filter(|held| is_theirs(held, live, origin, now)) else { return Ok(false) };
            let (mut of_session, of_seen) = self.of_session(held.session, now).await?;
            let (mut total, total_seen) = self.total(now).await?;
            of_session.remove(id, now);
            total.remove(held.share, now);
            let account = live.account();
            let by = By::InSession(from.clone(), live.id());
            let event = events::success(Kind::FormSent, now, Some(account.id), account.login.as_str(), by)?;
            let event = Event { route: route.map(str::to_owned), ..event };
            let change = Change::new()
                .unchanged::<Held>(&name, slot.seen)
                .delete::<Held>(&name)
                .unchanged::<OfSession>(&held.session.to_string(), of_seen)
                .put(&held.session.to_string(), &of_session)
                .unchanged::<Total>(TOTAL, total_seen)
                .put(TOTAL, &total);
            if self.context.commit(change, &[event]).await?.is_some() {
                return Ok(true);
            }
        }
        Err(ServiceError::Contended)
    }

    /// Whom a claim stands for. A session that lives speaks for itself; else what is remembered of the ended one does.
    async fn holder(&self, claim: &Claim, now: Timestamp) -> Result<Option<Holder>, ServiceError> {
        let (user, session, epoch, remembered) = match claim.live.as_ref().filter(|live| live.stands()) {
            Some(live) => (live.account().id, live.id(), live.epoch(), None),
            None => {
                let found = self.context.sessions.remembered(&claim.value, now).await?;
                let counts = |found: &Remembered| claim.place.takes(found.host.as_deref(), &claim.host);
                let Some(found) = found.filter(counts) else { return Ok(None) };
                (found.ended.user, found.ended.session, found.ended.epoch, Some(found))
            }
        };
        let Some(found) = self.context.user(user, now).await? else { return Ok(None) };
        let speaks = match &remembered {
            Some(remembered) => remembered.ended.speaks_for(&found.user, now),
            None => found.user.epoch == epoch && !found.user.disabled,
        };
        Ok(speaks.then(|| Holder {
            owner: Owner { user, epoch, origin: claim.origin.clone() },
            session,
            login: found.user.login.to_string(),
            user_seen: found.seen,
            ended: remembered.map(|remembered| (remembered.value, remembered.seen)),
        }))
    }

    async fn of_session(&self, session: SessionId, now: Timestamp) -> Result<(OfSession, Expect), ServiceError> {
        let slot = self.context.store.get::<OfSession>(&session.to_string(), now).await?;
        Ok((slot.record.unwrap_or_default(), slot.seen))
    }

    async fn total(&self, now: Timestamp) -> Result<(Total, Expect), ServiceError> {
        let slot = self.context.store.get::<Total>(TOTAL, now).await?;
        Ok((slot.record.unwrap_or_default(), slot.seen))
    }
}

fn is_theirs(held: &Held, live: &LiveSession, origin: &str, now: Timestamp) -> bool {
    let user: UserId = live.account().id;
    live.is_alive(now) && !held.kept_at.is_ahead_of(now) && held.owner.may_send(user, live.epoch(), origin)
}

/// The form whose page a request says that it comes from: the page's button leads to the tool's own address (see `portal::held`).
#[must_use]
pub fn named_by(headers: &HeaderMap, origin: &str, portal: &str) -> Option<HeldId> {
    let mut referrers = headers.get_all(REFERER).iter();
    let (Some(only), None) = (referrers.next(), referrers.next()) else { return None };
    let below = only.to_str().ok()?.strip_prefix(origin)?.strip_prefix(portal)?.strip_prefix(PAGES)?;
    below.split('?').next()?.parse().ok()
}

#[cfg(test)]
mod tests;
