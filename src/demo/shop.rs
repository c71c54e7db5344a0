//! The sample tool of the demo: a small shop's back office that knows nothing of sekisho. It has its own cookie, forms, a
//! JSON endpoint, a WebSocket, server-sent events, and a page that shows what reached it.

mod books;
mod live;
mod page;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::broadcast;

use super::Language;
use crate::clock::Clock;
use crate::secret::Token;
use books::{Books, Status};
use page::{Page, Pages};

/// The tool's own session cookie.
const COOKIE: &str = "shop_sid";

/// Browsers remembered at the same time; then all are forgotten, as a small tool does.
const MAX_BROWSERS: usize = 1_000;

/// The tool's state.
#[derive(Clone)]
struct Shop {
    books: Arc<Mutex<Books>>,
    browsers: Arc<Mutex<HashMap<String, Browser>>>,
    pages: Arc<Pages>,
    clock: Arc<dyn Clock>,
    changes: broadcast::Sender<String>,
}

/// What the tool remembers of one browser.
#[derive(Debug, Clone, Default)]
struct Browser {
    visits: u64,
    /// A notice for the next page.
    notice: Option<&'static str>,
}

/// The tool as a router. `language`: for browsers that ask for neither Japanese nor English.
///
/// # Errors
/// Where a built-in template or text cannot be read.
pub fn router(clock: Arc<dyn Clock>, language: Language) -> Result<Router, minijinja::Error> {
    let shop = Shop {
        books: Arc::new(Mutex::new(Books::sample(clock.now()))),
        browsers: Arc::default(),
        pages: Arc::new(Pages::new(language)?),
        clock,
        changes: broadcast::channel(64).0,
    };
    Ok(Router::new()
        .route("/", get(overview))
        .route("/orders", get(orders))
        .route("/orders/{number}", get(order))
        .route("/orders/{number}/status", post(change_order))
        .route("/products", get(products))
        .route("/products/{code}", post(change_product))
        .route("/accounting", get(accounting))
        .route("/live", get(live_page))
        .route("/live/socket", get(live::socket))
        .route("/feed", get(feed_page))
        .route("/feed/stream", get(live::feed))
        .route("/headers", get(headers_page))
        .route("/api/overview", get(api_overview))
        .route("/notice", get(notice))
        .route("/language/{language}", get(choose_language))
        .route(
            "/shop.css",
            get(|| async { asset("text/css; charset=utf-8", include_str!("../../assets/demo/shop.css")) }),
        )
        .route(
            "/shop.js",
            get(|| async { asset("text/javascript; charset=utf-8", include_str!("../../assets/demo/shop.js")) }),
        )
        .fallback(not_found)
        .with_state(shop))
}

