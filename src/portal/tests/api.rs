//! The JSON API (F17; attack cases A24, A25, A45).

use http::StatusCode;
use serde_json::{Value, json};

use super::journeys::{App, another, bench_that_asks, enrolled};
use super::{Answer, BROWSER, Browser, ORIGIN, assert_protected, request};
use crate::authn::user::Method;
use crate::authz::Policy;
use crate::service::cookies::CookieKind;
use crate::service::testing::{Bench, PASSWORD};
use crate::service::visit::Ask;

const JSON: (&str, &str) = ("content-type", "application/json");

impl Browser {
    /// Posts JSON as a programme does.
    async fn call(&mut self, path: &str, body: &Value) -> Answer {
        self.call_with(path, &[JSON], &body.to_string()).await
    }

    async fn call_with(&mut self, path: &str, lines: &[(&str, &str)], body: &str) -> Answer {
        let answer = self.send(Ask::Page, request("POST", &format!("/.sekisho/api{path}"), lines, body)).await;
        assert_protected(&answer);
        assert_eq!(answer.location(), "", "a programme is never redirected");
        assert_eq!(answer.header("access-control-allow-origin"), "");
        answer
    }

    async fn session(&mut self) -> Answer {
        self.send(Ask::Page, request("GET", "/.sekisho/api/session", &[], "")).await
    }
}

fn credentials() -> Value {
    json!({"login": "alice", "password": PASSWORD})
}

fn body(answer: &Answer) -> Value {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/json");
    serde_json::from_str(&answer.body).unwrap()
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code));
    assert!(!answer.sets(CookieKind::Session) && !answer.sets(CookieKind::Device) && !answer.sets(CookieKind::Flow));
}

async fn enrolled_programme() -> (Browser, App) {
    let (browser, app) = enrolled(Bench::new(|_| {})).await;
    browser.bench.advance(std::time::Duration::from_secs(60));
    (another(browser), app)
}

#[tokio::test]
async fn f17_a_programme_logs_in_with_password_and_code_and_out_again() {
    let (mut programme, app) = enrolled_programme().await;
    refused(&programme.session().await, 401, "login_required");

    let first = programme.call("/login", &credentials()).await;
    assert_eq!(first.cookies(), [], "the login in progress is in the body alone");
    let first = body(&first);
    assert_eq!(first["status"], "second_factor_required");
    assert_eq!(first["method"], "totp");
    let flow = &first["flow"];

    refused(&programme.call("/second-factor", &json!({"flow": flow, "code": "000000"})).await, 401, "invalid_code");
    let code = app.code(&programme.bench);
    let second = programme.call("/second-factor", &json!({"flow": flow, "code": code, "remember": true})).await;
    assert_eq!(body(&second), json!({"status": "signed_in"}));
    assert!(second.sets(CookieKind::Session) && second.sets(CookieKind::Device));
    refused(&programme.call("/second-factor", &json!({"flow": flow, "code": code})).await, 401, "restart_login");

    let session = body(&programme.session().await);
    assert_eq!((&session["login"], &session["name"], &session["groups"]), (&json!("alice"), &json!(""), &json!([])));
    for moment in ["expires_at", "second_factor_at"] {
        assert!(session[moment].as_str().unwrap().ends_with('Z'), "{session}");
    }

    let value = programme.cookies.session.clone().unwrap();
    let out = programme.call("/logout", &json!({})).await;
    assert_eq!(body(&out), json!({"status": "signed_out"}));
    assert!(programme.bench.live(&value).await.is_none());
    assert!(programme.cookies.session.is_none());
    refused(&programme.session().await, 401, "login_required");
    assert_eq!(body(&programme.call("/logout", &json!({})).await), json!({"status": "signed_out"}));

    // Remembered: the device key spares this programme the code.
    assert_eq!(body(&programme.call("/login", &credentials()).await), json!({"status": "signed_in"}));
}

#[tokio::test]
async fn f17_what_cannot_be_done_without_a_browser_is_said_plainly() {
    let mut programme = Browser::new();
    programme.bench.add("alice").await;
    refused(&programme.call("/login", &credentials()).await, 403, "enrolment_required");
    let wrong = programme.call("/login", &json!({"login": "alice", "password": "wrong"})).await;
    refused(&wrong, 401, "invalid_credentials");
    let unknown = programme.call("/login", &json!({"login": "nobody", "password": "wrong"})).await;
    assert_eq!((unknown.status, unknown.body), (wrong.status, wrong.body), "nothing tells who has an account");

    let mut programme = Browser::with(bench_that_asks(|demand| demand.policy = Policy::Off));
    programme.bench.add("alice").await;
    let answer = programme.call("/login", &credentials()).await;
    assert_eq!(body(&answer), json!({"status": "signed_in"}));
    assert!(answer.sets(CookieKind::Session));
}

