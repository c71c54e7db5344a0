//! `/admin/sessions`: who is signed in, and ending that. A page costs what it shows, however many there are.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::rejection;
use crate::authz::permission::{self, Act, Party, Task};
use crate::portal::browser_name::browser_name;
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::moment::Moment;
use crate::portal::nav::{Nav, Room};
use crate::portal::person::{self, Person};
use crate::portal::refusal::Alert;
use crate::portal::return_to;
use crate::portal::view::Page;
use crate::service::Services;
use crate::service::history::Cursor;
use crate::service::session::{SessionPage, SessionView};

/// The page's path below the portal's.
const PATH: &str = "/admin/sessions";
/// The name that its forms' tokens are made for.
const FORM: &str = "all-sessions";
/// How many sessions are shown at once.
const PER_PAGE: usize = 50;
/// The longest login that is searched for, in characters.
const LONGEST: usize = 64;

/// The page.
#[derive(Debug, Serialize)]
pub struct AllSessionsPage {
    nav: Nav,
    alert: Option<Alert>,
    path: String,
    csrf: String,
    /// Whose sessions are shown; empty: everybody's.
    person: String,
    rows: Vec<Row>,
    newest: Option<String>,
    older: Option<String>,
}

#[derive(Debug, Serialize)]
struct Row {
    /// Names the session in the form that ends it.
    place: String,
    login: String,
    account: String,
    /// Empty where nothing is known.
    browser: String,
    address: String,
    begun: Moment,
    last_seen: Moment,
    second_factor: Option<Moment>,
    /// The one in which the page is looked at.
    here: bool,
    may_end: bool,
}

impl Page for AllSessionsPage {
    const TEMPLATE: &'static str = "admin/sessions.html";
}

/// `GET /admin/sessions`
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let (exchange, person) = match person::at_least(Task::See.least(), &services, exchange).await {
        Ok(signed_in) => signed_in,
        Err(answer) => return Ok(*answer),
    };
    let done = exchange.query.get("done").filter(|done| *done == "ended");
    let alert = done.map(|_| Alert::notice("all-sessions-ended"));
    page(&services, exchange, &person, StatusCode::OK, alert).await
}

