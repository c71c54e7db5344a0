use axum::body::Body;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;
use crate::clock::{ManualClock, Timestamp};

/// RFC 6238 appendix B: this key, at this second, shows 94287082, of which an app with six digits shows the last six.
fn phone() -> Arc<Phone> {
    let app = App { label: "alice".into(), key: b"12345678901234567890".to_vec().into() };
    Arc::new(Phone::new(vec![app], Arc::new(ManualClock::new(Timestamp::from_secs(59)))))
}

async fn ask(phone: &Arc<Phone>, request: Request) -> (StatusCode, String) {
    let response = router(Arc::clone(phone), Arc::default(), Language::En).unwrap().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn get_page(host: &str) -> Request {
    Request::get("/").header(header::HOST, host).body(Body::empty()).unwrap()
}

fn add_key(form: &'static str, origin: &str) -> Request {
    Request::post("/add")
        .header(header::HOST, "127.0.0.1:4000")
        .header(header::ORIGIN, origin)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form))
        .unwrap()
}

#[test]
fn it_shows_the_standards_own_code() {
    assert_eq!(phone().codes(), [Code { label: "alice".into(), code: "287082".into(), left: 1 }]);
}

#[tokio::test]
async fn a_key_as_the_enrolment_page_shows_it_is_taken() {
    let phone = phone();
    let form = "label=bob&key=GEZD+GNBV+GY3T+QOJQ+GEZD+GNBV+GY3T+QOJQ";
    let (status, _) = ask(&phone, add_key(form, "http://127.0.0.1:4000")).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(phone.codes()[1], Code { label: "bob".into(), code: "287082".into(), left: 1 });
}

#[tokio::test]
async fn what_is_no_key_is_refused_in_words() {
    let phone = phone();
    for form in ["key=hello", "key=", "key=%F0%9F%8D%B5", "key=GEZDGNBV"] {
        let (status, page) = ask(&phone, add_key(form, "http://127.0.0.1:4000")).await;
        assert_eq!(status, StatusCode::OK);
        assert!(page.contains("not a key"), "{form}");
    }
    assert_eq!(phone.codes().len(), 1);
}

#[tokio::test]
async fn pages_from_elsewhere_neither_read_nor_add() {
    let phone = phone();
    assert_eq!(ask(&phone, get_page("evil.example:4000")).await.0, StatusCode::FORBIDDEN);
    let form = "key=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    assert_eq!(ask(&phone, add_key(form, "http://evil.example")).await.0, StatusCode::FORBIDDEN);
    let (status, page) = ask(&phone, get_page("localhost:4000")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("287 082") && page.contains("alice"));
}
