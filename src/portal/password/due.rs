//! The page within a login: the password that was right is too old, or somebody else has set it.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::form::{self, NewPassword};
use crate::portal::assets::Asset;
use crate::portal::csrf::Form;
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::refusal::{self, Alert};
use crate::portal::step::{self, Course};
use crate::portal::view::Page;
use crate::portal::{guard, return_to};
use crate::secret::Token;
use crate::service::Services;
use crate::service::login::FlowView;

/// The page.
#[derive(Debug, Serialize)]
pub struct DuePage {
    action: String,
    csrf: String,
    login: String,
    /// Somebody else has set the one before; else it is too old.
    was_given: bool,
    new_password: NewPassword,
    alert: Option<Alert>,
    restart: String,
}

impl Page for DuePage {
    const TEMPLATE: &'static str = "password/due.html";
    const LEADS_OUT: bool = true;

    fn script(&self) -> Option<&'static Asset> {
        Some(form::script())
    }
}

/// `GET`
pub fn show(exchange: Exchange, flow: &Token, view: &FlowView) -> Result<Response, PortalError> {
    page(exchange, StatusCode::OK, flow, view, None)
}

/// `POST`
pub async fn submit(
    services: &Services,
    exchange: Exchange,
    body: Body,
    flow: &Token,
    view: &FlowView,
) -> Result<Response, PortalError> {
    let (exchange, mut fields) = match guard::form(exchange, body).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    if !exchange.token_is_valid(Form::NewPassword { flow }, &fields) {
        return page(exchange, StatusCode::FORBIDDEN, flow, view, Some(Alert::form_expired()));
    }
    let new = match form::typed(&mut fields) {
        Ok(new) => new,
        Err(alert) => return page(exchange, StatusCode::BAD_REQUEST, flow, view, Some(alert)),
    };
    let step = services.login.change_password(&exchange.visit, exchange.user_agent(), flow, new).await?;
    let step = match step {
        Ok(step) => step,
        Err(weakness) => return page(exchange, StatusCode::BAD_REQUEST, flow, view, Some(form::alert(weakness))),
    };
    match step::course(exchange, step, view)? {
        Course::Onward(answer) => Ok(answer),
        Course::Again(exchange, refused) => {
            page(*exchange, refusal::status(refused), flow, view, Some(Alert::of(refused)))
        }
    }
}

fn page(
    mut exchange: Exchange,
    status: StatusCode,
    flow: &Token,
    view: &FlowView,
    alert: Option<Alert>,
) -> Result<Response, PortalError> {
    exchange.here("/password", None);
    let return_to = return_to::encoded(&view.return_to);
    let page = DuePage {
        action: exchange.page_path("/password"),
        csrf: exchange.form_token(Form::NewPassword { flow })?,
        login: view.login.clone(),
        was_given: view.password_was_given,
        new_password: NewPassword::of(&exchange.visit.config, &view.personal, true, alert.as_ref()),
        alert,
        restart: format!("{}?return_to={return_to}", exchange.page_path("/login")),
    };
    Ok(exchange.page(status, &page))
}

#[cfg(test)]
impl crate::portal::view::Samples for DuePage {
    fn samples() -> Vec<(String, Self)> {
        let sample = |name: &str, was_given: bool, alert: Option<Alert>| {
            let page = Self {
                action: "/.sekisho/password".to_owned(),
                csrf: "x".repeat(43),
                login: "hanako.yamada".to_owned(),
                was_given,
                new_password: NewPassword::sample(true, alert.as_ref()),
                alert,
                restart: "/.sekisho/login?return_to=%2F".to_owned(),
            };
            (name.to_owned(), page)
        };
        let mut samples = vec![sample("expired", false, None), sample("given", true, None)];
        samples.extend(NewPassword::alerts().into_iter().map(|(name, alert)| sample(name, false, Some(alert))));
        samples
    }
}
