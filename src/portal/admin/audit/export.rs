//! `GET /admin/audit.jsonl`: the events that the page's filter leaves, oldest first, a line of JSON each. Sent piece by piece:
//! they are never all in memory.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};

use super::listing::Listing;
use crate::authz::permission::Task;
use crate::clock::Timestamp;
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::message::{self, Kind};
use crate::portal::person;
use crate::service::Services;
use crate::service::history::{EventRow, Filter, Seek};

/// How many events go in one piece.
const PIECE: usize = 250;

/// `GET /admin/audit.jsonl`
pub async fn download(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let (exchange, _) = match person::at_least(Task::Export.least(), &services, exchange).await {
        Ok(signed_in) => signed_in,
        Err(answer) => return Ok(*answer),
    };
    let now = exchange.visit.now;
    let Ok(filter) = Listing::of(&exchange.query).filter(now) else {
        return Ok(message::page(exchange, Kind::BadRequest));
    };
    let date: String = now.to_string().chars().take_while(|character| *character != 'T').collect();
    let name = HeaderValue::from_str(&format!("attachment; filename=\"events-{date}.jsonl\""));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson")),
        (CONTENT_DISPOSITION, name.unwrap_or(HeaderValue::from_static("attachment"))),
    ];
    Ok(exchange.finish((headers, body(services, filter, now)).into_response()))
}

/// The whole text, made while it is sent. What cannot be read breaks it off: half of it must not look whole.
fn body(services: Services, filter: Filter, now: Timestamp) -> Body {
    let begin = Some(Seek::Oldest);
    let pieces = stream::unfold((services, filter, begin), move |(services, filter, seek)| async move {
        let seek = seek?;
        let page = services.history.search(&filter, &seek, PIECE, now).await;
        let next = page.as_ref().ok().and_then(|page| page.next.clone()).map(Seek::NewerThan);
        let text = page.map(|page| {
            let lines: String = page.events.iter().map(|event| EventRow::from(event).line()).collect();
            Bytes::from(lines)
        });
        Some((text.map_err(PortalError::from), (services, filter, next)))
    });
    Body::from_stream(pieces)
}
