//! `/held/{id}`: a form that was kept over a login (F34). Shows its sender what will be sent (where to, and the fields' names, not what is
//! in them), with one button.
//!
//! The button's request is no forwarding yet: the answer is a [`Release`], by which the gateway makes that request into the kept one and
//! judges it like any other. A browser is first led on to the form's own address, by a redirect that keeps the method (RFC 9110 §15.4.8),
//! so that the tool's page stands where it belongs and the links on it lead where they should; there the gateway knows the request by the
//! page that it comes from, and the same is asked here once more. Who tells no such page is answered at once.

mod fields;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderValue, Method, StatusCode};
use serde::Serialize;
use std::sync::Arc;

use self::fields::Names;
use super::csrf::Form;
use super::error::PortalError;
use super::exchange::Exchange;
use super::message::{self, Kind};
use super::view::Page;
use super::{answers, guard, return_to};
use crate::authz::{Decision, Facts, NormalTarget, RawTarget, decide};
use crate::id::HeldId;
use crate::secret::Token;
use crate::service::Services;
use crate::service::denials::Denied;
use crate::service::held::{self, Found, Release, Scene};
use crate::service::session::LiveSession;

/// What the login page says of it.
pub const NOTICE: &str = "held";
/// The name that the form's token is made for.
const FORM: &str = "held";
/// The query parameter that carries the kept form's path over the login: the second factor that is asked for there is asked for once.
const FOR: &str = "for";

/// The page.
#[derive(Debug, Serialize)]
pub struct HeldPage {
    action: String,
    csrf: String,
    login: String,
    method: &'static str,
    address: String,
    fields: Names,
    /// Instead of sending it.
    home: String,
}

impl Page for HeldPage {
    const TEMPLATE: &'static str = "held.html";
    const LEADS_OUT: bool = true;
}

/// Where the button's request has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    ThisPage,
    ItsOwnAddress,
}

/// The path of the page, for a form that was sent to `target`.
#[must_use]
pub fn path(exchange: &Exchange, id: HeldId, target: &NormalTarget) -> String {
    exchange.page_path(&format!("{}{id}?{FOR}={}", held::PAGES, return_to::encoded(target.path())))
}

/// Where the form of this page (below the portal's path, without the slash) goes, as far as its address says so.
#[must_use]
pub fn leads_to(page: &str, query: Option<&str>) -> Option<String> {
    format!("/{page}").starts_with(held::PAGES).then_some(())?;
    super::form::Fields::of_query(query).get(FOR).filter(|path| path.starts_with('/')).map(str::to_owned)
}

/// `GET /held/{id}`
pub async fn show(
    State(services): State<Services>,
    Path(id): Path<String>,
    exchange: Exchange,
) -> Result<Response, PortalError> {
    let exchange = match guard::page(exchange) {
        Ok(exchange) => exchange,
        Err(answer) => return Ok(*answer),
    };
    let (mut exchange, sender) = match open(&services, exchange, id.parse().ok()).await? {
        Ok(opened) => opened,
        Err(answer) => return Ok(*answer),
    };
    let Sender { found, token, login, target } = sender;
    let query = format!("{FOR}={}", return_to::encoded(target.path()));
    exchange.here_with(&format!("{}{}", held::PAGES, found.id), query);
    let page = HeldPage {
        action: exchange.page_path(&format!("{}{}", held::PAGES, found.id)),
        csrf: exchange.form_token(Form::Own { form: FORM, session: &token })?,
        login,
        method: "POST",
        address: format!("{}{}", exchange.visit.own_origin(), target.path_and_query()),
        fields: Names::of(&found.form).await,
        home: "/".to_owned(),
    };
    Ok(exchange.page(StatusCode::OK, &page))
}

/// `POST /held/{id}`
pub async fn submit(
    State(services): State<Services>,
    Path(id): Path<String>,
    exchange: Exchange,
    body: Body,
) -> Result<Response, PortalError> {
    match id.parse() {
        Ok(id) => send(&services, exchange, id, body, At::ThisPage).await,
        Err(_) => Ok(message::page(exchange, Kind::FormGone)),
    }
}

/// The button was pressed.
///
/// # Errors
/// Where the store cannot.
pub async fn send(
    services: &Services,
    exchange: Exchange,
    id: HeldId,
    body: Body,
    at: At,
) -> Result<Response, PortalError> {
    let (exchange, posted) = match guard::form(exchange, body).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    let (exchange, sender) = match open(services, exchange, Some(id)).await? {
        Ok(opened) => opened,
        Err(answer) => return Ok(*answer),
    };
    if !exchange.token_is_valid(Form::Own { form: FORM, session: &sender.token }, &posted) {
        return Ok(message::page(exchange, Kind::FormExpired));
    }
    let own = exchange.visit.own_origin();
    let says_its_page = held::named_by(&exchange.headers, &own, &exchange.visit.config.portal.path) == Some(id);
    match at {
        At::ItsOwnAddress if exchange.visit.target.path_and_query() != sender.found.form.target => {
            Ok(message::page(exchange, Kind::ForeignForm))
        }
        At::ThisPage if says_its_page => match HeaderValue::from_str(&sender.found.form.target) {
            Ok(there) => Ok(exchange.finish((StatusCode::TEMPORARY_REDIRECT, [(LOCATION, there)]).into_response())),
            Err(_) => Ok(message::page(exchange, Kind::BadRequest)),
        },
        At::ThisPage | At::ItsOwnAddress => {
            let mut response = StatusCode::NO_CONTENT.into_response();
            response.extensions_mut().insert(Release(Arc::new(sender.found)));
            Ok(response)
        }
    }
}

