//! The portal's own front door: says who is signed in, and leads on, to one's own settings, to administration, or out.

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::csrf::Form;
use super::error::PortalError;
use super::exchange::Exchange;
use super::nav;
use super::view::Page;
use crate::service::session::LiveSession;

/// The page.
#[derive(Debug, Serialize)]
pub struct LandingPage {
    login: String,
    /// Empty where the account has no name.
    name: String,
    home: String,
    account: String,
    /// For whoever has a room there.
    administration: Option<String>,
    logout: String,
    csrf: String,
}

impl Page for LandingPage {
    const TEMPLATE: &'static str = "landing.html";
}

/// `GET /`
pub async fn show(mut exchange: Exchange) -> Result<Response, PortalError> {
    let account = exchange.session().map(LiveSession::account);
    let (Some(account), Some(session)) = (account, exchange.visit.cookies.session.clone()) else {
        return Ok(exchange.redirect_to_login("/", None));
    };
    exchange.here("/", None);
    let page = LandingPage {
        login: account.login.to_string(),
        name: account.name.to_string(),
        home: "/".to_owned(),
        account: exchange.page_path("/account"),
        administration: nav::administration(account.role).map(|below| exchange.page_path(below)),
        logout: exchange.page_path("/logout"),
        csrf: exchange.form_token(Form::Logout { session: &session })?,
    };
    Ok(exchange.page(StatusCode::OK, &page))
}

#[cfg(test)]
impl super::view::Samples for LandingPage {
    fn samples() -> Vec<(String, Self)> {
        let sample = |file: &str, name: &str, administration: Option<&str>| {
            let page = Self {
                login: "hanako.yamada".to_owned(),
                name: name.to_owned(),
                home: "/".to_owned(),
                account: "/.sekisho/account".to_owned(),
                administration: administration.map(str::to_owned),
                logout: "/.sekisho/logout".to_owned(),
                csrf: "x".repeat(43),
            };
            (file.to_owned(), page)
        };
        vec![sample("named", "山田 花子", Some("/.sekisho/admin")), sample("nameless", "", None)]
    }
}
