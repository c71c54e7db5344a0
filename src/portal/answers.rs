//! What the gateway says through the portal: log in first, not for you, something went wrong (CONTRACT §3).
//!
//! A window is led to a page; what shows HTML gets a small page; a programme gets `application/problem+json` (RFC 9457) and
//! never a redirect (F33).

use axum::body::Body;
use axum::response::Response;
use http::header::{REFERER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use serde::Serialize;

use super::error::Trouble;
use super::exchange::Exchange;
use super::message::{self, Kind};
use super::negotiate::{self, Audience};
use super::problem::Problem;
use super::view::Page;
use super::{headers, held, refusal, return_to, sign_on, step};
use crate::authz::{Challenge, Denial, Place};
use crate::service::Services;
use crate::service::denials::Denied;
use crate::service::login::Refusal;
use crate::service::visit::{Ask, BadToken, Failure, Visit};

/// Answers a request that did not ask for a page of ours.
pub async fn answer(services: &Services, visit: &Visit, ask: Ask, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let audience = negotiate::audience(&parts.method, &parts.headers);
    let exchange = Exchange::new(visit.clone(), parts.method, parts.headers);
    match ask {
        // Nobody can sign in where no route names the host.
        Ask::Challenge(_) if visit.place() == Place::Unnamed => refuse(exchange, audience, Kind::NotFound),
        Ask::Challenge(_) if !visit.may_sign_in => refuse(exchange, audience, Kind::PlainHttp),
        Ask::Challenge(challenge) => match audience {
            Audience::Navigation => {
                let back = exchange.visit.target.path_and_query().to_owned();
                lead_to_page(services, exchange, challenge, &back).await
            }
            Audience::Html => small_page(exchange, challenge),
            Audience::Programme => Problem::new(StatusCode::UNAUTHORIZED, code(challenge)).answer(exchange),
        },
        Ask::Auth { challenge, redirect } => {
            if redirect && !negotiate::is_part_of_a_page(&exchange.headers) {
                let back = exchange.visit.target.path_and_query().to_owned();
                return lead_to_page(services, exchange, challenge, &back).await;
            }
            match audience {
                Audience::Navigation | Audience::Html => small_page(exchange, challenge),
                Audience::Programme => Problem::new(StatusCode::UNAUTHORIZED, code(challenge)).answer(exchange),
            }
        }
        // The portal host has a page to begin at, be there a tool on it or not.
        Ask::Failure(Failure::NoRoute) | Ask::Denied(Denial::Route)
            if audience == Audience::Navigation && visit.target.path() == "/" && visit.place() == Place::Portal =>
        {
            let path = exchange.page_path("/");
            exchange.redirect(&path)
        }
        Ask::Kept(challenge, id) => {
            let back = held::path(&exchange, id, &exchange.visit.target);
            match challenge {
                Challenge::Login => exchange.redirect_to_login(&back, Some(held::NOTICE)),
                due => lead_to_page(services, exchange, due, &back).await,
            }
        }
        Ask::SendKept(id) => {
            let (method, headers) = (exchange.method.clone(), exchange.headers.clone());
            match held::send(services, exchange, id, body, held::At::ItsOwnAddress).await {
                Ok(response) => response,
                Err(error) => self::trouble(visit, method, headers, error.log()),
            }
        }
        Ask::Denied(denial) => {
            services.denials.note(&exchange.visit, exchange.user_agent(), Denied::Route(denial)).await;
            refuse(exchange, audience, denial.into())
        }
        Ask::Failure(failure) => refuse(exchange, audience, failure.into()),
        Ask::Token(bad) => bad_token(exchange, bad),
        // The router's, not ours; nothing is better than a page at the wrong place.
        Ask::Page => refuse(exchange, audience, Kind::NotFound),
    }
}

/// Only programmes show tokens: no page, and no way to a login that they could take for an answer.
fn bad_token(mut exchange: Exchange, bad: BadToken) -> Response {
    let problem = match bad {
        BadToken::Unknown => {
            // RFC 6750 §3; a challenge that no browser has a window for.
            exchange.add(WWW_AUTHENTICATE, Some(HeaderValue::from_static("Bearer error=\"invalid_token\"")));
            Problem::new(StatusCode::UNAUTHORIZED, "invalid_credentials")
        }
        BadToken::TooMany { wait } => {
            Problem { retry_after: Some(wait), ..Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts") }
        }
        BadToken::BesideSession => Problem::new(StatusCode::BAD_REQUEST, "bad_request"),
        BadToken::OwnPage | BadToken::OtherRoute => Problem::new(StatusCode::FORBIDDEN, "forbidden"),
    };
    problem.answer(exchange)
}

/// Makes the page of a page's error.
#[must_use]
pub fn trouble(visit: &Visit, method: Method, headers: HeaderMap, trouble: Trouble) -> Response {
    let audience = negotiate::audience(&method, &headers);
    let mut exchange = Exchange::new(visit.clone(), method, headers);
    if let Some(wait) = trouble.retry_after {
        exchange.retry_after(wait);
    }
    refuse(exchange, audience, trouble.kind)
}

/// Says `kind` as the audience understands it.
#[must_use]
pub fn refuse(exchange: Exchange, audience: Audience, kind: Kind) -> Response {
    match audience {
        Audience::Navigation | Audience::Html => message::page(exchange, kind),
        Audience::Programme => Problem::from(kind).answer(exchange),
    }
}

/// The `code` of CONTRACT §3.
const fn code(challenge: Challenge) -> &'static str {
    match challenge {
        Challenge::Login => "login_required",
        Challenge::SecondFactor => "second_factor_required",
        Challenge::Enrolment => "enrolment_required",
    }
}

/// Leads a window to the page of what is due, and then to `back`.
pub async fn lead_to_page(services: &Services, mut exchange: Exchange, challenge: Challenge, back: &str) -> Response {
    let destination = return_to::destination(&exchange.visit, Some(back));
    let return_to = destination.return_to.clone();
    if exchange.visit.place() == Place::Tool {
        return sign_on::begin(exchange, &return_to, None);
    }
    match challenge {
        Challenge::Login => exchange.redirect_to_login(&return_to, None),
        Challenge::Enrolment => exchange.redirect_to_login(&return_to, Some("confirm")),
        Challenge::SecondFactor => match services.login.step_up(&exchange.visit, destination).await.map(step::taken) {
            Ok(Ok(advance)) => step::lead_on(exchange, advance),
            Ok(Err(Refusal::RestartLogin)) => exchange.redirect_to_login(&return_to, Some("confirm")),
            Ok(Err(refused)) => {
                if let Some(wait) = refusal::retry_after(refused) {
                    exchange.retry_after(wait);
                }
                exchange.redirect_to_login(&return_to, Some("restart"))
            }
            Err(error) => {
                let told = super::error::PortalError::from(error).log();
                if let Some(wait) = told.retry_after {
                    exchange.retry_after(wait);
                }
                message::page(exchange, told.kind)
            }
        },
    }
}

/// The page for a frame, or for a form that cannot be sent on: a link that opens the login in the whole window.
#[derive(Debug, Serialize)]
pub struct LoginNeeded {
    href: String,
    /// Which words: somebody is signed in, and a second step is due.
    second_step: bool,
    /// A form came, and is not kept: what was typed is in the page before this one, and nowhere else.
    unsent: bool,
}

impl Page for LoginNeeded {
    const TEMPLATE: &'static str = "login_needed.html";
}

fn small_page(exchange: Exchange, challenge: Challenge) -> Response {
    let return_to = way_back(&exchange);
    let second_step = challenge != Challenge::Login;
    let href = match challenge {
        // Asked for as a window, the page itself begins the second step.
        Challenge::SecondFactor | Challenge::Enrolment => return_to,
        Challenge::Login => format!("{}?return_to={}", exchange.page_path("/login"), return_to::encoded(&return_to)),
    };
    let unsent = !exchange.method.is_safe();
    let mut response = exchange.page(StatusCode::UNAUTHORIZED, &LoginNeeded { href, second_step, unsent });
    headers::allow_own_frames(response.headers_mut());
    response
}

/// Where the person is to come back to: not to the inside of a frame, nor to a form's action, but to the page around it
/// or before it, where the browser names one of this host.
fn way_back(exchange: &Exchange) -> String {
    if exchange.method == Method::GET && !negotiate::is_framed(&exchange.headers) {
        return return_to::of_request(&exchange.visit);
    }
    return_to::path(&exchange.visit, own_referrer(exchange).as_deref())
}

fn own_referrer(exchange: &Exchange) -> Option<String> {
    let referrer = exchange.headers.get(REFERER)?.to_str().ok()?;
    let scheme = if exchange.visit.secure { "https://" } else { "http://" };
    let rest = referrer.strip_prefix(scheme)?.strip_prefix(exchange.visit.target.authority().as_str())?;
    rest.starts_with('/').then(|| rest.to_owned())
}

#[cfg(test)]
impl super::view::Samples for LoginNeeded {
    fn samples() -> Vec<(String, Self)> {
        let href = "/.sekisho/login?return_to=%2Forders".to_owned();
        vec![
            ("login".to_owned(), Self { href: href.clone(), second_step: false, unsent: false }),
            ("second-step".to_owned(), Self { href: href.clone(), second_step: true, unsent: false }),
            ("unsent".to_owned(), Self { href: href.clone(), second_step: false, unsent: true }),
            ("unsent-second-step".to_owned(), Self { href, second_step: true, unsent: true }),
        ]
    }
}
