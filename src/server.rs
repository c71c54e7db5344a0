//! Puts the rooms together: configuration, store, services, sockets, signals.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::clock::Clock;
use crate::config::Config;
use crate::service::Services;
use crate::store::record::Store;

/// A gateway that runs, within the caller's tokio runtime.
pub struct Running {
    _private: (),
}

/// Why it did not start: what happened, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}: {source}")]
    Bind { address: String, source: std::io::Error },
}

/// Binds every socket, builds the services, and serves until [`Running::stop`].
///
/// # Errors
/// Where a socket cannot be bound.
pub async fn start(_config: Config, _store: Store, _clock: Arc<dyn Clock>) -> Result<Running, StartError> {
    todo!("gateway helper")
}

impl Running {
    /// Where it listens, plain HTTP first; port 0 has become a real one.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        todo!("gateway helper")
    }

    /// The services, for whoever runs in the same process.
    #[must_use]
    pub fn services(&self) -> &Services {
        todo!("gateway helper")
    }

    /// Stops accepting, lets what is in flight end within the grace, closes the store.
    pub async fn stop(self) {
        todo!("gateway helper")
    }
}
