//! The JSON API (F17): logging in and out for programmes that are no browser.
//!
//! Everything that would be a page is an answer here: no redirect, no HTML, the login in progress in the body instead of a
//! cookie. A page of another site cannot make use of it: `application/json` alone is taken, which a foreign page may only
//! send where CORS lets it, and nothing here does; and what a browser says of the request's origin is believed as it is
//! for a form.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::exchange::Exchange;
use super::form::{self, BadForm};
use super::message::Kind;
use super::problem::Problem;
use super::step::{self, Advance};
use super::{csrf, logout, return_to};
use crate::authn::user::Method;
use crate::secret::{ExposeSecret, SecretString, Token};
use crate::service::Services;
use crate::service::login::{Credentials, FlowView, MailView, Refusal, Stage, Step};

/// `POST /api/login`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    login: String,
    password: String,
}

/// `POST /api/second-factor`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecondFactor {
    flow: String,
    code: String,
    #[serde(default)]
    remember: bool,
}

/// `POST /api/logout`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Logout {}

/// Where a login stands.
#[derive(Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Status {
    SignedIn,
    SecondFactorRequired { method: Method, flow: String },
    SignedOut,
}

/// `GET /api/session`
#[derive(Serialize)]
struct Session {
    login: String,
    name: String,
    email: Option<String>,
    groups: Vec<String>,
    /// RFC 3339; the moment that re-check intervals count from.
    second_factor_at: Option<String>,
    /// RFC 3339; the longest that the session can last. It ends sooner where it is idle.
    expires_at: String,
}

/// `POST /api/login`
pub async fn login(State(services): State<Services>, mut exchange: Exchange, body: Body) -> Response {
    let status = begin(&services, &mut exchange, body).await;
    answer(exchange, status)
}

async fn begin(services: &Services, exchange: &mut Exchange, body: Body) -> Result<Status, Problem> {
    let Login { login, password } = read(exchange, body).await?;
    let password = SecretString::from(password);
    if login.is_empty() || password.expose_secret().is_empty() {
        return Err(BadForm::Malformed.into());
    }
    let destination = return_to::destination(&exchange.visit, None);
    let (visit, user_agent) = (&exchange.visit, exchange.user_agent());
    let step = services.login.password(visit, user_agent, Credentials { login, password }, destination).await?;
    status(services, exchange, step).await
}

/// `POST /api/second-factor`
pub async fn second_factor(State(services): State<Services>, mut exchange: Exchange, body: Body) -> Response {
    let status = give_code(&services, &mut exchange, body).await;
    answer(exchange, status)
}

async fn give_code(services: &Services, exchange: &mut Exchange, body: Body) -> Result<Status, Problem> {
    let SecondFactor { flow, code, remember } = read(exchange, body).await?;
    if flow.is_empty() || code.trim().is_empty() {
        return Err(BadForm::Malformed.into());
    }
    // No flow has such a value.
    let Some(flow) = Token::parse(&flow) else { return Err(Refusal::RestartLogin.into()) };
    let step = services.login.code(&exchange.visit, exchange.user_agent(), &flow, &code, remember).await?;
    status(services, exchange, step).await
}

/// `POST /api/logout`. Nobody signed in is signed out already.
pub async fn logout(State(services): State<Services>, mut exchange: Exchange, body: Body) -> Response {
    let status = end(&services, &mut exchange, body).await;
    answer(exchange, status)
}

async fn end(services: &Services, exchange: &mut Exchange, body: Body) -> Result<Status, Problem> {
    let Logout {} = read(exchange, body).await?;
    logout::end(services, exchange).await?;
    Ok(Status::SignedOut)
}

/// `GET /api/session`
pub async fn session(exchange: Exchange) -> Response {
    let Some(session) = exchange.session() else { return Problem::LOGIN_REQUIRED.answer(exchange) };
    let account = session.account();
    let body = Session {
        login: account.login.to_string(),
        name: account.name.to_string(),
        email: account.email.as_ref().map(ToString::to_string),
        groups: account.groups.iter().map(ToString::to_string).collect(),
        second_factor_at: session.second_factor_at().map(|at| at.to_string()),
        expires_at: session.expires_at().to_string(),
    };
    exchange.finish(Json(body).into_response())
}

fn answer(exchange: Exchange, status: Result<Status, Problem>) -> Response {
    match status {
        Ok(status) => exchange.finish(Json(status).into_response()),
        Err(problem) => problem.answer(exchange),
    }
}

/// What a step comes to for a programme.
async fn status(services: &Services, exchange: &mut Exchange, step: Step) -> Result<Status, Problem> {
    match step::taken(step)? {
        Advance::SignedIn(signed_in) => {
            step::keep(exchange, &signed_in);
            Ok(Status::SignedIn)
        }
        Advance::Due { flow, stage: Stage::CodeDue, .. } => match services.login.view(&exchange.visit, &flow).await? {
            // A programme cannot ask for the mail again; it begins anew when there may be one.
            Some(FlowView { mail: Some(MailView { delivery: None, resend_wait, .. }), .. }) => {
                Err(Refusal::TooManyAttempts { retry_after: resend_wait }.into())
            }
            Some(view) => {
                let flow = flow.encode().expose_secret().to_owned();
                Ok(Status::SecondFactorRequired { method: view.method, flow })
            }
            None => Err(Refusal::RestartLogin.into()),
        },
        Advance::Due { stage: Stage::PasswordChangeDue, .. } => Err(Problem::PASSWORD_CHANGE_REQUIRED),
        Advance::Due { .. } => Err(Problem::ENROLMENT_REQUIRED),
    }
}

/// The body of a request that may come from a programme or from a page of ours.
async fn read<T: DeserializeOwned>(exchange: &Exchange, body: Body) -> Result<T, Problem> {
    if !exchange.visit.may_sign_in {
        return Err(Kind::PlainHttp.into());
    }
    if !csrf::is_from_here(&exchange.headers, &exchange.visit) {
        tracing::warn!("a call from another site was refused");
        return Err(Kind::ForeignForm.into());
    }
    if !is_json(&exchange.headers) {
        return Err(BadForm::WrongType.into());
    }
    let bytes = axum::body::to_bytes(body, form::MAX_BODY).await.map_err(|_| BadForm::TooLarge)?;
    // An object: a list of values in the right order would be taken for one as well.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(BadForm::Malformed.into());
    }
    serde_json::from_slice(&bytes).map_err(|_| BadForm::Malformed.into())
}

/// RFC 8259 §11: no parameter is defined; one that says UTF-8 is often sent all the same.
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(content_type), None) = (types.next(), types.next()) else { return false };
    let Ok(content_type) = content_type.to_str() else { return false };
    let mut parts = content_type.split(';').map(str::trim);
    let named = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    named && parts.all(|parameter| parameter.eq_ignore_ascii_case("charset=utf-8"))
}
