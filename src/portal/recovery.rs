//! `/second-factor/recovery`: a recovery code in place of the account's own method (F8).

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::csrf::Form;
use super::error::PortalError;
use super::exchange::Exchange;
use super::pending::{self, Pending};
use super::refusal::{self, Alert};
use super::span::Span;
use super::step::{self, Course};
use super::view::Page;
use crate::secret::Token;
use crate::service::Services;
use crate::service::login::{FlowView, Stage};

/// The page.
#[derive(Debug, Serialize)]
pub struct RecoveryPage {
    action: String,
    csrf: String,
    login: String,
    digits: u8,
    remember: Option<Span>,
    remember_ticked: bool,
    alert: Option<Alert>,
    /// To the account's own method.
    back: String,
}

impl Page for RecoveryPage {
    const TEMPLATE: &'static str = "recovery.html";
    const LEADS_OUT: bool = true;
}

/// `GET /second-factor/recovery`
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let Pending { exchange, flow, view } = match pending::page(&services, exchange, Stage::CodeDue).await? {
        Ok(pending) => pending,
        Err(answer) => return Ok(*answer),
    };
    if !view.recovery_codes {
        return Ok(step::to_page_of(exchange, view.stage));
    }
    page(exchange, StatusCode::OK, &flow, &view, false, None)
}

/// `POST /second-factor/recovery`
pub async fn submit(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (Pending { exchange, flow, view }, fields) =
        match pending::form(&services, exchange, body, Stage::CodeDue).await? {
            Ok(posted) => posted,
            Err(answer) => return Ok(*answer),
        };
    let remember = fields.get("remember").is_some();
    if !exchange.token_is_valid(Form::SecondFactor { flow: &flow }, &fields) {
        let alert = Alert::form_expired();
        return page(exchange, StatusCode::FORBIDDEN, &flow, &view, remember, Some(alert));
    }
    let code = fields.get("code").unwrap_or_default().trim();
    if code.is_empty() {
        let alert = Alert::problem("problem-code-missing");
        return page(exchange, StatusCode::BAD_REQUEST, &flow, &view, remember, Some(alert));
    }
    let step = services.login.recovery(&exchange.visit, exchange.user_agent(), &flow, code, remember).await?;
    match step::course(exchange, step, &view)? {
        Course::Onward(answer) => Ok(answer),
        Course::Again(exchange, refused) => {
            page(*exchange, refusal::status(refused), &flow, &view, remember, Some(Alert::of(refused)))
        }
    }
}

fn page(
    mut exchange: Exchange,
    status: StatusCode,
    flow: &Token,
    view: &FlowView,
    remember_ticked: bool,
    alert: Option<Alert>,
) -> Result<Response, PortalError> {
    exchange.here("/second-factor/recovery", None);
    let page = RecoveryPage {
        action: exchange.page_path("/second-factor/recovery"),
        csrf: exchange.form_token(Form::SecondFactor { flow })?,
        login: view.login.clone(),
        digits: exchange.visit.config.second_factor.recovery_codes.digits,
        remember: view.offers_remember.then(|| Span::exactly(view.recheck_interval)),
        remember_ticked,
        alert,
        back: exchange.page_path("/second-factor"),
    };
    Ok(exchange.page(status, &page))
}

#[cfg(test)]
impl super::view::Samples for RecoveryPage {
    fn samples() -> Vec<(String, Self)> {
        let sample = |name: &str, alert: Option<Alert>| {
            let page = Self {
                action: "/.sekisho/second-factor/recovery".to_owned(),
                csrf: "x".repeat(43),
                login: "hanako.yamada".to_owned(),
                digits: 8,
                remember: Some(Span::exactly(std::time::Duration::from_secs(7 * 86_400))),
                remember_ticked: false,
                alert,
                back: "/.sekisho/second-factor".to_owned(),
            };
            (name.to_owned(), page)
        };
        vec![sample("plain", None), sample("wrong", Some(Alert::of(crate::service::login::Refusal::WrongRecoveryCode)))]
    }
}
