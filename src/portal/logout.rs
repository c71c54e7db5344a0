//! `/logout`: asks, then ends the session. The only place that takes a session cookie away: a late answer to an old value
//! must not wipe a new one.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use super::csrf::Form;
use super::error::PortalError;
use super::exchange::Exchange;
use super::guard;
use super::refusal::Alert;
use super::sign_on;
use super::tool_cookies;
use super::view::Page;
use crate::authz::Place;
use crate::secret::Token;
use crate::service::Services;
use crate::service::cookies::CookieKind;

/// What the browser forgets of this host: pages it kept. Not all cookies: the device key is among them.
const CLEAR_SITE_DATA: (HeaderName, HeaderValue) =
    (HeaderName::from_static("clear-site-data"), HeaderValue::from_static("\"cache\""));

/// The page that asks.
#[derive(Debug, Serialize)]
pub struct LogoutPage {
    action: String,
    csrf: String,
    login: String,
    alert: Option<Alert>,
    back: String,
}

impl Page for LogoutPage {
    const TEMPLATE: &'static str = "logout.html";
}

/// `GET /logout`
pub async fn ask(exchange: Exchange) -> Result<Response, PortalError> {
    match signed_in(&exchange) {
        Some((session, login)) => page(exchange, StatusCode::OK, &session, login, None),
        None => Ok(nobody(exchange)),
    }
}

/// The answer to whoever is not signed in here. On a tool's host they may be at the portal host all the same: there they are asked.
fn nobody(exchange: Exchange) -> Response {
    if exchange.visit.place() == Place::Tool {
        let page = sign_on::portal_page(&exchange, "/logout");
        return exchange.redirect(&page);
    }
    exchange.redirect_to_login("/", None)
}

/// `POST /logout`
pub async fn submit(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (mut exchange, fields) = match guard::form(exchange, body).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    if exchange.visit.place() == Place::Tool && exchange.session().is_none() {
        // What is remembered of a session that had ended by then is forgotten, so that no form of it is kept any more.
        if let Some(session) = exchange.visit.cookies.session.clone()
            && exchange.token_is_valid(Form::Logout { session: &session }, &fields)
        {
            services.sessions.end(&session, exchange.visit.client, exchange.visit.now).await?;
        }
        return Ok(nobody(exchange));
    }
    if let Some(session) = exchange.visit.cookies.session.clone() {
        if !exchange.token_is_valid(Form::Logout { session: &session }, &fields) {
            return match signed_in(&exchange) {
                Some((session, login)) => {
                    let alert = Alert::form_expired();
                    page(exchange, StatusCode::FORBIDDEN, &session, login, Some(alert))
                }
                None => Ok(nobody(exchange)),
            };
        }
        end(&services, &mut exchange).await?;
    }
    Ok(exchange.redirect_to_login("/", Some("signed-out")))
}

/// Ends this browser's session, if it has one, and takes its cookies away.
///
/// # Errors
/// Where the store cannot.
pub async fn end(services: &Services, exchange: &mut Exchange) -> Result<(), PortalError> {
    let Some(session) = exchange.visit.cookies.session.clone() else { return Ok(()) };
    services.sessions.end(&session, exchange.visit.client, exchange.visit.now).await?;
    exchange.clear_cookie(CookieKind::Session);
    if exchange.visit.cookies.flow.is_some() {
        exchange.clear_cookie(CookieKind::Flow);
    }
    tool_cookies::forget(exchange);
    let (name, value) = CLEAR_SITE_DATA;
    exchange.add(name, Some(value));
    Ok(())
}

fn signed_in(exchange: &Exchange) -> Option<(Token, String)> {
    let login = exchange.session()?.account().login.to_string();
    Some((exchange.visit.cookies.session.clone()?, login))
}

fn page(
    mut exchange: Exchange,
    status: StatusCode,
    session: &Token,
    login: String,
    alert: Option<Alert>,
) -> Result<Response, PortalError> {
    exchange.here("/logout", None);
    let page = LogoutPage {
        action: exchange.page_path("/logout"),
        csrf: exchange.form_token(Form::Logout { session })?,
        login,
        alert,
        back: "/".to_owned(),
    };
    Ok(exchange.page(status, &page))
}

#[cfg(test)]
impl super::view::Samples for LogoutPage {
    fn samples() -> Vec<(String, Self)> {
        let sample = |name: &str, alert| {
            let page = Self {
                action: "/.sekisho/logout".to_owned(),
                csrf: "x".repeat(43),
                login: "alice".to_owned(),
                alert,
                back: "/".to_owned(),
            };
            (name.to_owned(), page)
        };
        vec![sample("ask", None), sample("expired", Some(Alert::form_expired()))]
    }
}
