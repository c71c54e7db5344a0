//! `/account/tools`: what one signs in with at tools that ask each account for its own (F37). What is stored is never shown again.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::back_to;
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::moment::Moment;
use crate::portal::nav::{Nav, Room};
use crate::portal::person::{self, Person};
use crate::portal::refusal::Alert;
use crate::portal::view::Page;
use crate::secret::SecretString;
use crate::service::Services;
use crate::service::tool_logins::{Refused, ToolView};

/// The page.
#[derive(Debug, Serialize)]
pub struct ToolsPage {
    nav: Nav,
    alert: Option<Alert>,
    csrf: String,
    tools: Vec<Tool>,
    set: String,
    forget: String,
    back: String,
}

/// A tool that asks for something.
#[derive(Debug, Serialize)]
pub struct Tool {
    route: String,
    /// A name and a password, rather than a token.
    has_name: bool,
    /// Since when something is stored.
    changed: Option<Moment>,
}

impl Page for ToolsPage {
    const TEMPLATE: &'static str = "account/tools.html";
}

const FORM: &str = "tools";
const HERE: &str = "/account/tools";
const DONE: &[(&str, &str)] = &[("stored", "done-tool-stored"), ("removed", "done-tool-removed")];

impl Tool {
    /// As pages show it.
    #[must_use]
    pub fn of(view: &ToolView) -> Self {
        let changed = view.changed_at.map(Moment::of);
        Self { route: view.route.clone(), has_name: view.kind.has_name(), changed }
    }

    #[cfg(test)]
    pub fn sample(route: &str, has_name: bool, stored: bool) -> Self {
        let at = || Moment::of(crate::clock::Timestamp::from_secs(1_790_000_015));
        Self { route: route.to_owned(), has_name, changed: stored.then(at) }
    }
}

/// What is said of something that was not stored.
#[must_use]
pub const fn problem(refused: &Refused) -> &'static str {
    match refused {
        Refused::NoSuchTool => "problem-tool-gone",
        Refused::Unusable(..) => "problem-tool-unusable",
        Refused::Rejection(_) => "rejection-forbidden",
    }
}

/// `GET /account/tools`
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let (exchange, person) = match person::signed_in(&services, exchange).await {
        Ok(signed_in) => signed_in,
        Err(answer) => return Ok(*answer),
    };
    let alert = super::done(&exchange, DONE);
    page(&services, exchange, &person, StatusCode::OK, alert).await
}

/// `POST /account/tools`
pub async fn set(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (exchange, person, mut fields) = match person::form(&services, exchange, body, FORM).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    let secret = SecretString::from(fields.take("secret"));
    let (route, username) = (fields.take("route"), fields.take("username"));
    let (user, now) = (person.account.id, exchange.visit.now);
    // Only what is on the page: for a tool that one is never let through to, there is nothing to be set.
    let tools = services.tool_logins.tools(&exchange.visit.config, user, Some(&person.account), now).await?;
    let outcome = match tools.iter().any(|tool| tool.route == route) {
        true => services.tool_logins.set(user, &route, username.trim(), secret, &person.actor, now).await?,
        false => Err(Refused::NoSuchTool),
    };
    answer(&services, exchange, &person, outcome, "stored").await
}

/// `POST /account/tools/forget`
pub async fn forget(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (exchange, person, mut fields) = match person::form(&services, exchange, body, FORM).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    let (route, now) = (fields.take("route"), exchange.visit.now);
    let outcome = services.tool_logins.forget(person.account.id, &route, &person.actor, now).await?;
    answer(&services, exchange, &person, outcome, "removed").await
}

async fn answer(
    services: &Services,
    exchange: Exchange,
    person: &Person,
    outcome: Result<(), Refused>,
    done: &str,
) -> Result<Response, PortalError> {
    match outcome {
        Ok(()) => Ok(back_to(exchange, HERE, done)),
        Err(refused) => {
            let status = match refused {
                Refused::NoSuchTool => StatusCode::NOT_FOUND,
                Refused::Unusable(..) => StatusCode::UNPROCESSABLE_ENTITY,
                Refused::Rejection(_) => StatusCode::FORBIDDEN,
            };
            page(services, exchange, person, status, Some(Alert::problem(problem(&refused)))).await
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
    exchange.here(HERE, None);
    let (config, now) = (exchange.visit.config.clone(), exchange.visit.now);
    let tools = services.tool_logins.tools(&config, person.account.id, Some(&person.account), now).await?;
    let page = ToolsPage {
        nav: Nav::new(&mut exchange, person, Room::Account)?,
        alert,
        csrf: person.form_token(&mut exchange, FORM)?,
        tools: tools.iter().map(Tool::of).collect(),
        set: exchange.page_path(HERE),
        forget: exchange.page_path("/account/tools/forget"),
        back: exchange.page_path("/account"),
    };
    Ok(exchange.page(status, &page))
}

#[cfg(test)]
impl crate::portal::view::Samples for ToolsPage {
    fn samples() -> Vec<(String, Self)> {
        let sample = |name: &str, tools: Vec<Tool>, alert: Option<Alert>| {
            let page = Self {
                nav: Nav::sample(crate::authn::user::Role::User, Room::Account),
                alert,
                csrf: "x".repeat(43),
                tools,
                set: format!("/.sekisho{HERE}"),
                forget: format!("/.sekisho{HERE}/forget"),
                back: "/.sekisho/account".to_owned(),
            };
            (name.to_owned(), page)
        };
        let some = || vec![Tool::sample("supervisor", true, true), Tool::sample("prometheus", false, false)];
        vec![
            sample("some", some(), None),
            sample("none", Vec::new(), None),
            sample("stored", some(), Some(Alert::notice("done-tool-stored"))),
            sample("removed", some(), Some(Alert::notice("done-tool-removed"))),
            sample("unusable", some(), Some(Alert::problem("problem-tool-unusable"))),
            sample("gone", some(), Some(Alert::problem("problem-tool-gone"))),
        ]
    }
}
