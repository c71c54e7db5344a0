//! The login that a browser is in the middle of, as the pages of its steps find it.

use axum::body::Body;
use axum::response::Response;

use super::error::PortalError;
use super::exchange::Exchange;
use super::form::Fields;
use super::{guard, login, step};
use crate::secret::Token;
use crate::service::Services;
use crate::service::login::{FlowView, Refusal, Stage};

/// A login that stands at the step of the page that was asked for.
pub struct Pending {
    pub exchange: Exchange,
    pub flow: Token,
    pub view: FlowView,
}

/// The page of the step `stage`, asked for. The answer instead leads to where the login stands.
///
/// # Errors
/// Where the store cannot tell.
pub async fn page(
    services: &Services,
    exchange: Exchange,
    stage: Stage,
) -> Result<Result<Pending, Box<Response>>, PortalError> {
    let exchange = match guard::page(exchange) {
        Ok(exchange) => exchange,
        Err(answer) => return Ok(Err(answer)),
    };
    match of(services, &exchange).await? {
        Some((flow, view)) => Ok(at(stage, Pending { exchange, flow, view })),
        None => Ok(Err(Box::new(none(exchange)))),
    }
}

/// Its form, posted. The token is the page's to check. The answer instead says that the login is over, or leads to where it stands.
///
/// # Errors
/// Where the store cannot tell.
pub async fn form(
    services: &Services,
    exchange: Exchange,
    body: Body,
    stage: Stage,
) -> Result<Result<(Pending, Fields), Box<Response>>, PortalError> {
    let (exchange, fields) = match guard::form(exchange, body).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(Err(answer)),
    };
    match of(services, &exchange).await? {
        Some((flow, view)) => Ok(at(stage, Pending { exchange, flow, view }).map(|pending| (pending, fields))),
        None => Ok(Err(Box::new(login::over(exchange, Refusal::RestartLogin, "", None)?))),
    }
}

fn at(stage: Stage, pending: Pending) -> Result<Pending, Box<Response>> {
    match pending.view.stage == stage {
        true => Ok(pending),
        false => Err(Box::new(step::to_page_of(pending.exchange, pending.view.stage))),
    }
}

/// The login that this browser is in the middle of.
///
/// # Errors
/// Where the store cannot tell.
pub async fn of(services: &Services, exchange: &Exchange) -> Result<Option<(Token, FlowView)>, PortalError> {
    let Some(flow) = exchange.visit.cookies.flow.clone() else { return Ok(None) };
    let view = services.login.view(&exchange.visit, &flow).await?;
    Ok(view.map(|view| (flow, view)))
}

/// Whoever comes to a page of a login without being in one: somebody signed in who went back, or a login that is over.
#[must_use]
pub fn none(exchange: Exchange) -> Response {
    if exchange.session().is_some() { exchange.redirect("/") } else { exchange.redirect_to_login("/", Some("restart")) }
}
