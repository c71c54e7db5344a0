//! The page of somebody signed in who wishes another password (F29).

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::form::{self, NewPassword};
use crate::portal::assets::Asset;
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::nav::{Nav, Room};
use crate::portal::person::{self, Person};
use crate::portal::refusal::{self, Alert};
use crate::portal::view::Page;
use crate::portal::{login, step};
use crate::secret::SecretString;
use crate::service::Services;
use crate::service::login::{KnownOf, Missing, Refusal, Wish};

/// The name that the form's token is made for.
const FORM: &str = "password";

/// The page.
#[derive(Debug, Serialize)]
pub struct OwnPage {
    nav: Nav,
    action: String,
    csrf: String,
    new_password: NewPassword,
    /// Whether the one they have was wrong.
    wrong: bool,
    alert: Option<Alert>,
    back: String,
}

impl Page for OwnPage {
    const TEMPLATE: &'static str = "password/own.html";

    fn script(&self) -> Option<&'static Asset> {
        Some(form::script())
    }
}

/// `GET`
pub async fn show(services: &Services, exchange: Exchange) -> Result<Response, PortalError> {
    let (exchange, person) = match person::signed_in(services, exchange).await {
        Ok(signed_in) => signed_in,
        Err(answer) => return Ok(*answer),
    };
    if let Some(Missing::Code) = services.login.missing(&exchange.visit, Wish::NewPassword).await? {
        return ask_for_code(services, exchange).await;
    }
    page(exchange, &person, StatusCode::OK, None)
}

/// The password is a factor: the other one is given first, unless it was a moment ago.
async fn ask_for_code(services: &Services, exchange: Exchange) -> Result<Response, PortalError> {
    let back = exchange.page_path("/password");
    match step::taken(services.login.confirm_code(&exchange.visit, &back).await?) {
        Ok(advance) => Ok(step::lead_on(exchange, advance)),
        Err(_) => {
            let account = exchange.page_path("/account");
            Ok(exchange.redirect_to_login(&account, Some("restart")))
        }
    }
}

/// `POST`
pub async fn submit(services: &Services, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (mut exchange, person, mut fields) = match person::form(services, exchange, body, FORM).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    if let Some(Missing::Code) = services.login.missing(&exchange.visit, Wish::NewPassword).await? {
        return ask_for_code(services, exchange).await;
    }
    let current = SecretString::from(fields.take("current"));
    let new = match form::typed(&mut fields) {
        Ok(new) => new,
        Err(alert) => return page(exchange, &person, StatusCode::BAD_REQUEST, Some(alert)),
    };
    let user_agent = exchange.user_agent();
    let step = match services.login.change_own_password(&exchange.visit, user_agent, current, new).await? {
        Ok(step) => step,
        Err(weakness) => return page(exchange, &person, StatusCode::BAD_REQUEST, Some(form::alert(weakness))),
    };
    match step::taken(step) {
        Ok(step::Advance::SignedIn(signed_in)) => {
            step::keep(&mut exchange, &signed_in);
            let path = format!("{}?done=password", exchange.page_path("/account"));
            Ok(exchange.redirect(&path))
        }
        Ok(advance) => Ok(step::lead_on(exchange, advance)),
        Err(Refusal::RestartLogin) => login::over(exchange, Refusal::RestartLogin, "", None),
        Err(refused) => {
            if let Some(wait) = refusal::retry_after(refused) {
                exchange.retry_after(wait);
            }
            let alert = match refused {
                Refusal::InvalidCredentials => Alert::problem("password-current-wrong"),
                refused => Alert::of(refused),
            };
            page(exchange, &person, refusal::status(refused), Some(alert))
        }
    }
}

fn page(
    mut exchange: Exchange,
    person: &Person,
    status: StatusCode,
    alert: Option<Alert>,
) -> Result<Response, PortalError> {
    exchange.here("/password", None);
    let account = &person.account;
    let known = KnownOf {
        login: account.login.to_string(),
        name: account.name.to_string(),
        email: account.email.as_ref().map(ToString::to_string).unwrap_or_default(),
    };
    let page = OwnPage {
        nav: Nav::new(&mut exchange, person, Room::Account)?,
        action: exchange.page_path("/password"),
        csrf: person.form_token(&mut exchange, FORM)?,
        new_password: NewPassword::of(&exchange.visit.config, &known, true, alert.as_ref()),
        wrong: alert.as_ref().is_some_and(|alert| alert.key == "password-current-wrong"),
        alert,
        back: exchange.page_path("/account"),
    };
    Ok(exchange.page(status, &page))
}

#[cfg(test)]
impl crate::portal::view::Samples for OwnPage {
    fn samples() -> Vec<(String, Self)> {
        use std::time::Duration;

        let sample = |name: &str, alert: Option<Alert>| {
            let page = Self {
                nav: Nav::sample(crate::authn::user::Role::User, Room::Account),
                action: "/.sekisho/password".to_owned(),
                csrf: "x".repeat(43),
                new_password: NewPassword::sample(true, alert.as_ref()),
                wrong: name == "wrong",
                alert,
                back: "/.sekisho/account".to_owned(),
            };
            (name.to_owned(), page)
        };
        let too_many = Alert::of(Refusal::TooManyAttempts { retry_after: Duration::from_secs(600) });
        vec![
            sample("plain", None),
            sample("wrong", Some(Alert::problem("password-current-wrong"))),
            sample("too-many", Some(too_many)),
            sample("leaked", Some(form::alert(crate::authn::password::Weakness::Leaked))),
        ]
    }
}
