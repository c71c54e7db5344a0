//! `/enrol/recovery-codes`: the codes of an app that was just enrolled, to be saved before the login goes on (F7); the same
//! as a text file.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::csrf::Form;
use super::error::PortalError;
use super::exchange::Exchange;
use super::pending::{self, Pending};
use super::refusal::{self, Alert};
use super::view::Page;
use super::{guard, login, step};
use crate::clock::Timestamp;
use crate::config::Language;
use crate::i18n;
use crate::secret::{ExposeSecret, Token};
use crate::service::Services;
use crate::service::enrolment::RecoveryCodesView;
use crate::service::login::Stage;

/// The page. Holds codes in the clear: what prints it prints secrets, so it is not `Debug`.
#[derive(Serialize)]
pub struct RecoveryCodesPage {
    action: String,
    csrf: String,
    alert: Option<Alert>,
    codes: Vec<String>,
    /// Made anew, not together with an app.
    alone: bool,
    account: String,
    issuer: String,
    date: String,
    /// The address of the text file.
    download: String,
}

impl Page for RecoveryCodesPage {
    const TEMPLATE: &'static str = "recovery_codes.html";
    const LEADS_OUT: bool = true;
}

/// `GET /enrol/recovery-codes`
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    match pending::page(&services, exchange, Stage::RecoveryCodesShown).await? {
        Ok(Pending { exchange, flow, .. }) => page(&services, exchange, StatusCode::OK, &flow, None).await,
        Err(answer) => Ok(*answer),
    }
}

/// `GET /enrol/recovery-codes.txt`
pub async fn download(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let Pending { exchange, flow, .. } = match pending::page(&services, exchange, Stage::RecoveryCodesShown).await? {
        Ok(pending) => pending,
        Err(answer) => return Ok(*answer),
    };
    let Some(view) = services.enrolment.recovery_codes(&exchange.visit, &flow).await? else {
        return Ok(pending::none(exchange));
    };
    let text = text_file(exchange.language, &view);
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"recovery-codes.txt\"")),
    ];
    Ok(exchange.finish((headers, text).into_response()))
}

/// `POST /enrol/recovery-codes`: "I have saved them".
pub async fn submit(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (exchange, fields) = match guard::form(exchange, body).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    let shown = pending::page(&services, exchange, Stage::RecoveryCodesShown).await?;
    let Pending { mut exchange, flow, view } = match shown {
        Ok(pending) => pending,
        Err(answer) => return Ok(*answer),
    };
    if !exchange.token_is_valid(Form::RecoveryCodes { flow: &flow }, &fields) {
        let alert = Alert::form_expired();
        return page(&services, exchange, StatusCode::FORBIDDEN, &flow, Some(alert)).await;
    }
    let step = services.enrolment.saved(&exchange.visit, exchange.user_agent(), &flow).await?;
    match step::taken(step) {
        Ok(advance) => Ok(step::lead_on(exchange, advance)),
        Err(refused) => {
            if let Some(wait) = refusal::retry_after(refused) {
                exchange.retry_after(wait);
            }
            login::over(exchange, refused, &view.login, Some(&view.return_to))
        }
    }
}

/// The codes as a file for Windows, macOS and Linux alike: UTF-8, lines that end in CR LF, a box to tick for each code.
#[must_use]
pub fn text_file(language: Language, view: &RecoveryCodesView) -> String {
    let say = |key| i18n::text(language, key, None).unwrap_or_default();
    let mut lines = vec![
        format!("{} ({})", say("recovery-codes-heading"), view.issuer),
        String::new(),
        format!("{}: {}", say("recovery-file-account"), view.account),
        format!("{}: {}", say("recovery-file-issuer"), view.issuer),
        format!("{}: {}", say("recovery-file-date"), date(view.made_at)),
        String::new(),
    ];
    lines.extend(view.codes.iter().map(|code| format!("[ ] {}", code.expose_secret())));
    lines.extend([String::new(), say("recovery-codes-each-once"), say("recovery-file-used"), String::new()]);
    lines.join("\r\n")
}

/// The day, in UTC.
fn date(at: Timestamp) -> String {
    at.to_string().split('T').next().unwrap_or_default().to_owned()
}

async fn page(
    services: &Services,
    mut exchange: Exchange,
    status: StatusCode,
    flow: &Token,
    alert: Option<Alert>,
) -> Result<Response, PortalError> {
    let Some(view) = services.enrolment.recovery_codes(&exchange.visit, flow).await? else {
        return Ok(pending::none(exchange));
    };
    exchange.here("/enrol/recovery-codes", None);
    let page = RecoveryCodesPage {
        action: exchange.page_path("/enrol/recovery-codes"),
        csrf: exchange.form_token(Form::RecoveryCodes { flow })?,
        alert,
        codes: view.codes.iter().map(|code| code.expose_secret().to_owned()).collect(),
        alone: view.alone,
        account: view.account,
        issuer: view.issuer,
        date: date(view.made_at),
        download: exchange.page_path("/enrol/recovery-codes.txt"),
    };
    Ok(exchange.page(status, &page))
}

#[cfg(test)]
pub fn sample_view() -> RecoveryCodesView {
    RecoveryCodesView {
        codes: (0..10_u64).map(|n| format!("{:08}", 12_345_678 + n * 8_765_431).into()).collect(),
        account: "hanako.yamada".to_owned(),
        issuer: "Shop admin".to_owned(),
        made_at: Timestamp::from_secs(1_800_000_015),
        alone: false,
    }
}

#[cfg(test)]
impl super::view::Samples for RecoveryCodesPage {
    fn samples() -> Vec<(String, Self)> {
        let sample = |name: &str, alert| {
            let view = sample_view();
            let page = Self {
                action: "/.sekisho/enrol/recovery-codes".to_owned(),
                csrf: "x".repeat(43),
                alert,
                codes: view.codes.iter().map(|code| code.expose_secret().to_owned()).collect(),
                alone: name == "alone",
                account: view.account,
                issuer: view.issuer,
                date: date(view.made_at),
                download: "/.sekisho/enrol/recovery-codes.txt".to_owned(),
            };
            (name.to_owned(), page)
        };
        vec![sample("plain", None), sample("alone", None), sample("expired", Some(Alert::form_expired()))]
    }
}
