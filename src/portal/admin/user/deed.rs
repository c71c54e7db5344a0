//! `POST /admin/users/{id}/…`: what is done to an account with one button. Each has an address and a form's name of its own.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{MethodRouter, post};
use http::StatusCode;

use super::{LIST, found, page};
use crate::authn::user::Role;
use crate::authz::permission::Act;
use crate::id::UserId;
use crate::portal::account::tools;
use crate::portal::admin::rejection;
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::form::Fields;
use crate::portal::message;
use crate::portal::person::{self, Person};
use crate::portal::refusal::Alert;
use crate::service::Services;
use crate::service::tool_logins;
use crate::service::users::{Rejection, UserView};

/// A button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    Disable,
    Enable,
    Unlock,
    ResetSecondFactor,
    SendLink,
    /// The field `session` names it.
    EndSession,
    EndSessions,
    /// The field `device` names it.
    ForgetDevice,
    ForgetDevices,
    /// The fields `route`, `username` and `secret`.
    SetToolLogin,
    /// The field `route` names it.
    ForgetToolLogin,
    /// The field `login` repeats the account's.
    Delete,
}

/// What is said after it was done, by what stands in the address.
const DONE: [(&str, &str); 16] = [
    ("disabled", "user-done-disabled"),
    ("enabled", "user-done-enabled"),
    ("unlocked", "user-done-unlocked"),
    ("reset", "user-done-reset"),
    ("link-sent", "user-done-link-sent"),
    ("session-ended", "user-done-session-ended"),
    ("sessions-ended", "user-done-sessions-ended"),
    ("device-forgotten", "user-done-device-forgotten"),
    ("devices-forgotten", "user-done-devices-forgotten"),
    ("tool-stored", "user-done-tool-stored"),
    ("tool-removed", "user-done-tool-removed"),
    ("saved", "user-done-saved"),
    ("unchanged", "user-done-unchanged"),
    ("added", "user-done-added"),
    ("added-link-sent", "user-done-added-link-sent"),
    ("added-link-not-sent", "user-done-added-link-not-sent"),
];

/// The text's key for a word of the address; a word that is not known says nothing.
pub fn done(word: &str) -> Option<&'static str> {
    DONE.iter().find(|(known, _)| *known == word).map(|(_, key)| *key)
}

/// Every text of [`done`], so that a test can tell that there is one in each language.
#[cfg(test)]
pub fn every_text(language: crate::config::Language) {
    DONE.iter().for_each(|(_, key)| assert!(crate::i18n::text(language, key, None).is_some(), "{key}"));
}

impl Deed {
    /// The name of its form.
    pub const fn form(self) -> &'static str {
        match self {
            Self::Disable => "user-disable",
            Self::Enable => "user-enable",
            Self::Unlock => "user-unlock",
            Self::ResetSecondFactor => "user-reset-second-factor",
            Self::SendLink => "user-send-link",
            Self::EndSession => "user-end-session",
            Self::EndSessions => "user-end-sessions",
            Self::ForgetDevice => "user-forget-device",
            Self::ForgetDevices => "user-forget-devices",
            Self::SetToolLogin => "user-tool-login",
            Self::ForgetToolLogin => "user-forget-tool-login",
            Self::Delete => "user-delete",
        }
    }

    /// What is judged.
    pub const fn act(self) -> Act {
        match self {
            Self::Disable | Self::Enable => Act::Disable,
            Self::Unlock => Act::Unlock,
            Self::ResetSecondFactor => Act::ResetSecondFactor,
            Self::SendLink => Act::SendLink,
            Self::EndSession | Self::EndSessions => Act::EndSessions,
            Self::ForgetDevice | Self::ForgetDevices => Act::ForgetDevices,
            Self::SetToolLogin | Self::ForgetToolLogin => Act::SetToolLogin,
            Self::Delete => Act::Delete,
        }
    }

    const fn done(self) -> &'static str {
        match self {
            Self::Disable => "disabled",
            Self::Enable => "enabled",
            Self::Unlock => "unlocked",
            Self::ResetSecondFactor => "reset",
            Self::SendLink => "link-sent",
            Self::EndSession => "session-ended",
            Self::EndSessions => "sessions-ended",
            Self::ForgetDevice => "device-forgotten",
            Self::ForgetDevices => "devices-forgotten",
            Self::SetToolLogin => "tool-stored",
            Self::ForgetToolLogin => "tool-removed",
            Self::Delete => "deleted",
        }
    }

    /// What answers at its address.
    pub fn page(self) -> MethodRouter<Services> {
        post(move |State(services): State<Services>, Path(id): Path<String>, exchange: Exchange, body: Body| {
            submit(self, services, id, exchange, body)
        })
    }
}

