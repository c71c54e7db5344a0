//! `/account`: one's own settings. What they change is judged by `service::own`; these pages show it and lead there and back.

pub mod confirm;
pub mod devices;
pub mod email;
pub mod overview;
pub mod recovery_codes;
pub mod second_factor;
pub mod sessions;
pub mod tools;

use axum::response::Response;
use http::StatusCode;

use self::confirm::way_to_confirm;
use super::exchange::Exchange;
use super::refusal::Alert;
use super::step;
use crate::service::login::{Step, Wish};
use crate::service::own::{Obstacle, Outcome};

/// What is said of something that was done: a fixed set of words, so that nobody can put others on a page by a link.
fn done(exchange: &Exchange, known: &[(&str, &'static str)]) -> Option<Alert> {
    let done = exchange.query.get("done")?;
    known.iter().find(|(name, _)| *name == done).map(|(_, key)| Alert::notice(key))
}

/// Back to a page of these, which says what was done.
fn back_to(exchange: Exchange, page: &str, done: &str) -> Response {
    let path = format!("{}?done={done}", exchange.page_path(page));
    exchange.redirect(&path)
}

/// Where an outcome leads from `page`: on, to what has to be given again, or to the login.
///
/// # Errors
/// What the page has to say.
fn lead_on(
    exchange: Exchange,
    outcome: Outcome<Step>,
    wish: Wish,
    page: &str,
) -> Result<Response, Box<(Exchange, Obstacle)>> {
    let here = exchange.page_path(page);
    match outcome {
        Outcome::Done(step) => match step::taken(step) {
            Ok(advance) => Ok(step::lead_on(exchange, advance)),
            Err(_) => Ok(exchange.redirect_to_login(&here, Some("restart"))),
        },
        Outcome::ConfirmationDue => {
            let confirm = way_to_confirm(&exchange, wish, &format!("{here}?done=confirmed"));
            Ok(exchange.redirect(&confirm))
        }
        Outcome::SignedOut => Ok(exchange.redirect_to_login(&here, None)),
        Outcome::Refused(obstacle) => Err(Box::new((exchange, obstacle))),
    }
}

/// What is said of an obstacle.
fn obstacle(obstacle: Obstacle) -> Alert {
    Alert::problem(match obstacle {
        Obstacle::FactorRequired => "problem-factor-required",
        Obstacle::NotInUse => "problem-factor-not-in-use",
        Obstacle::NoSecondFactor => "problem-no-factor",
        Obstacle::MailNotConfigured => "address-by-managers",
        Obstacle::SameAddress => "problem-address-same",
        Obstacle::TooManyMails(wait) => return Alert::waiting("problem-changes-wait", wait),
        Obstacle::NothingBegun => "problem-address-gone",
    })
}

/// The status of the page that says it, and what it says; where waiting helps, the answer names the time for programs too.
fn refused(exchange: &mut Exchange, why: Obstacle) -> (StatusCode, Alert) {
    let status = match why {
        Obstacle::TooManyMails(wait) => {
            exchange.retry_after(wait);
            StatusCode::TOO_MANY_REQUESTS
        }
        _ => StatusCode::CONFLICT,
    };
    (status, obstacle(why))
}
