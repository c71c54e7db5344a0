//! `/second-factor`: the code of the authenticator app, or the one that was mailed; `/second-factor/resend`: another mail;
//! `/second-factor/delivery`: what became of it, for the script of the page.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use fluent_bundle::FluentArgs;
use http::StatusCode;
use serde::Serialize;

use super::assets::{self, Asset};
use super::csrf::Form;
use super::error::PortalError;
use super::exchange::Exchange;
use super::message::Kind;
use super::pending::{self, Pending};
use super::problem::Problem;
use super::refusal::{self, Alert};
use super::span::Span;
use super::step::{self, Course};
use super::view::Page;
use super::{login, return_to};
use crate::authn::mail_code;
use crate::i18n;
use crate::secret::Token;
use crate::service::Services;
use crate::service::cookies::CookieKind;
use crate::service::login::{Delivery, FlowView, MailView, Refusal, Stage};

/// The page.
#[derive(Debug, Serialize)]
pub struct SecondFactorPage {
    action: String,
    csrf: String,
    login: String,
    digits: u8,
    /// Where the code is a mailed one.
    mail: Option<Mailed>,
    /// For how long a remembered device is spared the code; `None`: the box is not offered.
    remember: Option<Span>,
    remember_ticked: bool,
    /// Somebody signed in is asked again.
    step_up: bool,
    alert: Option<Alert>,
    /// With a recovery code, where the account has any.
    recovery: Option<String>,
    /// From the start, or as somebody else.
    restart: String,
}

/// What the page says of the mail.
#[derive(Debug, Serialize)]
struct Mailed {
    /// Masked.
    address: String,
    sending: Sending,
    /// The key of what is said of it.
    text: &'static str,
    lifetime: Span,
    /// Where a script asks what became of it; `None`: there is nothing to wait for.
    ask: Option<String>,
    /// The action of "send again".
    resend: String,
    /// How long that has to wait; `None`: not any more.
    wait: Option<Span>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Sending {
    /// None was sent in this login.
    HeldBack,
    OnItsWay,
    Sent,
    Failed,
}

impl Page for SecondFactorPage {
    const TEMPLATE: &'static str = "second_factor.html";
    const LEADS_OUT: bool = true;

    fn script(&self) -> Option<&'static Asset> {
        self.mail.as_ref().and_then(|mail| mail.ask.as_ref()).map(|_| -> &'static Asset { &assets::DELIVERY })
    }
}

/// `GET /second-factor`
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let Pending { exchange, flow, view } = match pending::page(&services, exchange, Stage::CodeDue).await? {
        Ok(pending) => pending,
        Err(answer) => return Ok(*answer),
    };
    let resent = exchange.query.get("notice") == Some("resent") && view.mail.is_some();
    page(exchange, StatusCode::OK, &flow, &view, false, resent.then(|| Alert::notice("notice-resent")))
}

/// `POST /second-factor`
pub async fn submit(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (Pending { exchange, flow, view }, fields) =
        match pending::form(&services, exchange, body, Stage::CodeDue).await? {
            Ok(posted) => posted,
            Err(answer) => return Ok(*answer),
        };
    let remember = fields.get("remember").is_some();
    if !exchange.token_is_valid(Form::SecondFactor { flow: &flow }, &fields) {
        let alert = Alert::form_expired();
        return page(exchange, StatusCode::FORBIDDEN, &flow, &view, remember, Some(alert));
    }
    let code = fields.get("code").unwrap_or_default().trim();
    if code.is_empty() {
        let alert = Alert::problem("problem-code-missing");
        return page(exchange, StatusCode::BAD_REQUEST, &flow, &view, remember, Some(alert));
    }
    let step = services.login.code(&exchange.visit, exchange.user_agent(), &flow, code, remember).await?;
    match step::course(exchange, step, &view)? {
        Course::Onward(answer) => Ok(answer),
        Course::Again(exchange, refused) => page(
            *exchange,
            refusal::status(refused),
            &flow,
            &view,
            remember,
            Some(Alert::of_code(refused, view.method)),
        ),
    }
}

