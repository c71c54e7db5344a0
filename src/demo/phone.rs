//! The demo's phone: a page that stands for an authenticator app and shows the mailbox, so that nobody needs either to try
//! sekisho. It has its own address, apart from the wall, as a phone would; and it listens on this machine alone.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Form, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Json, Redirect, Response};
use axum::routing::{get, post};
use data_encoding::BASE32_NOPAD;
use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use serde::{Deserialize, Serialize};
use totp_rs::{Algorithm, Builder};
use zeroize::Zeroizing;

use super::Language;
use super::mailbox::Mailbox;
use crate::clock::Clock;

/// Seconds for which a code is shown.
const PERIOD: u64 = 30;

/// Apps that the phone holds at most; the oldest that was added goes.
const MAX_APPS: usize = 20;

/// One account in the app.
#[derive(Clone)]
pub struct App {
    pub label: String,
    pub key: Zeroizing<Vec<u8>>,
}

/// A code that is good now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Code {
    pub label: String,
    pub code: String,
    /// Seconds until the next one.
    pub left: u64,
}

/// The phone.
pub struct Phone {
    apps: Mutex<Vec<App>>,
    clock: Arc<dyn Clock>,
}

impl Phone {
    /// One with these accounts.
    pub fn new(apps: Vec<App>, clock: Arc<dyn Clock>) -> Self {
        Self { apps: Mutex::new(apps), clock }
    }

    /// What it shows now.
    pub fn codes(&self) -> Vec<Code> {
        let now = self.clock.now().secs();
        let apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = apps.iter().filter_map(|app| {
            let builder = Builder::new().with_algorithm(Algorithm::SHA1).with_digits(6).with_step_duration(PERIOD);
            let totp = builder.with_secret(app.key.to_vec()).build().ok()?;
            let code = totp.generate(now).to_string();
            Some(Code { label: app.label.clone(), code, left: PERIOD - now % PERIOD })
        });
        shown.collect()
    }

    /// Adds an account by the key that the enrolment page shows. False: that is no key.
    fn add(&self, label: &str, key: &str) -> bool {
        let text: String = key.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        let Ok(key) = BASE32_NOPAD.decode(text.trim_end_matches('=').to_uppercase().as_bytes()) else { return false };
        // RFC 4226 §4 R6 asks for 128 bits at least.
        if !(16..=64).contains(&key.len()) {
            return false;
        }
        let label: String = label.trim().chars().filter(|c| !c.is_control()).take(40).collect();
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        apps.retain(|app| app.label != label);
        if apps.len() >= MAX_APPS {
            apps.remove(0);
        }
        apps.push(App { label, key: key.into() });
        true
    }
}

#[derive(Clone)]
struct Site {
    phone: Arc<Phone>,
    mailbox: Arc<Mailbox>,
    templates: Arc<Environment<'static>>,
    default: Language,
}

/// The phone's page.
///
/// # Errors
/// Where its template cannot be read.
pub fn router(phone: Arc<Phone>, mailbox: Arc<Mailbox>, default: Language) -> Result<Router, minijinja::Error> {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    templates.add_template("phone.html", include_str!("../../assets/demo/phone.html"))?;
    let site = Site { phone, mailbox, templates: Arc::new(templates), default };
    Ok(Router::new()
        .route("/", get(page))
        .route("/codes", get(codes))
        .route("/letters", get(letters))
        .route("/add", post(add))
        .route(
            "/phone.css",
            get(|| async { asset("text/css; charset=utf-8", include_str!("../../assets/demo/phone.css")) }),
        )
        .route(
            "/phone.js",
            get(|| async { asset("text/javascript; charset=utf-8", include_str!("../../assets/demo/phone.js")) }),
        )
        .layer(middleware::from_fn(this_machine_alone))
        .with_state(site))
}

/// A web page from elsewhere must not read the codes by pointing its own name at this machine, nor post here.
async fn this_machine_alone(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let own_origin = request.headers().get(header::ORIGIN).is_none_or(|origin| *origin == format!("http://{host}"));
    if !matches!(name, "127.0.0.1" | "localhost" | "[::1]") || !own_origin {
        return StatusCode::FORBIDDEN.into_response();
    }
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}

async fn page(State(site): State<Site>, headers: HeaderMap) -> Response {
    show(&site, &headers, false)
}

#[derive(Deserialize)]
struct NewApp {
    #[serde(default)]
    label: String,
    key: String,
}

async fn add(State(site): State<Site>, headers: HeaderMap, Form(new): Form<NewApp>) -> Response {
    let label = if new.label.trim().is_empty() { "bob" } else { &new.label };
    if site.phone.add(label, &new.key) { Redirect::to("/").into_response() } else { show(&site, &headers, true) }
}

async fn codes(State(site): State<Site>) -> Response {
    Json(site.phone.codes()).into_response()
}

async fn letters(State(site): State<Site>) -> Response {
    Json(site.mailbox.letters()).into_response()
}

fn show(site: &Site, headers: &HeaderMap, refused: bool) -> Response {
    let wished = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let language = match wished.get(..2) {
        Some("ja") => Language::Ja,
        Some("en") => Language::En,
        _ => site.default,
    };
    let codes = Value::from(Serde(site.phone.codes()));
    let letters = Value::from(Serde(site.mailbox.letters()));
    let page = site
        .templates
        .get_template("phone.html")
        .and_then(|template| template.render(context! { language => language.code(), codes, letters, refused }));
    match page {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(%error, "the demo's phone cannot render its page");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

#[cfg(test)]
mod tests;
