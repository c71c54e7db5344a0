//! `/second-factor`: the code of the authenticator app.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::csrf::Form;
use super::error::PortalError;
use super::exchange::Exchange;
use super::refusal::{self, Alert};
use super::span::Span;
use super::view::Page;
use super::{guard, login, return_to, step};
use crate::secret::Token;
use crate::service::Services;
use crate::service::login::{FlowView, Refusal, Stage};

/// The page.
#[derive(Debug, Serialize)]
pub struct SecondFactorPage {
    action: String,
    csrf: String,
    login: String,
    digits: u8,
    /// For how long a remembered device is spared the code; `None`: the box is not offered.
    remember: Option<Span>,
    remember_ticked: bool,
    /// Somebody signed in is asked again.
    step_up: bool,
    alert: Option<Alert>,
    /// From the start, or as somebody else.
    restart: String,
}

impl Page for SecondFactorPage {
    const TEMPLATE: &'static str = "second_factor.html";
}

/// `GET /second-factor`
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let exchange = match guard::page(exchange) {
        Ok(exchange) => exchange,
        Err(answer) => return Ok(*answer),
    };
    let Some((flow, view)) = in_progress(&services, &exchange).await? else {
        return Ok(nothing_in_progress(exchange));
    };
    match view.stage {
        Stage::CodeDue => page(exchange, StatusCode::OK, &flow, &view, false, None),
        Stage::EnrolmentDue => {
            let path = exchange.page_path("/enrol");
            Ok(exchange.redirect(&path))
        }
        Stage::RecoveryCodesShown => {
            let path = exchange.page_path("/enrol/recovery-codes");
            Ok(exchange.redirect(&path))
        }
    }
}

/// `POST /second-factor`
pub async fn submit(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (mut exchange, fields) = match guard::form(exchange, body).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    let Some((flow, view)) = in_progress(&services, &exchange).await? else {
        return login::over(exchange, Refusal::RestartLogin, "", None);
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
    let step = services.login.code(&exchange.visit, exchange.user_agent(), &flow, code, remember).await?;
    match step::taken(step) {
        Ok(advance) => Ok(step::lead_on(exchange, advance)),
        Err(refused) if refusal::ends_the_flow(refused) => {
            login::over(exchange, refused, &view.login, Some(&view.return_to))
        }
        Err(refused) => {
            if let Some(wait) = refusal::retry_after(refused) {
                exchange.retry_after(wait);
            }
            page(exchange, refusal::status(refused), &flow, &view, remember, Some(Alert::of(refused)))
        }
    }
}

/// The login that this browser is in the middle of.
///
/// # Errors
/// Where the store cannot tell.
pub async fn in_progress(services: &Services, exchange: &Exchange) -> Result<Option<(Token, FlowView)>, PortalError> {
    let Some(flow) = exchange.visit.cookies.flow.clone() else { return Ok(None) };
    let view = services.login.view(&exchange.visit, &flow).await?;
    Ok(view.map(|view| (flow, view)))
}

/// Whoever comes to a page of a login without being in one: somebody signed in who went back, or a login that is over.
#[must_use]
pub fn nothing_in_progress(exchange: Exchange) -> Response {
    if exchange.session().is_some() { exchange.redirect("/") } else { exchange.redirect_to_login("/", Some("restart")) }
}

fn page(
    mut exchange: Exchange,
    status: StatusCode,
    flow: &Token,
    view: &FlowView,
    remember_ticked: bool,
    alert: Option<Alert>,
) -> Result<Response, PortalError> {
    exchange.here("/second-factor", None);
    let return_to = return_to::encoded(&view.return_to);
    let page = SecondFactorPage {
        action: exchange.page_path("/second-factor"),
        csrf: exchange.form_token(Form::SecondFactor { flow })?,
        login: view.login.clone(),
        digits: exchange.visit.config.second_factor.totp.digits,
        remember: view.offers_remember.then(|| Span::exactly(view.recheck_interval)),
        remember_ticked,
        step_up: view.step_up,
        alert,
        restart: format!("{}?return_to={return_to}", exchange.page_path("/login")),
    };
    Ok(exchange.page(status, &page))
}

#[cfg(test)]
impl super::view::Samples for SecondFactorPage {
    fn samples() -> Vec<(String, Self)> {
        use std::time::Duration;
        let sample = |name: &str, remember: Option<u64>, step_up: bool, alert: Option<Alert>| {
            let page = Self {
                action: "/.sekisho/second-factor".to_owned(),
                csrf: "x".repeat(43),
                login: "alice".to_owned(),
                digits: 6,
                remember: remember.map(|secs| Span::exactly(Duration::from_secs(secs))),
                remember_ticked: alert.is_some(),
                step_up,
                alert,
                restart: "/.sekisho/login?return_to=%2F".to_owned(),
            };
            (name.to_owned(), page)
        };
        let wait = Duration::from_secs(900);
        vec![
            sample("plain", Some(7 * 86_400), false, None),
            sample("day", Some(86_400), false, None),
            sample("hours", Some(12 * 3600), false, None),
            sample("minutes", Some(900), false, None),
            sample("seconds", Some(30), false, None),
            sample("never", None, false, None),
            sample("step-up", Some(86_400), true, None),
            sample("wrong", Some(86_400), false, Some(Alert::of(Refusal::WrongCode { clock_hint: false }))),
            sample("clock", Some(7 * 86_400), false, Some(Alert::of(Refusal::WrongCode { clock_hint: true }))),
            sample("used", None, false, Some(Alert::of(Refusal::UsedCode))),
            sample("too-many", None, false, Some(Alert::of(Refusal::TooManyAttempts { retry_after: wait }))),
            sample("missing", None, false, Some(Alert::problem("problem-code-missing"))),
        ]
    }
}
