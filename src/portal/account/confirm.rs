//! `/account/confirm`: the password, then the second factor, given again before a change that concerns them.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::nav::{Nav, Room};
use crate::portal::person::{self, Person};
use crate::portal::refusal::{self, Alert};
use crate::portal::view::Page;
use crate::portal::{return_to, step};
use crate::secret::SecretString;
use crate::service::Services;
use crate::service::login::{Missing, Refusal, Wish};

/// The page.
#[derive(Debug, Serialize)]
pub struct ConfirmPage {
    nav: Nav,
    alert: Option<Alert>,
    action: String,
    csrf: String,
    login: String,
    /// What is to be changed is the app.
    app: bool,
    return_to: String,
}

impl Page for ConfirmPage {
    const TEMPLATE: &'static str = "account/confirm.html";
}

const FORM: &str = "confirm";

/// `GET /account/confirm`
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let (exchange, person) = match person::signed_in(&services, exchange).await {
        Ok(signed_in) => signed_in,
        Err(answer) => return Ok(*answer),
    };
    let back = back(&exchange, exchange.query.get("return_to"));
    let wish = wish(exchange.query.get("for"));
    match services.login.missing(&exchange.visit, wish).await? {
        None => Ok(exchange.redirect(&back)),
        Some(Missing::Password) => page(exchange, &person, StatusCode::OK, wish, back, None),
        Some(Missing::Code) => match step::taken(services.login.confirm_code(&exchange.visit, &back).await?) {
            Ok(advance) => Ok(step::lead_on(exchange, advance)),
            Err(_) => Ok(exchange.redirect_to_login(&back, Some("restart"))),
        },
    }
}

/// `POST /account/confirm`
pub async fn submit(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (mut exchange, person, mut fields) = match person::form(&services, exchange, body, FORM).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    let password = SecretString::from(fields.take("password"));
    let back = back(&exchange, fields.get("return_to"));
    // Where the code is missing too, the page finds out by itself, with the session's new value.
    let wish = wish(fields.get("for"));
    let next = way_to_confirm(&exchange, wish, &back);
    let step = services.login.confirm_password(&exchange.visit, exchange.user_agent(), password, &next).await?;
    match step::taken(step) {
        Ok(advance) => Ok(step::lead_on(exchange, advance)),
        Err(Refusal::RestartLogin) => Ok(exchange.redirect_to_login(&back, Some("restart"))),
        Err(refused) => {
            if let Some(wait) = refusal::retry_after(refused) {
                exchange.retry_after(wait);
            }
            let alert = match refused {
                Refusal::InvalidCredentials => Alert::problem("problem-confirm-password"),
                other => Alert::of(other),
            };
            page(exchange, &person, refusal::status(refused), wish, back, Some(alert))
        }
    }
}

/// The address of this page, which leads back to `back`, a page of ours.
#[must_use]
pub fn way_to_confirm(exchange: &Exchange, wish: Wish, back: &str) -> String {
    let wish = if wish == Wish::AnotherApp { "for=app&" } else { "" };
    format!("{}?{wish}return_to={}", exchange.page_path("/account/confirm"), return_to::encoded(back))
}

/// It chooses what is asked for here; what the change itself asks for does not depend on it.
fn wish(named: Option<&str>) -> Wish {
    if named == Some("app") { Wish::AnotherApp } else { Wish::Anything }
}

/// Only ever to a page of one's own.
fn back(exchange: &Exchange, wish: Option<&str>) -> String {
    let room = exchange.page_path("/account");
    let path = return_to::path(&exchange.visit, wish);
    let below = path.strip_prefix(&room).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    if below { path } else { room }
}

fn page(
    mut exchange: Exchange,
    person: &Person,
    status: StatusCode,
    wish: Wish,
    return_to: String,
    alert: Option<Alert>,
) -> Result<Response, PortalError> {
    exchange.here("/account/confirm", Some(&return_to));
    let page = ConfirmPage {
        nav: Nav::new(&mut exchange, person, Room::Account)?,
        alert,
        action: exchange.page_path("/account/confirm"),
        csrf: person.form_token(&mut exchange, FORM)?,
        login: person.account.login.to_string(),
        app: wish == Wish::AnotherApp,
        return_to,
    };
    Ok(exchange.page(status, &page))
}

#[cfg(test)]
impl crate::portal::view::Samples for ConfirmPage {
    fn samples() -> Vec<(String, Self)> {
        let sample = |name: &str, alert: Option<Alert>| {
            let page = Self {
                nav: Nav::sample(crate::authn::user::Role::User, Room::Account),
                alert,
                action: "/.sekisho/account/confirm".to_owned(),
                csrf: "x".repeat(43),
                login: "hanako.yamada".to_owned(),
                app: name == "wrong",
                return_to: "/.sekisho/account/second-factor".to_owned(),
            };
            (name.to_owned(), page)
        };
        vec![sample("plain", None), sample("wrong", Some(Alert::problem("problem-confirm-password")))]
    }
}
