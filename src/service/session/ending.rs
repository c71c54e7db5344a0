//! Sessions that are ended, one or many at once. A commit takes so many records and no more, and an account may have a thousand sessions, each
//! with a hundred hosts: what does not fit goes before.
//!
//! A session that takes a new value in the very moment of its end must not be left over under that. The end of one is a commit that compares its
//! record; after the end of many it is looked whether any is there still.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{ServiceError, Sessions, session_at};
use crate::audit::{Event, Kind};
use crate::authn::session::{Origin, Session};
use crate::clock::Timestamp;
use crate::id::{SessionId, UserId};
use crate::secret::{Token, TokenDigest};
use crate::service::actor::Actor;
use crate::service::context::TRIES;
use crate::service::events::{self, By};
use crate::service::history::Cursor;
use crate::service::records::{SessionAt, SessionIndex, session_index};
use crate::service::users::Rejection;
use crate::store::engine::Expect;
use crate::store::record::Change;

/// How many records of sessions one commit writes, beside whatever else it has to do.
const AT_ONCE: usize = 256;

/// A session as it stands, whatever its value is by now, and what a commit that ends it compares.
struct Standing {
    digest: TokenDigest,
    session: Session,
    seen: Expect,
}

impl Standing {
    fn compared(&self, change: Change) -> Change {
        change.unchanged::<Session>(&self.digest.to_string(), self.seen)
    }
}

