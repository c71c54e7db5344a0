//! Use cases: load, take a pure step of `authn` or `authz`, commit, then the effects. What a page or a command may ask
//! for is a method here; how it looks belongs to `portal` and `cli`.

pub mod cookies;
pub mod enrolment;
pub mod error;
pub mod hasher;
pub mod login;
pub mod session;
pub mod users;
pub mod visit;

use std::sync::Arc;

pub use error::ServiceError;

/// All services over one store, for the gateway, the portal and the control socket.
#[derive(Clone)]
pub struct Services {
    pub config: crate::config::Current,
    pub clock: Arc<dyn crate::clock::Clock>,
    pub sessions: Arc<session::Sessions>,
    pub login: Arc<login::Logins>,
    pub enrolment: Arc<enrolment::Enrolments>,
    pub users: Arc<users::Users>,
}

impl Services {
    /// Builds them over `store`. Starts the hashing threads; background work (write-behind, sweeping, watching) is
    /// started by [`Services::background`].
    #[must_use]
    pub fn new(
        _config: crate::config::Current,
        _store: crate::store::record::Store,
        _clock: Arc<dyn crate::clock::Clock>,
    ) -> Self {
        todo!("service helper")
    }

    /// Writes last-seen times behind, sweeps what has expired, follows changes made elsewhere; runs until the store is
    /// closed or `stop` fires.
    pub async fn background(&self, _stop: tokio_util::sync::CancellationToken) {
        todo!("service helper")
    }
}
