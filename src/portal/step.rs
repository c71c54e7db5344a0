//! Where a login leads after a step that was taken: to the next page, or in.

use axum::response::Response;

use super::error::PortalError;
use super::exchange::Exchange;
use super::{login, refusal, return_to, tool_cookies};
use crate::id::UserId;
use crate::secret::Token;
use crate::service::cookies::CookieKind;
use crate::service::login::{FlowView, Refusal, Stage, Step};

/// A step that was taken.
pub enum Advance {
    /// Another one is due.
    Due {
        flow: Token,
        stage: Stage,
        /// The session's new value, where the step gave it one.
        session: Option<Token>,
    },
    SignedIn(SignedIn),
}

/// In.
pub struct SignedIn {
    account: UserId,
    session: Token,
    device: Option<Token>,
    return_to: String,
    welcome: bool,
}

/// What comes of a step of a login in progress.
pub enum Course {
    /// It leads on, or the login is over.
    Onward(Response),
    /// The step's page once more, which says what was refused.
    Again(Box<Exchange>, Refusal),
}

/// Leads on from a step of the login that `view` shows, or to the login page where that login is over.
///
/// # Errors
/// Where no form token can be made.
pub fn course(mut exchange: Exchange, step: Step, view: &FlowView) -> Result<Course, PortalError> {
    match taken(step) {
        Ok(advance) => Ok(Course::Onward(lead_on(exchange, advance))),
        Err(refused) if refusal::ends_the_flow(refused) => {
            login::over(exchange, refused, &view.login, Some(&view.return_to)).map(Course::Onward)
        }
        Err(refused) => {
            if let Some(wait) = refusal::retry_after(refused) {
                exchange.retry_after(wait);
            }
            Ok(Course::Again(Box::new(exchange), refused))
        }
    }
}

/// Parts what was taken from what was refused.
///
/// # Errors
/// The refusal, for the page to say.
pub fn taken(step: Step) -> Result<Advance, Refusal> {
    match step {
        Step::Code { flow } => Ok(Advance::Due { flow, stage: Stage::CodeDue, session: None }),
        Step::Enrol { flow } => Ok(Advance::Due { flow, stage: Stage::EnrolmentDue, session: None }),
        Step::RecoveryCodes { flow, session } => Ok(Advance::Due { flow, stage: Stage::RecoveryCodesShown, session }),
        Step::ChangePassword { flow } => Ok(Advance::Due { flow, stage: Stage::PasswordChangeDue, session: None }),
        Step::SignedIn { account, session, device, return_to, welcome } => {
            Ok(Advance::SignedIn(SignedIn { account, session, device, return_to, welcome }))
        }
        Step::Refused(refusal) => Err(refusal),
    }
}

/// Leads on.
#[must_use]
pub fn lead_on(mut exchange: Exchange, advance: Advance) -> Response {
    match advance {
        Advance::Due { flow, stage, session } => {
            exchange.set_cookie(CookieKind::Flow, &flow);
            if let Some(session) = session {
                exchange.set_cookie(CookieKind::Session, &session);
            }
            to_page_of(exchange, stage)
        }
        Advance::SignedIn(signed_in) => {
            keep(&mut exchange, &signed_in);
            if signed_in.welcome {
                let return_to = return_to::encoded(&signed_in.return_to);
                let path = format!("{}?return_to={return_to}", exchange.page_path("/welcome"));
                return exchange.redirect(&path);
            }
            exchange.redirect(&signed_in.return_to)
        }
    }
}

/// Leads to the page of a login that stands at `stage`.
#[must_use]
pub fn to_page_of(exchange: Exchange, stage: Stage) -> Response {
    let path = exchange.page_path(match stage {
        Stage::CodeDue => "/second-factor",
        Stage::EnrolmentDue => "/enrol",
        Stage::RecoveryCodesShown => "/enrol/recovery-codes",
        Stage::PasswordChangeDue => "/password",
    });
    exchange.redirect(&path)
}

/// Sets the cookies of somebody who is in, and takes away that of the login in progress.
pub fn keep(exchange: &mut Exchange, signed_in: &SignedIn) {
    exchange.set_cookie(CookieKind::Session, &signed_in.session);
    if let Some(device) = &signed_in.device {
        exchange.set_cookie(CookieKind::Device, device);
    }
    if exchange.visit.cookies.flow.is_some() {
        exchange.clear_cookie(CookieKind::Flow);
    }
    tool_cookies::hand_to(exchange, signed_in.account);
}
