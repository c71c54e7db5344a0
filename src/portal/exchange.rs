//! One request to the portal, and what its answer will carry: read once, then handed through a page's function.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64URL_NOPAD;
use http::header::{LOCATION, RETRY_AFTER, SET_COOKIE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use std::time::Duration;

use super::csrf::{self, Form};
use super::error::PortalError;
use super::form::Fields;
use super::negotiate::{self, Audience};
use super::view::{self, Page, Site};
use super::{cookie, headers, return_to, sign_on};
use crate::authz::Place;
use crate::config::Language;
use crate::i18n;
use crate::secret::{Token, random_bytes};
use crate::service::cookies::CookieKind;
use crate::service::session::LiveSession;
use crate::service::visit::{Ask, Visit};

/// A request and its answer in the making.
pub struct Exchange {
    pub visit: Visit,
    pub method: Method,
    pub headers: HeaderMap,
    pub query: Fields,
    pub language: Language,
    /// What the language links lead to: a page's path below the portal's, and the query to carry on. `None` where there is no
    /// page to come back to by GET.
    here: Option<(String, String)>,
    /// What goes out with whatever the answer will be.
    outgoing: HeaderMap,
}

impl Exchange {
    /// Reads a request.
    #[must_use]
    pub fn new(visit: Visit, method: Method, headers: HeaderMap) -> Self {
        let query = if visit.ask == Ask::Page { Fields::of_query(visit.target.query()) } else { Fields::default() };
        let asked = query.get("lang").and_then(i18n::by_tag);
        let asked = asked.filter(|language| visit.config.portal.languages.contains(language));
        let language = asked.unwrap_or(visit.language);
        let visit = Visit { language, ..visit };
        let mut exchange = Self { visit, method, headers, query, language, here: None, outgoing: HeaderMap::new() };
        if let Some(language) = asked {
            exchange.add(SET_COOKIE, cookie::language(i18n::tag(language), exchange.visit.secure));
        }
        exchange
    }

    /// What the browser calls itself.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.headers.get(USER_AGENT).and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
    }

    /// Who asks. The API is for programmes, whatever they say that they accept.
    #[must_use]
    pub fn audience(&self) -> Audience {
        let below = self.visit.target.matching_path().strip_prefix(self.visit.config.portal.path.as_str());
        match below {
            Some(below) if below.starts_with("/api/") => Audience::Programme,
            _ => negotiate::audience(&self.method, &self.headers),
        }
    }

    /// An absolute path to a page of ours.
    #[must_use]
    pub fn page_path(&self, below: &str) -> String {
        format!("{}{below}", self.visit.config.portal.path)
    }

    /// Says which page is being made, so that it can be had in another language.
    pub fn here(&mut self, below: &'static str, return_to: Option<&str>) {
        let query = return_to.map(|path| format!("return_to={}", return_to::encoded(path)));
        self.here_with(below, query.unwrap_or_default());
    }

    /// The same for a page that its query belongs to, or whose path is not always the same.
    pub fn here_with(&mut self, below: &str, query: String) {
        self.here = Some((below.to_owned(), query));
    }

    /// The session, if it may be used for sekisho's own pages at this moment.
    #[must_use]
    pub fn session(&self) -> Option<&LiveSession> {
        self.visit.session.as_deref().filter(|session| session.is_alive(self.visit.now))
    }

    /// The token of a form on the page that is being made; sees to it that the browser has what it is bound to.
    ///
    /// # Errors
    /// Where there is no randomness for the browser's part.
    pub fn form_token(&mut self, form: Form<'_>) -> Result<String, PortalError> {
        let browser = match &self.visit.cookies.csrf {
            Some(browser) => browser.clone(),
            None => {
                let fresh = Token::generate()?;
                self.set_cookie(CookieKind::Csrf, &fresh);
                self.visit.cookies.csrf = Some(fresh.clone());
                fresh
            }
        };
        Ok(csrf::token(&self.visit.config.keys, &browser, form)?)
    }

    /// Whether a form that came in carries the right token.
    #[must_use]
    pub fn token_is_valid(&self, form: Form<'_>, fields: &Fields) -> bool {
        let given = fields.get("csrf").unwrap_or_default();
        csrf::is_valid(&self.visit.config.keys, self.visit.cookies.csrf.as_ref(), form, given)
    }

    /// Sets a bearer cookie.
    pub fn set_cookie(&mut self, kind: CookieKind, token: &Token) {
        self.add(SET_COOKIE, cookie::bearer(kind, token, self.visit.secure));
    }

    /// Takes a cookie away.
    pub fn clear_cookie(&mut self, kind: CookieKind) {
        self.add(SET_COOKIE, cookie::cleared(kind, self.visit.secure));
    }

    /// Says when to come again (RFC 9110 §10.2.3).
    pub fn retry_after(&mut self, wait: Duration) {
        self.add(RETRY_AFTER, Some(HeaderValue::from(wait.as_secs().max(1))));
    }

    /// Another header of the answer.
    pub fn add(&mut self, name: HeaderName, value: Option<HeaderValue>) {
        if let Some(value) = value {
            self.outgoing.append(name, value);
        }
    }

    /// Answers with a page.
    #[must_use]
    pub fn page<P: Page>(self, status: StatusCode, page: &P) -> Response {
        // Without randomness the page goes without its script.
        let nonce = page.script().and_then(|_| random_bytes::<16>().ok()).map(|nonce| BASE64URL_NOPAD.encode(&nonce));
        let script = page.script().zip(nonce.clone());
        let site = self.site().loading(script, &self.visit.config.portal.path);
        match view::render(&self.visit.config.portal, self.language, &site, page) {
            Ok(html) => {
                let forms = sign_on::forms(&self.visit, P::LEADS_OUT);
                let mut response = self.finish((status, axum::response::Html(html)).into_response());
                headers::allow(response.headers_mut(), &forms, nonce.as_deref());
                response
            }
            Err(error) => {
                tracing::error!(template = P::TEMPLATE, %error, "a page could not be made");
                self.finish(StatusCode::INTERNAL_SERVER_ERROR.into_response())
            }
        }
    }

    /// Leads on to an absolute path, or to another host of ours, by GET (RFC 9110 §15.4.4).
    #[must_use]
    pub fn redirect(self, path: &str) -> Response {
        let mut location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
        // It may carry a code.
        location.set_sensitive(true);
        self.finish((StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response())
    }

    /// Leads to the login page, which may be on another host.
    #[must_use]
    pub fn redirect_to_login(self, return_to: &str, notice: Option<&str>) -> Response {
        if self.visit.place() == Place::Tool {
            return sign_on::begin(self, return_to, notice);
        }
        let notice = notice.map(|notice| format!("&notice={notice}")).unwrap_or_default();
        let path = format!("{}?return_to={}{notice}", self.page_path("/login"), return_to::encoded(return_to));
        self.redirect(&path)
    }

    /// Puts what goes out with every answer on this one.
    #[must_use]
    pub fn finish(self, mut response: Response) -> Response {
        for (name, value) in &self.outgoing {
            response.headers_mut().append(name, value.clone());
        }
        response
    }

    /// What all pages show around their own part.
    fn site(&self) -> Site {
        let here = self.here.as_ref().map(|(below, query)| (self.page_path(below), query.as_str()));
        Site::new(&self.visit.config.portal, self.language, here)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Exchange {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let visit = parts.extensions.get::<Visit>().cloned().ok_or(StatusCode::INTERNAL_SERVER_ERROR)?;
        Ok(Self::new(visit, parts.method.clone(), parts.headers.clone()))
    }
}
