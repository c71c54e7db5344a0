//! `GET /admin/users/{id}`: one account with all that belongs to it (F25), and the way to whatever may be done to it.

pub mod deed;
pub mod edit;
mod fields;
pub mod new;
#[cfg(test)]
mod samples;

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use self::deed::Deed;
use crate::authn::lockout::INDEFINITELY;
use crate::authn::recovery_code::RecoverySet;
use crate::authn::user::{Method, Role, User};
use crate::authz::permission::{self, Act, Party};
use crate::id::UserId;
use crate::portal::account::tools::Tool;
use crate::portal::browser_name::browser_name;
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::message::{self, Kind};
use crate::portal::moment::Moment;
use crate::portal::nav::{Nav, Room};
use crate::portal::person::{self, Person};
use crate::portal::refusal::Alert;
use crate::portal::view::Page;
use crate::service::Services;
use crate::service::devices::DeviceView;
use crate::service::history::{Event, Outcome};
use crate::service::session::SessionView;
use crate::service::users::{Rejection, UserView};

/// The list's path below the portal's.
pub const LIST: &str = "/admin/users";

/// How many events are shown.
const EVENTS: usize = 10;

/// The page.
#[derive(Debug, Serialize)]
pub struct UserPage {
    nav: Nav,
    alert: Option<Alert>,
    list: String,
    /// This account's own address, below which the forms' are.
    path: String,
    facts: Facts,
    /// It is the reader's own.
    own: bool,
    /// Where it is edited; absent for who may not.
    edit: Option<String>,
    forms: Forms,
    /// No link by mail can be sent: no address, or no mail server.
    without_mail: bool,
    /// Tools that ask each account for its own.
    tools: Vec<Tool>,
    devices: Vec<Browser>,
    sessions: Vec<Browser>,
    events: Vec<Recent>,
    /// Where all events of the account are.
    all_events: String,
}

/// What the list shows of an account, and more.
#[derive(Debug, Serialize)]
struct Facts {
    id: String,
    login: String,
    /// Empty where there is none.
    name: String,
    email: String,
    role: String,
    groups: Vec<String>,
    state: &'static str,
    /// For how long it is locked; absent where a manager has to unlock it.
    locked_until: Option<Moment>,
    last_login: Option<Moment>,
    registered: Moment,
    /// When the password was set; absent where there is none.
    password: Option<Moment>,
    must_change: bool,
    switched_on: bool,
    method: &'static str,
    /// When the app was set up.
    enrolled: Option<Moment>,
    recovery_codes: Option<usize>,
}

/// The token of each form that the reader may send, and that there is a reason for.
#[derive(Debug, Default, Serialize)]
struct Forms {
    disable: Option<String>,
    enable: Option<String>,
    unlock: Option<String>,
    reset: Option<String>,
    link: Option<String>,
    end_session: Option<String>,
    end_sessions: Option<String>,
    forget_device: Option<String>,
    forget_devices: Option<String>,
    tool_login: Option<String>,
    forget_tool_login: Option<String>,
    delete: Option<String>,
}

/// A device or a session.
#[derive(Debug, Serialize)]
struct Browser {
    id: String,
    name: String,
    address: String,
    begun: Moment,
    seen: Moment,
    /// A device: it is spared the code. A session: it is the reader's own.
    marked: bool,
}

/// One of the newest events: about the account, or done by its owner.
#[derive(Debug, Serialize)]
struct Recent {
    time: Moment,
    /// The end of its text's key.
    event: String,
    failed: bool,
    /// Whom it is about, where that is somebody else.
    login: Option<String>,
    /// Who did it, where that is somebody else.
    actor: Option<String>,
    address: String,
}

impl Page for UserPage {
    const TEMPLATE: &'static str = "admin/user.html";
}

/// `GET /admin/users/{id}`
pub async fn show(
    State(services): State<Services>,
    Path(id): Path<String>,
    exchange: Exchange,
) -> Result<Response, PortalError> {
    let (exchange, person) = match person::at_least(Role::Viewer, &services, exchange).await {
        Ok(signed_in) => signed_in,
        Err(answer) => return Ok(*answer),
    };
    let alert = exchange.query.get("done").and_then(deed::done).map(Alert::notice);
    page(&services, exchange, &person, &id, StatusCode::OK, alert).await
}

/// The page of the account with this id, or the one that says that there is none.
async fn page(
    services: &Services,
    mut exchange: Exchange,
    person: &Person,
    id: &str,
    status: StatusCode,
    alert: Option<Alert>,
) -> Result<Response, PortalError> {
    let view = match found(services, &exchange, person, id).await? {
        Ok(view) => view,
        Err(kind) => return Ok(message::page(exchange, kind)),
    };
    let (id, now) = (view.user.id, exchange.visit.now);
    let devices = services.devices.list(id, now).await?;
    let sessions = services.sessions.list(Some(id), now).await?;
    let config = exchange.visit.config.clone();
    let tools = services.tool_logins.tools(&config, id, None, now).await?;
    let events = services.history.of_user(id, EVENTS, now).await?;
    let below = format!("{LIST}/{id}");
    exchange.here_with(&below, String::new());
    let path = exchange.page_path(&below);
    let without_mail = view.user.email.is_none() || exchange.visit.config.mail.is_none();
    let has = Has {
        devices: !devices.is_empty(),
        sessions: !sessions.is_empty(),
        mail: !without_mail,
        tools: !tools.is_empty(),
    };
    let page = UserPage {
        nav: Nav::new(&mut exchange, person, Room::Users)?,
        alert,
        list: exchange.page_path(LIST),
        own: person.account.id == id,
        edit: may(person, Act::EditName, &view.user).then(|| format!("{path}/edit")),
        forms: Forms::new(&mut exchange, person, &view, has)?,
        facts: Facts::of(&view),
        without_mail,
        tools: tools.iter().map(Tool::of).collect(),
        devices: devices.iter().map(Browser::device).collect(),
        sessions: sessions.iter().map(|view| Browser::session(view, person)).collect(),
        events: events.iter().map(|event| Recent::of(event, id)).collect(),
        all_events: exchange.page_path(&format!("/admin/audit?person={id}")),
        path,
    };
    Ok(exchange.page(status, &page))
}

