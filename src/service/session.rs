//! Living sessions: found in the cache without a lock or an await, read from the store on a miss, ended everywhere at once.

use std::net::IpAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::ServiceError;
use crate::authn::session::Session;
use crate::authz::{Account, Identity, Route};
use crate::clock::Timestamp;
use crate::id::{SessionId, UserId};
use crate::secret::{Token, TokenDigest};

/// A session that may be used right now, with its account's shared facts.
pub struct LiveSession {
    _private: (),
}

impl std::fmt::Debug for LiveSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LiveSession")
    }
}

impl LiveSession {
    /// The session's inner id.
    #[must_use]
    pub fn id(&self) -> SessionId {
        todo!("service helper")
    }

    /// The account's facts as they are now.
    #[must_use]
    pub fn account(&self) -> Arc<Account> {
        todo!("service helper")
    }

    /// What a decision on `route` needs. `None`: ended by logout, epoch or a disabled account.
    #[must_use]
    pub fn identity(&self, _route: &Route) -> Option<Identity> {
        todo!("service helper")
    }

    /// Whether it may still be used for sekisho's own pages at `now` (lifetime, idle timeout of the gateway).
    #[must_use]
    pub fn is_alive(&self, _now: Timestamp) -> bool {
        todo!("service helper")
    }

    /// When this session last gave, or was spared, a second factor.
    #[must_use]
    pub fn second_factor_at(&self) -> Option<Timestamp> {
        todo!("service helper")
    }

    /// Fires when the session ends, so that whatever is open on its strength can be closed.
    #[must_use]
    pub fn ended(&self) -> CancellationToken {
        todo!("service helper")
    }
}

/// All sessions.
pub struct Sessions {
    _private: (),
}

/// A session as its owner or a manager sees it.
#[derive(Debug, Clone)]
pub struct SessionView {
    pub session: Session,
    pub login: String,
}

impl Sessions {
    /// The cached session of this cookie value: no await, no lock, no allocation. `None` says only that it is not cached.
    #[must_use]
    pub fn cached(&self, _digest: &TokenDigest) -> Option<Arc<LiveSession>> {
        todo!("service helper")
    }

    /// The session of this cookie value, from the cache or from the store; `None`: there is no such session any more.
    ///
    /// # Errors
    /// Where the store cannot tell: then nobody passes.
    pub async fn find(&self, _digest: &TokenDigest, _now: Timestamp) -> Result<Option<Arc<LiveSession>>, ServiceError> {
        todo!("service helper")
    }

    /// Notes activity; written behind.
    pub fn touch(&self, _session: &LiveSession, _route: &Route, _now: Timestamp) {
        todo!("service helper")
    }

    /// Before a session is ended for idleness, another node may have seen it: reads the store once and tells whether it is
    /// idle there too.
    ///
    /// # Errors
    /// Where the store cannot tell.
    pub async fn still_idle(
        &self,
        _session: &LiveSession,
        _route: &Route,
        _now: Timestamp,
    ) -> Result<bool, ServiceError> {
        todo!("service helper")
    }

    /// Logs out: durable before it returns.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn end(&self, _token: &Token, _client: IpAddr, _now: Timestamp) -> Result<(), ServiceError> {
        todo!("service helper")
    }

    /// Ends a session by its inner id; false: there is none.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn end_by_id(&self, _id: SessionId, _actor: &str, _now: Timestamp) -> Result<bool, ServiceError> {
        todo!("service helper")
    }

    /// Ends all sessions of an account; returns how many.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn end_all_of(&self, _user: UserId, _actor: &str, _now: Timestamp) -> Result<u64, ServiceError> {
        todo!("service helper")
    }

    /// Living sessions, of one account or of all.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn list(&self, _user: Option<UserId>, _now: Timestamp) -> Result<Vec<SessionView>, ServiceError> {
        todo!("service helper")
    }
}
