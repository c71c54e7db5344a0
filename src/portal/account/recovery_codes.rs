//! `/account/recovery-codes`: how many are left, and a new set (F7). The codes themselves are shown by
//! [`crate::portal::recovery_codes`].

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::lead_on;
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::moment::Moment;
use crate::portal::nav::{Nav, Room};
use crate::portal::person::{self, Person};
use crate::portal::refusal::Alert;
use crate::portal::view::Page;
use crate::service::Services;
use crate::service::login::Wish;
use crate::service::own::OwnView;

/// The page.
#[derive(Debug, Serialize)]
pub struct OwnCodesPage {
    nav: Nav,
    alert: Option<Alert>,
    csrf: String,
    /// `None`: there is no set.
    left: Option<usize>,
    low: bool,
    unsaved: bool,
    made: Option<Moment>,
    /// Where there is a second factor that they stand in for.
    renew: Option<String>,
    second_factor: String,
    back: String,
}

impl Page for OwnCodesPage {
    const TEMPLATE: &'static str = "account/recovery_codes.html";
}

const FORM: &str = "recovery-codes";
const HERE: &str = "/account/recovery-codes";

/// `GET /account/recovery-codes`
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let (exchange, person) = match person::signed_in(&services, exchange).await {
        Ok(signed_in) => signed_in,
        Err(answer) => return Ok(*answer),
    };
    let alert = super::done(&exchange, &[("confirmed", "done-confirmed")]);
    page(&services, exchange, &person, StatusCode::OK, alert).await
}

/// `POST /account/recovery-codes`
pub async fn renew(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (exchange, person, _) = match person::form(&services, exchange, body, FORM).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    let back = exchange.page_path(HERE);
    let outcome = services.enrolment.renew_codes(&exchange.visit, exchange.user_agent(), &back).await?;
    match lead_on(exchange, outcome, Wish::Anything, HERE) {
        Ok(answer) => Ok(answer),
        Err(refused) => {
            let (mut exchange, why) = *refused;
            let (status, alert) = super::refused(&mut exchange, why);
            page(&services, exchange, &person, status, Some(alert)).await
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
    let Some(view) = services.own.view(&exchange.visit).await? else {
        let back = exchange.page_path(HERE);
        return Ok(exchange.redirect_to_login(&back, None));
    };
    let csrf = person.form_token(&mut exchange, FORM)?;
    let nav = Nav::new(&mut exchange, person, Room::Account)?;
    let page = OwnCodesPage::of(nav, alert, csrf, &view, |below| exchange.page_path(below));
    Ok(exchange.page(status, &page))
}

impl OwnCodesPage {
    fn of(nav: Nav, alert: Option<Alert>, csrf: String, view: &OwnView, path: impl Fn(&str) -> String) -> Self {
        Self {
            nav,
            alert,
            csrf,
            left: view.recovery_left,
            low: view.recovery_low,
            unsaved: view.recovery_unsaved,
            made: view.recovery_made_at.map(Moment::of),
            renew: view.factor.usable.then(|| path(HERE)),
            second_factor: path("/account/second-factor"),
            back: path("/account"),
        }
    }
}

#[cfg(test)]
impl crate::portal::view::Samples for OwnCodesPage {
    fn samples() -> Vec<(String, Self)> {
        use crate::clock::Timestamp;
        let sample = |name: &str, left: Option<usize>, low: bool, unsaved: bool| {
            let page = Self {
                nav: Nav::sample(crate::authn::user::Role::User, Room::Account),
                alert: (name == "refused").then(|| super::obstacle(crate::service::own::Obstacle::NoSecondFactor)),
                csrf: "x".repeat(43),
                left,
                low,
                unsaved,
                made: left.map(|_| Moment::of(Timestamp::from_secs(1_790_000_015))),
                renew: (name != "refused").then(|| format!("/.sekisho{HERE}")),
                second_factor: "/.sekisho/account/second-factor".to_owned(),
                back: "/.sekisho/account".to_owned(),
            };
            (name.to_owned(), page)
        };
        vec![
            sample("many", Some(9), false, false),
            sample("few", Some(1), true, false),
            sample("unsaved", Some(10), false, true),
            sample("none", None, false, false),
            sample("refused", None, false, false),
        ]
    }
}
