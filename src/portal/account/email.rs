//! `/account/email`: another mail address, proved by a code to the old one and one to the new.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::{back_to, lead_on};
use crate::authn::mail_code::DIGITS;
use crate::authn::user::{Email, Method};
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::nav::{Nav, Room};
use crate::portal::person::{self, Person};
use crate::portal::refusal::Alert;
use crate::portal::span::Span;
use crate::portal::view::Page;
use crate::service::Services;
use crate::service::cookies::CookieKind;
use crate::service::login::Wish;
use crate::service::own::{AddressView, Given, Obstacle, Outcome};

/// The page.
#[derive(Debug, Serialize)]
pub struct EmailPage {
    nav: Nav,
    alert: Option<Alert>,
    csrf: String,
    /// The address as it is.
    email: Option<String>,
    /// The mailbox is the second factor.
    is_factor: bool,
    /// Whether mails can be sent at all.
    possible: bool,
    /// What was typed into the form for a new one.
    typed: String,
    pending: Option<Pending>,
    begin: String,
    back: String,
}

/// A change that waits for its codes.
#[derive(Debug, Serialize)]
struct Pending {
    to: String,
    /// Masked; `None`: there is no old address.
    from: Option<String>,
    digits: u8,
    lifetime: Span,
    wait: Option<Span>,
    wrong_old: bool,
    wrong_new: bool,
    prove: String,
    resend: String,
    cancel: String,
}

impl Page for EmailPage {
    const TEMPLATE: &'static str = "account/email.html";
}

const FORM: &str = "email";
const HERE: &str = "/account/email";
const DONE: &[(&str, &str)] = &[
    ("changed", "done-address"),
    ("sent", "done-address-sent"),
    ("cancelled", "done-address-cancelled"),
    ("confirmed", "done-confirmed"),
];

/// What is on the page beside what the services tell.
#[derive(Default)]
struct Shown {
    alert: Option<Alert>,
    typed: String,
    wrong_old: bool,
    wrong_new: bool,
}

impl Shown {
    fn saying(alert: Alert) -> Self {
        Self { alert: Some(alert), ..Self::default() }
    }
}

/// `GET /account/email`
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let (exchange, person) = match person::signed_in(&services, exchange).await {
        Ok(signed_in) => signed_in,
        Err(answer) => return Ok(*answer),
    };
    let shown = Shown { alert: super::done(&exchange, DONE), ..Shown::default() };
    page(&services, exchange, &person, StatusCode::OK, shown).await
}

/// `POST /account/email`
pub async fn begin(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (exchange, person, mut fields) = match person::form(&services, exchange, body, FORM).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    let typed = fields.take("email");
    let Ok(to) = typed.parse::<Email>() else {
        let shown = Shown { typed, ..Shown::saying(Alert::problem("problem-address")) };
        return page(&services, exchange, &person, StatusCode::BAD_REQUEST, shown).await;
    };
    match services.own.begin_address_change(&exchange.visit, &to).await? {
        Outcome::Done(()) => Ok(back_to(exchange, HERE, "sent")),
        other => answer(&services, exchange, &person, other, typed).await,
    }
}

/// `POST /account/email/resend`
pub async fn resend(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (exchange, person, _) = match person::form(&services, exchange, body, FORM).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    match services.own.resend_address_codes(&exchange.visit).await? {
        Outcome::Done(()) => Ok(back_to(exchange, HERE, "sent")),
        other => answer(&services, exchange, &person, other, String::new()).await,
    }
}

/// `POST /account/email/cancel`
pub async fn cancel(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (exchange, _, _) = match person::form(&services, exchange, body, FORM).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    services.own.cancel_address_change(&exchange.visit).await?;
    Ok(back_to(exchange, HERE, "cancelled"))
}

/// `POST /account/email/confirm`
pub async fn prove(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (mut exchange, person, fields) = match person::form(&services, exchange, body, FORM).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    let (old, new) = (fields.get("old_code").unwrap_or_default(), fields.get("new_code").unwrap_or_default());
    let given = services.own.prove_address(&exchange.visit, exchange.user_agent(), old, new).await?;
    let (status, key) = match given {
        Given::Done(session) => {
            exchange.set_cookie(CookieKind::Session, &session);
            return Ok(back_to(exchange, HERE, "changed"));
        }
        Given::Wrong { old: true, new: true } => (StatusCode::UNAUTHORIZED, "problem-address-codes"),
        Given::Wrong { old: true, .. } => (StatusCode::UNAUTHORIZED, "problem-address-old-code"),
        Given::Wrong { .. } => (StatusCode::UNAUTHORIZED, "problem-address-new-code"),
        Given::Expired => (StatusCode::UNAUTHORIZED, "problem-address-expired"),
        Given::TooManyTries => (StatusCode::TOO_MANY_REQUESTS, "problem-address-tries"),
        Given::Locked => (StatusCode::FORBIDDEN, "problem-address-locked"),
        Given::Gone => (StatusCode::CONFLICT, "problem-address-gone"),
    };
    let (wrong_old, wrong_new) = match given {
        Given::Wrong { old, new } => (old, new),
        _ => (false, false),
    };
    let shown = Shown { wrong_old, wrong_new, ..Shown::saying(Alert::problem(key)) };
    page(&services, exchange, &person, status, shown).await
}

