//! `/account/sessions`: where one is signed in; ending that in one place, or everywhere else.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::back_to;
use crate::id::SessionId;
use crate::portal::browser_name::browser_name;
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::moment::Moment;
use crate::portal::nav::{Nav, Room};
use crate::portal::person::{self, Person};
use crate::portal::refusal::Alert;
use crate::portal::view::Page;
use crate::service::Services;
use crate::service::actor::Actor;
use crate::service::session::SessionView;

/// The page.
#[derive(Debug, Serialize)]
pub struct SessionsPage {
    nav: Nav,
    alert: Option<Alert>,
    csrf: String,
    sessions: Vec<Row>,
    end: String,
    end_others: String,
    back: String,
}

#[derive(Debug, Serialize)]
struct Row {
    id: String,
    /// Empty where nothing is known.
    browser: String,
    address: String,
    begun: Moment,
    last_seen: Moment,
    here: bool,
}

impl Page for SessionsPage {
    const TEMPLATE: &'static str = "account/sessions.html";
}

const FORM: &str = "sessions";
const HERE: &str = "/account/sessions";
const DONE: &[(&str, &str)] = &[("ended", "done-session-ended"), ("others-ended", "done-sessions-ended")];

/// `GET /account/sessions`
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let (exchange, person) = match person::signed_in(&services, exchange).await {
        Ok(signed_in) => signed_in,
        Err(answer) => return Ok(*answer),
    };
    let alert = super::done(&exchange, DONE);
    page(&services, exchange, &person, StatusCode::OK, alert).await
}

/// `POST /account/sessions/end`
pub async fn end(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (exchange, person, fields) = match person::form(&services, exchange, body, FORM).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    let ended = match (&person.actor, fields.get("id").unwrap_or_default().parse::<SessionId>()) {
        (Actor::Person(own), Ok(id)) => services.sessions.end_own(id, own, exchange.visit.now).await?,
        _ => false,
    };
    if ended {
        return Ok(back_to(exchange, HERE, "ended"));
    }
    // One of somebody else's is not there, like one that never was.
    let gone = Alert::problem("problem-session-gone");
    page(&services, exchange, &person, StatusCode::NOT_FOUND, Some(gone)).await
}

/// `POST /account/sessions/end-others`
pub async fn end_others(
    State(services): State<Services>,
    exchange: Exchange,
    body: Body,
) -> Result<Response, PortalError> {
    let (exchange, person, _) = match person::form(&services, exchange, body, FORM).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    if let Actor::Person(own) = &person.actor {
        services.sessions.end_others(own, exchange.visit.now).await?;
    }
    Ok(back_to(exchange, HERE, "others-ended"))
}

async fn page(
    services: &Services,
    mut exchange: Exchange,
    person: &Person,
    status: StatusCode,
    alert: Option<Alert>,
) -> Result<Response, PortalError> {
    exchange.here(HERE, None);
    let mut sessions = services.sessions.list(Some(person.account.id), exchange.visit.now).await?;
    sessions.sort_by_key(|view| std::cmp::Reverse(view.session.last_seen));
    let page = SessionsPage {
        nav: Nav::new(&mut exchange, person, Room::Account)?,
        alert,
        csrf: person.form_token(&mut exchange, FORM)?,
        sessions: sessions.iter().map(|view| Row::of(view, person.live.id())).collect(),
        end: exchange.page_path("/account/sessions/end"),
        end_others: exchange.page_path("/account/sessions/end-others"),
        back: exchange.page_path("/account"),
    };
    Ok(exchange.page(status, &page))
}

impl Row {
    fn of(view: &SessionView, here: SessionId) -> Self {
        let session = &view.session;
        Self {
            id: session.id.to_string(),
            browser: browser_name(&session.client.user_agent),
            address: session.client.address.clone(),
            begun: Moment::of(session.created_at),
            last_seen: Moment::of(session.last_seen),
            here: session.id == here,
        }
    }
}

#[cfg(test)]
impl crate::portal::view::Samples for SessionsPage {
    fn samples() -> Vec<(String, Self)> {
        use crate::clock::Timestamp;
        let row = |browser: &str, address: &str, here| Row {
            id: "0123456789abcdef".to_owned(),
            browser: browser.to_owned(),
            address: address.to_owned(),
            begun: Moment::of(Timestamp::from_secs(1_795_300_015)),
            last_seen: Moment::of(Timestamp::from_secs(1_795_339_805)),
            here,
        };
        let sample = |name: &str, many: bool, alert: Option<Alert>| {
            let mut sessions = vec![row("Chrome, Windows", "203.0.113.7", true)];
            if many {
                sessions.push(row("Safari, iPhone", "2001:db8:85a3:8d3:1319:8a2e:370:7348", false));
                sessions.push(row("", "198.51.100.23", false));
            }
            let page = Self {
                nav: Nav::sample(crate::authn::user::Role::User, Room::Account),
                alert,
                csrf: "x".repeat(43),
                sessions,
                end: "/.sekisho/account/sessions/end".to_owned(),
                end_others: "/.sekisho/account/sessions/end-others".to_owned(),
                back: "/.sekisho/account".to_owned(),
            };
            (name.to_owned(), page)
        };
        vec![
            sample("some", true, None),
            sample("one", false, Some(Alert::notice("done-sessions-ended"))),
            sample("ended", true, Some(Alert::notice("done-session-ended"))),
            sample("gone", true, Some(Alert::problem("problem-session-gone"))),
        ]
    }
}
