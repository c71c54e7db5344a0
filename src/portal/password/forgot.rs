//! `/password/forgot`: asks for a link by mail. What is answered is the same for everybody.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use crate::portal::csrf::Form;
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::refusal::Alert;
use crate::portal::view::Page;
use crate::portal::{guard, message};
use crate::service::Services;
use crate::service::reset::Asked;

/// The page.
#[derive(Debug, Serialize)]
pub struct ForgotPage {
    action: String,
    csrf: String,
    /// What was asked for is under way, if there is such an account; there is no form then.
    sent: bool,
    alert: Option<Alert>,
    back: String,
}

impl Page for ForgotPage {
    const TEMPLATE: &'static str = "password/forgot.html";
}

/// `GET /password/forgot`
pub async fn show(exchange: Exchange) -> Result<Response, PortalError> {
    let exchange = match there(exchange) {
        Ok(exchange) => exchange,
        Err(answer) => return Ok(*answer),
    };
    let sent = exchange.query.get("done") == Some("sent");
    page(exchange, StatusCode::OK, sent, None)
}

/// `POST /password/forgot`
pub async fn submit(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let exchange = match there(exchange) {
        Ok(exchange) => exchange,
        Err(answer) => return Ok(*answer),
    };
    let (mut exchange, fields) = match guard::form(exchange, body).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    if !exchange.token_is_valid(Form::Forgot, &fields) {
        return page(exchange, StatusCode::FORBIDDEN, false, Some(Alert::form_expired()));
    }
    let who = fields.get("who").unwrap_or_default().trim();
    if who.is_empty() {
        return page(exchange, StatusCode::BAD_REQUEST, false, Some(Alert::problem("forgot-missing")));
    }
    match services.resets.ask(&exchange.visit, exchange.user_agent(), who).await? {
        Asked::Taken => {
            let path = format!("{}?done=sent", exchange.page_path("/password/forgot"));
            Ok(exchange.redirect(&path))
        }
        Asked::TooMany { retry_after } => {
            exchange.retry_after(retry_after);
            let alert = Alert::waiting("problem-too-many", retry_after);
            page(exchange, StatusCode::TOO_MANY_REQUESTS, false, Some(alert))
        }
    }
}

/// Where no mail can be sent there is no such page.
fn there(exchange: Exchange) -> Result<Exchange, Box<Response>> {
    let exchange = guard::page(exchange)?;
    match exchange.visit.config.mail {
        Some(_) => Ok(exchange),
        None => Err(Box::new(message::page(exchange, message::Kind::NotFound))),
    }
}

fn page(mut exchange: Exchange, status: StatusCode, sent: bool, alert: Option<Alert>) -> Result<Response, PortalError> {
    exchange.here("/password/forgot", None);
    let page = ForgotPage {
        action: exchange.page_path("/password/forgot"),
        csrf: exchange.form_token(Form::Forgot)?,
        sent,
        alert: alert.or_else(|| sent.then(|| Alert::notice("forgot-sent"))),
        back: exchange.page_path("/login"),
    };
    Ok(exchange.page(status, &page))
}

#[cfg(test)]
impl crate::portal::view::Samples for ForgotPage {
    fn samples() -> Vec<(String, Self)> {
        use std::time::Duration;

        let sample = |name: &str, sent: bool, alert: Option<Alert>| {
            let page = Self {
                action: "/.sekisho/password/forgot".to_owned(),
                csrf: "x".repeat(43),
                sent,
                alert,
                back: "/.sekisho/login".to_owned(),
            };
            (name.to_owned(), page)
        };
        vec![
            sample("plain", false, None),
            sample("sent", true, Some(Alert::notice("forgot-sent"))),
            sample("missing", false, Some(Alert::problem("forgot-missing"))),
            sample("too-many", false, Some(Alert::waiting("problem-too-many", Duration::from_secs(600)))),
        ]
    }
}