/// Why a button did nothing: the services' answer, or what the form itself says.
enum Refused {
    Rejection(Rejection),
    /// The login that was typed is another one.
    OtherLogin,
    Tool(tool_logins::Refused),
}

impl Refused {
    fn of(refused: tool_logins::Refused) -> Self {
        match refused {
            tool_logins::Refused::Rejection(rejection) => Self::Rejection(rejection),
            other => Self::Tool(other),
        }
    }
}

async fn submit(
    deed: Deed,
    services: Services,
    id: String,
    exchange: Exchange,
    body: Body,
) -> Result<Response, PortalError> {
    let posted = person::form_at_least(Role::Manager, &services, exchange, body, deed.form()).await;
    let (exchange, person, fields) = match posted {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    let view = match found(&services, &exchange, &person, &id).await? {
        Ok(view) => view,
        Err(kind) => return Ok(message::page(exchange, kind)),
    };
    let id = view.user.id;
    match carry_out(deed, &services, &exchange, &person, &view, &fields).await? {
        Ok(()) if deed == Deed::Delete => {
            let list = exchange.page_path(LIST);
            Ok(exchange.redirect(&format!("{list}?done=deleted")))
        }
        Ok(()) => Ok(back(exchange, id, deed.done())),
        Err(refused) => {
            let (status, alert) = match refused {
                Refused::Rejection(rejection) => {
                    (rejection::status(&rejection), Alert::problem(rejection::key(&rejection)))
                }
                Refused::Tool(refused) => (StatusCode::UNPROCESSABLE_ENTITY, Alert::problem(tools::problem(&refused))),
                Refused::OtherLogin => (StatusCode::BAD_REQUEST, Alert::problem("problem-other-login")),
            };
            page(&services, exchange, &person, &id.to_string(), status, Some(alert)).await
        }
    }
}

/// Leads to the account's page, which says what was done.
pub fn back(exchange: Exchange, id: UserId, done: &str) -> Response {
    let path = exchange.page_path(&format!("{LIST}/{id}?done={done}"));
    exchange.redirect(&path)
}

async fn carry_out(
    deed: Deed,
    services: &Services,
    exchange: &Exchange,
    person: &Person,
    view: &UserView,
    fields: &Fields,
) -> Result<Result<(), Refused>, PortalError> {
    let (users, actor, now) = (&services.users, &person.actor, exchange.visit.now);
    let (id, who) = (view.user.id, view.user.id.to_string());
    let outcome = match deed {
        Deed::Disable => users.set_disabled(&who, true, actor, now).await?.map(drop),
        Deed::Enable => users.set_disabled(&who, false, actor, now).await?.map(drop),
        Deed::Unlock => users.unlock(&who, actor, now).await?.map(drop),
        Deed::ResetSecondFactor => users.reset_second_factor(&who, actor, now).await?.map(drop),
        Deed::SendLink => services.resets.send(id, actor, now).await?,
        // What has ended by itself meanwhile is what was wished for.
        Deed::EndSession => match fields.get("session").unwrap_or_default().parse() {
            Ok(session) => services.sessions.end_by_id(session, actor, now).await?.map(drop),
            Err(_) => Ok(()),
        },
        Deed::EndSessions => services.sessions.end_all_of(id, actor, now).await?.map(drop),
        Deed::ForgetDevice => match fields.get("device").unwrap_or_default().parse() {
            Ok(device) => services.devices.forget_of(id, device, actor, now).await?.map(drop),
            Err(_) => Ok(()),
        },
        Deed::ForgetDevices => services.devices.forget_all(id, actor, now).await?.map(drop),
        Deed::SetToolLogin => {
            let field = |name| fields.get(name).unwrap_or_default();
            let (route, username, secret) = (field("route"), field("username").trim(), field("secret").into());
            let set = services.tool_logins.set(id, route, username, secret, actor, now).await?;
            return Ok(set.map_err(Refused::of));
        }
        Deed::ForgetToolLogin => {
            let route = fields.get("route").unwrap_or_default();
            return Ok(services.tool_logins.forget(id, route, actor, now).await?.map_err(Refused::of));
        }
        Deed::Delete => {
            let typed = fields.get("login").unwrap_or_default().trim().to_lowercase();
            if typed != view.user.login.as_str() {
                return Ok(Err(Refused::OtherLogin));
            }
            users.delete(&who, actor, now).await?
        }
    };
    Ok(outcome.map_err(Refused::Rejection))
}
