//! `GET /admin/audit`: who did what, when and from where: searched, page by page, newest first.

pub mod export;
mod listing;
#[cfg(test)]
mod samples;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use self::listing::{FilterView, Listing};
use crate::authz::permission::Task;
use crate::clock::Timestamp;
use crate::id::UserId;
use crate::portal::browser_name::browser_name;
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::moment::Moment;
use crate::portal::nav::{Nav, Room};
use crate::portal::person;
use crate::portal::refusal::Alert;
use crate::portal::view::Page;
use crate::service::Services;
use crate::service::history::{self, Cursor, Event, Filter, Outcome, Seek};

/// The page's path below the portal's.
const PATH: &str = "/admin/audit";
/// How many events are shown at once.
const PER_PAGE: usize = 50;

/// The page.
#[derive(Debug, Serialize)]
pub struct AuditPage {
    nav: Nav,
    alert: Option<Alert>,
    path: String,
    filter: FilterView,
    rows: Vec<Row>,
    /// The search looked at many events without filling the page: it came as far as this.
    looked_back_to: Option<Moment>,
    newest: Option<String>,
    newer: Option<String>,
    older: Option<String>,
    export: String,
}

/// One event.
#[derive(Debug, Serialize)]
struct Row {
    time: Moment,
    /// The end of its text's key.
    event: String,
    success: bool,
    login: String,
    /// To the account, where there is one.
    account: Option<String>,
    /// Who did it, where that is somebody else.
    actor: Option<String>,
    actor_account: Option<String>,
    address: String,
    browser: String,
    user_agent: String,
    route: Option<String>,
    session: Option<String>,
    reason: String,
    user_id: Option<String>,
    id: String,
}

impl Page for AuditPage {
    const TEMPLATE: &'static str = "admin/audit.html";
}

/// `GET /admin/audit`
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let (mut exchange, person) = match person::at_least(Task::See.least(), &services, exchange).await {
        Ok(signed_in) => signed_in,
        Err(answer) => return Ok(*answer),
    };
    let now = exchange.visit.now;
    let listing = Listing::of(&exchange.query);
    exchange.here_with(PATH, listing.search());
    let nav = Nav::new(&mut exchange, &person, Room::Audit)?;
    let path = exchange.page_path(PATH);
    let (status, page) = match listing.filter(now) {
        Ok(filter) => {
            let found = find(&services, &listing, &filter, now).await?;
            (StatusCode::OK, AuditPage::new(nav, path, &listing, found))
        }
        Err(problem) => {
            let page = AuditPage::new(nav, path, &listing, Found::default());
            (StatusCode::UNPROCESSABLE_ENTITY, AuditPage { alert: Some(Alert::problem(problem)), ..page })
        }
    };
    Ok(exchange.page(status, &page))
}

/// A page of events, newest first, and where the others are.
#[derive(Default)]
struct Found {
    events: Vec<Event>,
    newer: Option<Cursor>,
    older: Option<Cursor>,
}

async fn find(services: &Services, listing: &Listing, filter: &Filter, now: Timestamp) -> Result<Found, PortalError> {
    let seek = listing.seek();
    let history::Page { mut events, next } = services.history.search(filter, &seek, PER_PAGE, now).await?;
    Ok(match seek {
        Seek::NewerThan(from) => {
            events.reverse();
            // What was shown before is behind this page.
            let older = events.last().map_or(from, Cursor::of);
            Found { events, newer: next, older: Some(older) }
        }
        Seek::OlderThan(from) => {
            let newer = events.first().map_or(from, Cursor::of);
            Found { events, newer: Some(newer), older: next }
        }
        Seek::Newest | Seek::Oldest => Found { events, newer: None, older: next },
    })
}

impl AuditPage {
    fn new(nav: Nav, path: String, listing: &Listing, found: Found) -> Self {
        let accounts = path.replace(PATH, "/admin/users");
        let to = |listing: &Listing| with_query(&path, &listing.search());
        let looked_back_to = found.older.as_ref().filter(|_| found.events.len() < PER_PAGE && !listing.goes_forwards());
        Self {
            nav,
            alert: None,
            filter: listing.form(),
            looked_back_to: looked_back_to.map(|cursor| Moment::of(cursor.at())),
            newest: listing.is_elsewhere().then(|| to(&listing.newest())),
            newer: found.newer.map(|cursor| to(&listing.newer_than(cursor))),
            older: found.older.map(|cursor| to(&listing.older_than(cursor))),
            export: with_query(&format!("{path}.jsonl"), &listing.newest().search()),
            rows: found.events.iter().map(|event| Row::new(event, &accounts)).collect(),
            path,
        }
    }
}

impl Row {
    fn new(event: &Event, accounts: &str) -> Self {
        let account = |id: UserId| format!("{accounts}/{id}");
        let other = event.actor.as_ref().filter(|actor| **actor != event.login);
        Self {
            time: Moment::of(event.at),
            event: text_key(event.kind.name()),
            success: event.result == Outcome::Success,
            login: event.login.clone(),
            account: event.user.map(account),
            actor: other.cloned(),
            actor_account: event.actor_id.filter(|_| other.is_some()).map(account),
            address: event.client.address.clone(),
            browser: browser_name(&event.client.user_agent),
            user_agent: event.client.user_agent.clone(),
            route: event.route.clone(),
            session: event.session.as_ref().map(ToString::to_string),
            reason: event.detail.clone(),
            user_id: event.user.map(|id| id.to_string()),
            id: event.id.to_string(),
        }
    }
}

/// Keys of texts have dashes.
fn text_key(name: &str) -> String {
    name.replace('_', "-")
}

fn with_query(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}