/// `POST /second-factor/resend`
pub async fn resend(State(services): State<Services>, exchange: Exchange, body: Body) -> Result<Response, PortalError> {
    let (Pending { mut exchange, flow, view }, fields) =
        match pending::form(&services, exchange, body, Stage::CodeDue).await? {
            Ok(posted) => posted,
            Err(answer) => return Ok(*answer),
        };
    if view.mail.is_none() {
        return Ok(step::to_page_of(exchange, view.stage));
    }
    if !exchange.token_is_valid(Form::SecondFactor { flow: &flow }, &fields) {
        return page(exchange, StatusCode::FORBIDDEN, &flow, &view, false, Some(Alert::form_expired()));
    }
    let step = services.login.resend(&exchange.visit, exchange.user_agent(), &flow).await?;
    match step::taken(step) {
        Ok(step::Advance::Due { flow, stage: Stage::CodeDue, .. }) => {
            exchange.set_cookie(CookieKind::Flow, &flow);
            let path = format!("{}?notice=resent", exchange.page_path("/second-factor"));
            Ok(exchange.redirect(&path))
        }
        Ok(advance) => Ok(step::lead_on(exchange, advance)),
        Err(refused) if refusal::ends_the_flow(refused) => {
            login::over(exchange, refused, &view.login, Some(&view.return_to))
        }
        Err(refused) => {
            let alert = match refusal::retry_after(refused) {
                Some(wait) => {
                    exchange.retry_after(wait);
                    Alert::waiting("problem-resend-wait", wait)
                }
                None => Alert::of_code(refused, view.method),
            };
            page(exchange, refusal::status(refused), &flow, &view, false, Some(alert))
        }
    }
}

/// What became of the mail, in words.
#[derive(Serialize)]
struct Told {
    delivery: Sending,
    /// What the page says of it.
    text: String,
    /// The alert, where it did not go out.
    problem: Option<String>,
}

/// `GET /second-factor/delivery`
pub async fn delivery(State(services): State<Services>, exchange: Exchange) -> Response {
    match told(&services, &exchange).await {
        Ok(told) => exchange.finish(Json(told).into_response()),
        Err(problem) => problem.answer(exchange),
    }
}

async fn told(services: &Services, exchange: &Exchange) -> Result<Told, Problem> {
    if !exchange.visit.may_sign_in {
        return Err(Kind::PlainHttp.into());
    }
    let Some((_, view)) = pending::of(services, exchange).await? else {
        return Err(Refusal::RestartLogin.into());
    };
    let Some(mail) = view.mail else { return Err(Kind::NotFound.into()) };
    let delivery = Sending::of(mail.delivery);
    let mut address = FluentArgs::new();
    address.set("address", mail.address.clone());
    let say = |key| i18n::text(exchange.language, key, Some(&address));
    let problem = if delivery == Sending::Failed { say("mailed-failed") } else { None };
    Ok(Told { delivery, text: say(delivery.text()).unwrap_or_default(), problem })
}

fn page(
    mut exchange: Exchange,
    status: StatusCode,
    flow: &Token,
    view: &FlowView,
    remember_ticked: bool,
    alert: Option<Alert>,
) -> Result<Response, PortalError> {
    exchange.here("/second-factor", None);
    let return_to = return_to::encoded(&view.return_to);
    let page = SecondFactorPage {
        action: exchange.page_path("/second-factor"),
        csrf: exchange.form_token(Form::SecondFactor { flow })?,
        login: view.login.clone(),
        digits: if view.mail.is_some() { mail_code::DIGITS } else { exchange.visit.config.second_factor.totp.digits },
        mail: view.mail.as_ref().map(|mail| Mailed::of(mail, &exchange.page_path("/second-factor"))),
        remember: view.offers_remember.then(|| Span::exactly(view.recheck_interval)),
        remember_ticked,
        step_up: view.step_up,
        alert,
        recovery: view.recovery_codes.then(|| exchange.page_path("/second-factor/recovery")),
        restart: format!("{}?return_to={return_to}", exchange.page_path("/login")),
    };
    Ok(exchange.page(status, &page))
}

impl Mailed {
    /// `page`: the path of the page.
    fn of(mail: &MailView, page: &str) -> Self {
        Self {
            address: mail.address.clone(),
            sending: Sending::of(mail.delivery),
            text: Sending::of(mail.delivery).text(),
            ask: (mail.delivery == Some(Delivery::Waiting)).then(|| format!("{page}/delivery")),
            lifetime: Span::exactly(mail.lifetime),
            resend: format!("{page}/resend"),
            wait: (!mail.resend_wait.is_zero()).then(|| Span::waiting(mail.resend_wait)),
        }
    }
}

