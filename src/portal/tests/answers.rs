//! What the gateway says through the portal (CONTRACT §3, attack case A47).

use std::time::Duration;

use http::StatusCode;

use super::super::answers::trouble;
use super::super::error::PortalError;
use super::{BROWSER, Browser, assert_protected, request};
use crate::authz::{Challenge, Denial};
use crate::service::ServiceError;
use crate::service::testing::Bench;
use crate::service::visit::{Ask, Failure, SekishoCookies};

const LOGIN: Ask = Ask::Challenge(Challenge::Login);

#[tokio::test]
async fn a_window_is_led_to_the_login_page_and_knows_its_way_back() {
    let mut browser = Browser::new();
    let window = [("accept", BROWSER), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    for lines in [&window[..], &[("accept", BROWSER)]] {
        let answer = browser.send(LOGIN, request("GET", "/orders?page=2&q=a%20b", lines, "")).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        assert_eq!(answer.location(), "/.sekisho/login?return_to=%2Forders%3Fpage%3D2%26q%3Da%2520b");
        assert_protected(&answer);
    }
    let answer = browser.get("/.sekisho/login?return_to=%2Forders%3Fpage%3D2%26q%3Da%2520b").await;
    assert!(answer.body.contains("name=\"return_to\" value=\"/orders?page=2&amp;q=a%20b\""), "{}", answer.body);
}

#[tokio::test]
async fn a_programme_gets_401_and_never_a_redirect() {
    let mut browser = Browser::new();
    let programmes: [(&str, &[(&str, &str)]); 6] = [
        ("GET", &[("accept", "*/*")]),
        ("GET", &[("accept", "application/json")]),
        ("GET", &[("accept", "*/*"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")]),
        ("GET", &[("accept", BROWSER), ("x-requested-with", "XMLHttpRequest")]),
        ("GET", &[("upgrade", "websocket"), ("sec-fetch-mode", "websocket")]),
        ("POST", &[]),
    ];
    for (method, lines) in programmes {
        let answer = browser.send(LOGIN, request(method, "/orders", lines, "")).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{lines:?}");
        assert_eq!(answer.code(), "login_required");
        assert_eq!(answer.location(), "");
        assert_eq!(answer.header("www-authenticate"), "");
        assert_protected(&answer);
    }
    let plain = request("GET", "/orders", &[], "");
    assert_eq!(browser.send(Ask::Challenge(Challenge::SecondFactor), plain).await.code(), "second_factor_required");
    let plain = request("GET", "/orders", &[], "");
    assert_eq!(browser.send(Ask::Challenge(Challenge::Enrolment), plain).await.code(), "enrolment_required");
}

#[tokio::test]
async fn a_frame_gets_a_small_page_that_opens_the_login_in_the_whole_window() {
    let mut browser = Browser::new();
    let frame = [
        ("accept", BROWSER),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "frame"),
        ("referer", "https://shop.test/frames.html?x=1"),
    ];
    let answer = browser.send(LOGIN, request("GET", "/menu", &frame, "")).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.body.contains("target=\"_top\""));
    assert!(answer.body.contains("href=\"/.sekisho/login?return_to=%2Fframes%2Ehtml%3Fx%3D1\""), "{}", answer.body);
    assert!(answer.header("content-security-policy").contains("frame-ancestors 'self'"));
    assert_eq!(answer.header("x-frame-options"), "SAMEORIGIN");
    assert_protected(&answer);
}

#[tokio::test]
async fn a_referrer_of_another_host_is_no_way_back() {
    let mut browser = Browser::new();
    for referrer in
        ["https://evil.test/x", "https://shop.test.evil/x", "http://shop.test/x", "https://shop.test:1/x", "//evil"]
    {
        let lines = [("accept", BROWSER), ("sec-fetch-dest", "iframe"), ("referer", referrer)];
        let answer = browser.send(LOGIN, request("GET", "/menu", &lines, "")).await;
        assert!(answer.body.contains("href=\"/.sekisho/login?return_to=%2F\""), "{referrer}");
    }
}

#[tokio::test]
async fn nobody_is_led_to_a_login_over_an_open_line() {
    let mut browser = Browser::new();
    browser.may_sign_in = false;
    let answer = browser.send(LOGIN, request("GET", "/orders", &[("accept", BROWSER)], "")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.body.contains("server.tls"));
    let answer = browser.send(LOGIN, request("GET", "/orders", &[], "")).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "https_required"));
    for page in ["/.sekisho/login", "/.sekisho/second-factor", "/.sekisho/enrol"] {
        assert_eq!(browser.get(page).await.status, StatusCode::FORBIDDEN, "{page}");
        assert_eq!(browser.post(page, "").await.status, StatusCode::FORBIDDEN, "{page}");
    }
}

