//! `GET /admin/users`: all accounts (F24), to be searched, narrowed, sorted, ticked.

pub mod bulk;
pub mod export;
mod listing;
mod row;
#[cfg(test)]
mod samples;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use self::listing::{COLUMNS, FilterView, Listing, PER_PAGE};
use self::row::RowView;
use crate::authn::user::Role;
use crate::authz::Policy;
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::nav::{Nav, Room};
use crate::portal::person;
use crate::portal::refusal::Alert;
use crate::portal::view::Page;
use crate::service::Services;
use crate::service::{directory, own};

/// The list's path below the portal's.
const PATH: &str = "/admin/users";

/// The page.
#[derive(Debug, Serialize)]
pub struct UsersPage {
    nav: Nav,
    alert: Option<Alert>,
    /// The list's own address, without a query.
    path: String,
    filter: FilterView,
    columns: Vec<ColumnView>,
    rows: Vec<RowView>,
    total: usize,
    /// The number of the first and of the last row shown, from 1.
    first: usize,
    last: usize,
    pager: Pager,
    export: String,
    /// Where accounts are added; absent for who may only look.
    add: Option<String>,
    /// What the gateway asks of everybody, where that makes the account's own switch mean nothing: `required`, `off`.
    policy: Option<&'static str>,
    /// What can be done to those that are ticked; absent for who may only look.
    bulk: Option<BulkForm>,
}

/// The form around the list.
#[derive(Debug, Serialize)]
struct BulkForm {
    csrf: String,
    /// The list's query, to come back to it.
    query: String,
    /// Ends of texts' keys.
    acts: Vec<&'static str>,
}

/// The head of a column. The name is the end of its text's key.
#[derive(Debug, Serialize)]
struct ColumnView {
    name: &'static str,
    href: String,
    sorted: Option<&'static str>,
}

/// The way to the other pages; absent where there are none.
#[derive(Debug, Default, Serialize)]
struct Pager {
    page: usize,
    pages: usize,
    first: Option<String>,
    previous: Option<String>,
    next: Option<String>,
    last: Option<String>,
}

impl Page for UsersPage {
    const TEMPLATE: &'static str = "admin/users.html";
}

/// `GET /admin/users`
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let (mut exchange, person) = match person::at_least(Role::Viewer, &services, exchange).await {
        Ok(signed_in) => signed_in,
        Err(answer) => return Ok(*answer),
    };
    let listing = Listing::of(&exchange.query);
    let found = services.directory.query(&listing.query(), exchange.visit.now).await?;
    // The page that is really shown: the last one where the address names one behind it.
    let listing = listing.at(found.page);
    exchange.here_with(PATH, listing.search());
    let nav = Nav::new(&mut exchange, &person, Room::Users)?;
    let path = exchange.page_path(PATH);
    let policy = match own::policy_everywhere(&exchange.visit.config) {
        Some(Policy::Required) => Some("required"),
        Some(Policy::Off) => Some("off"),
        Some(Policy::PerUser) | None => None,
    };
    let mut page = UsersPage::new(nav, path, &listing, &found, person.account.role, policy);
    page.alert = exchange.query.get("done").and_then(done);
    if person.account.role >= Role::Manager {
        page.bulk = Some(BulkForm::new(&listing, person.form_token(&mut exchange, bulk::FORM)?));
    }
    Ok(exchange.page(StatusCode::OK, &page))
}

/// What is said of the act that led back here.
fn done(key: &str) -> Option<Alert> {
    match key {
        // It has no page of its own any more.
        "deleted" => Some(Alert::notice("user-done-deleted")),
        "nothing-ticked" => Some(Alert::problem("users-done-nothing-ticked")),
        "no-act" => Some(Alert::problem("users-done-no-act")),
        "too-many" => Some(Alert::problem("users-done-too-many")),
        _ => None,
    }
}

impl BulkForm {
    fn new(listing: &Listing, csrf: String) -> Self {
        Self { csrf, query: listing.search(), acts: bulk::ACTS.iter().map(|(_, name)| *name).collect() }
    }
}

impl UsersPage {
    fn new(
        nav: Nav,
        path: String,
        listing: &Listing,
        found: &directory::Page,
        role: Role,
        policy: Option<&'static str>,
    ) -> Self {
        let to = |listing: &Listing| with_query(&path, &listing.search());
        let columns = COLUMNS.iter().map(|(column, name)| ColumnView {
            name,
            href: to(&listing.by(*column)),
            sorted: listing.sorted(*column),
        });
        let before = found.page * PER_PAGE;
        Self {
            nav,
            alert: None,
            filter: listing.form(found.groups.iter()),
            columns: columns.collect(),
            rows: found.rows.iter().map(|row| RowView::new(row, &path)).collect(),
            total: found.total,
            first: before + 1,
            last: before + found.rows.len(),
            pager: Pager::new(found, |page| to(&listing.at(page))),
            export: with_query(&format!("{path}.csv"), &listing.at(0).search()),
            add: (role >= Role::Manager).then(|| format!("{path}/new")),
            policy,
            bulk: None,
            path,
        }
    }
}

impl Pager {
    fn new(found: &directory::Page, to: impl Fn(usize) -> String) -> Self {
        let last = found.pages.saturating_sub(1);
        let (back, on) = (found.page > 0, found.page < last);
        Self {
            page: found.page + 1,
            pages: found.pages,
            first: back.then(|| to(0)),
            previous: back.then(|| to(found.page - 1)),
            next: on.then(|| to(found.page + 1)),
            last: on.then(|| to(last)),
        }
    }
}

fn with_query(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}
