use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;
use crate::clock::{ManualClock, Timestamp};

fn shop() -> Router {
    router(Arc::new(ManualClock::new(Timestamp::from_secs(1_795_248_900))), Language::En).unwrap()
}

async fn get(shop: &Router, path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, String) {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    answer(shop, request.body(Body::empty()).unwrap()).await
}

async fn answer(shop: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
    let (parts, body) = shop.clone().oneshot(request).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
}

const PATHS: [&str; 9] =
    ["/", "/orders", "/orders/10480", "/products", "/accounting", "/live", "/feed", "/headers", "/notice"];

#[tokio::test]
async fn every_page_renders_in_both_languages() {
    assert_eq!(PATHS.len(), Page::ALL.len());
    let shop = shop();
    for path in PATHS {
        for language in ["ja", "en"] {
            let person = [("accept-language", language), ("remote-user", "hanako")];
            let (status, _, html) = get(&shop, path, &person).await;
            assert_eq!(status, StatusCode::OK, "{path}");
            assert!(html.contains(&format!("<html lang=\"{language}\">")), "{path} in {language}");
        }
    }
}

#[test]
fn both_languages_have_the_same_texts_and_none_is_idle() {
    let texts = |text: &str| serde_yaml::from_str::<std::collections::BTreeMap<String, String>>(text).unwrap();
    let english = texts(include_str!("../../../assets/demo/en.yaml"));
    let japanese = texts(include_str!("../../../assets/demo/ja.yaml"));
    assert_eq!(english.keys().collect::<BTreeSet<_>>(), japanese.keys().collect::<BTreeSet<_>>());
}

#[tokio::test]
async fn the_person_is_shown_by_name_and_markup_in_a_name_stays_text() {
    let shop = shop();
    let name = [("remote-user", "hanako"), ("remote-name", "%E5%B1%B1%E7%94%B0%20%3Cb%3E")];
    let (_, _, html) = get(&shop, "/", &name).await;
    assert!(html.contains("山田 &lt;b&gt;"), "{html}");
}

#[tokio::test]
async fn the_tool_has_a_session_of_its_own_that_carries_a_notice_over_a_post() {
    let shop = shop();
    let (_, headers, _) = get(&shop, "/orders/10480", &[]).await;
    let cookie = headers[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    assert!(cookie.starts_with("shop_sid="));
    let post = Request::post("/orders/10480/status")
        .header(header::COOKIE, &cookie)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("remote-user", "alice")
        .body(Body::from("status=shipped&remark=by+courier"))
        .unwrap();
    let (status, headers, _) = answer(&shop, post).await;
    assert_eq!((status, headers[header::LOCATION].to_str().unwrap()), (StatusCode::SEE_OTHER, "/orders/10480"));
    let (_, headers, html) = get(&shop, "/orders/10480", &[("cookie", &cookie)]).await;
    assert!(!headers.contains_key(header::SET_COOKIE));
    assert!(html.contains("Saved.") && html.contains("by courier"));
    let (_, _, again) = get(&shop, "/orders/10480", &[("cookie", &cookie)]).await;
    assert!(!again.contains("Saved."));
    let (_, _, feed) = get(&shop, "/feed", &[]).await;
    assert!(feed.contains("alice: #10480 → shipped"));
}

#[tokio::test]
async fn an_unknown_order_product_or_page_is_404() {
    let shop = shop();
    for path in ["/orders/1", "/nowhere"] {
        assert_eq!(get(&shop, path, &[]).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn the_language_link_leads_back_into_the_tool_alone() {
    let shop = shop();
    let referer = [("referer", "http://evil.example//evil.example/orders?x=1")];
    let (_, headers, _) = get(&shop, "/language/ja", &referer).await;
    assert_eq!(headers[header::LOCATION], "/evil.example/orders");
}

#[tokio::test]
async fn the_socket_answers_a_handshake_alone() {
    let shop = shop();
    assert_eq!(get(&shop, "/live/socket", &[]).await.0, StatusCode::BAD_REQUEST);
}
