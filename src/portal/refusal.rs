//! A refused step in words (F14): the status, the alert, and when to come again.

use std::time::Duration;

use http::StatusCode;
use serde::Serialize;

use super::span::Span;
use crate::authn::user::Method;
use crate::service::login::Refusal;

/// A line at the head of a page.
#[derive(Debug, Clone, Serialize)]
pub struct Alert {
    /// The text's key.
    pub key: &'static str,
    pub tone: Tone,
    /// The key of a second line that says what may help.
    pub hint: Option<&'static str>,
    /// The `$span` of the text.
    pub span: Option<Span>,
    /// The `$count` of the text.
    pub count: Option<usize>,
}

/// How an alert looks and whether it is read out at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    Problem,
    Notice,
}

impl Alert {
    /// Something went wrong.
    #[must_use]
    pub const fn problem(key: &'static str) -> Self {
        Self { key, tone: Tone::Problem, hint: None, span: None, count: None }
    }

    /// Something is worth knowing.
    #[must_use]
    pub const fn notice(key: &'static str) -> Self {
        Self { key, tone: Tone::Notice, hint: None, span: None, count: None }
    }

    /// A form whose token is not the page's: too old, or the browser keeps no cookies.
    #[must_use]
    pub const fn form_expired() -> Self {
        Self { hint: Some("hint-form-expired"), ..Self::problem("problem-form-expired") }
    }

    /// What is said of a refusal.
    #[must_use]
    pub const fn of(refusal: Refusal) -> Self {
        match refusal {
            Refusal::InvalidCredentials => {
                Self { hint: Some("hint-credentials"), ..Self::problem("problem-credentials") }
            }
            Refusal::WrongCode { clock_hint } => {
                let hint = if clock_hint { Some("hint-clock") } else { None };
                Self { hint, ..Self::problem("problem-wrong-code") }
            }
            Refusal::NoCodeYet => Self::problem("problem-no-code-yet"),
            Refusal::ExpiredCode => Self::problem("problem-expired-code"),
            Refusal::TooManyTries => Self::problem("problem-too-many-tries"),
            Refusal::WrongRecoveryCode => Self::problem("problem-wrong-recovery-code"),
            Refusal::UsedCode => Self::problem("problem-used-code"),
            Refusal::TooManyAttempts { retry_after } => Self::waiting("problem-too-many", retry_after),
            Refusal::TooManyChanges { retry_after } => Self::waiting("problem-changes-wait", retry_after),
            Refusal::RestartLogin => Self::problem("problem-restart"),
            Refusal::Locked => Self::problem("problem-locked"),
        }
    }
}

impl Alert {
    /// What is said of a code, by how the person came to it: a mailed one has nothing to do with an app and its clock.
    #[must_use]
    pub const fn of_code(refusal: Refusal, method: Method) -> Self {
        match (refusal, method) {
            (Refusal::WrongCode { .. }, Method::Mail) => Self::problem("problem-wrong-mailed-code"),
            (Refusal::UsedCode, Method::Mail) => Self::problem("problem-used-mailed-code"),
            _ => Self::of(refusal),
        }
    }

    /// Something is too many or too few.
    #[must_use]
    pub const fn counting(key: &'static str, count: usize) -> Self {
        Self { count: Some(count), ..Self::problem(key) }
    }

    /// Something has to wait.
    #[must_use]
    pub const fn waiting(key: &'static str, wait: Duration) -> Self {
        Self { span: Some(Span::waiting(wait)), ..Self::problem(key) }
    }
}

/// The status of a page that says `refusal`. 401 without a challenge of HTTP's own: the form on the page is the challenge.
#[must_use]
pub const fn status(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::TooManyAttempts { .. } | Refusal::TooManyChanges { .. } | Refusal::TooManyTries => {
            StatusCode::TOO_MANY_REQUESTS
        }
        Refusal::Locked => StatusCode::FORBIDDEN,
        Refusal::NoCodeYet
        | Refusal::ExpiredCode
        | Refusal::WrongRecoveryCode
        | Refusal::InvalidCredentials
        | Refusal::WrongCode { .. }
        | Refusal::UsedCode
        | Refusal::RestartLogin => StatusCode::UNAUTHORIZED,
    }
}

/// When it is worth trying again.
#[must_use]
pub const fn retry_after(refusal: Refusal) -> Option<Duration> {
    match refusal {
        Refusal::TooManyAttempts { retry_after } | Refusal::TooManyChanges { retry_after } => Some(retry_after),
        _ => None,
    }
}

/// Whether the login in progress is over with it.
#[must_use]
pub const fn ends_the_flow(refusal: Refusal) -> bool {
    matches!(refusal, Refusal::RestartLogin | Refusal::Locked)
}
