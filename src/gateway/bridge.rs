//! The way to sekisho's own pages: a request becomes an `http::Request` with its [`Visit`], and the answer goes back as it is.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::header::{CONTENT_LENGTH, COOKIE, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Method, StatusCode, Version};
use http_body_util::BodyExt as _;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, OrErr as _};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

use super::context::Call;
use super::headers::spelling;
use super::shares::{Full, Share, Shares};
use super::turns::Turns;
use crate::service::held::{self, Found, Release};
use crate::service::import;
use crate::service::session::LiveSession;
use crate::service::visit::{Ask, Failure, Visit};

/// The portal as the gateway sees it.
pub type Portal = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Infallible>;

/// The portal, whose pages are made when their turn has come.
pub fn by_turns(portal: Portal, turns: Turns) -> Portal {
    Portal::new(tower::service_fn(move |request| turns.take(portal.clone().oneshot(request))))
}

/// Largest body of a form of ours (A22).
const MAX_FORM: usize = 64 * 1024;
/// How long such a body may take in all.
const FORM_TIME: Duration = Duration::from_secs(30);
/// How many bodies are read of one address at once: of those who are signed in, and of anybody else. Each is held until it is whole.
static FORMS: LazyLock<[Arc<Shares>; 2]> = LazyLock::new(|| [Shares::new(64), Shares::new(64)].map(Arc::new));
/// How many uploads are held in memory at once, some megabytes each, and how long one may take.
static UPLOADS: Semaphore = Semaphore::const_new(4);
const UPLOAD_TIME: Duration = Duration::from_secs(120);
/// Larger than any page of ours.
const MAX_PAGE: usize = 16 * 1024 * 1024;

/// What every answer carries that is not a page of the portal (A46).
const SAFE_HEADERS: [(&str, &str); 5] = [
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Type", "text/plain; charset=utf-8"),
];
/// A year: browsers that came over TLS once come over TLS from then on.
const HSTS: (&str, &str) = ("Strict-Transport-Security", "max-age=31536000");

/// Lets the portal answer, and returns the status.
///
/// # Errors
/// Where the client is gone.
pub async fn answer(
    portal: &Portal,
    call: Option<&Call>,
    session: &mut Session,
    visit: Visit,
) -> Result<StatusCode, Box<Error>> {
    match ask(portal, call, session, visit).await? {
        Answered::Shown(status) => Ok(status),
        // Nobody has asked for a form to be sent on.
        Answered::Release(_) => plain(session, StatusCode::INTERNAL_SERVER_ERROR).await,
    }
}

/// What the portal has said.
pub enum Answered {
    /// Its answer has gone out.
    Shown(StatusCode),
    /// A kept form is to be sent in the place of this request; nothing has gone out yet.
    Release(Arc<Found>),
}

/// The same where the portal may have a kept form sent.
///
/// # Errors
/// Where the client is gone.
pub async fn ask(
    portal: &Portal,
    call: Option<&Call>,
    session: &mut Session,
    mut visit: Visit,
) -> Result<Answered, Box<Error>> {
    let visitor = visit.session.clone();
    let takes_form = matches!(visit.ask, Ask::Page | Ask::SendKept(_));
    let posts = takes_form && session.req_header().method == Method::POST;
    if posts && names_a_kept_form(&visit) {
        // Only what is held here can be followed by another body in its place.
        session.as_mut().enable_retry_buffering();
    }
    let limit = if posts { Limit::of(&visit) } else { Limit::FORM };
    // Held until the page has done with the upload.
    let place = if limit.most > MAX_FORM { UPLOADS.try_acquire().map(Some) } else { Ok(None) };
    let share = share(session, &visit, takes_form);
    let body = match visit.ask {
        _ if place.is_err() || share.is_err() => {
            visit.ask = Ask::Failure(Failure::Unavailable);
            Bytes::new()
        }
        _ if takes_form => match read_form(session, limit).await? {
            Form::Whole(body) => body,
            Form::TooLarge => {
                visit.ask = Ask::Failure(Failure::TooLarge);
                Bytes::new()
            }
            Form::TooSlow => return plain(session, StatusCode::REQUEST_TIMEOUT).await.map(Answered::Shown),
        },
        _ => Bytes::new(),
    };
    drop(share);
    let Some(request) = request(session, visit, body) else {
        return plain(session, StatusCode::BAD_REQUEST).await.map(Answered::Shown);
    };
    // A fault in a page ends that page, not the connection that it was asked over.
    let Ok(Ok(response)) = AssertUnwindSafe(portal.clone().oneshot(request)).catch_unwind().await else {
        return plain(session, StatusCode::INTERNAL_SERVER_ERROR).await.map(Answered::Shown);
    };
    if let Some(Release(found)) = response.extensions().get::<Release>() {
        return Ok(Answered::Release(Arc::clone(found)));
    }
    let (parts, body) = response.into_parts();
    let mut head = ResponseHeader::build(parts.status, Some(parts.headers.len() + 3))?;
    for (name, value) in &parts.headers {
        if name != CONTENT_LENGTH && name != TRANSFER_ENCODING {
            head.append_header(name, value)?;
        }
    }
    if body.size_hint().exact().is_none() {
        // What takes a while to send ends with the session that asked for it; what is short may be the very answer to a logout.
        if let (Some(call), Some(live)) = (call, &visitor) {
            call.lives_until(live.ended());
        }
        return pass_on(session, head, body, visitor.as_deref()).await.map(Answered::Shown);
    }
    let Ok(body) = axum::body::to_bytes(body, MAX_PAGE).await else {
        return plain(session, StatusCode::INTERNAL_SERVER_ERROR).await.map(Answered::Shown);
    };
    write(session, head, body).await.map(Answered::Shown)
}