/// `POST /admin/sessions/end`. Whom one may do that to, the service judges.
pub async fn end(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let posted = person::form_at_least(Task::See.least(), &services, exchange, body, FORM).await;
    let (exchange, person, fields) = match posted {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    let place = Cursor::parse(fields.get("session").unwrap_or_default());
    let ended = match place {
        Some(place) => services.sessions.end_at(&place, &person.actor, exchange.visit.now).await?,
        None => Ok(false),
    };
    match ended {
        Ok(true) => {
            let path = format!("{}?done=ended", exchange.page_path(PATH));
            Ok(exchange.redirect(&path))
        }
        Ok(false) => {
            let gone = Alert::problem("problem-session-gone");
            page(&services, exchange, &person, StatusCode::NOT_FOUND, Some(gone)).await
        }
        Err(refused) => {
            let alert = Alert::problem(rejection::key(&refused));
            page(&services, exchange, &person, rejection::status(&refused), Some(alert)).await
        }
    }
}

async fn page(
    services: &Services,
    mut exchange: Exchange,
    person: &Person,
    status: StatusCode,
    alert: Option<Alert>,
) -> Result<Response, PortalError> {
    let now = exchange.visit.now;
    let login = exchange.query.get("person").unwrap_or_default().trim();
    let login: String = login.chars().filter(|character| !character.is_control()).take(LONGEST).collect();
    let older_than = exchange.query.get("older").and_then(Cursor::parse);
    let found = if login.is_empty() {
        services.sessions.page(older_than.as_ref(), PER_PAGE, now).await?
    } else {
        // One account has few: session.max_per_user.
        let mut sessions = match services.users.show(&login, now).await? {
            Ok(view) => services.sessions.list(Some(view.user.id), now).await?,
            Err(_) => Vec::new(),
        };
        sessions.sort_by_key(|view| std::cmp::Reverse(view.session.created_at));
        SessionPage { sessions, next: None }
    };
    exchange.here_with(PATH, query(&login, older_than.as_ref()));
    let nav = Nav::new(&mut exchange, person, Room::Sessions)?;
    let csrf = person.form_token(&mut exchange, FORM)?;
    let path = exchange.page_path(PATH);
    let rows = found.sessions.iter().map(|view| Row::new(view, person, &path)).collect();
    let page = AllSessionsPage::new(nav, path, csrf, login, rows, older_than.is_some(), found.next.as_ref());
    Ok(exchange.page(status, &AllSessionsPage { alert, ..page }))
}

fn query(person: &str, older_than: Option<&Cursor>) -> String {
    let older = older_than.map_or("", Cursor::as_str);
    let fields = [("person", person), ("older", older)];
    let given = fields.iter().filter(|(_, value)| !value.is_empty());
    given.map(|(name, value)| format!("{name}={}", return_to::encoded(value))).collect::<Vec<_>>().join("&")
}

impl AllSessionsPage {
    fn new(
        nav: Nav,
        path: String,
        csrf: String,
        person: String,
        rows: Vec<Row>,
        is_elsewhere: bool,
        next: Option<&Cursor>,
    ) -> Self {
        let older = next.map(|next| format!("{path}?{}", query(&person, Some(next))));
        let newest = is_elsewhere.then(|| path.clone());
        Self { nav, alert: None, path, csrf, person, rows, newest, older }
    }
}

impl Row {
    fn new(view: &SessionView, person: &Person, path: &str) -> Self {
        let session = &view.session;
        let actor = Party { id: person.account.id, role: person.account.role };
        let owner = Party { id: session.user, role: view.role };
        Self {
            place: Cursor::of_session(session).into(),
            login: view.login.clone(),
            account: format!("{}/{}", path.replace(PATH, "/admin/users"), session.user),
            browser: browser_name(&session.client.user_agent),
            address: session.client.address.clone(),
            begun: Moment::of(session.created_at),
            last_seen: Moment::of(session.last_seen),
            second_factor: session.second_factor_at.map(Moment::of),
            here: session.id == person.live.id(),
            may_end: permission::judge(actor, Act::EndSessions, owner).is_ok(),
        }
    }
}

#[cfg(test)]
impl crate::portal::view::Samples for AllSessionsPage {
    fn samples() -> Vec<(String, Self)> {
        use crate::authn::user::Role;
        use crate::clock::Timestamp;
        let row = |index: u64| {
            let at = |minutes: u64| Moment::of(Timestamp::from_secs(1_795_339_805 - minutes * 60));
            Row {
                place: format!("{index:016}-0123456789abcdef"),
                login: if index == 2 {
                    "a.very.long.login.of.somebody@accounting.example.com"
                } else {
                    "hanako.yamada"
                }
                .to_owned(),
                account: "/.sekisho/admin/users/0123456789abcdef".to_owned(),
                browser: if index == 1 { "" } else { "Chrome, Windows" }.to_owned(),
                address: if index.is_multiple_of(2) { "192.0.2.17" } else { "2001:db8:85a3:8d3:1319:8a2e:370:7348" }
                    .to_owned(),
                begun: at(300 + index * 11),
                last_seen: at(index),
                second_factor: (index != 3).then(|| at(280)),
                here: index == 0,
                may_end: index != 4,
            }
        };
        let page = |person: &str, rows: u64, is_elsewhere: bool, next: Option<&str>| {
            let nav = Nav::sample(Role::Manager, Room::Sessions);
            let next = next.and_then(Cursor::parse);
            let (path, csrf) = ("/.sekisho/admin/sessions".to_owned(), "x".repeat(43));
            Self::new(nav, path, csrf, person.to_owned(), (0..rows).map(row).collect(), is_elsewhere, next.as_ref())
        };
        let next = Some("0001795339805000-0123456789abcdef");
        let ended = Self { alert: Some(Alert::notice("all-sessions-ended")), ..page("", 6, false, next) };
        vec![
            ("many".to_owned(), page("", 12, true, next)),
            ("ended".to_owned(), ended),
            ("of-one".to_owned(), page("hanako.yamada", 1, false, None)),
            ("none".to_owned(), page("nobody", 0, false, None)),
        ]
    }
}
