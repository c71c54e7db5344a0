//! `GET` and `POST /admin/users/new`: another account. Nobody chooses its password here: its owner does, by a link.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::fields::{FieldsView, Problems, Sent, Wanted};
use super::{LIST, deed};
use crate::authn::user::Role;
use crate::authz::Policy;
use crate::config::{Config, SwitchedOnBy};
use crate::portal::admin::rejection;
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::nav::{Nav, Room};
use crate::portal::person::{self, Person};
use crate::portal::refusal::Alert;
use crate::portal::view::Page;
use crate::service::Services;
use crate::service::users::NewUser;

/// The page.
#[derive(Debug, Serialize)]
pub struct NewPage {
    pub(super) nav: Nav,
    pub(super) alert: Option<Alert>,
    pub(super) list: String,
    pub(super) action: String,
    pub(super) csrf: String,
    pub(super) fields: FieldsView,
    /// Links by mail can be sent.
    pub(super) mail: bool,
}

impl Page for NewPage {
    const TEMPLATE: &'static str = "admin/user_new.html";
}

const FORM: &str = "user-new";
const PATH: &str = "/admin/users/new";

/// `GET /admin/users/new`
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let (exchange, person) = match person::at_least(Role::Manager, &services, exchange).await {
        Ok(signed_in) => signed_in,
        Err(answer) => return Ok(*answer),
    };
    let config = &exchange.visit.config;
    let sent = Sent::new(Role::User, config.second_factor.default_method, on_by_default(config));
    page(exchange, &person, &sent, StatusCode::OK, Problems::default(), None)
}

/// `POST /admin/users/new`
pub async fn submit(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (exchange, person, fields) = match person::form_at_least(Role::Manager, &services, exchange, body, FORM).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    let sent = Sent::read(&fields);
    let new = match sent.judge().and_then(|wanted| new_user(wanted, &exchange.visit.config)) {
        Ok(new) => new,
        Err(problems) => return page(exchange, &person, &sent, StatusCode::UNPROCESSABLE_ENTITY, problems, None),
    };
    let now = exchange.visit.now;
    match services.users.add(new, &person.actor, now).await? {
        Ok(view) => {
            let has_mail = view.user.email.is_some() && exchange.visit.config.mail.is_some();
            let done = match has_mail {
                false => "added",
                // The account is there; without a link it can be sent again from its page.
                true => match services.resets.send(view.user.id, &person.actor, now).await {
                    Ok(Ok(())) => "added-link-sent",
                    Ok(Err(_)) => "added-link-not-sent",
                    Err(error) => {
                        tracing::error!(%error, user = %view.user.id, "a new account's link could not be sent");
                        "added-link-not-sent"
                    }
                },
            };
            Ok(deed::back(exchange, view.user.id, done))
        }
        Err(rejection) => {
            let status = rejection::status(&rejection);
            match Problems::of(&rejection) {
                Some(problems) => page(exchange, &person, &sent, status, problems, None),
                None => {
                    let alert = Some(Alert::problem(rejection::key(&rejection)));
                    page(exchange, &person, &sent, status, Problems::default(), alert)
                }
            }
        }
    }
}

fn new_user(wanted: Wanted, config: &Config) -> Result<NewUser, Problems> {
    let Some(login) = wanted.login else {
        return Err(Problems { login: Some("problem-field-login"), ..Problems::default() });
    };
    Ok(NewUser {
        login,
        name: wanted.name.unwrap_or_default(),
        email: wanted.email.flatten(),
        groups: wanted.groups.unwrap_or_default(),
        role: wanted.role.unwrap_or_default(),
        method: wanted.method,
        // What is so by default is no wish of the manager's (`switched_on_by: owner`).
        second_factor: wanted.second_factor.filter(|on| *on != on_by_default(config)),
        password: None,
        must_change: false,
        hash: None,
        disabled: false,
    })
}

fn on_by_default(config: &Config) -> bool {
    config.second_factor.demand.policy == Policy::Required
}

fn page(
    mut exchange: Exchange,
    person: &Person,
    sent: &Sent,
    status: StatusCode,
    problems: Problems,
    alert: Option<Alert>,
) -> Result<Response, PortalError> {
    exchange.here(PATH, None);
    let config = &exchange.visit.config;
    let mail = config.mail.is_some();
    let mut fields = sent.view(person, None, problems);
    fields.fixed.second_factor = config.second_factor.switched_on_by == SwitchedOnBy::Owner;
    let page = NewPage {
        nav: Nav::new(&mut exchange, person, Room::Users)?,
        alert,
        list: exchange.page_path(LIST),
        action: exchange.page_path(PATH),
        csrf: person.form_token(&mut exchange, FORM)?,
        fields,
        mail,
    };
    Ok(exchange.page(status, &page))
}