/// The share of its address that a body takes while it is read, if one is to be read.
fn share(session: &mut Session, visit: &Visit, takes_form: bool) -> Result<Option<Share>, Full> {
    if !takes_form || session.is_body_empty() {
        return Ok(None);
    }
    let [known, unknown] = &*FORMS;
    let shares = if visit.session.is_some() { known } else { unknown };
    shares.of(visit.client).map(Some).inspect_err(|full| {
        if full.first {
            tracing::warn!(client = %visit.client, share = full.share, "as many forms on their way as one address may have");
        }
    })
}

/// Whether a form that comes is one by which a kept one may be sent.
fn names_a_kept_form(visit: &Visit) -> bool {
    let below = visit.target.matching_path().strip_prefix(visit.config.portal.path.as_str());
    matches!(visit.ask, Ask::SendKept(_)) || below.is_some_and(|below| below.starts_with(held::PAGES))
}

/// An answer without a page, for what is too broken to be shown one.
///
/// # Errors
/// Where the client is gone.
pub async fn plain(session: &mut Session, status: StatusCode) -> Result<StatusCode, Box<Error>> {
    let tls = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
    let mut head = ResponseHeader::build(status, Some(9))?;
    for (name, value) in SAFE_HEADERS.into_iter().chain(tls.then_some(HSTS)) {
        head.insert_header(name, value)?;
    }
    session.set_keepalive(None);
    // For want of room: a body would wait for the client just as what was refused.
    let body = if status == StatusCode::SERVICE_UNAVAILABLE { String::new() } else { text(status) };
    write(session, head, Bytes::from(body)).await
}

/// Leads the client to another address.
///
/// # Errors
/// Where the client is gone.
pub async fn redirect(session: &mut Session, status: StatusCode, to: &str) -> Result<StatusCode, Box<Error>> {
    let mut head = ResponseHeader::build(status, Some(8))?;
    for (name, value) in SAFE_HEADERS {
        head.insert_header(name, value)?;
    }
    head.insert_header("Location", to)?;
    write(session, head, Bytes::from(text(status))).await
}

/// Tells another proxy that it may pass a request on, and as whose.
///
/// # Errors
/// Where the client is gone.
pub async fn told(session: &mut Session, headers: Vec<(HeaderName, HeaderValue)>) -> Result<StatusCode, Box<Error>> {
    let mut head = ResponseHeader::build(StatusCode::NO_CONTENT, Some(headers.len() + 4))?;
    for (name, value) in SAFE_HEADERS.into_iter().filter(|(name, _)| *name != "Content-Type") {
        head.insert_header(name, value)?;
    }
    for (name, value) in headers {
        head.insert_header(spelling::title(&name), value)?;
    }
    write(session, head, Bytes::new()).await
}

