//! `/password/reset`: sets a new password by a link from a mail.
//!
//! The link's value comes in the address, which histories and logs keep: so it is taken into a cookie at once, and the page stands
//! at an address without it. Opening a link spends nothing, since scanners of mail open every one.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::form::{self, NewPassword};
use crate::portal::assets::Asset;
use crate::portal::csrf::Form;
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::guard;
use crate::portal::refusal::Alert;
use crate::portal::view::Page;
use crate::secret::Token;
use crate::service::Services;
use crate::service::cookies::CookieKind;
use crate::service::reset::{Outcome, ResetView};

/// The page.
#[derive(Debug, Serialize)]
pub struct ResetPage {
    /// `None`: the link is good for nothing.
    form: Option<ResetForm>,
    /// For the part that both forms have.
    new_password: Option<NewPassword>,
    alert: Option<Alert>,
    /// To another link, where one can be asked for.
    forgot: Option<String>,
    back: String,
}

#[derive(Debug, Serialize)]
struct ResetForm {
    action: String,
    csrf: String,
    login: String,
    needs_recovery_code: bool,
    /// There is no password yet.
    first: bool,
    wrong_code: bool,
}

impl Page for ResetPage {
    const TEMPLATE: &'static str = "password/reset.html";

    fn script(&self) -> Option<&'static Asset> {
        self.form.is_some().then(form::script)
    }
}

/// `GET /password/reset`
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let mut exchange = match guard::page(exchange) {
        Ok(exchange) => exchange,
        Err(answer) => return Ok(*answer),
    };
    if let Some(value) = exchange.query.get("token") {
        match Token::parse(value.trim()) {
            Some(link) => exchange.set_cookie(CookieKind::Reset, &link),
            None => exchange.clear_cookie(CookieKind::Reset),
        }
        let path = exchange.page_path("/password/reset");
        return Ok(exchange.redirect(&path));
    }
    match opened(&services, &exchange).await? {
        Some((link, view)) => page(exchange, StatusCode::OK, &link, &view, None),
        None => Ok(gone(exchange)),
    }
}

/// `POST /password/reset`
pub async fn submit(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (mut exchange, mut fields) = match guard::form(exchange, body).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    let Some((link, view)) = opened(&services, &exchange).await? else { return Ok(gone(exchange)) };
    if !exchange.token_is_valid(Form::Reset { link: &link }, &fields) {
        return page(exchange, StatusCode::FORBIDDEN, &link, &view, Some(Alert::form_expired()));
    }
    let code = fields.take("code");
    if view.needs_recovery_code && code.trim().is_empty() {
        return page(exchange, StatusCode::BAD_REQUEST, &link, &view, Some(Alert::problem("reset-code-missing")));
    }
    let new = match form::typed(&mut fields) {
        Ok(new) => new,
        Err(alert) => return page(exchange, StatusCode::BAD_REQUEST, &link, &view, Some(alert)),
    };
    let outcome = services.resets.set(&exchange.visit, exchange.user_agent(), &link, new, &code).await?;
    let (status, alert) = match outcome {
        Outcome::Set => {
            exchange.clear_cookie(CookieKind::Reset);
            return Ok(exchange.redirect_to_login("/", Some("password-reset")));
        }
        Outcome::Gone => return Ok(gone(exchange)),
        Outcome::Weak(weakness) => (StatusCode::BAD_REQUEST, form::alert(weakness)),
        Outcome::WrongCode => (StatusCode::UNAUTHORIZED, Alert::problem("problem-wrong-recovery-code")),
        Outcome::Locked => (StatusCode::FORBIDDEN, Alert::problem("problem-locked")),
    };
    page(exchange, status, &link, &view, Some(alert))
}

/// The link that this browser has opened, while it is good.
async fn opened(services: &Services, exchange: &Exchange) -> Result<Option<(Token, ResetView)>, PortalError> {
    let Some(link) = exchange.visit.cookies.reset.clone() else { return Ok(None) };
    let view = services.resets.open(&exchange.visit, &link).await?;
    Ok(view.map(|view| (link, view)))
}

fn page(
    mut exchange: Exchange,
    status: StatusCode,
    link: &Token,
    view: &ResetView,
    alert: Option<Alert>,
) -> Result<Response, PortalError> {
    exchange.here("/password/reset", None);
    let page = ResetPage {
        form: Some(ResetForm {
            action: exchange.page_path("/password/reset"),
            csrf: exchange.form_token(Form::Reset { link })?,
            login: view.login.clone(),
            needs_recovery_code: view.needs_recovery_code,
            first: view.first,
            wrong_code: alert.as_ref().is_some_and(is_about_the_code),
        }),
        new_password: Some(NewPassword::of(&exchange.visit.config, &view.personal, !view.first, alert.as_ref())),
        alert,
        forgot: None,
        back: exchange.page_path("/login"),
    };
    Ok(exchange.page(status, &page))
}

/// A link that was used, is too old, or was never one: 410 for all.
fn gone(mut exchange: Exchange) -> Response {
    if exchange.visit.cookies.reset.is_some() {
        exchange.clear_cookie(CookieKind::Reset);
    }
    exchange.here("/password/reset", None);
    let page = ResetPage {
        form: None,
        new_password: None,
        alert: Some(Alert::problem("reset-gone")),
        forgot: exchange.visit.config.mail.is_some().then(|| exchange.page_path("/password/forgot")),
        back: exchange.page_path("/login"),
    };
    exchange.page(StatusCode::GONE, &page)
}

fn is_about_the_code(alert: &Alert) -> bool {
    ["reset-code-missing", "problem-wrong-recovery-code"].contains(&alert.key)
}

#[cfg(test)]
impl crate::portal::view::Samples for ResetPage {
    fn samples() -> Vec<(String, Self)> {
        let sample = |name: &str, needs_recovery_code: bool, first: bool, alert: Option<Alert>| {
            let page = Self {
                form: Some(ResetForm {
                    action: "/.sekisho/password/reset".to_owned(),
                    csrf: "x".repeat(43),
                    login: "hanako.yamada".to_owned(),
                    needs_recovery_code,
                    first,
                    wrong_code: alert.as_ref().is_some_and(is_about_the_code),
                }),
                new_password: Some(NewPassword::sample(!first, alert.as_ref())),
                alert,
                forgot: None,
                back: "/.sekisho/login".to_owned(),
            };
            (name.to_owned(), page)
        };
        let nowhere = |name: &str, forgot: bool| {
            let page = Self {
                form: None,
                new_password: None,
                alert: Some(Alert::problem("reset-gone")),
                forgot: forgot.then(|| "/.sekisho/password/forgot".to_owned()),
                back: "/.sekisho/login".to_owned(),
            };
            (name.to_owned(), page)
        };
        vec![
            sample("plain", false, false, None),
            sample("first", false, true, None),
            sample("code", true, false, None),
            sample("code-missing", true, false, Some(Alert::problem("reset-code-missing"))),
            sample("code-wrong", true, false, Some(Alert::problem("problem-wrong-recovery-code"))),
            sample("leaked", false, false, Some(form::alert(crate::authn::password::Weakness::Leaked))),
            nowhere("gone", true),
            nowhere("gone-no-mail", false),
        ]
    }
}
