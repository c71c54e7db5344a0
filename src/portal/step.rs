//! Where a login leads after a step that was taken: to the next page, or in.

use axum::response::Response;

use super::exchange::Exchange;
use crate::secret::Token;
use crate::service::cookies::CookieKind;
use crate::service::login::{Refusal, Step};

/// A step that was taken.
pub enum Advance {
    Code { flow: Token },
    Enrol { flow: Token },
    RecoveryCodes { flow: Token },
    SignedIn { session: Token, device: Option<Token>, return_to: String },
}

/// Parts what was taken from what was refused.
///
/// # Errors
/// The refusal, for the page to say.
pub fn taken(step: Step) -> Result<Advance, Refusal> {
    match step {
        Step::Code { flow } => Ok(Advance::Code { flow }),
        Step::Enrol { flow } => Ok(Advance::Enrol { flow }),
        Step::RecoveryCodes { flow } => Ok(Advance::RecoveryCodes { flow }),
        Step::SignedIn { session, device, return_to, welcome: _ } => {
            Ok(Advance::SignedIn { session, device, return_to })
        }
        Step::Refused(refusal) => Err(refusal),
    }
}

/// Leads on.
#[must_use]
pub fn lead_on(mut exchange: Exchange, advance: Advance) -> Response {
    match advance {
        Advance::Code { flow } => {
            exchange.set_cookie(CookieKind::Flow, &flow);
            let path = exchange.page_path("/second-factor");
            exchange.redirect(&path)
        }
        Advance::Enrol { flow } => {
            exchange.set_cookie(CookieKind::Flow, &flow);
            let path = exchange.page_path("/enrol");
            exchange.redirect(&path)
        }
        Advance::RecoveryCodes { flow } => {
            exchange.set_cookie(CookieKind::Flow, &flow);
            let path = exchange.page_path("/enrol/recovery-codes");
            exchange.redirect(&path)
        }
        Advance::SignedIn { session, device, return_to } => {
            exchange.set_cookie(CookieKind::Session, &session);
            if let Some(device) = device {
                exchange.set_cookie(CookieKind::Device, &device);
            }
            if exchange.visit.cookies.flow.is_some() {
                exchange.clear_cookie(CookieKind::Flow);
            }
            exchange.redirect(&return_to)
        }
    }
}
