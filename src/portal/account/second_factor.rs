//! `/account/second-factor`: setting an app up, taking another one, giving the second factor up where nobody asks for it (F4,
//! F5, F29).

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::{back_to, lead_on};
use crate::authn::user::Method;
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::moment::Moment;
use crate::portal::nav::{Nav, Room};
use crate::portal::person::{self, Person};
use crate::portal::refusal::Alert;
use crate::portal::view::Page;
use crate::service::Services;
use crate::service::cookies::CookieKind;
use crate::service::login::{Step, Wish};
use crate::service::own::{Outcome, OwnView};

/// The page.
#[derive(Debug, Serialize)]
pub struct OwnFactorPage {
    nav: Nav,
    alert: Option<Alert>,
    csrf: String,
    method: Method,
    usable: bool,
    asked_for: bool,
    required: bool,
    email: Option<String>,
    enrolled: Option<Moment>,
    /// The actions, where they are possible.
    app: Option<String>,
    switch_on: Option<String>,
    give_up: Option<String>,
    back: String,
}

impl Page for OwnFactorPage {
    const TEMPLATE: &'static str = "account/second_factor.html";
}

const FORM: &str = "second-factor";
const HERE: &str = "/account/second-factor";
const DONE: &[(&str, &str)] =
    &[("removed", "done-factor-removed"), ("on", "done-factor-on"), ("confirmed", "done-confirmed")];

/// `GET /account/second-factor`
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let (exchange, person) = match person::signed_in(&services, exchange).await {
        Ok(signed_in) => signed_in,
        Err(answer) => return Ok(*answer),
    };
    let alert = super::done(&exchange, DONE);
    page(&services, exchange, &person, StatusCode::OK, alert).await
}

/// `POST /account/second-factor/app`: the key of another app is shown, which counts once its first code proves it.
pub async fn app(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (exchange, person, _) = match person::form(&services, exchange, body, FORM).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    let back = exchange.page_path(HERE);
    let outcome = services.enrolment.another_app(&exchange.visit, &back).await?;
    answer(&services, exchange, &person, outcome, Wish::AnotherApp).await
}

/// `POST /account/second-factor/on`
pub async fn on(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (mut exchange, person, _) = match person::form(&services, exchange, body, FORM).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    match services.own.switch_factor_on(&exchange.visit, exchange.user_agent()).await? {
        Outcome::Done(session) => {
            exchange.set_cookie(CookieKind::Session, &session);
            Ok(back_to(exchange, HERE, "on"))
        }
        other => answer(&services, exchange, &person, other.not_done(), Wish::Anything).await,
    }
}

/// `POST /account/second-factor/remove`
pub async fn remove(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (mut exchange, person, _) = match person::form(&services, exchange, body, FORM).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    match services.own.give_up_factor(&exchange.visit, exchange.user_agent()).await? {
        Outcome::Done(session) => {
            exchange.set_cookie(CookieKind::Session, &session);
            Ok(back_to(exchange, HERE, "removed"))
        }
        other => answer(&services, exchange, &person, other.not_done(), Wish::Anything).await,
    }
}

async fn answer(
    services: &Services,
    exchange: Exchange,
    person: &Person,
    outcome: Outcome<Step>,
    wish: Wish,
) -> Result<Response, PortalError> {
    match lead_on(exchange, outcome, wish, HERE) {
        Ok(answer) => Ok(answer),
        Err(refused) => {
            let (mut exchange, why) = *refused;
            let (status, alert) = super::refused(&mut exchange, why);
            page(services, exchange, person, status, Some(alert)).await
        }
    }
}

async fn page(
    services: &Services,
    mut exchange: Exchange,
    person: &Person,
    status: StatusCode,
    alert: Option<Alert>,
) -> Result<Response, PortalError> {
    exchange.here(HERE, None);
    let Some(view) = services.own.view(&exchange.visit).await? else {
        let back = exchange.page_path(HERE);
        return Ok(exchange.redirect_to_login(&back, None));
    };
    let csrf = person.form_token(&mut exchange, FORM)?;
    let nav = Nav::new(&mut exchange, person, Room::Account)?;
    let page = OwnFactorPage::of(nav, alert, csrf, &view, |below| exchange.page_path(below));
    Ok(exchange.page(status, &page))
}

impl OwnFactorPage {
    fn of(nav: Nav, alert: Option<Alert>, csrf: String, view: &OwnView, path: impl Fn(&str) -> String) -> Self {
        let factor = &view.factor;
        Self {
            nav,
            alert,
            csrf,
            method: factor.method,
            usable: factor.usable,
            asked_for: factor.asked_for,
            required: factor.required,
            email: view.email.as_ref().map(ToString::to_string),
            enrolled: factor.enrolled_at.map(Moment::of),
            app: factor.app_possible.then(|| path("/account/second-factor/app")),
            switch_on: factor.switch_possible.then(|| path("/account/second-factor/on")),
            give_up: (factor.usable && !factor.required && !factor.switch_possible)
                .then(|| path("/account/second-factor/remove")),
            back: path("/account"),
        }
    }
}

#[cfg(test)]
impl crate::portal::view::Samples for OwnFactorPage {
    fn samples() -> Vec<(String, Self)> {
        use crate::clock::Timestamp;
        use crate::service::own::{FactorView, Obstacle};
        let sample = |name: &str, factor: FactorView, alert: Option<Alert>| {
            let view = OwnView {
                email: Some("hanako@example.com".parse().unwrap()),
                password_changed_at: None,
                factor,
                recovery_left: None,
                recovery_low: false,
                recovery_unsaved: false,
                recovery_made_at: None,
                mail: true,
            };
            let nav = Nav::sample(crate::authn::user::Role::User, Room::Account);
            let page = Self::of(nav, alert, "x".repeat(43), &view, |below| format!("/.sekisho{below}"));
            (name.to_owned(), page)
        };
        let app = FactorView {
            method: Method::Totp,
            usable: true,
            asked_for: true,
            enrolled_at: Some(Timestamp::from_secs(1_790_000_015)),
            required: true,
            app_possible: true,
            switch_possible: false,
        };
        let none = FactorView { usable: false, asked_for: false, enrolled_at: None, required: false, ..app };
        let mail = FactorView { method: Method::Mail, enrolled_at: None, ..app };
        vec![
            sample("app", app, None),
            sample("app-optional", FactorView { required: false, ..app }, Some(Alert::notice("done-confirmed"))),
            sample("none", none, Some(Alert::notice("done-factor-removed"))),
            sample("not-in-use", FactorView { app_possible: false, ..none }, Some(super::obstacle(Obstacle::NotInUse))),
            sample("mail", mail, Some(super::obstacle(Obstacle::FactorRequired))),
            sample(
                "mail-wait",
                mail,
                Some(super::obstacle(Obstacle::TooManyMails(std::time::Duration::from_secs(60)))),
            ),
            sample("mail-on", FactorView { required: false, ..mail }, Some(Alert::notice("done-factor-on"))),
            sample(
                "mail-off",
                FactorView { required: false, asked_for: false, switch_possible: true, ..mail },
                Some(super::obstacle(Obstacle::NoSecondFactor)),
            ),
        ]
    }
}
