//! `GET /account`: who one is here, how one signs in, and where: each with the way to change it.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use crate::authn::user::Method;
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::moment::Moment;
use crate::portal::nav::{Nav, Room};
use crate::portal::person;
use crate::portal::refusal::Alert;
use crate::portal::view::Page;
use crate::service::Services;
use crate::service::own::OwnView;

/// The page.
#[derive(Debug, Serialize)]
pub struct AccountPage {
    nav: Nav,
    alert: Option<Alert>,
    login: String,
    /// Empty where the account has none.
    name: String,
    email: Option<String>,
    password_changed: Option<Moment>,
    factor: Factor,
    /// `None`: there are none, and nothing that they could stand in for.
    recovery: Option<Recovery>,
    devices: usize,
    sessions: usize,
    /// How many tools ask this account for something, and for how many there is something.
    tools: usize,
    tools_stored: usize,
    links: Links,
}

#[derive(Debug, Serialize)]
struct Factor {
    method: Method,
    usable: bool,
    asked_for: bool,
}

#[derive(Debug, Serialize)]
struct Recovery {
    left: usize,
    low: bool,
    unsaved: bool,
}

#[derive(Debug, Serialize)]
struct Links {
    email: String,
    password: String,
    second_factor: String,
    recovery_codes: String,
    devices: String,
    sessions: String,
    tools: String,
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
    let now = exchange.visit.now;
    let Some(view) = services.own.view(&exchange.visit).await? else {
        let back = exchange.page_path("/account");
        return Ok(exchange.redirect_to_login(&back, None));
    };
    let config = exchange.visit.config.clone();
    let tools = services.tool_logins.tools(&config, person.account.id, Some(&person.account), now).await?;
    let page = AccountPage {
        nav: Nav::new(&mut exchange, &person, Room::Account)?,
        alert: super::done(&exchange, &[("password", "done-password")]),
        login: person.account.login.to_string(),
        name: person.account.name.to_string(),
        email: view.email.as_ref().map(ToString::to_string),
        password_changed: view.password_changed_at.map(Moment::of),
        factor: Factor::of(&view),
        recovery: Recovery::of(&view),
        devices: services.devices.list(person.account.id, now).await?.len(),
        sessions: services.sessions.list(Some(person.account.id), now).await?.len(),
        tools: tools.len(),
        tools_stored: tools.iter().filter(|tool| tool.changed_at.is_some()).count(),
        links: Links::to(|below| exchange.page_path(below)),
    };
    Ok(exchange.page(StatusCode::OK, &page))
}

impl Factor {
    const fn of(view: &OwnView) -> Self {
        Self { method: view.factor.method, usable: view.factor.usable, asked_for: view.factor.asked_for }
    }
}

impl Recovery {
    fn of(view: &OwnView) -> Option<Self> {
        let left = view.recovery_left.unwrap_or_default();
        let shown = view.factor.usable || view.recovery_left.is_some();
        shown.then_some(Self { left, low: view.recovery_low, unsaved: view.recovery_unsaved })
    }
}

impl Links {
    fn to(path: impl Fn(&str) -> String) -> Self {
        Self {
            email: path("/account/email"),
            password: path("/password"),
            second_factor: path("/account/second-factor"),
            recovery_codes: path("/account/recovery-codes"),
            devices: path("/account/devices"),
            sessions: path("/account/sessions"),
            tools: path("/account/tools"),
        }
    }
}

#[cfg(test)]
impl crate::portal::view::Samples for AccountPage {
    fn samples() -> Vec<(String, Self)> {
        use crate::clock::Timestamp;
        let sample = |file: &str, factor: Factor, recovery: Option<Recovery>| {
            let bare = file == "bare";
            let page = Self {
                nav: Nav::sample(crate::authn::user::Role::Admin, Room::Account),
                alert: (file == "mail").then(|| Alert::notice("done-password")),
                login: "hanako.yamada".to_owned(),
                name: if bare { String::new() } else { "山田 花子".to_owned() },
                email: (!bare).then(|| "hanako@example.com".to_owned()),
                password_changed: (!bare).then(|| Moment::of(Timestamp::from_secs(1_790_000_015))),
                factor,
                recovery,
                devices: if bare { 0 } else { 2 },
                sessions: if bare { 1 } else { 3 },
                tools: if bare { 0 } else { 2 },
                tools_stored: usize::from(!bare),
                links: Links::to(|below| format!("/.sekisho{below}")),
            };
            (file.to_owned(), page)
        };
        let app = Factor { method: Method::Totp, usable: true, asked_for: true };
        let codes = |left, low, unsaved| Some(Recovery { left, low, unsaved });
        vec![
            sample("full", app, codes(8, false, false)),
            sample("bare", Factor { usable: false, asked_for: false, method: Method::Totp }, None),
            sample("low", Factor { usable: true, asked_for: false, method: Method::Totp }, codes(1, true, false)),
            sample("unsaved", Factor { usable: true, asked_for: true, method: Method::Totp }, codes(10, false, true)),
            sample("mail", Factor { usable: true, asked_for: true, method: Method::Mail }, codes(0, false, false)),
        ]
    }
}
