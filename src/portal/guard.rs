//! What every page that changes something asks first: may anybody sign in over this connection, and does the form come
//! from a page of ours?

use axum::body::Body;
use axum::response::Response;

use super::csrf;
use super::exchange::Exchange;
use super::form::Fields;
use super::message::{self, Kind};

/// A page that has to do with signing in, asked for.
///
/// # Errors
/// The page that says why not.
pub fn page(exchange: Exchange) -> Result<Exchange, Box<Response>> {
    if exchange.visit.may_sign_in { Ok(exchange) } else { Err(Box::new(message::page(exchange, Kind::PlainHttp))) }
}

/// A form that was posted. Its token is the page's to check: the page knows what it is bound to.
///
/// # Errors
/// The page that says why not.
pub async fn form(exchange: Exchange, body: Body) -> Result<(Exchange, Fields), Box<Response>> {
    let exchange = page(exchange)?;
    if !csrf::is_from_here(&exchange.headers, &exchange.visit) {
        tracing::warn!("a form from another site was refused");
        return Err(Box::new(message::page(exchange, Kind::ForeignForm)));
    }
    match Fields::read(&exchange.headers, body).await {
        Ok(fields) => Ok((exchange, fields)),
        Err(bad) => Err(Box::new(message::page(exchange, bad.into()))),
    }
}
