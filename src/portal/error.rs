//! Work that could not be done: logged once with its cause, told to the person without it.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::message::Kind;
use crate::secret::{EntropyError, KeyError};
use crate::service::ServiceError;

/// Why a page could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum PortalError {
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    #[error("the key is too long for a QR code")]
    QrCode,
}

/// What the person is told; goes along with a bare response, and the portal makes the page of it in their language.
#[derive(Debug, Clone, Copy)]
pub struct Trouble {
    pub kind: Kind,
    pub retry_after: Option<Duration>,
}

impl PortalError {
    /// What the person is told.
    #[must_use]
    pub const fn trouble(&self) -> Trouble {
        const SOON: Duration = Duration::from_secs(5);
        match self {
            Self::Service(ServiceError::Busy { retry_after }) => {
                Trouble { kind: Kind::Busy, retry_after: Some(*retry_after) }
            }
            Self::Service(ServiceError::Contended | ServiceError::Store(_)) => {
                Trouble { kind: Kind::Unavailable, retry_after: Some(SOON) }
            }
            _ => Trouble { kind: Kind::Internal, retry_after: None },
        }
    }
}

impl PortalError {
    /// Logs the cause; hands back what the person is told.
    pub fn log(&self) -> Trouble {
        let trouble = self.trouble();
        match trouble.kind {
            // Whoever turns them away says so, once for many.
            Kind::Busy => tracing::debug!(error = %self, "a login was turned away for now"),
            _ => tracing::error!(error = %self, "a page could not do its work"),
        }
        trouble
    }
}

impl IntoResponse for PortalError {
    fn into_response(self) -> Response {
        let trouble = self.log();
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(trouble);
        response
    }
}
