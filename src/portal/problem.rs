//! Refusals for programmes: `application/problem+json` (RFC 9457) with a `code` that a programme can go by (CONTRACT §3).

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::error::PortalError;
use super::exchange::Exchange;
use super::form::BadForm;
use super::message::Kind;
use super::refusal;
use crate::service::ServiceError;
use crate::service::login::Refusal;

/// What a programme is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Problem {
    pub status: StatusCode,
    pub code: &'static str,
    pub retry_after: Option<Duration>,
}

impl Problem {
    /// Nobody is signed in.
    pub const LOGIN_REQUIRED: Self = Self::new(StatusCode::UNAUTHORIZED, "login_required");
    /// An authenticator app has to be enrolled, which takes a browser.
    pub const ENROLMENT_REQUIRED: Self = Self::new(StatusCode::FORBIDDEN, "enrolment_required");
    /// Another password has to be set first, which takes a browser.
    pub const PASSWORD_CHANGE_REQUIRED: Self = Self::new(StatusCode::FORBIDDEN, "password_change_required");

    #[must_use]
    pub const fn new(status: StatusCode, code: &'static str) -> Self {
        Self { status, code, retry_after: None }
    }

    /// Answers with it.
    #[must_use]
    pub fn answer(self, mut exchange: Exchange) -> Response {
        #[derive(Serialize)]
        struct Body {
            r#type: &'static str,
            title: &'static str,
            status: u16,
            code: &'static str,
        }
        if let Some(wait) = self.retry_after {
            exchange.retry_after(wait);
        }
        let title = self.status.canonical_reason().unwrap_or_default();
        let body = Body { r#type: "about:blank", title, status: self.status.as_u16(), code: self.code };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let json = HeaderValue::from_static("application/problem+json");
        exchange.finish((self.status, [(CONTENT_TYPE, json)], body).into_response())
    }
}

impl From<Kind> for Problem {
    fn from(kind: Kind) -> Self {
        Self::new(kind.status(), kind.code())
    }
}

impl From<BadForm> for Problem {
    fn from(bad: BadForm) -> Self {
        Kind::from(bad).into()
    }
}

impl From<Refusal> for Problem {
    fn from(refused: Refusal) -> Self {
        let code = match refused {
            Refusal::InvalidCredentials => "invalid_credentials",
            Refusal::WrongCode { .. } | Refusal::UsedCode | Refusal::WrongRecoveryCode => "invalid_code",
            Refusal::NoCodeYet | Refusal::ExpiredCode => "expired",
            Refusal::TooManyTries | Refusal::TooManyAttempts { .. } | Refusal::TooManyChanges { .. } => {
                "too_many_attempts"
            }
            Refusal::RestartLogin => "restart_login",
            Refusal::Locked => "locked",
        };
        Self { retry_after: refusal::retry_after(refused), ..Self::new(refusal::status(refused), code) }
    }
}

/// Logs the cause, which the programme is not told.
impl From<PortalError> for Problem {
    fn from(error: PortalError) -> Self {
        let trouble = error.log();
        Self { retry_after: trouble.retry_after, ..trouble.kind.into() }
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        PortalError::from(error).into()
    }
}
