//! A person's own sessions, ended by themselves: found among those of the account, so that nobody ends another's by its id.

use super::ending::pieces;
use super::{ServiceError, Sessions};
use crate::audit::Kind;
use crate::clock::Timestamp;
use crate::id::{SessionId, UserId};
use crate::service::actor::{Actor, Person};
use crate::service::context::TRIES;
use crate::service::events::{self, By};
use crate::store::record::Change;

impl Sessions {
    /// Ends one session of one's own; false: the account has no such session.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn end_own(&self, id: SessionId, person: &Person, now: Timestamp) -> Result<bool, ServiceError> {
        Ok(self.end_of(person.user, |session| session == id, person, now).await? > 0)
    }

    /// Ends all sessions of one's own but the one in which this is done; returns how many.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn end_others(&self, person: &Person, now: Timestamp) -> Result<u64, ServiceError> {
        self.end_of(person.user, |session| session != person.session, person, now).await
    }

    async fn end_of(
        &self,
        user: UserId,
        wanted: impl Fn(SessionId) -> bool,
        person: &Person,
        now: Timestamp,
    ) -> Result<u64, ServiceError> {
        let mut ended = 0;
        for _ in 0..TRIES {
            // Looked for once more after each commit: one that takes a new value in this very moment must not be left over.
            let mut sessions = self.of_user(user, now).await?;
            sessions.retain(|(_, session)| wanted(session.id));
            if sessions.is_empty() {
                return Ok(ended);
            }
            let actor = Actor::Person(person.clone());
            for piece in pieces(&sessions) {
                let login = person.login.as_str();
                let event = events::success(Kind::SessionEnded, now, Some(user), login, By::Actor(&actor))?;
                if self.delete(Change::new(), piece, event).await? {
                    ended += piece.len() as u64;
                }
            }
        }
        Err(ServiceError::Contended)
    }
}