/// The same as bytes, for a connection that Pingora never saw.
pub fn plain_answer(status: u16, tls: bool) -> Vec<u8> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let body = text(status);
    let mut head = format!("HTTP/1.1 {status}\r\n");
    for (name, value) in SAFE_HEADERS.into_iter().chain(tls.then_some(HSTS)) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()));
    head.into_bytes()
}

fn text(status: StatusCode) -> String {
    format!("{}\n", status.canonical_reason().unwrap_or("Error"))
}

async fn write(session: &mut Session, mut head: ResponseHeader, body: Bytes) -> Result<StatusCode, Box<Error>> {
    let status = head.status;
    let bodiless = session.req_header().method == Method::HEAD
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if status != StatusCode::NO_CONTENT {
        head.insert_header("Content-Length", body.len())?;
    }
    let end = bodiless || body.is_empty();
    session.write_response_header(Box::new(head), end).await?;
    if !end {
        session.write_response_body(Some(body), true).await?;
    }
    Ok(status)
}

/// Passes on what is made while it is sent, as a list that is too long to be held. What breaks off there breaks off here.
async fn pass_on(
    session: &mut Session,
    mut head: ResponseHeader,
    mut body: Body,
    visitor: Option<&LiveSession>,
) -> Result<StatusCode, Box<Error>> {
    let role = |live: &LiveSession| live.account().role;
    let began_as = visitor.map(role);
    let status = head.status;
    let end = session.req_header().method == Method::HEAD;
    match session.req_header().version {
        Version::HTTP_11 => head.insert_header(TRANSFER_ENCODING, "chunked")?,
        // Its end is the connection's.
        Version::HTTP_10 => session.set_keepalive(None),
        _ => {}
    }
    session.write_response_header(Box::new(head), end).await?;
    if end {
        return Ok(status);
    }
    while let Some(piece) = body.frame().await {
        let piece = piece.or_err(ErrorType::InternalError, "an answer of sekisho's own broke off")?;
        if visitor.map(role) != began_as {
            return Error::e_explain(ErrorType::InternalError, "whom it is sent to has another role by now");
        }
        if let Ok(piece) = piece.into_data() {
            session.write_response_body(Some(piece), false).await?;
        }
    }
    session.write_response_body(None, true).await?;
    Ok(status)
}

/// A body that was read, or not.
pub enum Form {
    Whole(Bytes),
    TooLarge,
    TooSlow,
}

/// How much is read of a body, and for how long.
#[derive(Clone, Copy)]
pub struct Limit {
    pub most: usize,
    pub time: Duration,
}

impl Limit {
    const FORM: Self = Self { most: MAX_FORM, time: FORM_TIME };

    /// A form, unless this visitor may upload a list here.
    fn of(visit: &Visit) -> Self {
        import::may_upload(visit).map_or(Self::FORM, |most| Self { most, time: UPLOAD_TIME })
    }
}

/// Reads a body as a whole, within this limit.
///
/// # Errors
/// Where the client is gone.
pub async fn read_form(session: &mut Session, limit: Limit) -> Result<Form, Box<Error>> {
    let Limit { most, time } = limit;
    if session.is_body_empty() {
        return Ok(Form::Whole(Bytes::new()));
    }
    let announced = session.get_header(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > most as u64) {
        return Ok(Form::TooLarge);
    }
    if session.get_header_bytes("expect").eq_ignore_ascii_case(b"100-continue") {
        session.write_continue_response().await?;
    }
    let reading = async {
        let mut body = BytesMut::new();
        while let Some(piece) = session.read_request_body().await? {
            if body.len() + piece.len() > most {
                return Ok(Form::TooLarge);
            }
            body.extend_from_slice(&piece);
        }
        Ok(Form::Whole(body.freeze()))
    };
    timeout(time, reading).await.unwrap_or(Ok(Form::TooSlow))
}

fn request(session: &Session, visit: Visit, body: Bytes) -> Option<http::Request<Body>> {
    let mut request = http::Request::new(Body::from(body));
    *request.method_mut() = session.req_header().method.clone();
    *request.uri_mut() = visit.target.path_and_query().parse().ok()?;
    let headers = request.headers_mut();
    headers.clone_from(&session.req_header().headers);
    // The portal has sekisho's cookies from the visit, and the tool's are no business of its.
    headers.remove(COOKIE);
    request.extensions_mut().insert(visit);
    Some(request)
}
