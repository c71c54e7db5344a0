//! Many sessions that end at once. A commit takes so many records and no more, and an account may have a thousand sessions, each with a hundred
//! hosts: what does not fit goes before.

use super::{ServiceError, Sessions, session_at};
use crate::audit::{Event, Kind};
use crate::authn::session::Session;
use crate::clock::Timestamp;
use crate::id::UserId;
use crate::secret::TokenDigest;
use crate::service::actor::Actor;
use crate::service::context::TRIES;
use crate::service::events::{self, By};
use crate::service::records::{SessionAt, SessionIndex, session_index};
use crate::service::users::Rejection;
use crate::store::record::Change;

/// How many records of sessions one commit writes, beside whatever else it has to do.
const AT_ONCE: usize = 256;

impl Sessions {
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
