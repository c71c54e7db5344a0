//! A request as the pages and the use cases see it: settled by the gateway, and by nobody else.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::session::LiveSession;
use crate::audit::printable;
use crate::authn::session::Origin;
use crate::authz::{Challenge, Denial, NormalTarget, Place, RouteId};
use crate::clock::Timestamp;
use crate::config::{Config, Language};
use crate::id::{HeldId, RequestId};
use crate::secret::{Mac, Token};

/// How many characters of a browser's name for itself are kept.
const USER_AGENT: usize = 256;

/// Everything about one request that was settled before the portal saw it. Goes along as an extension of the
/// `http::Request`; the portal reads no address, scheme, host or sekisho cookie from headers.
#[derive(Debug, Clone)]
pub struct Visit {
    pub request_id: RequestId,
    /// The one reading of the clock for this request.
    pub now: Timestamp,
    /// The configuration in force when the request came.
    pub config: Arc<Config>,
    /// The effective client address.
    pub client: IpAddr,
    /// Whether the effective scheme is https: decides the cookies' names.
    pub secure: bool,
    /// Whether anybody may sign in over this connection: https, or loopback on both sides with nothing in between.
    pub may_sign_in: bool,
    pub target: NormalTarget,
    /// The route of the target; `None` for the portal's own paths.
    pub route: Option<RouteId>,
    pub cookies: SekishoCookies,
    /// The language of pages and mails: the person's choice, else the browser's, else the first one configured.
    pub language: Language,
    /// The living session of the request's cookie, if there is one.
    pub session: Option<Arc<LiveSession>>,
    /// What is asked of the portal.
    pub ask: Ask,
}

/// sekisho's own cookies, as far as they are well-formed and came once.
#[derive(Debug, Clone, Default)]
pub struct SekishoCookies {
    pub session: Option<Token>,
    pub device: Option<Token>,
    /// The login in progress.
    pub flow: Option<Token>,
    /// What a code from the portal host is bound to.
    pub handoff: Option<Token>,
    /// What form tokens are bound to before anybody is known.
    pub csrf: Option<Token>,
    /// A link to a new password that was opened.
    pub reset: Option<Token>,
    /// `ja` or `en`, as chosen by the person.
    pub language: Option<&'static str>,
    /// Whose the tool's own cookies are, as `portal::tool_cookies` has marked them.
    pub owner: Option<Mac>,
}

/// What the gateway wants from the portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// The page at the target's path.
    Page,
    /// An answer to a request that may not pass yet: 303 to a page, or 401.
    Challenge(Challenge),
    /// The same for a form that is kept meanwhile.
    Kept(Challenge, HeldId),
    /// A kept form is to be sent, and this request has come to the form's own address for it.
    SendKept(HeldId),
    /// 403.
    Denied(Denial),
    /// Something went wrong on the way: a small page or problem+json.
    Failure(Failure),
    /// The same to another proxy that asks about the request; `redirect`: a person who can come back may be led to a page.
    Auth { challenge: Challenge, redirect: bool },
    /// A machine's token is no good, or does not belong here: problem+json, whatever is accepted.
    Token(BadToken),
}

/// What is wrong with a machine's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadToken {
    /// 401: there is no such token, or it is over.
    Unknown,
    /// 429: too many from this address were none.
    TooMany { wait: Duration },
    /// 400: a session's cookie came along. Whose request it is nobody can say.
    BesideSession,
    /// 403: sekisho's own pages are for people.
    OwnPage,
    /// 403: for another route.
    OtherRoute,
}

/// What went wrong on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// 400
    BadRequest,
    /// 404
    NoRoute,
    /// 413
    TooLarge,
    /// 500
    Internal,
    /// 502
    UpstreamUnreachable,
    /// 502: sekisho signs in to the tool, which does not take that.
    ToolRefused,
    /// 403: sekisho signs in to the tool with what the account has stored for it, and it has nothing.
    ToolLoginMissing,
    /// 409: the tool's own session was over, and what was sent is not sent to it twice.
    ToolSignedOut,
    /// 503
    Unavailable,
    /// 504
    UpstreamTimeout,
    /// 410: a kept form that was sent, or whose time is over.
    FormGone,
    /// 403: plain HTTP where signing in is not safe, and no TLS listener to lead to.
    PlainHttp,
}

impl Visit {
    /// Where the host asked for stands with the sign-on.
    #[must_use]
    pub fn place(&self) -> Place {
        self.config.place(self.target.host())
    }

    /// Another host as this browser reaches it: over the same scheme, at the same port.
    #[must_use]
    pub fn origin_of(&self, host: &str) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        match self.target.port() {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        }
    }

    /// The origin of the host asked for, as a browser spells it.
    #[must_use]
    pub fn own_origin(&self) -> String {
        self.target.origin(self.secure)
    }

    /// Where it came from, for sessions, devices and events.
    #[must_use]
    pub fn origin(&self, user_agent: Option<&str>) -> Origin {
        let user_agent = printable(user_agent.unwrap_or_default(), USER_AGENT);
        Origin { address: self.client.to_string(), user_agent }
    }
}
