//! What the configuration says of a tool's login form, and what the tool's answers come to by it.
//!
//! Nothing is asked here, and nothing kept: the login is `login`'s, and what becomes of a session that is over the gate's.

use std::hash::{DefaultHasher, Hash, Hasher};

use http::header::LOCATION;
use pingora::http::ResponseHeader;
use url::Url;

use crate::clock::Timestamp;
use crate::config::{LoginForm, RouteUpstream, ToolCookies, Whose};
use crate::gateway::context::Request;
use crate::gateway::sign_in::jar::Jar;
use crate::secret::ExposeSecret;

/// How a route's tool is signed in to by its form, prepared.
#[derive(Debug)]
pub struct FormPlan {
    pub(super) form: LoginForm,
    pub(super) whose: Whose,
    /// Tells configurations apart under which a session at the tool was begun.
    pub(super) fingerprint: u64,
}

impl FormPlan {
    pub fn new(form: &LoginForm, whose: &Whose, route: &RouteUpstream) -> Self {
        let mut hasher = DefaultHasher::new();
        format!("{form:?} {:?} {}", route.upstreams, route.preserve_host).hash(&mut hasher);
        form.fields.hash(&mut hasher);
        if let Whose::Everybody(credentials) = whose {
            (credentials.username(), credentials.secret().expose_secret()).hash(&mut hasher);
        }
        Self { form: form.clone(), whose: whose.clone(), fingerprint: hasher.finish() }
    }

    pub(super) fn keeps(&self) -> bool {
        self.form.cookies == ToolCookies::Kept
    }

    /// Whether this answer to a request says that the tool knows nobody any more.
    pub fn is_over(&self, head: &ResponseHeader, request: &Request) -> bool {
        !self.is_about_sessions(request) && self.turns_away(head, &base(request))
    }

    /// Its login page and its logout answer as they like.
    pub(super) fn is_about_sessions(&self, request: &Request) -> bool {
        let own = path_of(request.arrival.target.path_and_query());
        same_path(own, self.form.page_path()) || self.form.logout.as_deref().is_some_and(|path| same_path(own, path))
    }

    fn turns_away(&self, head: &ResponseHeader, base: &Option<Url>) -> bool {
        let status = head.status.as_u16();
        if self.form.ended.status == Some(status) {
            return true;
        }
        let Some(location) = redirect(head, base) else { return false };
        same_path(location.path(), self.form.leads_back_to())
    }

    /// Whether this answer to a login has every sign that the configuration names.
    pub(super) fn has_signed_in(&self, head: &ResponseHeader, base: &Url, now: Timestamp) -> bool {
        let wanted = &self.form.success;
        let base = Some(base.clone());
        let mut set = Jar::default();
        set.take(&head.headers, "/", now);
        let status = wanted.status.is_none_or(|status| head.status.as_u16() == status);
        let cookie = wanted.cookie.as_deref().is_none_or(|name| set.has(name, now));
        let led = wanted
            .redirect_to
            .as_deref()
            .is_none_or(|path| redirect(head, &base).is_some_and(|location| same_path(location.path(), path)));
        status && cookie && led && !self.turns_away(head, &base)
    }
}

/// The origin that the tool's addresses are seen under.
pub(super) fn base(request: &Request) -> Option<Url> {
    let scheme = if request.arrival.secure { "https" } else { "http" };
    Url::parse(&format!("{scheme}://{}/", request.arrival.target.authority())).ok()
}

/// Where this answer leads.
pub(super) fn redirect(head: &ResponseHeader, base: &Option<Url>) -> Option<Url> {
    let leads = matches!(head.status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = head.headers.get(LOCATION).filter(|_| leads)?.to_str().ok()?;
    base.as_ref()?.join(location).ok()
}

pub(super) fn path_of(target: &str) -> &str {
    target.split(['?', '#']).next().unwrap_or_default()
}

fn same_path(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}
