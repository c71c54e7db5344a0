//! `/enrol`: the key of a new authenticator app, as a QR code and as text, shown until a first code proves that it has
//! arrived (F3), or until the person puts it off (F4).

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::csrf::Form;
use super::error::PortalError;
use super::exchange::Exchange;
use super::pending::{self, Pending};
use super::qr::{self, Drawing};
use super::refusal::{self, Alert};
use super::span::Span;
use super::step::{self, Course};
use super::view::Page;
use super::{guard, login};
use crate::secret::{ExposeSecret, Token};
use crate::service::Services;
use crate::service::cookies::CookieKind;
use crate::service::login::{FlowView, Refusal, Stage};

/// The page. Holds the key in the clear: what prints it prints a secret, so it is not `Debug`.
#[derive(Serialize)]
pub struct EnrolPage {
    action: String,
    cancel: String,
    csrf: String,
    qr: Drawing,
    /// `otpauth://…`: opens the app where it is on this very device.
    uri: String,
    key: String,
    issuer: String,
    account: String,
    digits: u8,
    remember: Option<Span>,
    remember_ticked: bool,
    /// Putting it off goes on without a second factor; otherwise it ends the login.
    optional: bool,
    alert: Option<Alert>,
}

impl Page for EnrolPage {
    const TEMPLATE: &'static str = "enrol.html";
    const LEADS_OUT: bool = true;
}

/// `GET /enrol`
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let Pending { exchange, flow, view } = match pending::page(&services, exchange, Stage::EnrolmentDue).await? {
        Ok(pending) => pending,
        Err(answer) => return Ok(*answer),
    };
    page(&services, exchange, StatusCode::OK, &flow, &view, false, None).await
}

/// `POST /enrol`
pub async fn submit(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (Pending { exchange, flow, view }, fields) =
        match pending::form(&services, exchange, body, Stage::EnrolmentDue).await? {
            Ok(posted) => posted,
            Err(answer) => return Ok(*answer),
        };
    let remember = fields.get("remember").is_some();
    if !exchange.token_is_valid(Form::Enrol { flow: &flow }, &fields) {
        let alert = Alert::form_expired();
        return page(&services, exchange, StatusCode::FORBIDDEN, &flow, &view, remember, Some(alert)).await;
    }
    let code = fields.get("code").unwrap_or_default().trim();
    if code.is_empty() {
        let alert = Alert::problem("problem-code-missing");
        return page(&services, exchange, StatusCode::BAD_REQUEST, &flow, &view, remember, Some(alert)).await;
    }
    let step = services.enrolment.confirm(&exchange.visit, exchange.user_agent(), &flow, code, remember).await?;
    match step::course(exchange, step, &view)? {
        Course::Onward(answer) => Ok(answer),
        Course::Again(exchange, refused) => {
            page(&services, *exchange, refusal::status(refused), &flow, &view, remember, Some(Alert::of(refused))).await
        }
    }
}

/// `POST /enrol/cancel`
pub async fn cancel(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (mut exchange, fields) = match guard::form(exchange, body).await {
        Ok(posted) => posted,
        Err(answer) => return Ok(*answer),
    };
    let Some((flow, view)) = pending::of(&services, &exchange).await? else {
        return Ok(pending::none(exchange));
    };
    if view.stage != Stage::EnrolmentDue {
        return Ok(step::to_page_of(exchange, view.stage));
    }
    if !exchange.token_is_valid(Form::Enrol { flow: &flow }, &fields) {
        let alert = Alert::form_expired();
        return page(&services, exchange, StatusCode::FORBIDDEN, &flow, &view, false, Some(alert)).await;
    }
    let step = services.enrolment.cancel(&exchange.visit, exchange.user_agent(), &flow).await?;
    match step::taken(step) {
        Ok(advance) => Ok(step::lead_on(exchange, advance)),
        // Where it is required, this is what putting it off means: nothing is enrolled, and nobody is signed in.
        Err(Refusal::RestartLogin) => {
            exchange.clear_cookie(CookieKind::Flow);
            Ok(exchange.redirect_to_login(&view.return_to, Some("cancelled")))
        }
        Err(refused) => login::over(exchange, refused, &view.login, Some(&view.return_to)),
    }
}

async fn page(
    services: &Services,
    mut exchange: Exchange,
    status: StatusCode,
    flow: &Token,
    view: &FlowView,
    remember_ticked: bool,
    alert: Option<Alert>,
) -> Result<Response, PortalError> {
    let Some(offer) = services.enrolment.offer(&exchange.visit, flow).await? else {
        return Ok(pending::none(exchange));
    };
    exchange.here("/enrol", None);
    let uri = offer.uri.expose_secret();
    let page = EnrolPage {
        action: exchange.page_path("/enrol"),
        cancel: exchange.page_path("/enrol/cancel"),
        csrf: exchange.form_token(Form::Enrol { flow })?,
        qr: qr::draw(uri).ok_or(PortalError::QrCode)?,
        uri: uri.to_owned(),
        key: offer.key.expose_secret().to_owned(),
        issuer: offer.issuer,
        account: offer.account,
        digits: exchange.visit.config.second_factor.totp.digits,
        remember: view.offers_remember.then(|| Span::exactly(view.recheck_interval)),
        remember_ticked,
        optional: offer.optional,
        alert,
    };
    Ok(exchange.page(status, &page))
}

#[cfg(test)]
impl super::view::Samples for EnrolPage {
    fn samples() -> Vec<(String, Self)> {
        let uri =
            "otpauth://totp/Shop%20admin:hanako.yamada?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Shop%20admin";
        let sample = |name: &str, optional: bool, alert: Option<Alert>| {
            let page = Self {
                action: "/.sekisho/enrol".to_owned(),
                cancel: "/.sekisho/enrol/cancel".to_owned(),
                csrf: "x".repeat(43),
                qr: qr::draw(uri).unwrap(),
                uri: uri.to_owned(),
                key: "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ".to_owned(),
                issuer: "Shop admin".to_owned(),
                account: "hanako.yamada".to_owned(),
                digits: 6,
                remember: Some(Span::exactly(std::time::Duration::from_secs(7 * 86_400))),
                remember_ticked: false,
                optional,
                alert,
            };
            (name.to_owned(), page)
        };
        vec![
            sample("required", false, None),
            sample("optional", true, None),
            sample("wrong", false, Some(Alert::of(Refusal::WrongCode { clock_hint: true }))),
            sample(
                "wait",
                false,
                Some(Alert::of(Refusal::TooManyChanges { retry_after: std::time::Duration::from_secs(60) })),
            ),
        ]
    }
}