/// The account that an address names, for whoever may see accounts; else what to say.
async fn found(
    services: &Services,
    exchange: &Exchange,
    person: &Person,
    id: &str,
) -> Result<Result<UserView, Kind>, PortalError> {
    let Ok(id) = id.parse() else { return Ok(Err(Kind::NotFound)) };
    Ok(match services.users.open(id, &person.actor, exchange.visit.now).await? {
        Ok(view) => Ok(view),
        Err(Rejection::NoSuchUser(_)) => Err(Kind::NotFound),
        Err(_) => Err(Kind::DeniedAccount),
    })
}

/// Whether a form is worth showing. The services judge anew what it asks for.
fn may(person: &Person, act: Act, subject: &User) -> bool {
    let actor = Party { id: person.account.id, role: person.account.role };
    permission::judge(actor, act, Party { id: subject.id, role: subject.role }).is_ok()
}

/// What there is that could be taken away, or sent.
#[derive(Clone, Copy)]
struct Has {
    devices: bool,
    sessions: bool,
    mail: bool,
    tools: bool,
}

impl Forms {
    fn new(exchange: &mut Exchange, person: &Person, view: &UserView, has: Has) -> Result<Self, PortalError> {
        let user = &view.user;
        let mut token = |deed: Deed, reason: bool| match reason && may(person, deed.act(), user) {
            true => person.form_token(exchange, deed.form()).map(Some),
            false => Ok(None),
        };
        Ok(Self {
            disable: token(Deed::Disable, !user.disabled)?,
            enable: token(Deed::Enable, user.disabled)?,
            unlock: token(Deed::Unlock, view.locked_until.is_some())?,
            reset: token(Deed::ResetSecondFactor, user.second_factor.totp.is_some() || has.devices)?,
            link: token(Deed::SendLink, has.mail && !user.disabled)?,
            end_session: token(Deed::EndSession, has.sessions)?,
            end_sessions: token(Deed::EndSessions, has.sessions)?,
            forget_device: token(Deed::ForgetDevice, has.devices)?,
            forget_devices: token(Deed::ForgetDevices, has.devices)?,
            tool_login: token(Deed::SetToolLogin, has.tools)?,
            forget_tool_login: token(Deed::ForgetToolLogin, has.tools)?,
            delete: token(Deed::Delete, true)?,
        })
    }
}

impl Facts {
    fn of(view: &UserView) -> Self {
        let user = &view.user;
        let factor = &user.second_factor;
        let state = match (user.disabled, view.locked_until) {
            (true, _) => "disabled",
            (false, Some(_)) => "locked",
            (false, None) => "active",
        };
        Self {
            id: user.id.to_string(),
            login: user.login.to_string(),
            name: user.name.to_string(),
            email: user.email.as_ref().map(ToString::to_string).unwrap_or_default(),
            role: user.role.to_string(),
            groups: user.groups.iter().map(ToString::to_string).collect(),
            state,
            locked_until: view.locked_until.filter(|until| *until < INDEFINITELY).map(Moment::of),
            last_login: user.last_login.map(Moment::of),
            registered: Moment::of(user.registered_at),
            password: user.password.as_ref().map(|password| Moment::of(password.changed_at)),
            must_change: user.password.as_ref().is_some_and(|password| password.must_change),
            switched_on: factor.switched_on,
            method: if factor.method == Method::Mail { "mail" } else { "totp" },
            enrolled: factor.totp.as_ref().map(|app| Moment::of(app.enrolled_at)),
            recovery_codes: factor.recovery.as_ref().map(RecoverySet::left),
        }
    }
}

impl Recent {
    fn of(event: &Event, user: UserId) -> Self {
        Self {
            time: Moment::of(event.at),
            event: event.kind.name().replace('_', "-"),
            failed: event.result == Outcome::Failure,
            login: Some(event.login.clone()).filter(|_| event.user != Some(user)),
            actor: event.actor.clone().filter(|_| event.actor_id != Some(user)),
            address: event.client.address.clone(),
        }
    }
}

impl Browser {
    fn device(view: &DeviceView) -> Self {
        let device = &view.device;
        Self {
            id: device.id.to_string(),
            name: browser_name(&device.client.user_agent),
            address: device.client.address.clone(),
            begun: Moment::of(device.first_seen),
            seen: Moment::of(device.last_seen),
            marked: device.spares,
        }
    }

    fn session(view: &SessionView, person: &Person) -> Self {
        let session = &view.session;
        Self {
            id: session.id.to_string(),
            name: browser_name(&session.client.user_agent),
            address: session.client.address.clone(),
            begun: Moment::of(session.created_at),
            seen: Moment::of(session.last_seen),
            marked: session.id == person.live.id(),
        }
    }
}