#[tokio::test]
async fn a_denial_is_403_and_a_failure_has_its_status_for_people_and_programmes() {
    let mut browser = Browser::new();
    let asks = [
        (Ask::Denied(Denial::Route), 403, "forbidden"),
        (Ask::Denied(Denial::NotAllowed), 403, "forbidden"),
        (Ask::Denied(Denial::Network), 403, "forbidden"),
        (Ask::Denied(Denial::WebSocketOrigin), 403, "forbidden"),
        (Ask::Failure(Failure::BadRequest), 400, "bad_request"),
        (Ask::Failure(Failure::NoRoute), 404, "not_found"),
        (Ask::Failure(Failure::TooLarge), 413, "too_large"),
        (Ask::Failure(Failure::Internal), 500, "internal"),
        (Ask::Failure(Failure::UpstreamUnreachable), 502, "upstream_unreachable"),
        (Ask::Failure(Failure::Unavailable), 503, "unavailable"),
        (Ask::Failure(Failure::UpstreamTimeout), 504, "upstream_timeout"),
        (Ask::Failure(Failure::ToolRefused), 502, "tool_login_refused"),
        (Ask::Failure(Failure::ToolLoginMissing), 403, "tool_login_missing"),
        (Ask::Failure(Failure::ToolSignedOut), 409, "tool_session_ended"),
        (Ask::Failure(Failure::PlainHttp), 403, "https_required"),
    ];
    for (ask, status, code) in asks {
        let page = browser.send(ask, request("GET", "/x", &[("accept", BROWSER)], "")).await;
        assert_eq!(page.status.as_u16(), status, "{ask:?}");
        assert!(page.header("content-type").starts_with("text/html"), "{ask:?}");
        assert_protected(&page);
        let problem = browser.send(ask, request("POST", "/x", &[], "")).await;
        assert_eq!((problem.status.as_u16(), problem.code().as_str()), (status, code), "{ask:?}");
        assert_protected(&problem);
    }
}

#[tokio::test]
async fn what_is_no_page_is_404_and_a_wrong_method_405() {
    let mut browser = Browser::new();
    for path in ["/.sekisho/nowhere", "/.sekisho/login/", "/.sekisho/static/none.css", "/.sekisho/static/..%2e/x"] {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_protected(&answer);
    }
    let answer = browser.send(Ask::Page, request("DELETE", "/.sekisho/login", &[], "")).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(answer.header("allow").contains("POST"), "{}", answer.header("allow"));
    assert_eq!(browser.get("/.sekisho/enrol/cancel").await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn files_of_the_pages_are_kept_for_good_under_a_name_of_their_own() {
    let mut browser = Browser::new();
    let page = browser.get("/.sekisho/login").await;
    let (_, rest) = page.body.split_once("rel=\"stylesheet\" href=\"").unwrap();
    let style = rest.split('"').next().unwrap().to_owned();
    assert!(style.starts_with("/.sekisho/static/sekisho."), "{style}");
    let answer = browser.get(&style).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "text/css; charset=utf-8");
    assert!(answer.header("cache-control").contains("immutable"));
}

#[tokio::test]
async fn when_too_many_passwords_wait_the_answer_says_when_to_come_again() {
    let bench = Bench::new(|_| {});
    let visit = bench.visit(&SekishoCookies::default()).await;
    let busy = PortalError::from(ServiceError::Busy { retry_after: Duration::from_secs(3) }).trouble();
    for (lines, kind) in [(&[("accept", BROWSER)][..], "text/html; charset=utf-8"), (&[], "application/problem+json")] {
        let (parts, _) = request("POST", "/.sekisho/login", lines, "").into_parts();
        let answer = trouble(&visit, parts.method, parts.headers, busy);
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()["retry-after"], "3");
        assert_eq!(answer.headers()["content-type"], kind);
    }
}