async fn answer(
    services: &Services,
    mut exchange: Exchange,
    person: &Person,
    outcome: Outcome,
    typed: String,
) -> Result<Response, PortalError> {
    if let Outcome::Refused(Obstacle::TooManyMails(wait)) = &outcome {
        exchange.retry_after(*wait);
        let shown = Shown { typed, ..Shown::saying(Alert::waiting("problem-resend-wait", *wait)) };
        return page(services, exchange, person, StatusCode::TOO_MANY_REQUESTS, shown).await;
    }
    match lead_on(exchange, outcome.not_done(), Wish::Anything, HERE) {
        Ok(answer) => Ok(answer),
        Err(refused) => {
            let (mut exchange, why) = *refused;
            let (status, alert) = super::refused(&mut exchange, why);
            let shown = Shown { typed, ..Shown::saying(alert) };
            page(services, exchange, person, status, shown).await
        }
    }
}

async fn page(
    services: &Services,
    mut exchange: Exchange,
    person: &Person,
    status: StatusCode,
    shown: Shown,
) -> Result<Response, PortalError> {
    exchange.here(HERE, None);
    let Some(view) = services.own.view(&exchange.visit).await? else {
        let back = exchange.page_path(HERE);
        return Ok(exchange.redirect_to_login(&back, None));
    };
    let pending = services.own.address_change(&exchange.visit).await?;
    let page = EmailPage {
        nav: Nav::new(&mut exchange, person, Room::Account)?,
        csrf: person.form_token(&mut exchange, FORM)?,
        email: view.email.as_ref().map(ToString::to_string),
        is_factor: view.factor.method == Method::Mail,
        possible: view.mail,
        pending: pending.map(|change| Pending::of(&change, &shown, |below| exchange.page_path(below))),
        alert: shown.alert,
        typed: shown.typed,
        begin: exchange.page_path(HERE),
        back: exchange.page_path("/account"),
    };
    Ok(exchange.page(status, &page))
}

impl Pending {
    fn of(change: &AddressView, shown: &Shown, path: impl Fn(&str) -> String) -> Self {
        Self {
            to: change.to.to_string(),
            from: change.from.clone(),
            digits: DIGITS,
            lifetime: Span::exactly(change.lifetime),
            wait: (!change.resend_wait.is_zero()).then(|| Span::waiting(change.resend_wait)),
            wrong_old: shown.wrong_old,
            wrong_new: shown.wrong_new,
            prove: path("/account/email/confirm"),
            resend: path("/account/email/resend"),
            cancel: path("/account/email/cancel"),
        }
    }
}

#[cfg(test)]
impl crate::portal::view::Samples for EmailPage {
    fn samples() -> Vec<(String, Self)> {
        use std::time::Duration;
        let sample = |name: &str, pending: Option<(bool, u64)>, shown: Shown| {
            let view = |(from, wait): (bool, u64)| AddressView {
                to: "hanako.new@example.com".parse().unwrap(),
                from: from.then(|| "h••@example.com".to_owned()),
                lifetime: Duration::from_secs(1800),
                resend_wait: Duration::from_secs(wait),
            };
            let page = Self {
                nav: Nav::sample(crate::authn::user::Role::User, Room::Account),
                csrf: "x".repeat(43),
                email: (name != "first").then(|| "hanako@example.com".to_owned()),
                is_factor: name == "factor",
                possible: name != "no-mail",
                pending: pending.map(|of| Pending::of(&view(of), &shown, |below| format!("/.sekisho{below}"))),
                alert: shown.alert,
                typed: shown.typed,
                begin: "/.sekisho/account/email".to_owned(),
                back: "/.sekisho/account".to_owned(),
            };
            (name.to_owned(), page)
        };
        let saying = |key| Shown::saying(Alert::problem(key));
        let notice = |key| Shown::saying(Alert::notice(key));
        vec![
            sample("plain", None, Shown::default()),
            sample("first", None, notice("done-confirmed")),
            sample("factor", None, notice("done-address")),
            sample("no-mail", None, Shown::saying(super::obstacle(Obstacle::MailNotConfigured))),
            sample("bad", None, Shown { typed: "hanako".to_owned(), ..saying("problem-address") }),
            sample("same", None, Shown::saying(super::obstacle(Obstacle::SameAddress))),
            sample("gone", None, saying("problem-address-gone")),
            sample("nothing", None, Shown::saying(super::obstacle(Obstacle::NothingBegun))),
            sample("cancelled", None, notice("done-address-cancelled")),
            sample("sent", Some((true, 30)), notice("done-address-sent")),
            sample("sent-first", Some((false, 0)), Shown::default()),
            sample(
                "wrong",
                Some((true, 0)),
                Shown { wrong_old: true, wrong_new: true, ..saying("problem-address-codes") },
            ),
            sample("wrong-old", Some((true, 0)), Shown { wrong_old: true, ..saying("problem-address-old-code") }),
            sample("wrong-new", Some((true, 0)), Shown { wrong_new: true, ..saying("problem-address-new-code") }),
            sample("expired", Some((true, 0)), saying("problem-address-expired")),
            sample("tries", Some((true, 0)), saying("problem-address-tries")),
            sample("locked", Some((true, 0)), saying("problem-address-locked")),
            sample(
                "too-soon",
                Some((true, 20)),
                Shown::saying(Alert::waiting("problem-resend-wait", Duration::from_secs(20))),
            ),
        ]
    }
}
