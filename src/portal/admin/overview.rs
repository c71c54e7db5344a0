//! `GET /admin`: how things stand, to be looked at rather than read.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::plot::{Bars, Share, grouped};
use crate::authn::lockout::INDEFINITELY;
use crate::authn::user::Role;
use crate::clock::Timestamp;
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::moment::Moment;
use crate::portal::nav::{Nav, Room};
use crate::portal::person;
use crate::portal::view::Page;
use crate::service::directory::{self, Counts, Filter, Query, Sort};
use crate::service::history::Day;
use crate::service::{ServiceError, Services};

/// The page's path below the portal's.
const PATH: &str = "/admin";
const USERS: &str = "/admin/users";
const SESSIONS: &str = "/admin/sessions";
/// How many days the plots show.
const DAYS: usize = 30;
/// How many of those who are locked are named.
const NAMED: usize = 8;
/// With fewer administrators than these, one lost phone is enough to lock everybody out (F28).
const ENOUGH_ADMINS: usize = 2;
/// No more are looked at: that there are enough is known long before.
const ADMINS_LOOKED_AT: usize = 100;

/// The page.
#[derive(Debug, Serialize)]
pub struct OverviewPage {
    nav: Nav,
    links: Links,
    accounts: Figure,
    sessions: Figure,
    locked: Figure,
    unused: Figure,
    disabled: Figure,
    /// How many administrators can sign in, where that is too few.
    few_admins: Option<usize>,
    sign_ins: Plot,
    failures: Plot,
    /// The days of both plots, newest first.
    days: Vec<DayView>,
    factor: Share,
    with_factor: Figure,
    without_factor: Figure,
    /// The first of those who cannot sign in for now.
    locked_out: Vec<LockedOut>,
}

/// Where the figures lead.
#[derive(Debug, Serialize)]
struct Links {
    users: String,
    sessions: String,
    locked: String,
    unused: String,
    disabled: String,
    without_factor: String,
    admins: String,
}

/// A number, and how it is written.
#[derive(Debug, Serialize)]
struct Figure {
    count: u64,
    text: String,
}

/// One plot and what is said of it to those who cannot see it.
#[derive(Debug, Serialize)]
struct Plot {
    bars: Bars,
    total: Figure,
    highest: Figure,
    /// On which day; empty where there was nothing.
    on: String,
}

/// One day, in UTC.
#[derive(Debug, Serialize)]
struct DayView {
    date: String,
    sign_ins: String,
    failures: String,
}

/// An account that is locked.
#[derive(Debug, Serialize)]
struct LockedOut {
    login: String,
    name: String,
    href: String,
    /// `None`: until somebody unlocks it.
    until: Option<Moment>,
}

impl Page for OverviewPage {
    const TEMPLATE: &'static str = "admin/overview.html";
}

/// `GET /admin`
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let (mut exchange, person) = match person::at_least(Role::Viewer, &services, exchange).await {
        Ok(viewer) => viewer,
        Err(answer) => return Ok(*answer),
    };
    let standing = Standing::now(&services, exchange.visit.now).await?;
    exchange.here(PATH, None);
    let nav = Nav::new(&mut exchange, &person, Room::Overview)?;
    let page = OverviewPage::new(nav, [&exchange.page_path(USERS), &exchange.page_path(SESSIONS)], standing);
    Ok(exchange.page(StatusCode::OK, &page))
}

/// How things stand.
struct Standing {
    counts: Counts,
    sessions: usize,
    admins: usize,
    days: Vec<Day>,
    locked: Vec<directory::Row>,
}

/// Up to so many sessions are counted anew for each who looks.
const COUNTED_ANEW: usize = 5000;