#[tokio::test]
async fn f17_a_mailed_code_does_as_well_and_a_programme_is_told_which_it_is() {
    let (bench, mut mailbox) = Bench::with_mail(|_| {}).await;
    bench.add_with_mail("alice", Method::Mail).await;
    let mut programme = Browser::with(bench);
    programme.cookies.language = Some("en");
    let first = body(&programme.call("/login", &credentials()).await);
    assert_eq!(first["method"], "mail");
    let code = mailbox.code().await;
    programme.bench.advance(std::time::Duration::from_secs(31 * 60));
    refused(&programme.call("/second-factor", &json!({"flow": first["flow"], "code": code})).await, 401, "expired");
    let flow = body(&programme.call("/login", &credentials()).await)["flow"].clone();
    let code = mailbox.code().await;
    let answer = programme.call("/second-factor", &json!({"flow": flow, "code": code})).await;
    assert_eq!(body(&answer), json!({"status": "signed_in"}));
}

#[tokio::test]
async fn a25_what_is_no_code_and_no_password_is_refused_before_anything_is_judged() {
    let (mut programme, app) = enrolled_programme().await;
    let flow = body(&programme.call("/login", &credentials()).await)["flow"].clone();
    let code = app.code(&programme.bench);
    let number: u32 = code.parse().unwrap();
    let hashes = programme.bench.hashes();
    let nonsense = [
        ("/login", json!({"login": "alice"})),
        ("/login", json!({"password": PASSWORD})),
        ("/login", json!({"login": "alice", "password": ""})),
        ("/login", json!({"login": "", "password": PASSWORD})),
        ("/login", json!({"login": "alice", "password": null})),
        ("/login", json!({"login": "alice", "password": true})),
        ("/login", json!({"login": "alice", "password": [PASSWORD]})),
        ("/login", json!({"login": {"a": "alice"}, "password": PASSWORD})),
        ("/login", json!(["alice", PASSWORD])),
        ("/login", json!(null)),
        ("/login", json!("alice")),
        ("/second-factor", json!({})),
        ("/second-factor", json!({"flow": flow})),
        ("/second-factor", json!({"flow": flow, "code": ""})),
        ("/second-factor", json!({"flow": flow, "code": "  "})),
        ("/second-factor", json!({"flow": flow, "code": null})),
        ("/second-factor", json!({"flow": flow, "code": true})),
        ("/second-factor", json!({"flow": flow, "code": number})),
        ("/second-factor", json!({"flow": flow, "code": [code]})),
        ("/second-factor", json!({"flow": flow, "code[]": code})),
        ("/second-factor", json!({"flow": flow, "code": code, "remember": "yes"})),
        ("/second-factor", json!({"flow": flow, "code": code, "remember": null})),
        ("/second-factor", json!({"flow": "", "code": code})),
        ("/second-factor", json!({"flow": null, "code": code})),
        ("/second-factor", json!({"flow": [flow], "code": code})),
        ("/second-factor", json!({"code": code})),
        ("/second-factor", json!([flow, code, false])),
        ("/logout", json!([])),
        ("/logout", json!(null)),
    ];
    for (path, nonsense) in &nonsense {
        let answer = programme.call(path, nonsense).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_REQUEST, "bad_request"), "{nonsense}");
        assert_eq!(answer.cookies(), [], "{nonsense}");
    }
    let twice = format!("{{\"flow\": {flow}, \"code\": \"000000\", \"code\": \"{code}\"}}");
    for broken in ["", "{", "{}{}", "login=alice", &twice, "{\"flow\":\"\\ud800\"}"] {
        refused(&programme.call_with("/second-factor", &[JSON], broken).await, 400, "bad_request");
    }
    assert_eq!(programme.bench.hashes(), hashes, "no password was looked at");
    for unknown in ["x", "%00", &"A".repeat(43), &"A".repeat(4000)] {
        let answer = programme.call("/second-factor", &json!({"flow": unknown, "code": code})).await;
        refused(&answer, 401, "restart_login");
    }
    let answer = programme.call("/second-factor", &json!({"flow": flow, "code": code})).await;
    assert_eq!(body(&answer), json!({"status": "signed_in"}), "none of it counted as a try");
}

