//! `/account/devices`: the browsers that one is known on; forgetting one, or all.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::back_to;
use crate::id::DeviceId;
use crate::portal::browser_name::browser_name;
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::moment::Moment;
use crate::portal::nav::{Nav, Room};
use crate::portal::person::{self, Person};
use crate::portal::refusal::Alert;
use crate::portal::view::Page;
use crate::service::Services;
use crate::service::devices::DeviceView;

/// The page.
#[derive(Debug, Serialize)]
pub struct DevicesPage {
    nav: Nav,
    alert: Option<Alert>,
    csrf: String,
    devices: Vec<Row>,
    forget: String,
    forget_all: String,
    back: String,
}

#[derive(Debug, Serialize)]
struct Row {
    id: String,
    /// Empty where nothing is known.
    browser: String,
    address: String,
    first_seen: Moment,
    last_seen: Moment,
    /// Spared the code until the re-check interval has passed.
    remembered: bool,
    here: bool,
}

impl Page for DevicesPage {
    const TEMPLATE: &'static str = "account/devices.html";
}

const FORM: &str = "devices";
const HERE: &str = "/account/devices";
const DONE: &[(&str, &str)] = &[("forgotten", "done-device-forgotten"), ("all-forgotten", "done-devices-forgotten")];

/// `GET /account/devices`
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let (exchange, person) = match person::signed_in(&services, exchange).await {
        Ok(signed_in) => signed_in,
        Err(answer) => return Ok(*answer),
    };
    let alert = super::done(&exchange, DONE);
    page(&services, exchange, &person, StatusCode::OK, alert).await
}

/// `POST /account/devices/forget`
pub async fn forget(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (exchange, person, fields) = match person::form(&services, exchange, body, FORM).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    let forgotten = match fields.get("id").unwrap_or_default().parse::<DeviceId>() {
        Ok(id) => services.devices.forget_of(person.account.id, id, &person.actor, exchange.visit.now).await?,
        Err(_) => Ok(None),
    };
    match forgotten {
        Ok(Some(_)) => Ok(back_to(exchange, HERE, "forgotten")),
        // One of somebody else's is not there, like one that never was.
        Ok(None) | Err(_) => {
            let gone = Alert::problem("problem-device-gone");
            page(&services, exchange, &person, StatusCode::NOT_FOUND, Some(gone)).await
        }
    }
}

/// `POST /account/devices/forget-all`
pub async fn forget_all(
    State(services): State<Services>,
    exchange: Exchange,
    body: Body,
) -> Result<Response, PortalError> {
    let (exchange, person, _) = match person::form(&services, exchange, body, FORM).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    match services.devices.forget_all(person.account.id, &person.actor, exchange.visit.now).await? {
        Ok(_) => Ok(back_to(exchange, HERE, "all-forgotten")),
        Err(_) => Ok(exchange.redirect_to_login("/", None)),
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
    let here = services.devices.here(&exchange.visit).await?;
    let devices = services.devices.list(person.account.id, exchange.visit.now).await?;
    let page = DevicesPage {
        nav: Nav::new(&mut exchange, person, Room::Account)?,
        alert,
        csrf: person.form_token(&mut exchange, FORM)?,
        devices: devices.iter().map(|view| Row::of(view, here)).collect(),
        forget: exchange.page_path("/account/devices/forget"),
        forget_all: exchange.page_path("/account/devices/forget-all"),
        back: exchange.page_path("/account"),
    };
    Ok(exchange.page(status, &page))
}

impl Row {
    fn of(view: &DeviceView, here: Option<DeviceId>) -> Self {
        let device = &view.device;
        Self {
            id: device.id.to_string(),
            browser: browser_name(&device.client.user_agent),
            address: device.client.address.clone(),
            first_seen: Moment::of(device.first_seen),
            last_seen: Moment::of(device.last_seen),
            remembered: device.spares,
            here: Some(device.id) == here,
        }
    }
}

#[cfg(test)]
impl crate::portal::view::Samples for DevicesPage {
    fn samples() -> Vec<(String, Self)> {
        use crate::clock::Timestamp;
        let row = |browser: &str, address: &str, remembered, here| Row {
            id: "0123456789abcdef".to_owned(),
            browser: browser.to_owned(),
            address: address.to_owned(),
            first_seen: Moment::of(Timestamp::from_secs(1_790_000_015)),
            last_seen: Moment::of(Timestamp::from_secs(1_795_339_805)),
            remembered,
            here,
        };
        let sample = |name: &str, devices: Vec<Row>, alert: Option<Alert>| {
            let page = Self {
                nav: Nav::sample(crate::authn::user::Role::User, Room::Account),
                alert,
                csrf: "x".repeat(43),
                devices,
                forget: "/.sekisho/account/devices/forget".to_owned(),
                forget_all: "/.sekisho/account/devices/forget-all".to_owned(),
                back: "/.sekisho/account".to_owned(),
            };
            (name.to_owned(), page)
        };
        let known = || {
            vec![
                row("Chrome, Windows", "203.0.113.7", true, true),
                row("Safari, iPhone", "2001:db8:85a3:8d3:1319:8a2e:370:7348", false, false),
                row("", "198.51.100.23", true, false),
            ]
        };
        vec![
            sample("some", known(), None),
            sample("none", Vec::new(), Some(Alert::notice("done-devices-forgotten"))),
            sample("forgotten", known(), Some(Alert::notice("done-device-forgotten"))),
            sample("gone", known(), Some(Alert::problem("problem-device-gone"))),
        ]
    }
}