impl Standing {
    async fn now(services: &Services, now: Timestamp) -> Result<Self, ServiceError> {
        let wanted = |filter: Filter, most: usize| Query { filter, sort: Sort::default(), page: 0, per_page: most };
        let locked = Filter { state: Some(directory::State::Locked), ..Filter::default() };
        let admins = Filter { role: Some(Role::Admin), ..Filter::default() };
        let mut admins = services.directory.ids(&wanted(admins, ADMINS_LOOKED_AT), now).await?;
        admins.truncate(ADMINS_LOOKED_AT);
        Ok(Self {
            counts: services.directory.counts(now).await?,
            sessions: sessions(services, now).await?,
            admins: services.users.effective_admins_among(&admins, now).await?,
            days: services.history.days(DAYS, now).await?,
            locked: services.directory.query(&wanted(locked, NAMED), now).await?.rows,
        })
    }
}

/// How many sessions live. To walk through all takes as long as there are many: then it is what was counted last.
async fn sessions(services: &Services, now: Timestamp) -> Result<usize, ServiceError> {
    let counted = usize::try_from(services.metrics.population.sessions.get()).unwrap_or_default();
    match counted > COUNTED_ANEW {
        true => Ok(counted),
        false => Ok(services.sessions.list(None, now).await?.len()),
    }
}

impl OverviewPage {
    fn new(nav: Nav, [users, sessions_page]: [&str; 2], standing: Standing) -> Self {
        let Standing { counts, sessions, admins, days, locked } = standing;
        let list = |query: &str| format!("{users}?{query}");
        let locked_out = locked.into_iter().map(|row| LockedOut {
            href: format!("{users}/{}", row.id),
            login: row.login,
            name: row.name,
            until: row.locked_until.filter(|until| *until != INDEFINITELY).map(Moment::of),
        });
        Self {
            nav,
            links: Links {
                users: users.to_owned(),
                sessions: sessions_page.to_owned(),
                locked: list("state=locked"),
                unused: list("last-login=unused"),
                disabled: list("state=disabled"),
                without_factor: list("enrolled=no"),
                admins: list("role=admin"),
            },
            accounts: Figure::of(counts.accounts as u64),
            sessions: Figure::of(sessions as u64),
            locked: Figure::of(counts.locked as u64),
            unused: Figure::of(counts.unused as u64),
            disabled: Figure::of(counts.disabled as u64),
            few_admins: (admins < ENOUGH_ADMINS).then_some(admins),
            sign_ins: Plot::of(&days, |day| day.sign_ins),
            failures: Plot::of(&days, |day| day.failures),
            factor: Share::of(counts.enrolled, counts.accounts),
            with_factor: Figure::of(counts.enrolled as u64),
            without_factor: Figure::of(counts.accounts.saturating_sub(counts.enrolled) as u64),
            locked_out: locked_out.collect(),
            days: days.iter().rev().map(DayView::of).collect(),
        }
    }
}

impl Figure {
    fn of(count: u64) -> Self {
        Self { count, text: grouped(u128::from(count)) }
    }
}

impl Plot {
    fn of(days: &[Day], value: impl Fn(&Day) -> u64) -> Self {
        let values: Vec<(String, String, u64)> = days
            .iter()
            .map(|day| {
                let date = date(day.begins);
                let short = date.split_once('-').map_or(String::new(), |(_, short)| short.to_owned());
                (date, short, value(day))
            })
            .collect();
        // The newest of several that are equal.
        let highest = values.iter().max_by_key(|(.., value)| *value).filter(|(.., value)| *value > 0);
        Self {
            bars: Bars::of(&values),
            total: Figure::of(values.iter().map(|(.., value)| *value).fold(0, u64::saturating_add)),
            highest: Figure::of(highest.map_or(0, |(.., value)| *value)),
            on: highest.map(|(date, ..)| date.clone()).unwrap_or_default(),
        }
    }
}

impl DayView {
    fn of(day: &Day) -> Self {
        Self {
            date: date(day.begins),
            sign_ins: grouped(u128::from(day.sign_ins)),
            failures: grouped(u128::from(day.failures)),
        }
    }
}

/// `2026-11-22`, in UTC.
fn date(at: Timestamp) -> String {
    at.to_string().split('T').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod samples;