#[tokio::test]
async fn json_alone_is_taken_and_only_so_much_of_it() {
    let mut programme = Browser::with(bench_that_asks(|demand| demand.policy = Policy::Off));
    programme.bench.add("alice").await;
    let body = credentials().to_string();
    for path in ["/login", "/second-factor", "/logout"] {
        for other in ["text/plain", "application/x-www-form-urlencoded", "application/json-patch+json", "text/json"] {
            let answer = programme.call_with(path, &[("content-type", other)], &body).await;
            refused(&answer, 415, "unsupported_media_type");
        }
        refused(&programme.call_with(path, &[], &body).await, 415, "unsupported_media_type");
        refused(&programme.call_with(path, &[JSON, JSON], &body).await, 415, "unsupported_media_type");
        let large = json!({"login": "alice", "password": "x".repeat(70_000)}).to_string();
        refused(&programme.call_with(path, &[JSON], &large).await, 413, "too_large");
    }
    let utf8 = [("content-type", "application/json; charset=utf-8")];
    assert_eq!(programme.call_with("/login", &utf8, &body).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a45_a_page_of_another_site_cannot_use_it() {
    let mut programme = Browser::with(bench_that_asks(|demand| demand.policy = Policy::Off));
    programme.bench.add("alice").await;
    assert_eq!(programme.call("/login", &credentials()).await.status, StatusCode::OK);
    let value = programme.cookies.session.clone().unwrap();
    let foreign: [&[(&str, &str)]; 5] = [
        &[JSON, ("origin", "https://evil.test")],
        &[JSON, ("origin", "null")],
        &[JSON, ("origin", "http://shop.test")],
        &[JSON, ("sec-fetch-site", "same-site")],
        &[JSON, ("origin", ORIGIN), ("sec-fetch-site", "cross-site")],
    ];
    for lines in foreign {
        for path in ["/login", "/second-factor", "/logout"] {
            refused(&programme.call_with(path, lines, &credentials().to_string()).await, 403, "forbidden");
        }
    }
    assert!(programme.bench.live(&value).await.is_some(), "nobody was logged out");
    let preflight = [("origin", "https://evil.test"), ("access-control-request-method", "POST")];
    let answer = programme.send(Ask::Page, request("OPTIONS", "/.sekisho/api/login", &preflight, "")).await;
    refused(&answer, 405, "method_not_allowed");
    assert_eq!(answer.header("access-control-allow-origin"), "");

    let own = [JSON, ("origin", ORIGIN), ("sec-fetch-site", "same-origin")];
    assert_eq!(programme.call_with("/logout", &own, "{}").await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_answer_is_for_programmes_whatever_they_accept() {
    let mut programme = Browser::new();
    let html = [("accept", BROWSER)];
    for (method, path, status, code) in [
        ("GET", "/.sekisho/api/session", 401, "login_required"),
        ("POST", "/.sekisho/api/login", 415, "unsupported_media_type"),
        ("GET", "/.sekisho/api/login", 405, "method_not_allowed"),
        ("POST", "/.sekisho/api/session", 405, "method_not_allowed"),
        ("GET", "/.sekisho/api/nowhere", 404, "not_found"),
    ] {
        refused(&programme.send(Ask::Page, request(method, path, &html, "")).await, status, code);
    }
    programme.may_sign_in = false;
    refused(&programme.call("/login", &credentials()).await, 403, "https_required");
}

#[tokio::test]
async fn too_many_tries_say_when_to_come_again() {
    let (mut programme, _) = enrolled_programme().await;
    let flow = body(&programme.call("/login", &credentials()).await)["flow"].clone();
    let mut last = None;
    for _ in 0..30 {
        let answer = programme.call("/second-factor", &json!({"flow": flow, "code": "000000"})).await;
        last = Some((answer.status.as_u16(), answer.header("retry-after").to_owned()));
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            refused(&answer, 429, "too_many_attempts");
            break;
        }
        refused(&answer, 401, "invalid_code");
    }
    let (status, wait) = last.unwrap();
    assert_eq!(status, 429);
    assert!(wait.parse::<u64>().unwrap() > 0);
}
