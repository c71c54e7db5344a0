//! `GET /account`: who one is here, and what can be set.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::nav::{Nav, Room};
use crate::portal::person;
use crate::portal::view::Page;
use crate::service::Services;

/// The page.
#[derive(Debug, Serialize)]
pub struct AccountPage {
    nav: Nav,
    login: String,
    /// Empty where the account has none.
    name: String,
    email: Option<String>,
}

impl Page for AccountPage {
    const TEMPLATE: &'static str = "account/overview.html";
}

/// `GET /account`
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let (mut exchange, person) = match person::signed_in(&services, exchange).await {
        Ok(signed_in) => signed_in,
        Err(answer) => return Ok(*answer),
    };
    exchange.here("/account", None);
    let page = AccountPage {
        nav: Nav::new(&mut exchange, &person, Room::Account)?,
        login: person.account.login.to_string(),
        name: person.account.name.to_string(),
        email: person.account.email.as_ref().map(ToString::to_string),
    };
    Ok(exchange.page(StatusCode::OK, &page))
}

#[cfg(test)]
impl crate::portal::view::Samples for AccountPage {
    fn samples() -> Vec<(String, Self)> {
        let sample = |file: &str, name: &str, email: Option<&str>| {
            let page = Self {
                nav: Nav::sample(crate::authn::user::Role::Admin, Room::Account),
                login: "hanako.yamada".to_owned(),
                name: name.to_owned(),
                email: email.map(str::to_owned),
            };
            (file.to_owned(), page)
        };
        vec![sample("full", "山田 花子", Some("hanako@example.com")), sample("bare", "", None)]
    }
}
