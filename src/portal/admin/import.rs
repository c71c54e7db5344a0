//! `/admin/users/import`: accounts from a list. Here it is uploaded; [`preview`] shows what would happen, [`result`] what has.

pub mod preview;
pub mod refused;
pub mod result;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use crate::authn::user::Role;
use crate::portal::csrf::Form;
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::form::Fields;
use crate::portal::message::{self, Kind};
use crate::portal::nav::{Nav, Room};
use crate::portal::person::{self, Person};
use crate::portal::view::Page;
use crate::portal::{csrf, upload};
use crate::service::Services;
use crate::service::import::{self, Forbidden, Unreadable, Upload};

/// The paths below the portal's.
pub const PATH: &str = import::PAGE;
const PREVIEW: &str = "/admin/users/import/preview";
const RESULT: &str = "/admin/users/import/result";
const REFUSED: &str = "/admin/users/import/refused.csv";
const USERS: &str = "/admin/users";
const FORM: &str = "import";

/// The page.
#[derive(Debug, Serialize)]
pub struct ImportPage {
    nav: Nav,
    action: String,
    users: String,
    csrf: String,
    /// Its tone is what the page's title goes by.
    alert: Option<Problem>,
    /// What was pasted, where it has to be corrected.
    text: String,
    update: bool,
    most_rows: usize,
    most_mib: usize,
}

/// Why a list as a whole cannot be read.
#[derive(Debug, Serialize)]
struct Problem {
    tone: &'static str,
    /// The end of the text's key.
    reason: &'static str,
    /// A column's name as it stands in the file.
    name: String,
    /// The name that was meant.
    meant: String,
}

impl Page for ImportPage {
    const TEMPLATE: &'static str = "admin/import.html";
}

/// `GET /admin/users/import`
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let (exchange, person) = match person::at_least(Role::Manager, &services, exchange).await {
        Ok(manager) => manager,
        Err(answer) => return Ok(*answer),
    };
    let problem = (exchange.query.get("done") == Some("gone")).then(|| Problem::plain("gone"));
    let status = StatusCode::OK;
    page(exchange, &person, problem, status, Asked::default())
}

/// What a form that is shown again has in it.
#[derive(Default)]
struct Asked {
    text: String,
    update: bool,
}

fn page(
    mut exchange: Exchange,
    person: &Person,
    alert: Option<Problem>,
    status: StatusCode,
    asked: Asked,
) -> Result<Response, PortalError> {
    exchange.here(PATH, None);
    let page = ImportPage {
        nav: Nav::new(&mut exchange, person, Room::Users)?,
        action: exchange.page_path(PATH),
        users: exchange.page_path(USERS),
        csrf: person.form_token(&mut exchange, FORM)?,
        alert,
        text: asked.text,
        update: asked.update,
        most_rows: import::MAX_ROWS,
        most_mib: import::MAX_FILE / (1024 * 1024),
    };
    Ok(exchange.page(status, &page))
}

/// `POST /admin/users/import`
pub async fn submit(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    if !csrf::is_from_here(&exchange.headers, &exchange.visit) {
        tracing::warn!("a form from another site was refused");
        return Ok(message::page(exchange, Kind::ForeignForm));
    }
    // The role before anything is read.
    let (exchange, person) = match person::at_least(Role::Manager, &services, exchange).await {
        Ok(manager) => manager,
        Err(answer) => return Ok(*answer),
    };
    let most = import::may_upload(&exchange.visit).unwrap_or(0);
    let (mut fields, file) = match upload::read(&exchange.headers, body, &["csrf", "text", "update"], most).await {
        Ok(upload::Upload { fields, file }) => (fields, file),
        Err(bad) => return Ok(message::page(exchange, bad.into())),
    };
    if !is_own(&exchange, &person, &fields) {
        return Ok(message::page(exchange, Kind::FormExpired));
    }
    let asked = Asked { text: fields.take("text"), update: fields.get("update").is_some() };
    let bytes = if file.is_empty() { asked.text.clone().into_bytes() } else { file };
    let upload = Upload { bytes, update: asked.update };
    match services.imports.upload(upload, &person.actor, exchange.visit.now).await? {
        Err(Forbidden) => Ok(message::page(exchange, Kind::DeniedAccount)),
        Ok(Ok(_)) => {
            let path = exchange.page_path(PREVIEW);
            Ok(exchange.redirect(&path))
        }
        Ok(Err(unreadable)) => {
            page(exchange, &person, Some(Problem::of(unreadable)), StatusCode::UNPROCESSABLE_ENTITY, asked)
        }
    }
}

/// Whether the form that came in stands on a page that this person was shown.
fn is_own(exchange: &Exchange, person: &Person, fields: &Fields) -> bool {
    exchange.token_is_valid(Form::Own { form: FORM, session: &person.token }, fields)
}

impl Problem {
    const fn plain(reason: &'static str) -> Self {
        Self { tone: "problem", reason, name: String::new(), meant: String::new() }
    }

    fn of(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Empty => Self::plain("empty"),
            Unreadable::TooLarge => Self::plain("too-large"),
            Unreadable::TooManyRows => Self::plain("too-many-rows"),
            Unreadable::TooManyColumns => Self::plain("too-many-columns"),
            Unreadable::UnknownEncoding => Self::plain("unknown-encoding"),
            Unreadable::NoText => Self::plain("no-text"),
            Unreadable::NoLogin => Self::plain("no-login"),
            Unreadable::ColumnTwice { name } => Self { name, ..Self::plain("column-twice") },
            Unreadable::Misspelt { name, meant } => Self { name, meant, ..Self::plain("misspelt") },
            Unreadable::Password { name } => Self { name, ..Self::plain("password") },
        }
    }
}

#[cfg(test)]
impl crate::portal::view::Samples for ImportPage {
    fn samples() -> Vec<(String, Self)> {
        let page = |alert: Option<Problem>| Self {
            nav: Nav::sample(Role::Manager, Room::Users),
            action: "/.sekisho/admin/users/import".to_owned(),
            users: "/.sekisho/admin/users".to_owned(),
            csrf: "x".repeat(43),
            text: if alert.is_some() { "lgoin,name\nhanako,山田 花子\n".to_owned() } else { String::new() },
            update: alert.is_some(),
            alert,
            most_rows: import::MAX_ROWS,
            most_mib: 4,
        };
        let name = || "lgoin".to_owned();
        let problems = [
            Problem::plain("gone"),
            Problem::of(Unreadable::Empty),
            Problem::of(Unreadable::TooLarge),
            Problem::of(Unreadable::TooManyRows),
            Problem::of(Unreadable::TooManyColumns),
            Problem::of(Unreadable::UnknownEncoding),
            Problem::of(Unreadable::NoText),
            Problem::of(Unreadable::NoLogin),
            Problem::of(Unreadable::ColumnTwice { name: name() }),
            Problem::of(Unreadable::Misspelt { name: name(), meant: "login".to_owned() }),
            Problem::of(Unreadable::Password { name: "パスワード".to_owned() }),
        ];
        let refused = problems.into_iter().map(|problem| (problem.reason.to_owned(), page(Some(problem))));
        std::iter::once(("empty-form".to_owned(), page(None))).chain(refused).collect()
    }
}
