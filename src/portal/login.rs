//! `/login`: login name and password.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::csrf::Form;
use super::error::PortalError;
use super::exchange::Exchange;
use super::refusal::{self, Alert};
use super::view::{Page, escaped};
use super::{guard, held, return_to, step};
use crate::secret::SecretString;
use crate::service::Services;
use crate::service::cookies::CookieKind;
use crate::service::login::Credentials;
use crate::service::session::LiveSession;

/// The page.
#[derive(Debug, Serialize)]
pub struct LoginPage {
    action: String,
    csrf: String,
    return_to: String,
    /// As typed before, so that it need not be typed again.
    login: String,
    /// Blanks that make pages with different logins equally long (attack case A26).
    padding: String,
    /// To a link by mail, where mails can be sent.
    forgot: Option<String>,
    alert: Option<Alert>,
}

impl Page for LoginPage {
    const TEMPLATE: &'static str = "login.html";
    const LEADS_OUT: bool = true;
}

/// The longest login that is shown again, in bytes: 64 characters of four bytes.
const LOGIN_ROOM: usize = 256;

/// What is on the page beside the form itself.
#[derive(Default)]
pub struct Shown<'a> {
    pub login: &'a str,
    pub return_to: Option<&'a str>,
    pub alert: Option<Alert>,
}

/// `GET /login`
pub async fn show(exchange: Exchange) -> Result<Response, PortalError> {
    let exchange = match guard::page(exchange) {
        Ok(exchange) => exchange,
        Err(answer) => return Ok(*answer),
    };
    let alert = exchange.query.get("notice").and_then(notice);
    let wish = exchange.query.get("return_to").map(str::to_owned);
    let account = exchange.session().map(LiveSession::account);
    let login = account.as_ref().map_or("", |account| account.login.as_str());
    page(exchange, StatusCode::OK, Shown { login, return_to: wish.as_deref(), alert })
}

/// Words that another page may send along: a fixed set, so that nobody can put words on this page by a link.
fn notice(name: &str) -> Option<Alert> {
    match name {
        "restart" => Some(Alert::problem("problem-restart")),
        "signed-out" => Some(Alert::notice("notice-signed-out")),
        "cancelled" => Some(Alert::notice("notice-cancelled")),
        "password-reset" => Some(Alert::notice("notice-password-reset")),
        "confirm" => Some(Alert::notice("notice-confirm")),
        held::NOTICE => Some(Alert::notice("notice-held")),
        _ => None,
    }
}

/// `POST /login`
pub async fn submit(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (mut exchange, mut fields) = match guard::form(exchange, body).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    let login = fields.take("login");
    let password = SecretString::from(fields.take("password"));
    let wish = fields.get("return_to").map(str::to_owned);
    let shown = |alert| Shown { login: &login, return_to: wish.as_deref(), alert: Some(alert) };
    if !exchange.token_is_valid(Form::Login, &fields) {
        return page(exchange, StatusCode::FORBIDDEN, shown(Alert::form_expired()));
    }
    let destination = return_to::destination(&exchange.visit, wish.as_deref());
    let credentials = Credentials { login: login.clone(), password };
    let user_agent = exchange.user_agent();
    let step = services.login.password(&exchange.visit, user_agent, credentials, destination).await?;
    match step::taken(step) {
        Ok(advance) => Ok(step::lead_on(exchange, advance)),
        Err(refused) => {
            if let Some(wait) = refusal::retry_after(refused) {
                exchange.retry_after(wait);
            }
            page(exchange, refusal::status(refused), shown(Alert::of(refused)))
        }
    }
}

/// The login page, with whatever there is to say.
///
/// # Errors
/// Where no form token can be made.
pub fn page(mut exchange: Exchange, status: StatusCode, shown: Shown<'_>) -> Result<Response, PortalError> {
    let login = if escaped_len(shown.login) <= LOGIN_ROOM { shown.login } else { "" };
    let return_to = return_to::path(&exchange.visit, shown.return_to);
    exchange.here("/login", Some(&return_to));
    let page = LoginPage {
        action: exchange.page_path("/login"),
        csrf: exchange.form_token(Form::Login)?,
        return_to,
        login: login.to_owned(),
        padding: " ".repeat(LOGIN_ROOM - escaped_len(login)),
        forgot: exchange.visit.config.mail.is_some().then(|| exchange.page_path("/password/forgot")),
        alert: shown.alert,
    };
    Ok(exchange.page(status, &page))
}

/// The login page after a login that is over: says so, and takes the browser's part of it away.
///
/// # Errors
/// Where no form token can be made.
pub fn over(
    mut exchange: Exchange,
    refused: crate::service::login::Refusal,
    login: &str,
    return_to: Option<&str>,
) -> Result<Response, PortalError> {
    exchange.clear_cookie(CookieKind::Flow);
    page(exchange, refusal::status(refused), Shown { login, return_to, alert: Some(Alert::of(refused)) })
}

/// The length of `text` in HTML.
fn escaped_len(text: &str) -> usize {
    escaped(text).len()
}

#[cfg(test)]
impl super::view::Samples for LoginPage {
    fn samples() -> Vec<(String, Self)> {
        use std::time::Duration;

        use crate::service::login::Refusal;
        let sample = |name: &str, login: &str, alert: Option<Alert>| {
            let page = Self {
                action: "/.sekisho/login".to_owned(),
                csrf: "x".repeat(43),
                return_to: "/orders?page=2&sort=\"><script>".to_owned(),
                login: login.to_owned(),
                padding: " ".repeat(LOGIN_ROOM - escaped_len(login)),
                forgot: (name != "signed-out").then(|| "/.sekisho/password/forgot".to_owned()),
                alert,
            };
            (name.to_owned(), page)
        };
        let wait = Duration::from_secs(840);
        vec![
            sample("plain", "", None),
            sample("wrong", "alice", Some(Alert::of(Refusal::InvalidCredentials))),
            sample("too-many", "<b>\"'&", Some(Alert::of(Refusal::TooManyAttempts { retry_after: wait }))),
            sample("too-many-s", "", Some(Alert::of(Refusal::TooManyAttempts { retry_after: Duration::from_secs(1) }))),
            sample("too-many-h", "", Some(Alert::of(Refusal::TooManyAttempts { retry_after: wait * 10 }))),
            sample("locked", "alice", Some(Alert::of(Refusal::Locked))),
            sample("restart", "alice", notice("restart")),
            sample("signed-out", "", notice("signed-out")),
            sample("cancelled", "", notice("cancelled")),
            sample("confirm", "alice", notice("confirm")),
            sample("password-reset", "alice", notice("password-reset")),
            sample("held", "", notice("held")),
            sample("expired", "alice", Some(Alert::form_expired())),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::view::{Samples, Site, render};
    use super::*;
    use crate::config::Language;

    #[test]
    fn the_page_is_equally_long_for_every_login() {
        let site = Site::sample(Language::En);
        let of = |login: &str| {
            let (_, mut page) = LoginPage::samples().remove(0);
            page.login = login.to_owned();
            page.padding = " ".repeat(LOGIN_ROOM - escaped_len(login));
            render(&Site::sample_portal(Language::En), Language::En, &site, &page).unwrap().len()
        };
        assert_eq!(of("alice"), of("bob"));
        assert_eq!(of("alice"), of("<'\"&>"));
    }
}