impl Sending {
    const fn of(delivery: Option<Delivery>) -> Self {
        match delivery {
            None => Self::HeldBack,
            Some(Delivery::Waiting) => Self::OnItsWay,
            Some(Delivery::Delivered) => Self::Sent,
            Some(Delivery::Failed) => Self::Failed,
        }
    }

    /// The key of what is said of it.
    const fn text(self) -> &'static str {
        match self {
            Self::HeldBack => "mailed-held-back",
            Self::OnItsWay => "mailed-on-its-way",
            Self::Sent => "mailed-sent",
            Self::Failed => "mailed-lead",
        }
    }
}

#[cfg(test)]
impl super::view::Samples for SecondFactorPage {
    fn samples() -> Vec<(String, Self)> {
        use std::time::Duration;

        use crate::authn::user::Method;
        let sample = |name: &str, remember: Option<u64>, step_up: bool, alert: Option<Alert>| {
            let page = Self {
                action: "/.sekisho/second-factor".to_owned(),
                csrf: "x".repeat(43),
                login: "alice".to_owned(),
                digits: 6,
                mail: None,
                remember: remember.map(|secs| Span::exactly(Duration::from_secs(secs))),
                remember_ticked: alert.is_some(),
                step_up,
                recovery: (name != "never").then(|| "/.sekisho/second-factor/recovery".to_owned()),
                alert,
                restart: "/.sekisho/login?return_to=%2F".to_owned(),
            };
            (name.to_owned(), page)
        };
        let mailed = |name: &str, delivery: Delivery, wait: u64, refused: Option<Refusal>| {
            let step_up = name == "mail-again";
            let alert = refused.map(|refused| Alert::of_code(refused, Method::Mail));
            let (name, page) = sample(name, Some(7 * 86_400), step_up, alert);
            let view = MailView {
                address: "b••@example.com".to_owned(),
                lifetime: Duration::from_secs(1800),
                resend_wait: Duration::from_secs(wait),
                delivery: (!name.starts_with("mail-held")).then_some(delivery),
            };
            (name, Self { mail: Some(Mailed::of(&view, "/.sekisho/second-factor")), ..page })
        };
        let wait = Duration::from_secs(900);
        let too_soon = Alert::waiting("problem-resend-wait", Duration::from_secs(20));
        let app = |refused| Some(Alert::of_code(refused, Method::Totp));
        vec![
            sample("plain", Some(7 * 86_400), false, None),
            sample("day", Some(86_400), false, None),
            sample("hours", Some(12 * 3600), false, None),
            sample("minutes", Some(900), false, None),
            sample("seconds", Some(30), false, None),
            sample("never", None, false, None),
            sample("step-up", Some(86_400), true, None),
            sample("wrong", Some(86_400), false, app(Refusal::WrongCode { clock_hint: false })),
            sample("clock", Some(7 * 86_400), false, app(Refusal::WrongCode { clock_hint: true })),
            sample("used", None, false, app(Refusal::UsedCode)),
            sample("too-many", None, false, app(Refusal::TooManyAttempts { retry_after: wait })),
            sample("missing", None, false, Some(Alert::problem("problem-code-missing"))),
            mailed("mail", Delivery::Waiting, 30, None),
            mailed("mail-sent", Delivery::Delivered, 0, None),
            mailed("mail-failed", Delivery::Failed, 0, None),
            mailed("mail-again", Delivery::Waiting, 30, None),
            mailed("mail-wrong", Delivery::Delivered, 0, Some(Refusal::WrongCode { clock_hint: true })),
            mailed("mail-used", Delivery::Delivered, 0, Some(Refusal::UsedCode)),
            mailed("mail-held", Delivery::Waiting, 25, None),
            mailed("mail-held-again", Delivery::Waiting, 0, Some(Refusal::NoCodeYet)),
            mailed("mail-expired", Delivery::Delivered, 0, Some(Refusal::ExpiredCode)),
            mailed("mail-dead", Delivery::Delivered, 0, Some(Refusal::TooManyTries)),
            {
                let (name, page) = mailed("mail-too-soon", Delivery::Waiting, 20, None);
                (name, Self { alert: Some(too_soon), ..page })
            },
            {
                let (name, page) = mailed("mail-resent", Delivery::Waiting, 30, None);
                (name, Self { alert: Some(Alert::notice("notice-resent")), ..page })
            },
        ]
    }
}
