//! Forms: their tokens, where they come from, what they may hold (attack cases A25, A45).

use http::StatusCode;

use super::{Answer, BROWSER, Browser, ORIGIN, assert_protected, request};
use crate::service::cookies::CookieKind;
use crate::service::visit::Ask;

#[tokio::test]
async fn the_login_page_can_be_had_by_anybody_and_brings_what_its_token_is_bound_to() {
    let mut browser = Browser::new();
    let first = browser.get("/.sekisho/login").await;
    assert_eq!(first.status, StatusCode::OK);
    assert!(first.sets(CookieKind::Csrf));
    assert!(first.body.contains("action=\"/.sekisho/login\""));
    for part in ["autocomplete=\"username\"", "autocomplete=\"current-password\"", "<html lang=\"ja\">"] {
        assert!(first.body.contains(part), "{part}");
    }
    assert_protected(&first);
    let second = browser.get("/.sekisho/login").await;
    assert!(!second.sets(CookieKind::Csrf));
    assert_eq!(first.csrf(), second.csrf());
}

#[tokio::test]
async fn only_a_form_that_may_end_at_the_tool_may_lead_to_another_site() {
    let mut browser = Browser::new();
    let policy = |answer: &Answer| answer.header("content-security-policy").contains("form-action 'self'");
    assert!(!policy(&browser.get("/.sekisho/login").await), "the way leads on to the tool");
    assert!(policy(&browser.get("/.sekisho/nowhere").await));
    assert!(policy(&browser.get("/.sekisho/logout").await));
}

#[tokio::test]
async fn head_is_answered_as_get_without_a_body() {
    let mut browser = Browser::new();
    let answer = browser.send(Ask::Page, request("HEAD", "/.sekisho/login", &[("accept", BROWSER)], "")).await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, ""));
    assert_protected(&answer);
}

#[tokio::test]
async fn a_form_of_another_site_is_refused_before_it_is_read() {
    let mut browser = Browser::new();
    let token = browser.get("/.sekisho/login").await.csrf();
    let form = format!("login=alice&password=x&csrf={token}");
    let foreign: [&[(&str, &str)]; 6] = [
        &[("origin", "https://evil.test")],
        &[("origin", "null")],
        &[("origin", "http://shop.test")],
        &[("origin", "https://other.shop.test"), ("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "cross-site")],
        &[("origin", ORIGIN), ("sec-fetch-site", "cross-site")],
    ];
    let pages =
        ["/.sekisho/login", "/.sekisho/second-factor", "/.sekisho/enrol", "/.sekisho/enrol/cancel", "/.sekisho/logout"];
    for page in pages {
        for lines in foreign {
            let answer = browser.post_with(page, lines, &form).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{page} {lines:?}");
            assert_eq!(answer.cookies(), [], "{page} {lines:?}");
            assert_protected(&answer);
        }
    }
}

#[tokio::test]
async fn a_login_without_the_pages_token_is_asked_for_again() {
    let mut browser = Browser::new();
    // Not even a cookie yet.
    let answer = browser.post("/.sekisho/login", "login=alice&password=x&csrf=abc").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.sets(CookieKind::Csrf));
    assert!(answer.body.contains("id=\"alert\""));
    assert!(answer.body.contains("value=\"alice\""), "what was typed is kept");
    assert!(!answer.body.contains("value=\"x\""), "but never a password");
    for form in ["login=alice&password=x", "login=alice&password=x&csrf=", "login=alice&password=x&csrf=%00"] {
        let answer = browser.post("/.sekisho/login", form).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{form}");
        assert!(!answer.sets(CookieKind::Session) && !answer.sets(CookieKind::Flow));
    }
    // Another browser's token.
    let other = Browser::new().get("/.sekisho/login").await.csrf();
    let answer = browser.post("/.sekisho/login", &format!("login=alice&password=x&csrf={other}")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_is_no_form_is_refused() {
    let mut browser = Browser::new();
    let token = browser.get("/.sekisho/login").await.csrf();
    let twice = format!("login=alice&login=bob&password=x&csrf={token}");
    assert_eq!(browser.post("/.sekisho/login", &twice).await.status, StatusCode::BAD_REQUEST);
    let large = format!("login=alice&password={}&csrf={token}", "x".repeat(70_000));
    assert_eq!(browser.post("/.sekisho/login", &large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    for other in ["text/plain", "application/json"] {
        let answer = browser.post_with("/.sekisho/login", &[("content-type", other)], "{}").await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{other}");
    }
}

#[tokio::test]
async fn a_code_without_a_login_leads_back_to_the_start() {
    let mut browser = Browser::new();
    for page in ["/.sekisho/second-factor", "/.sekisho/enrol"] {
        let answer = browser.get(page).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        assert_eq!(answer.location(), "/.sekisho/login?return_to=%2F&notice=restart");
        let answer = browser.post(page, "code=123456&csrf=x").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert!(!answer.sets(CookieKind::Session));
        assert!(answer.body.contains("action=\"/.sekisho/login\""));
    }
}

#[tokio::test]
async fn nobody_signed_in_has_nothing_to_log_out_of() {
    let mut browser = Browser::new();
    assert_eq!(browser.get("/.sekisho/logout").await.location(), "/.sekisho/login?return_to=%2F");
    assert_eq!(browser.get("/.sekisho").await.location(), "/.sekisho/login?return_to=%2F");
    assert_eq!(browser.get("/.sekisho/").await.location(), "/.sekisho/login?return_to=%2F");
    let answer = browser.post("/.sekisho/logout", "").await;
    assert_eq!(answer.location(), "/.sekisho/login?return_to=%2F&notice=signed-out");
    assert_eq!(answer.cookies(), []);
}

#[tokio::test]
async fn a_language_is_chosen_by_a_link_and_stays_chosen() {
    let mut browser = Browser::new();
    let page = browser.get("/.sekisho/login?return_to=%2Forders").await;
    assert!(page.body.contains("href=\"/.sekisho/login?lang=en&amp;return_to=%2Forders\""), "{}", page.body);
    let page = browser.get("/.sekisho/login?lang=en&return_to=%2Forders").await;
    assert!(page.sets(CookieKind::Language));
    assert!(page.body.contains("<html lang=\"en\">") && page.body.contains("value=\"/orders\""));
    assert!(browser.get("/.sekisho/login").await.body.contains("<html lang=\"en\">"));
    let page = browser.get("/.sekisho/login?lang=xx").await;
    assert!(!page.sets(CookieKind::Language) && page.body.contains("<html lang=\"en\">"));
}

#[tokio::test]
async fn what_is_typed_cannot_become_part_of_the_page() {
    let mut browser = Browser::new();
    let token = "x";
    let form = format!("login=%22%3E%3Cscript%3E&password=x&return_to=%2F%22%3E%3Cb%3E&csrf={token}");
    let answer = browser.post("/.sekisho/login", &form).await;
    assert!(!answer.body.contains("<script") && !answer.body.contains("<b>"), "{}", answer.body);
    assert!(answer.body.contains("value=\"&quot;&gt;&lt;script&gt;\""));
}