impl Sessions {
    /// Logs out, on every host: durable before it returns.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn end(&self, token: &Token, client: IpAddr, now: Timestamp) -> Result<(), ServiceError> {
        let Some((value, session)) = self.record_of(&token.digest(), now).await? else {
            self.forget_ended(&token.digest(), now).await?;
            self.forget_value(&token.digest());
            return Ok(());
        };
        let login = self.login_of(session.user, now).await?;
        let client = Origin { address: client.to_string(), user_agent: session.client.user_agent.clone() };
        let event = events::success(Kind::Logout, now, Some(session.user), &login, By::InSession(client, session.id))?;
        for _ in 0..TRIES {
            let Some(found) = self.standing(Some(value), &session_at(&session), now).await? else {
                self.forget(&token.digest(), Some(session.id));
                return Ok(());
            };
            let change = found.compared(Change::new());
            if self.delete(change, &[(found.digest, found.session)], event.clone()).await? {
                return Ok(());
            }
        }
        Err(ServiceError::Contended)
    }

    /// Ends a session by its inner id, where the actor may; false: there is none.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn end_by_id(
        &self,
        id: SessionId,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<bool, Rejection>, ServiceError> {
        match self.search(|session| session.id == id, now).await?.pop() {
            Some((value, session)) => self.end_standing(Some(value), &session_at(&session), actor, now).await,
            None => Ok(Ok(false)),
        }
    }

    /// The same by its place among all sessions, without looking at the others.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn end_at(
        &self,
        place: &Cursor,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<bool, Rejection>, ServiceError> {
        self.end_standing(None, place.as_str(), actor, now).await
    }

    async fn end_standing(
        &self,
        value: Option<TokenDigest>,
        place: &str,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<bool, Rejection>, ServiceError> {
        for _ in 0..TRIES {
            let Some(found) = self.standing(value, place, now).await? else { return Ok(Ok(false)) };
            let (login, authority) = match self.may_end(found.session.user, actor, now).await? {
                Ok(may) => may,
                Err(rejection) => return Ok(Err(rejection)),
            };
            let Standing { digest, session, .. } = &found;
            let event = events::success(Kind::SessionEnded, now, Some(session.user), &login, By::Actor(actor))?;
            let event = events::in_session(event, session.id);
            let change = found.compared(authority.held(Change::new()));
            let change = Self::remembering(change, digest, session, now);
            if self.delete(change, &[(found.digest, found.session)], event).await? {
                return Ok(Ok(true));
            }
        }
        Err(ServiceError::Contended)
    }

    /// The session at this place among all, which had this value a moment ago.
    async fn standing(
        &self,
        value: Option<TokenDigest>,
        place: &str,
        now: Timestamp,
    ) -> Result<Option<Standing>, ServiceError> {
        let mut value = value;
        for _ in 0..TRIES {
            if let Some(digest) = value {
                let slot = self.store.get::<Session>(&digest.to_string(), now).await?;
                if let Some(session) = slot.record {
                    return Ok(Some(Standing { digest, session, seen: slot.seen }));
                }
            }
            let by_now = self.store.get::<SessionAt>(place, now).await?.record.map(|at| at.digest);
            if by_now.is_none() || by_now == value {
                return Ok(None);
            }
            value = by_now;
        }
        Err(ServiceError::Contended)
    }

    /// Ends all sessions of an account, where the actor may; returns how many.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn end_all_of(
        &self,
        user: UserId,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<u64, Rejection>, ServiceError> {
        let mut ended = 0;
        for _ in 0..TRIES {
            // Looked for once more after each commit: one that takes a new value in this very moment must not be left over.
            let sessions = self.of_user(user, now).await?;
            for piece in pieces(&sessions) {
                let (login, authority) = match self.may_end(user, actor, now).await? {
                    Ok(may) => may,
                    Err(rejection) => return Ok(Err(rejection)),
                };
                let event = events::success(Kind::SessionEnded, now, Some(user), &login, By::Actor(actor))?;
                let change = piece.iter().fold(authority.held(Change::new()), |change, (digest, session)| {
                    Self::remembering(change, digest, session, now)
                });
                if self.delete(change, piece, event).await? {
                    ended += piece.len() as u64;
                }
            }
            if sessions.is_empty() && ended > 0 {
                return Ok(Ok(ended));
            }
            if sessions.is_empty() {
                // Who may not is told so, whether or not there are any.
                return Ok(self.may_end(user, actor, now).await?.map(|_| 0));
            }
        }
        Err(ServiceError::Contended)
    }

    /// A change that also ends these sessions, however many; [`Sessions::forget`] follows its commit. They end either way: what is more than one
    /// commit can take goes before it.
    ///
    /// # Errors
    /// Where the store cannot.
    pub(in crate::service) async fn without_all(
        &self,
        change: Change,
        sessions: &[(TokenDigest, Session)],
    ) -> Result<Change, ServiceError> {
        Ok(self.without_each(change, sessions, &[]).await?.0)
    }

    /// The same where each end has an event of its own, in the order of the sessions. Also returns those that are left for the change's commit.
    ///
    /// # Errors
    /// Where the store cannot.
    pub(in crate::service) async fn without_each<'a>(
        &self,
        change: Change,
        sessions: &[(TokenDigest, Session)],
        mut events: &'a [Event],
    ) -> Result<(Change, &'a [Event]), ServiceError> {
        let mut before = None;
        for piece in pieces(sessions) {
            if let Some(before) = before.replace(piece) {
                let (told, left) = events.split_at(before.len().min(events.len()));
                self.store.commit(Self::without(events::with(Change::new(), told), before)).await?;
                before.iter().for_each(|(digest, session)| self.forget(digest, Some(session.id)));
                self.journal.tell(told);
                events = left;
            }
        }
        Ok((Self::without(change, before.unwrap_or_default()), events))
    }

    /// Follows the commit of a change that ended these sessions, where the epochs of their accounts do not tell that they are over.
    ///
    /// # Errors
    /// Where the store cannot: some may be left.
    pub(in crate::service) async fn forget_all(
        &self,
        sessions: &[(TokenDigest, Session)],
        now: Timestamp,
    ) -> Result<(), ServiceError> {
        sessions.iter().for_each(|(digest, session)| self.forget(digest, Some(session.id)));
        let users: BTreeSet<UserId> = sessions.iter().map(|(_, session)| session.user).collect();
        for user in users {
            self.forget_what_is_left(user, sessions, now).await?;
        }
        Ok(())
    }

    /// Those of an account's that have taken a new value while they were ended.
    async fn forget_what_is_left(
        &self,
        user: UserId,
        sessions: &[(TokenDigest, Session)],
        now: Timestamp,
    ) -> Result<(), ServiceError> {
        for _ in 0..TRIES {
            let mut left = self.of_user(user, now).await?;
            left.retain(|(_, session)| sessions.iter().any(|(_, ended)| ended.id == session.id));
            if left.is_empty() {
                return Ok(());
            }
            let change = self.without_all(Change::new(), &left).await?;
            self.store.commit(change).await?;
            left.iter().for_each(|(digest, session)| self.forget(digest, Some(session.id)));
        }
        Err(ServiceError::Contended)
    }

    /// A change that also ends these sessions, which are few; [`Sessions::forget`] follows its commit.
    pub(super) fn without(mut change: Change, sessions: &[(TokenDigest, Session)]) -> Change {
        for (digest, session) in sessions {
            change = change
                .delete::<Session>(&digest.to_string())
                .delete::<SessionIndex>(&session_index(session.user, digest))
                .delete::<SessionAt>(&session_at(session));
            change = Self::without_elsewhere(change, &session.elsewhere);
        }
        change
    }
}

/// As many of them together as one commit takes, one at least.
pub(super) fn pieces(sessions: &[(TokenDigest, Session)]) -> impl Iterator<Item = &[(TokenDigest, Session)]> {
    let mut left = sessions;
    std::iter::from_fn(move || {
        let mut keys = 0;
        let fit = left.iter().take_while(|(_, session)| {
            keys += records_of(session);
            keys <= AT_ONCE
        });
        let (piece, others) = left.split_at(fit.count().max(1).min(left.len()));
        left = others;
        (!piece.is_empty()).then_some(piece)
    })
}

/// How many records its end touches, with those that remember it.
fn records_of(session: &Session) -> usize {
    let elsewhere = &session.elsewhere;
    4 + elsewhere.hosts.len() + elsewhere.codes.len() + elsewhere.remembered().count()
}
