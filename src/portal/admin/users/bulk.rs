//! `POST /admin/users`: one act on all accounts that are ticked (F26). First it is shown whom it would be done to; confirmed,
//! it is done to each by itself, and told of each.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::listing::Listing;
use super::{PATH, with_query};
use crate::authn::user::{Method, Role};
use crate::id::UserId;
use crate::portal::admin::rejection;
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::form::Fields;
use crate::portal::nav::{Nav, Room};
use crate::portal::person::{self, Person};
use crate::portal::view::Page;
use crate::service::directory::Row;
use crate::service::users::{Rejection, UserChange};
use crate::service::{ServiceError, Services};

/// What the form's token is made for.
pub const FORM: &str = "users";

/// What the tick box of an account is called: this, and its ID.
pub const TICK: &str = "user-";

/// The most accounts at once: each is a durable commit of its own.
const MOST: usize = 500;

/// What can be done to many at once. The name is also the end of its texts' keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    SwitchOn,
    SwitchOff,
    App,
    Mail,
    Disable,
    Enable,
    Unlock,
    EndSessions,
}

pub const ACTS: &[(Act, &str)] = &[
    (Act::SwitchOn, "second-factor-on"),
    (Act::SwitchOff, "second-factor-off"),
    (Act::App, "method-totp"),
    (Act::Mail, "method-mail"),
    (Act::Disable, "disable"),
    (Act::Enable, "enable"),
    (Act::Unlock, "unlock"),
    (Act::EndSessions, "end-sessions"),
];

impl Act {
    fn named(wanted: &str) -> Option<(Self, &'static str)> {
        ACTS.iter().find(|(_, name)| *name == wanted).copied()
    }

    /// Why there is nothing to be done to this account: the text's key. Only what the list shows is asked here; the rights are
    /// judged with the act.
    fn hindrance(self, row: &Row) -> Option<&'static str> {
        const ALREADY: Option<&str> = Some("users-already");
        match self {
            Self::SwitchOn if row.switched_on => ALREADY,
            Self::App if row.method == Method::Totp => ALREADY,
            Self::Mail if row.email.is_none() => Some("users-no-address"),
            Self::Mail if row.method == Method::Mail => ALREADY,
            Self::Disable if row.disabled => ALREADY,
            Self::Enable if !row.disabled => ALREADY,
            _ => None,
        }
    }

    /// Does it to one account.
    async fn carry_out(
        self,
        services: &Services,
        id: UserId,
        person: &Person,
        exchange: &Exchange,
    ) -> Result<Result<(), Rejection>, ServiceError> {
        let (users, actor, now) = (&services.users, &person.actor, exchange.visit.now);
        let who = id.to_string();
        let change = match self {
            Self::SwitchOn => UserChange { second_factor: Some(true), ..UserChange::default() },
            Self::SwitchOff => UserChange { second_factor: Some(false), ..UserChange::default() },
            Self::App => UserChange { method: Some(Method::Totp), ..UserChange::default() },
            Self::Mail => UserChange { method: Some(Method::Mail), ..UserChange::default() },
            Self::Disable | Self::Enable => {
                return Ok(users.set_disabled(&who, self == Self::Disable, actor, now).await?.map(drop));
            }
            Self::Unlock => return Ok(users.unlock(&who, actor, now).await?.map(drop)),
            Self::EndSessions => return Ok(services.sessions.end_all_of(id, actor, now).await?.map(drop)),
        };
        Ok(users.set(&who, change, actor, now).await?.map(drop))
    }
}

/// The page that asks, and the one that tells what was done.
#[derive(Debug, Serialize)]
pub struct BulkPage {
    nav: Nav,
    act: &'static str,
    /// The list as it was.
    back: String,
    /// What is still to be confirmed; absent once it is done.
    ask: Option<Ask>,
    /// Those whom it is, or was, done to.
    affected: Vec<Item>,
    /// The others, each with the reason why not.
    left_out: Vec<Item>,
}

#[derive(Debug, Serialize)]
struct Ask {
    path: String,
    csrf: String,
    /// The list's query.
    query: String,
}

/// An account on these pages.
#[derive(Debug, Serialize)]
struct Item {
    id: String,
    href: String,
    login: String,
    name: String,
    /// The text's key; absent where there is nothing against it.
    reason: Option<&'static str>,
}

impl Page for BulkPage {
    const TEMPLATE: &'static str = "admin/users_bulk.html";
}

