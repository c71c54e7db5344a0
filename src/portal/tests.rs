//! The portal as the gateway calls it: one request in, one answer out, over real services.

mod account;
mod answers;
mod api;
mod events;
mod forms;
mod import;
mod journeys;
mod overview;
mod pages;
mod password;
mod people;
mod return_to;
mod second_step;
mod styleguide;
mod table;
mod users;

use axum::body::Body;
use http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};
use http::{Request, Response, StatusCode};
use tower::ServiceExt;

use super::PortalService;
use crate::authz::{NormalTarget, RawTarget};
use crate::secret::{Mac, Token};
use crate::service::cookies::CookieKind;
use crate::service::testing::Bench;
use crate::service::visit::{Ask, SekishoCookies};

const HOST: &str = "shop.test";
const ORIGIN: &str = "https://shop.test";
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// One browser in front of a portal.
struct Browser {
    bench: Bench,
    portal: PortalService,
    cookies: SekishoCookies,
    may_sign_in: bool,
}

/// An answer, read to its end.
struct Answer {
    status: StatusCode,
    head: Response<()>,
    body: String,
}

impl Browser {
    fn new() -> Self {
        Self::with(Bench::new(|_| {}))
    }

    fn with(bench: Bench) -> Self {
        let portal = super::service(bench.services.clone());
        Self { bench, portal, cookies: SekishoCookies::default(), may_sign_in: true }
    }

    /// Sends a request just so, keeping the cookies of the answer.
    async fn send(&mut self, ask: Ask, request: Request<Body>) -> Answer {
        let path = request.uri().path_and_query().unwrap().as_str().to_owned();
        let mut visit = self.bench.visit(&self.cookies).await;
        let raw = RawTarget { target: path.as_bytes(), authority: Some(HOST.as_bytes()), secure: true };
        visit.target = NormalTarget::parse(raw).unwrap();
        visit.ask = ask;
        visit.may_sign_in = self.may_sign_in;
        let mut request = request;
        request.extensions_mut().insert(visit);
        let (head, body) = self.portal.clone().oneshot(request).await.unwrap().into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let answer = Answer {
            status: head.status,
            head: Response::from_parts(head, ()),
            body: String::from_utf8(body.to_vec()).unwrap(),
        };
        self.keep(&answer);
        answer
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.send(Ask::Page, request("GET", path, &[("accept", BROWSER)], "")).await
    }

    /// Posts a form as a page of this origin does.
    async fn post(&mut self, path: &str, form: &str) -> Answer {
        let lines = [("origin", ORIGIN), ("sec-fetch-site", "same-origin"), ("accept", BROWSER)];
        self.post_with(path, &lines, form).await
    }

    async fn post_with(&mut self, path: &str, lines: &[(&str, &str)], form: &str) -> Answer {
        let mut request = request("POST", path, lines, form);
        let form_type = "application/x-www-form-urlencoded".parse().unwrap();
        request.headers_mut().entry(CONTENT_TYPE).or_insert(form_type);
        self.send(Ask::Page, request).await
    }

    fn keep(&mut self, answer: &Answer) {
        for (kind, value) in answer.cookies() {
            let token = Token::parse(&value);
            match kind {
                CookieKind::Session => self.cookies.session = token,
                CookieKind::Device => self.cookies.device = token,
                CookieKind::Flow => self.cookies.flow = token,
                CookieKind::Handoff => self.cookies.handoff = token,
                CookieKind::Csrf => self.cookies.csrf = token,
                CookieKind::Reset => self.cookies.reset = token,
                CookieKind::Owner => self.cookies.owner = Mac::parse(&value),
                CookieKind::Language => {
                    self.cookies.language = ["ja", "en"].into_iter().find(|known| **known == *value);
                }
            }
        }
    }
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.head.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn location(&self) -> &str {
        self.header(LOCATION.as_str())
    }

    /// Kind and value of each cookie that is set.
    fn cookies(&self) -> Vec<(CookieKind, String)> {
        let lines = self.head.headers().get_all(SET_COOKIE).iter();
        lines
            .map(|line| {
                let (name, rest) = line.to_str().unwrap().split_once('=').unwrap();
                let kind = CookieKind::ALL.into_iter().find(|kind| kind.name(true) == name).unwrap();
                (kind, rest.split(';').next().unwrap().to_owned())
            })
            .collect()
    }

    fn sets(&self, kind: CookieKind) -> bool {
        self.cookies().iter().any(|(set, _)| *set == kind)
    }

    /// The token of the page's (first) form.
    fn csrf(&self) -> String {
        let (_, rest) = self.body.split_once("name=\"csrf\" value=\"").expect("a form with a token");
        rest.split('"').next().unwrap().to_owned()
    }

    /// The code of problem+json.
    fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["status"], self.status.as_u16());
        assert!(problem["type"].is_string() && problem["title"].is_string());
        problem["code"].as_str().unwrap().to_owned()
    }
}

fn request(method: &str, path: &str, lines: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

/// What every answer of the portal has (attack case A46).
fn assert_protected(answer: &Answer) {
    let policy = answer.header("content-security-policy");
    for part in ["default-src 'none'", "base-uri 'none'", "object-src 'none'", "frame-ancestors "] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("referrer-policy"), "same-origin");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert!(answer.header("strict-transport-security").starts_with("max-age="));
    assert!(answer.header("vary").contains("Cookie"));
}
