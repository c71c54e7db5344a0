//! Signing in to the tool itself (F37): what a tool is shown for somebody whom the gate has let through.
//!
//! The client's own `Authorization` never reaches such a tool: it is taken away before anything else is made of the request, so that
//! nobody chooses as whom the tool takes them. What is shown instead is worked out only where there is a permit with a person or a machine in it, and
//! goes to this route's upstreams alone. A tool that refuses it is not believed to be asking the browser: a browser that were handed such a
//! challenge would ask for a password that never gets there.
//!
//! ```text
//! form   signs in by the tool's own login form, once for a session, and again when the tool's session is over
//! page   a login page, read and filled in               jar    the tool's cookies, kept on this side
//! ```

pub mod form;
mod jar;
mod page;

use data_encoding::BASE64;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use pingora::http::ResponseHeader;
use zeroize::Zeroizing;

use self::form::FormPlan;
use crate::authn::tool_login::{Credentials, Kind};
use crate::authz::Permit;
use crate::clock::Timestamp;
use crate::config::{RouteUpstream, UpstreamAuth, Way, Whose};
use crate::secret::ExposeSecret;
use crate::service::tool_logins::ToolLogins;
use crate::service::visit::Failure;

/// How a route's tool is signed in to, prepared.
#[derive(Debug)]
pub enum SignIn {
    /// The same `Authorization` for everybody. Its `Debug` shows nothing.
    Everybody(HeaderValue),
    /// What is stored for each account.
    PerAccount(Kind),
    /// The tool's own login form.
    Form(Box<FormPlan>),
    /// What cannot stand in a header, which no configuration gets past: nobody passes.
    Unusable,
}

impl SignIn {
    pub fn new(auth: &UpstreamAuth, route: &RouteUpstream) -> Self {
        match (&auth.way, &auth.whose) {
            (Way::Form(form), whose) => Self::Form(Box::new(FormPlan::new(form, whose, route))),
            (way, Whose::Everybody(credentials)) => {
                header(way.kind(), credentials).map_or(Self::Unusable, Self::Everybody)
            }
            (way, Whose::PerAccount) => Self::PerAccount(way.kind()),
        }
    }

    /// What the tool of this route is shown for whoever has this permit; `None`: it is shown cookies.
    ///
    /// # Errors
    /// Why there is nothing to show: the request must not go on.
    pub async fn shown_to_tool(
        &self,
        logins: &ToolLogins,
        permit: &Permit,
        route: &str,
        now: Timestamp,
    ) -> Result<Option<HeaderValue>, Failure> {
        // Nobody is signed in to a tool as nobody. A machine's token names the route, and with it what the route does; a certificate is named by it.
        permit.whose().ok_or(Failure::Internal)?;
        match self {
            Self::Everybody(value) => Ok(Some(value.clone())),
            Self::PerAccount(kind) => {
                let (credentials, _) = stored(logins, permit, route, *kind, now).await?;
                header(*kind, &credentials).map(Some).ok_or(Failure::Internal)
            }
            Self::Form(_) => Ok(None),
            Self::Unusable => Err(Failure::Internal),
        }
    }

    /// The way by the tool's form, where it is that.
    pub fn form(&self) -> Option<&FormPlan> {
        match self {
            Self::Form(plan) => Some(plan),
            _ => None,
        }
    }
}

/// What is stored for this account, and since when.
async fn stored(
    logins: &ToolLogins,
    permit: &Permit,
    route: &str,
    kind: Kind,
    now: Timestamp,
) -> Result<(Credentials, Timestamp), Failure> {
    // A machine has no account.
    let account = permit.account().ok_or(Failure::ToolLoginMissing)?;
    match logins.of(account.id, route, kind, now).await {
        Ok(stored) => stored.ok_or(Failure::ToolLoginMissing),
        Err(error) => {
            tracing::error!(%error, route, "what a tool is shown cannot be read: nobody passes");
            Err(Failure::Unavailable)
        }
    }
}

fn header(kind: Kind, credentials: &Credentials) -> Option<HeaderValue> {
    let secret = credentials.secret().expose_secret();
    match kind {
        Kind::Basic => basic(credentials.username(), secret),
        Kind::Bearer => bearer(secret),
        Kind::Form => None,
    }
}

/// RFC 7617 §2, in UTF-8.
fn basic(username: &str, password: &str) -> Option<HeaderValue> {
    let pair = Zeroizing::new(format!("{username}:{password}"));
    let text = Zeroizing::new(format!("Basic {}", BASE64.encode(pair.as_bytes())));
    secret_value(&text)
}

/// RFC 6750 §2.1.
fn bearer(token: &str) -> Option<HeaderValue> {
    secret_value(&Zeroizing::new(format!("Bearer {token}")))
}

fn secret_value(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Has the tool see this and nothing of the client's.
pub fn show(fields: &mut HeaderMap, value: Option<&HeaderValue>) {
    fields.remove(AUTHORIZATION);
    if let Some(value) = value {
        fields.insert(AUTHORIZATION, value.clone());
    }
}

/// Whether the tool asks for other credentials. A 401 without a challenge is the tool's own way to say something to its page.
pub fn is_refused(head: &ResponseHeader) -> bool {
    head.status == StatusCode::UNAUTHORIZED && head.headers.contains_key(WWW_AUTHENTICATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_spelled_as_the_standards_have_it_and_shown_to_nobody() {
        // RFC 7617 §2 and §2.1.
        assert_eq!(basic("Aladdin", "open sesame").unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(basic("test", "123\u{a3}").unwrap(), "Basic dGVzdDoxMjPCow==");
        assert_eq!(bearer("mF_9.B5f-4.1JqM").unwrap(), "Bearer mF_9.B5f-4.1JqM");
        let credentials = Credentials::new(Kind::Basic, "u", "open sesame".into()).unwrap();
        let auth = UpstreamAuth { way: Way::Basic, whose: Whose::Everybody(credentials) };
        let Whose::Everybody(credentials) = &auth.whose else { unreachable!() };
        let sign_in = SignIn::Everybody(header(Kind::Basic, credentials).unwrap());
        for shown in [format!("{auth:?}"), format!("{sign_in:?}")] {
            assert!(!shown.contains("sesame") && !shown.contains("b3BlbiBzZXNhbWU"), "{shown}");
        }
    }

    #[test]
    fn a_challenge_is_a_refusal_and_a_bare_401_is_not() {
        let answer = |status: u16, challenge: bool| {
            let mut head = ResponseHeader::build(status, None).unwrap();
            if challenge {
                head.insert_header("WWW-Authenticate", "Basic realm=x").unwrap();
            }
            is_refused(&head)
        };
        assert!(answer(401, true));
        assert!(!answer(401, false));
        assert!(!answer(200, true));
        assert!(!answer(403, true));
    }
}
