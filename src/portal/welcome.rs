//! `/welcome`: what somebody who has just signed in had better know, before the way goes on (F7, F8); `/enrol/again`: the
//! app set up anew by whoever came in by a recovery code.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::csrf::Form;
use super::error::PortalError;
use super::exchange::Exchange;
use super::refusal::{self, Alert};
use super::view::Page;
use super::{guard, return_to, step};
use crate::service::Services;
use crate::service::login::Refusal;

/// The page.
#[derive(Debug, Serialize)]
pub struct WelcomePage {
    alert: Option<Alert>,
    /// How many recovery codes are left, where they are few.
    recovery_left: Option<usize>,
    /// Nobody has said that they are saved.
    recovery_unsaved: bool,
    by_recovery_code: bool,
    /// The page that makes new ones.
    recovery_codes: String,
    /// The form that sets the app up anew, where that is possible.
    again: Option<Again>,
    return_to: String,
}

#[derive(Debug, Serialize)]
struct Again {
    action: String,
    csrf: String,
}

impl Page for WelcomePage {
    const TEMPLATE: &'static str = "welcome.html";
}

/// `GET /welcome`
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let exchange = match guard::page(exchange) {
        Ok(exchange) => exchange,
        Err(answer) => return Ok(*answer),
    };
    let wish = exchange.query.get("return_to").map(str::to_owned);
    page(&services, exchange, StatusCode::OK, wish.as_deref(), None).await
}

/// `POST /enrol/again`
pub async fn again(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (mut exchange, fields) = match guard::form(exchange, body).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    let return_to = return_to::path(&exchange.visit, fields.get("return_to"));
    let session = exchange.session().and(exchange.visit.cookies.session.clone());
    let Some(session) = session else { return Ok(exchange.redirect_to_login(&return_to, None)) };
    if !exchange.token_is_valid(Form::EnrolAgain { session: &session }, &fields) {
        let alert = Alert::form_expired();
        return page(&services, exchange, StatusCode::FORBIDDEN, Some(&return_to), Some(alert)).await;
    }
    let step = services.enrolment.again(&exchange.visit, &return_to).await?;
    match step::taken(step) {
        Ok(advance) => Ok(step::lead_on(exchange, advance)),
        // Not this session, or not any more: the password again, as for anybody.
        Err(Refusal::RestartLogin) => Ok(exchange.redirect_to_login(&return_to, Some("restart"))),
        Err(refused) => {
            if let Some(wait) = refusal::retry_after(refused) {
                exchange.retry_after(wait);
            }
            let alert = Alert::of(refused);
            page(&services, exchange, refusal::status(refused), Some(&return_to), Some(alert)).await
        }
    }
}

async fn page(
    services: &Services,
    mut exchange: Exchange,
    status: StatusCode,
    wish: Option<&str>,
    alert: Option<Alert>,
) -> Result<Response, PortalError> {
    let return_to = return_to::path(&exchange.visit, wish);
    let session = exchange.session().and(exchange.visit.cookies.session.clone());
    let Some(session) = session else { return Ok(exchange.redirect_to_login(&return_to, None)) };
    let Some(welcome) = services.login.welcome(&exchange.visit).await? else {
        return Ok(exchange.redirect(&return_to));
    };
    exchange.here("/welcome", Some(&return_to));
    let again = if welcome.new_app_possible {
        let csrf = exchange.form_token(Form::EnrolAgain { session: &session })?;
        Some(Again { action: exchange.page_path("/enrol/again"), csrf })
    } else {
        None
    };
    let page = WelcomePage {
        alert,
        recovery_left: welcome.recovery_left,
        recovery_unsaved: welcome.recovery_unsaved,
        recovery_codes: exchange.page_path("/account/recovery-codes"),
        by_recovery_code: welcome.by_recovery_code,
        again,
        return_to,
    };
    Ok(exchange.page(status, &page))
}

#[cfg(test)]
impl super::view::Samples for WelcomePage {
    fn samples() -> Vec<(String, Self)> {
        let sample = |name: &str, recovery_left: Option<usize>, by_recovery_code: bool, again: bool| {
            let again = again.then(|| Again { action: "/.sekisho/enrol/again".to_owned(), csrf: "x".repeat(43) });
            let page = Self {
                alert: None,
                recovery_left,
                recovery_unsaved: name.starts_with("unsaved"),
                by_recovery_code,
                recovery_codes: "/.sekisho/account/recovery-codes".to_owned(),
                again,
                return_to: "/orders".to_owned(),
            };
            (name.to_owned(), page)
        };
        vec![
            sample("low", Some(3), false, false),
            sample("recovery", None, true, true),
            sample("recovery-one", Some(1), true, true),
            sample("recovery-none", Some(0), true, true),
            sample("recovery-mail", None, true, false),
            sample("unsaved", None, false, false),
            sample("unsaved-recovery", Some(2), true, true),
        ]
    }
}
