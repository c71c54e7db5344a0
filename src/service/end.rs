//! The end of what a request passes on the strength of: a session, a token, a certificate. Whatever is open is closed when it comes.
//!
//! A session's stands in its lifeline itself: a million of them would not fit beside tokens of cancellation, which are trees.

use std::fmt;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::session::Lifeline;

/// Fires once, for everybody who waits for it and whoever comes later.
#[derive(Clone)]
pub struct End(Of);

#[derive(Clone)]
enum Of {
    Session(Arc<Lifeline>),
    Other(CancellationToken),
}

impl End {
    pub(super) const fn of(line: Arc<Lifeline>) -> Self {
        Self(Of::Session(line))
    }

    /// Whether it has come.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match &self.0 {
            Of::Session(line) => line.is_over(),
            Of::Other(token) => token.is_cancelled(),
        }
    }

    /// Returns when it has come.
    pub async fn cancelled(&self) {
        match &self.0 {
            Of::Session(line) => line.ends().await,
            Of::Other(token) => token.cancelled().await,
        }
    }
}

impl From<CancellationToken> for End {
    fn from(token: CancellationToken) -> Self {
        Self(Of::Other(token))
    }
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("End").field("has_come", &self.is_cancelled()).finish_non_exhaustive()
    }
}
