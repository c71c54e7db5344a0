//! `GET` and `POST /admin/users/{id}/edit`: an account's fields.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::fields::{FieldsView, Problems, Sent, Wanted};
use super::{LIST, deed, found, may};
use crate::authn::user::Role;
use crate::authz::permission::Act;
use crate::portal::admin::rejection;
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::message::{self, Kind};
use crate::portal::nav::{Nav, Room};
use crate::portal::person::{self, Person};
use crate::portal::refusal::Alert;
use crate::portal::view::Page;
use crate::service::Services;
use crate::service::users::edition::Edition;
use crate::service::users::{Rejection, UserChange, UserView};

/// The page.
#[derive(Debug, Serialize)]
pub struct EditPage {
    pub(super) nav: Nav,
    pub(super) alert: Option<Alert>,
    /// The account's page.
    pub(super) path: String,
    pub(super) csrf: String,
    pub(super) edition: String,
    /// Whose it is, by name or login.
    pub(super) whose: String,
    pub(super) fields: FieldsView,
}

impl Page for EditPage {
    const TEMPLATE: &'static str = "admin/user_edit.html";
}

const FORM: &str = "user-edit";

/// `GET /admin/users/{id}/edit`
pub async fn show(
    State(services): State<Services>,
    Path(id): Path<String>,
    exchange: Exchange,
) -> Result<Response, PortalError> {
    let (exchange, person) = match person::at_least(Role::Manager, &services, exchange).await {
        Ok(signed_in) => signed_in,
        Err(answer) => return Ok(*answer),
    };
    match found(&services, &exchange, &person, &id).await? {
        Ok(view) if may(&person, Act::EditName, &view.user) => {
            let sent = Sent::of(&view.user);
            let seen = Edition::of(&view.user);
            page(exchange, &person, &view, (&sent, &seen), StatusCode::OK, Problems::default(), None)
        }
        Ok(_) => Ok(message::page(exchange, Kind::DeniedAccount)),
        Err(kind) => Ok(message::page(exchange, kind)),
    }
}

/// `POST /admin/users/{id}/edit`
pub async fn submit(
    State(services): State<Services>,
    Path(id): Path<String>,
    exchange: Exchange,
    body: Body,
) -> Result<Response, PortalError> {
    let (exchange, person, fields) = match person::form_at_least(Role::Manager, &services, exchange, body, FORM).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    let view = match found(&services, &exchange, &person, &id).await? {
        Ok(view) => view,
        Err(kind) => return Ok(message::page(exchange, kind)),
    };
    let sent = Sent::read(&fields);
    // As it was when the form was first made, also where it comes again after a mistake: what somebody else has changed since
    // must not be undone unseen.
    let seen = Edition::sent(fields.get("edition").unwrap_or_default());
    let wanted = match sent.judge() {
        Ok(wanted) => wanted.unlike(&view.user),
        Err(problems) => {
            return page(exchange, &person, &view, (&sent, &seen), StatusCode::UNPROCESSABLE_ENTITY, problems, None);
        }
    };
    if wanted.is_empty() {
        return Ok(deed::back(exchange, view.user.id, "unchanged"));
    }
    let change = change(wanted, seen.clone());
    let now = exchange.visit.now;
    let rejection = match services.users.set(&view.user.id.to_string(), change, &person.actor, now).await? {
        Ok(view) => return Ok(deed::back(exchange, view.user.id, "saved")),
        Err(rejection) => rejection,
    };
    let status = rejection::status(&rejection);
    let alert = || Some(Alert::problem(rejection::key(&rejection)));
    match rejection {
        Rejection::NoSuchUser(_) => Ok(message::page(exchange, Kind::NotFound)),
        // With the present values: what was typed was meant for another account, so to speak.
        Rejection::ChangedMeanwhile => match found(&services, &exchange, &person, &id).await? {
            Ok(view) => {
                let sent = Sent::of(&view.user);
                let seen = Edition::of(&view.user);
                page(exchange, &person, &view, (&sent, &seen), status, Problems::default(), alert())
            }
            Err(kind) => Ok(message::page(exchange, kind)),
        },
        _ => match Problems::of(&rejection) {
            Some(problems) => page(exchange, &person, &view, (&sent, &seen), status, problems, None),
            None => page(exchange, &person, &view, (&sent, &seen), status, Problems::default(), alert()),
        },
    }
}

fn change(wanted: Wanted, made_from: Edition) -> UserChange {
    UserChange {
        made_from: Some(made_from),
        login: wanted.login,
        name: wanted.name,
        email: wanted.email,
        groups: wanted.groups,
        role: wanted.role,
        method: wanted.method,
        second_factor: wanted.second_factor,
        ..UserChange::default()
    }
}

fn page(
    mut exchange: Exchange,
    person: &Person,
    view: &UserView,
    (sent, seen): (&Sent, &Edition),
    status: StatusCode,
    problems: Problems,
    alert: Option<Alert>,
) -> Result<Response, PortalError> {
    let user = &view.user;
    let below = format!("{LIST}/{}", user.id);
    exchange.here_with(&format!("{below}/edit"), String::new());
    let page = EditPage {
        nav: Nav::new(&mut exchange, person, Room::Users)?,
        alert,
        path: exchange.page_path(&below),
        csrf: person.form_token(&mut exchange, FORM)?,
        edition: seen.as_str().to_owned(),
        whose: if user.name.as_str().is_empty() { user.login.to_string() } else { user.name.to_string() },
        fields: sent.view(person, Some(user), problems),
    };
    Ok(exchange.page(status, &page))
}