/// `POST /admin/users`
pub async fn submit(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (exchange, person, fields) = match person::form_at_least(Role::Manager, &services, exchange, body, FORM).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    let query = Listing::of_text(fields.get("list").unwrap_or_default()).search();
    let ticked = ticked(&fields);
    let act = match Act::named(fields.get("act").unwrap_or_default()) {
        Some(act) if !ticked.is_empty() && ticked.len() <= MOST => act,
        act => {
            let done = match act {
                None => "no-act",
                Some(_) if ticked.is_empty() => "nothing-ticked",
                Some(_) => "too-many",
            };
            let query = if query.is_empty() { query } else { format!("{query}&") };
            let back = exchange.page_path(&format!("{PATH}?{query}done={done}"));
            return Ok(exchange.redirect(&back));
        }
    };
    match fields.get("confirmed") {
        Some("yes") => carry_out(&services, exchange, &person, act, &ticked, &query).await,
        _ => ask(&services, exchange, &person, act, &ticked, query).await,
    }
}

fn ticked(fields: &Fields) -> Vec<UserId> {
    fields.ticked(TICK).filter_map(|id| id.parse().ok()).collect()
}

async fn ask(
    services: &Services,
    mut exchange: Exchange,
    person: &Person,
    (act, name): (Act, &'static str),
    ticked: &[UserId],
    query: String,
) -> Result<Response, PortalError> {
    let path = exchange.page_path(PATH);
    let rows = services.directory.rows(ticked, exchange.visit.now).await?;
    let items = rows.iter().map(|row| Item::new(row, &path, act.hindrance(row)));
    let (affected, left_out) = items.partition(|item| item.reason.is_none());
    let page = BulkPage {
        nav: Nav::new(&mut exchange, person, Room::Users)?,
        act: name,
        back: with_query(&path, &query),
        ask: Some(Ask { csrf: person.form_token(&mut exchange, FORM)?, path, query }),
        affected,
        left_out,
    };
    Ok(exchange.page(StatusCode::OK, &page))
}

async fn carry_out(
    services: &Services,
    mut exchange: Exchange,
    person: &Person,
    (act, name): (Act, &'static str),
    ticked: &[UserId],
    query: &str,
) -> Result<Response, PortalError> {
    let path = exchange.page_path(PATH);
    let rows = services.directory.rows(ticked, exchange.visit.now).await?;
    let (mut affected, mut left_out) = (Vec::new(), Vec::new());
    for row in rows {
        let reason = match act.hindrance(&row) {
            Some(reason) => Some(reason),
            None => match act.carry_out(services, row.id, person, &exchange).await {
                Ok(Ok(())) => None,
                Ok(Err(rejection)) => Some(rejection::key(&rejection)),
                // What was done to the others is told all the same.
                Err(error) => {
                    tracing::error!(%error, user = %row.id, "an act on many accounts could not be done to one of them");
                    Some("users-failed")
                }
            },
        };
        let item = Item::new(&row, &path, reason);
        if reason.is_none() { affected.push(item) } else { left_out.push(item) }
    }
    let page = BulkPage {
        nav: Nav::new(&mut exchange, person, Room::Users)?,
        act: name,
        back: with_query(&path, query),
        ask: None,
        affected,
        left_out,
    };
    Ok(exchange.page(StatusCode::OK, &page))
}

impl Item {
    fn new(row: &Row, path: &str, reason: Option<&'static str>) -> Self {
        Self {
            id: row.id.to_string(),
            href: format!("{path}/{}", row.id),
            login: row.login.clone(),
            name: row.name.clone(),
            reason,
        }
    }
}

#[cfg(test)]
impl crate::portal::view::Samples for BulkPage {
    fn samples() -> Vec<(String, Self)> {
        let path = "/.sekisho/admin/users".to_owned();
        let page = |act: Act, name: &'static str, asks: bool| {
            let rows = super::samples::rows();
            let failed =
                |row: &Row| act.hindrance(row).or_else(|| (row.role == Role::Viewer).then_some("users-failed"));
            let items = rows.iter().map(|row| Item::new(row, &path, failed(row)));
            let (affected, left_out) = items.partition(|item| item.reason.is_none());
            let ask = Ask { path: path.clone(), csrf: "x".repeat(43), query: "q=a&page=2".to_owned() };
            let nav = Nav::sample(Role::Manager, Room::Users);
            Self { nav, act: name, back: path.clone(), ask: asks.then_some(ask), affected, left_out }
        };
        let mut samples = Vec::new();
        for (act, name) in ACTS {
            samples.push((format!("ask-{name}"), page(*act, name, true)));
            samples.push((format!("done-{name}"), page(*act, name, false)));
        }
        let mut nobody = page(Act::Mail, "method-mail", true);
        nobody.affected.clear();
        samples.push(("ask-nobody".to_owned(), nobody));
        samples
    }
}