impl Shop {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renders a page and counts the visit in the tool's own session.
    fn page(&self, page: Page, headers: &HeaderMap, extra: &serde_json::Value) -> Response {
        let (sid, browser) = self.recognise(headers);
        let mut response = match self.pages.render(page, headers, browser.visits, browser.notice, extra) {
            Ok(html) => (StatusCode::OK, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response(),
            Err(error) => {
                tracing::error!(%error, "the sample tool cannot render a page");
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
        };
        if let Some(cookie) = sid.and_then(|sid| HeaderValue::try_from(sid).ok()) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    /// The browser behind the tool's own cookie, and a cookie to be set where it is new.
    fn recognise(&self, headers: &HeaderMap) -> (Option<String>, Browser) {
        let mut browsers = self.browsers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = page::cookie(headers, COOKIE).and_then(|sid| browsers.get_mut(&sid)) {
            known.visits += 1;
            let seen = known.clone();
            known.notice = None;
            return (None, seen);
        }
        let Ok(token) = Token::generate() else { return (None, Browser::default()) };
        let sid = crate::secret::ExposeSecret::expose_secret(&token.encode()).to_owned();
        if browsers.len() >= MAX_BROWSERS {
            browsers.clear();
        }
        let fresh = Browser { visits: 1, notice: None };
        browsers.insert(sid.clone(), fresh.clone());
        (Some(format!("{COOKIE}={sid}; Path=/; HttpOnly; SameSite=Lax")), fresh)
    }

    fn leave_notice(&self, headers: &HeaderMap, notice: &'static str) {
        let mut browsers = self.browsers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(browser) = page::cookie(headers, COOKIE).and_then(|sid| browsers.get_mut(&sid)) {
            browser.notice = Some(notice);
        }
    }

    /// Notes who changed what, and tells those who watch the feed.
    fn note(&self, books: &mut Books, headers: &HeaderMap, what: &str) {
        let who = page::person(headers).unwrap_or_else(|| "?".into());
        let line = books.note(self.clock.now(), &who, what);
        // Nobody may be watching.
        let _ = self.changes.send(line);
    }
}

async fn overview(State(shop): State<Shop>, headers: HeaderMap) -> Response {
    let figures = shop.books().figures();
    shop.page(Page::Overview, &headers, &json!({ "figures": figures }))
}

/// What the overview's script fetches: a browser sends no page-like `Accept` here.
async fn api_overview(State(shop): State<Shop>) -> Response {
    let books = shop.books();
    Json(json!({ "figures": books.figures(), "latest": books.latest(5) })).into_response()
}

#[derive(Deserialize)]
struct OrderFilter {
    status: Option<Status>,
}

async fn orders(State(shop): State<Shop>, headers: HeaderMap, Query(filter): Query<OrderFilter>) -> Response {
    let orders = shop.books().orders(filter.status);
    shop.page(Page::Orders, &headers, &json!({ "orders": orders, "chosen": filter.status, "statuses": Status::ALL }))
}

async fn order(State(shop): State<Shop>, headers: HeaderMap, Path(number): Path<u32>) -> Response {
    let order = shop.books().order(number);
    match order {
        Some(order) => shop.page(Page::Order, &headers, &json!({ "order": order, "statuses": Status::ALL })),
        None => not_found().await,
    }
}

#[derive(Deserialize)]
struct OrderChange {
    status: Status,
    #[serde(default)]
    remark: String,
}

async fn change_order(
    State(shop): State<Shop>,
    headers: HeaderMap,
    Path(number): Path<u32>,
    Form(change): Form<OrderChange>,
) -> Response {
    let remark: String = change.remark.chars().filter(|c| !c.is_control()).take(200).collect();
    {
        let mut books = shop.books();
        if !books.change_order(number, change.status, &remark) {
            return StatusCode::NOT_FOUND.into_response();
        }
        shop.note(&mut books, &headers, &format!("#{number} → {}", change.status.word()));
    }
    shop.leave_notice(&headers, "saved");
    Redirect::to(&format!("/orders/{number}")).into_response()
}

async fn products(State(shop): State<Shop>, headers: HeaderMap) -> Response {
    let products = shop.books().products();
    shop.page(Page::Products, &headers, &json!({ "products": products }))
}

#[derive(Deserialize)]
struct ProductChange {
    price: u32,
    stock: u32,
}

async fn change_product(
    State(shop): State<Shop>,
    headers: HeaderMap,
    Path(code): Path<String>,
    Form(change): Form<ProductChange>,
) -> Response {
    {
        let mut books = shop.books();
        if !books.change_product(&code, change.price, change.stock) {
            return StatusCode::NOT_FOUND.into_response();
        }
        shop.note(&mut books, &headers, &format!("{code}: ¥{}, × {}", change.price, change.stock));
    }
    shop.leave_notice(&headers, "saved");
    Redirect::to("/products").into_response()
}

async fn accounting(State(shop): State<Shop>, headers: HeaderMap) -> Response {
    let months = shop.books().months();
    shop.page(Page::Accounting, &headers, &json!({ "months": months }))
}

async fn live_page(State(shop): State<Shop>, headers: HeaderMap) -> Response {
    shop.page(Page::Live, &headers, &json!({}))
}

async fn feed_page(State(shop): State<Shop>, headers: HeaderMap) -> Response {
    let journal = shop.books().journal();
    shop.page(Page::Feed, &headers, &json!({ "journal": journal }))
}

async fn headers_page(State(shop): State<Shop>, headers: HeaderMap) -> Response {
    let received = page::received(&headers);
    shop.page(Page::Headers, &headers, &json!({ "received": received }))
}

async fn notice(State(shop): State<Shop>, headers: HeaderMap) -> Response {
    shop.page(Page::Notice, &headers, &json!({}))
}

async fn choose_language(Path(language): Path<String>, headers: HeaderMap) -> Response {
    let language = if language == "ja" { "ja" } else { "en" };
    let cookie = format!("{}={language}; Path=/; SameSite=Lax; Max-Age=31536000", page::LANGUAGE_COOKIE);
    // Back to where the link was, but to its path alone: the tool is no way to other sites.
    let back = headers
        .get(header::REFERER)
        .and_then(|referer| referer.to_str().ok()?.parse::<axum::http::Uri>().ok())
        .map_or_else(|| "/".into(), |uri| format!("/{}", uri.path().trim_start_matches('/')));
    ([(header::SET_COOKIE, cookie)], Redirect::to(&back)).into_response()
}

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "404: the sample tool has no such page\n").into_response()
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "max-age=300")], text).into_response()
}

#[cfg(test)]
mod tests;
