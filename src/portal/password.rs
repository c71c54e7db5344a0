//! `/password`: another password, because the login asks for one (F22) or because somebody signed in wishes to; and a new one by
//! a link for whoever has forgotten theirs.

pub mod due;
pub mod forgot;
pub mod form;
pub mod own;
pub mod reset;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;

use super::error::PortalError;
use super::exchange::Exchange;
use super::{guard, pending, step};
use crate::service::Services;
use crate::service::login::Stage;

/// `GET /password`
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let exchange = match guard::page(exchange) {
        Ok(exchange) => exchange,
        Err(answer) => return Ok(*answer),
    };
    match pending::of(&services, &exchange).await? {
        Some((flow, view)) if view.stage == Stage::PasswordChangeDue => due::show(exchange, &flow, &view),
        Some((_, view)) if exchange.session().is_none() => Ok(step::to_page_of(exchange, view.stage)),
        _ => own::show(&services, exchange).await,
    }
}

/// `POST /password`
pub async fn submit(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let exchange = match guard::page(exchange) {
        Ok(exchange) => exchange,
        Err(answer) => return Ok(*answer),
    };
    match pending::of(&services, &exchange).await? {
        Some((flow, view)) if view.stage == Stage::PasswordChangeDue => {
            due::submit(&services, exchange, body, &flow, &view).await
        }
        Some((_, view)) if exchange.session().is_none() => Ok(step::to_page_of(exchange, view.stage)),
        _ => own::submit(&services, exchange, body).await,
    }
}
