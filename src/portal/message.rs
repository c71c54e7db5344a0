//! Pages that say one thing: what happened, and what to do next.

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::answers;
use super::exchange::Exchange;
use super::form::BadForm;
use super::view::Page;
use crate::authz::Denial;
use crate::service::tool_logins;
use crate::service::visit::Failure;

/// What there is to say. The name is the beginning of its texts' keys: `not-found-heading`, `not-found-text`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    BadRequest,
    NotFound,
    MethodNotAllowed,
    TooLarge,
    WrongType,
    ForeignForm,
    FormExpired,
    SignOnFailed,
    FormGone,
    PlainHttp,
    DeniedRoute,
    DeniedAccount,
    DeniedNetwork,
    DeniedOrigin,
    Busy,
    Unavailable,
    Internal,
    UpstreamUnreachable,
    UpstreamTimeout,
    ToolRefused,
    ToolLoginMissing,
    ToolSignedOut,
}

impl Kind {
    /// The answer's status.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::FormGone => StatusCode::GONE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::WrongType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::ForeignForm
            | Self::FormExpired
            | Self::SignOnFailed
            | Self::PlainHttp
            | Self::DeniedRoute
            | Self::DeniedAccount
            | Self::DeniedNetwork
            | Self::DeniedOrigin
            | Self::ToolLoginMissing => StatusCode::FORBIDDEN,
            Self::Busy | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::UpstreamUnreachable | Self::ToolRefused => StatusCode::BAD_GATEWAY,
            Self::ToolSignedOut => StatusCode::CONFLICT,
            Self::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The `code` of problem+json.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::FormGone => "expired",
            Self::TooLarge => "too_large",
            Self::WrongType => "unsupported_media_type",
            Self::ForeignForm
            | Self::FormExpired
            | Self::DeniedRoute
            | Self::DeniedAccount
            | Self::DeniedNetwork
            | Self::DeniedOrigin => "forbidden",
            Self::SignOnFailed => "restart_login",
            Self::PlainHttp => "https_required",
            Self::Busy | Self::Unavailable => "unavailable",
            Self::Internal => "internal",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::ToolRefused => "tool_login_refused",
            Self::ToolLoginMissing => "tool_login_missing",
            Self::ToolSignedOut => "tool_session_ended",
        }
    }

    /// Whether an operator may be asked about it, so that the page names the request.
    const fn shows_reference(self) -> bool {
        !matches!(self, Self::FormGone | Self::PlainHttp | Self::Busy | Self::MethodNotAllowed | Self::WrongType)
    }

    #[cfg(test)]
    pub const ALL: [Self; 22] = [
        Self::BadRequest,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::TooLarge,
        Self::WrongType,
        Self::ForeignForm,
        Self::FormExpired,
        Self::SignOnFailed,
        Self::FormGone,
        Self::PlainHttp,
        Self::DeniedRoute,
        Self::DeniedAccount,
        Self::DeniedNetwork,
        Self::DeniedOrigin,
        Self::Busy,
        Self::Unavailable,
        Self::Internal,
        Self::UpstreamUnreachable,
        Self::UpstreamTimeout,
        Self::ToolRefused,
        Self::ToolLoginMissing,
        Self::ToolSignedOut,
    ];
}

impl From<Failure> for Kind {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::BadRequest => Self::BadRequest,
            Failure::NoRoute => Self::NotFound,
            Failure::FormGone => Self::FormGone,
            Failure::TooLarge => Self::TooLarge,
            Failure::Internal => Self::Internal,
            Failure::UpstreamUnreachable => Self::UpstreamUnreachable,
            Failure::Unavailable => Self::Unavailable,
            Failure::UpstreamTimeout => Self::UpstreamTimeout,
            Failure::ToolRefused => Self::ToolRefused,
            Failure::ToolLoginMissing => Self::ToolLoginMissing,
            Failure::ToolSignedOut => Self::ToolSignedOut,
            Failure::PlainHttp => Self::PlainHttp,
        }
    }
}

impl From<Denial> for Kind {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Route => Self::DeniedRoute,
            Denial::NotAllowed | Denial::Scope => Self::DeniedAccount,
            Denial::Network => Self::DeniedNetwork,
            Denial::WebSocketOrigin => Self::DeniedOrigin,
        }
    }
}

impl From<BadForm> for Kind {
    fn from(bad: BadForm) -> Self {
        match bad {
            BadForm::TooLarge => Self::TooLarge,
            BadForm::WrongType => Self::WrongType,
            BadForm::Malformed => Self::BadRequest,
        }
    }
}

/// The page.
#[derive(Debug, Serialize)]
pub struct Message {
    kind: Kind,
    /// Who is signed in, where another account might help.
    login: Option<String>,
    logout: String,
    /// The request's id, for whoever looks it up in the logs.
    reference: Option<String>,
    home: String,
    /// Where people store what they sign in with at this tool.
    tools: Option<String>,
}

impl Page for Message {
    const TEMPLATE: &'static str = "message.html";
}

/// Answers with the page of `kind`.
#[must_use]
pub fn page(exchange: Exchange, kind: Kind) -> Response {
    let login = match kind {
        Kind::DeniedAccount => exchange.session().map(|session| session.account().login.to_string()),
        _ => None,
    };
    let message = Message {
        kind,
        login,
        logout: exchange.page_path("/logout"),
        reference: kind.shows_reference().then(|| exchange.visit.request_id.to_string()),
        home: "/".to_owned(),
        tools: is_about_own_tool_login(&exchange, kind).then(|| exchange.page_path("/account/tools")),
    };
    exchange.page(kind.status(), &message)
}

/// Whether the reader could do something about it: the tool is shown what they have stored.
fn is_about_own_tool_login(exchange: &Exchange, kind: Kind) -> bool {
    let own = exchange.visit.route.and_then(|id| tool_logins::per_account(&exchange.visit.config, id));
    own.is_some() && matches!(kind, Kind::ToolRefused | Kind::ToolLoginMissing)
}

/// 404: a path below the portal's where no page is.
pub async fn not_found(exchange: Exchange) -> Response {
    let audience = exchange.audience();
    answers::refuse(exchange, audience, Kind::NotFound)
}

/// 405, beside the router's own `Allow`.
pub async fn method_not_allowed(exchange: Exchange) -> Response {
    let audience = exchange.audience();
    answers::refuse(exchange, audience, Kind::MethodNotAllowed)
}

#[cfg(test)]
impl super::view::Samples for Message {
    fn samples() -> Vec<(String, Self)> {
        let name = |kind: &Kind| serde_json::to_value(kind).unwrap().as_str().unwrap().to_owned();
        Kind::ALL
            .into_iter()
            .map(|kind| {
                let message = Self {
                    kind,
                    login: (kind == Kind::DeniedAccount).then(|| "alice".to_owned()),
                    logout: "/.sekisho/logout".to_owned(),
                    reference: kind.shows_reference().then(|| "0123456789abcdef".to_owned()),
                    home: "/".to_owned(),
                    tools: (kind == Kind::ToolLoginMissing).then(|| "/.sekisho/account/tools".to_owned()),
                };
                (name(&kind), message)
            })
            .collect()
    }
}
