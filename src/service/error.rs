//! Why a use case could not be carried out. A wrong password is no error but a value of the domain.

use std::time::Duration;

use crate::secret::{EntropyError, KeyError};
use crate::store::engine::StoreError;

/// The work could not be done; nothing happened.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Too much is waiting already: 503 with `Retry-After`.
    #[error("too many passwords are waiting to be checked")]
    Busy { retry_after: Duration },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// Others kept changing the same record.
    #[error("the record was changed by others again and again; try once more")]
    Contended,
    /// A hash that no scheme understands, or parameters that none takes.
    #[error("a password hash could not be made or read: {0}")]
    Hash(String),
}
