//! `/admin/users/import/preview`: what would become of every row, and the confirmation.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::refused::RefusedRow;
use super::{FORM, PATH, PREVIEW, REFUSED, RESULT};
use crate::authn::user::{Method, Role};
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::message::{self, Kind};
use crate::portal::moment::Moment;
use crate::portal::nav::{Nav, Room};
use crate::portal::person::{self, Person};
use crate::portal::refusal::Alert;
use crate::portal::view::Page;
use crate::service::Services;
use crate::service::import::{self, Column, Confirmed, Encoding, Forbidden, Judged, Row, Separator, Verdict};

/// How many of the rows that will be imported are shown.
const SHOWN: usize = 10;

/// The page.
#[derive(Debug, Serialize)]
pub struct PreviewPage {
    nav: Nav,
    action: String,
    /// Where another list is chosen.
    again: String,
    refused_list: String,
    csrf: String,
    alert: Option<Alert>,
    id: String,
    seen: String,
    encoding: Encoding,
    separator: Separator,
    columns: Vec<Column>,
    unread: Vec<String>,
    update: bool,
    added: usize,
    changed: usize,
    same: usize,
    /// Every row that is not imported.
    refused: Vec<RefusedRow>,
    /// The first of those that are.
    rows: Vec<GoodRow>,
    /// How many of those who are added could be sent a link; `None`: no mail is sent from here.
    mailable: Option<usize>,
    kept_until: Moment,
}

/// A row that will be imported.
#[derive(Debug, Serialize)]
struct GoodRow {
    line: u64,
    login: String,
    name: String,
    email: String,
    groups: Vec<String>,
    role: Option<Role>,
    method: Option<Method>,
    second_factor: Option<bool>,
    /// What differs, of an account that exists.
    changes: Option<Vec<Column>>,
}

impl Page for PreviewPage {
    const TEMPLATE: &'static str = "admin/import_preview.html";
}

/// `GET /admin/users/import/preview`
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let (exchange, person) = match person::at_least(Role::Manager, &services, exchange).await {
        Ok(manager) => manager,
        Err(answer) => return Ok(*answer),
    };
    page(&services, exchange, &person, None, StatusCode::OK).await
}

async fn page(
    services: &Services,
    mut exchange: Exchange,
    person: &Person,
    alert: Option<Alert>,
    status: StatusCode,
) -> Result<Response, PortalError> {
    let preview = match services.imports.preview(&person.actor, exchange.visit.now).await? {
        Err(Forbidden) => return Ok(message::page(exchange, Kind::DeniedAccount)),
        Ok(None) => return Ok(gone(exchange)),
        Ok(Some(preview)) => preview,
    };
    exchange.here(PREVIEW, None);
    let mails = exchange.visit.config.mail.is_some();
    let csrf = person.form_token(&mut exchange, FORM)?;
    let nav = Nav::new(&mut exchange, person, Room::Users)?;
    let paths = [PREVIEW, PATH, REFUSED].map(|below| exchange.page_path(below));
    Ok(exchange.page(status, &PreviewPage::new(nav, csrf, paths, alert, preview, mails)))
}

/// There is nothing to be looked at: its time is over, or it was imported.
fn gone(exchange: Exchange) -> Response {
    let path = exchange.page_path(PATH);
    exchange.redirect(&format!("{path}?done=gone"))
}

/// `POST /admin/users/import/preview`
pub async fn submit(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (exchange, person, fields) = match person::form_at_least(Role::Manager, &services, exchange, body, FORM).await {
        Ok(manager) => manager,
        Err(answer) => return Ok(*answer),
    };
    let now = exchange.visit.now;
    if fields.get("discard").is_some() {
        services.imports.discard(&person.actor, now).await?;
        let path = exchange.page_path(PATH);
        return Ok(exchange.redirect(&path));
    }
    let Some(id) = fields.get("id").and_then(|id| id.parse().ok()) else { return Ok(gone(exchange)) };
    let seen = fields.get("seen").unwrap_or_default();
    let links = fields.get("links").is_some();
    match services.imports.confirm(id, seen, links, &person.actor, now).await? {
        Err(Forbidden) => Ok(message::page(exchange, Kind::DeniedAccount)),
        Ok(Confirmed::Done | Confirmed::Already) => {
            let path = exchange.page_path(RESULT);
            Ok(exchange.redirect(&path))
        }
        Ok(Confirmed::Gone) => Ok(gone(exchange)),
        Ok(Confirmed::Changed) => {
            let alert = Alert::problem("import-changed-meanwhile");
            page(&services, exchange, &person, Some(alert), StatusCode::CONFLICT).await
        }
    }
}

impl PreviewPage {
    fn new(
        nav: Nav,
        csrf: String,
        [action, again, refused_list]: [String; 3],
        alert: Option<Alert>,
        preview: import::Preview,
        mails: bool,
    ) -> Self {
        let count = |is: fn(&Verdict) -> bool| preview.rows.iter().filter(|row| is(&row.verdict)).count();
        let added = count(|verdict| *verdict == Verdict::Add);
        let changed = count(|verdict| matches!(verdict, Verdict::Change(_)));
        let same = count(|verdict| *verdict == Verdict::Same);
        let mailable = preview.rows.iter().filter(|judged| {
            judged.verdict == Verdict::Add && judged.row.as_ref().is_some_and(|row| row.email.is_some())
        });
        let mailable = mails.then(|| mailable.count());
        let rows = preview.rows.iter().filter_map(GoodRow::of).take(SHOWN).collect();
        Self {
            nav,
            action,
            again,
            refused_list,
            csrf,
            alert,
            id: preview.id.to_string(),
            seen: preview.seen,
            encoding: preview.encoding,
            separator: preview.separator,
            columns: preview.columns,
            unread: preview.unread,
            update: preview.update,
            added,
            changed,
            same,
            rows,
            mailable,
            kept_until: Moment::of(preview.expires_at),
            refused: preview.rows.into_iter().filter_map(RefusedRow::of_judged).collect(),
        }
    }
}

impl GoodRow {
    fn of(judged: &Judged) -> Option<Self> {
        let Row { login, name, email, groups, role, method, second_factor } = judged.row.as_ref()?;
        let changes = match &judged.verdict {
            Verdict::Add => None,
            Verdict::Change(columns) => Some(columns.clone()),
            Verdict::Same | Verdict::Refused(_) => return None,
        };
        Some(Self {
            line: judged.line,
            login: login.to_string(),
            name: name.as_ref().map(ToString::to_string).unwrap_or_default(),
            email: email.as_ref().map(ToString::to_string).unwrap_or_default(),
            groups: groups.iter().flatten().map(ToString::to_string).collect(),
            role: *role,
            method: *method,
            second_factor: *second_factor,
            changes,
        })
    }
}

#[cfg(test)]
pub use self::samples::every_fault;

#[cfg(test)]
mod samples;