/// Somebody who may send the form, as far as can be known before it is sent.
struct Sender {
    found: Found,
    /// The session cookie's value.
    token: Token,
    login: String,
    target: NormalTarget,
}

/// The form, for whom it belongs to and with nothing due where it goes; else the way there, or the page that says that it is gone.
async fn open(
    services: &Services,
    exchange: Exchange,
    id: Option<HeldId>,
) -> Result<Result<(Exchange, Sender), Box<Response>>, PortalError> {
    let Some(id) = id else { return Ok(Err(Box::new(message::page(exchange, Kind::FormGone)))) };
    let visit = &exchange.visit;
    let live = visit.session.clone().filter(|live| live.is_alive(visit.now));
    let (Some(live), Some(token)) = (live, visit.cookies.session.clone()) else {
        let carried = exchange.query.get(FOR).map(|path| format!("?{FOR}={}", return_to::encoded(path)));
        let back = exchange.page_path(&format!("{}{id}{}", held::PAGES, carried.unwrap_or_default()));
        return Ok(Err(Box::new(exchange.redirect_to_login(&back, Some(NOTICE)))));
    };
    let own = visit.own_origin();
    let scene = Scene { config: &visit.config, now: visit.now, route: None };
    let found = services.held.find(id, &live, &own, scene).await?;
    let target = found.as_ref().and_then(|found| parsed(&exchange, found));
    let (Some(found), Some(target)) = (found, target) else {
        return Ok(Err(Box::new(message::page(exchange, Kind::FormGone))));
    };
    match decision(&exchange, &live, &target) {
        Some(Decision::Forward(_)) => {}
        Some(Decision::Challenge(challenge)) => {
            let back = path(&exchange, id, &target);
            return Ok(Err(Box::new(answers::lead_to_page(services, exchange, challenge, &back).await)));
        }
        Some(Decision::Deny(denial)) => {
            services.denials.note(&exchange.visit, exchange.user_agent(), Denied::Route(denial)).await;
            return Ok(Err(Box::new(message::page(exchange, denial.into()))));
        }
        None => return Ok(Err(Box::new(message::page(exchange, Kind::NotFound)))),
    }
    services.sessions.touch_own(&live, exchange.visit.now);
    let login = live.account().login.to_string();
    Ok(Ok((exchange, Sender { found, token, login, target })))
}

/// What would become of it now. The gateway decides for itself when it is sent; this is so that nothing is spent in vain.
fn decision(exchange: &Exchange, live: &LiveSession, target: &NormalTarget) -> Option<Decision> {
    let visit = &exchange.visit;
    let routes = &visit.config.routes;
    let route = routes.get(routes.find(target, &Method::POST).ok().flatten()?)?;
    let facts = Facts { client: visit.client, websocket_origin: None };
    Some(decide(route, &facts, live.identity(route).as_ref(), visit.now))
}

fn parsed(exchange: &Exchange, found: &Found) -> Option<NormalTarget> {
    let visit = &exchange.visit;
    let authority = visit.target.authority();
    let raw =
        RawTarget { target: found.form.target.as_bytes(), authority: Some(authority.as_bytes()), secure: visit.secure };
    NormalTarget::parse(raw).ok()
}

#[cfg(test)]
impl super::view::Samples for HeldPage {
    fn samples() -> Vec<(String, Self)> {
        let sample = |name: &str, address: &str, fields: Names| {
            let page = Self {
                action: "/.sekisho/held/0123456789abcdef".to_owned(),
                csrf: "x".repeat(43),
                login: "hanako.yamada".to_owned(),
                method: "POST",
                address: address.to_owned(),
                fields,
                home: "/".to_owned(),
            };
            (name.to_owned(), page)
        };
        let long = format!("https://shop-admin.example.com/orders/{}?sort=\"><script>", "edit/".repeat(30));
        vec![
            sample(
                "form",
                "https://shop-admin.example.com/orders/1024/edit",
                Names::sample(&["status", "memo", "お届け先", "items[]"], 0),
            ),
            sample("many", &long, Names::sample(&["<b>\"'&", "a"], 17)),
            sample("none", "https://shop-admin.example.com/", Names::sample(&[], 0)),
        ]
    }
}
