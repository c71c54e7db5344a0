//! Where a login may lead (attack cases A43, A44).

use proptest::prelude::*;

use super::super::return_to::path;
use crate::service::testing::Bench;
use crate::service::visit::{SekishoCookies, Visit};

async fn visit() -> Visit {
    Bench::new(|_| {}).visit(&SekishoCookies::default()).await
}

#[tokio::test]
async fn a_path_on_this_host_is_kept() {
    let visit = visit().await;
    for good in [
        "/",
        "/orders",
        "/orders?page=2&to=https://elsewhere.test/",
        "/a%20b/%E3%81%82?q=%E3%81%84",
        "/.sekisho/account",
        "/.sekisho/account;x",
        "/.sekisho/account%3B&x",
        "/.sekisho/account/devices?x=1",
        "/.sekisho/admin/users",
        "/.sekisho/held/abc",
        "/.sekishox/login",
    ] {
        assert_eq!(path(&visit, Some(good)), good);
    }
}

#[tokio::test]
async fn anything_else_becomes_the_root() {
    let visit = visit().await;
    for bad in [
        "",
        "orders",
        "//evil",
        "///evil",
        "/\\evil",
        "\\/evil",
        "https:evil",
        "https://evil",
        "https://shop.test/orders",
        "//app.test@evil",
        "javascript:alert(1)",
        "/%5cevil",
        "%2f%2fevil",
        "/%2fevil",
        "http://app.test.evil/",
        "/\r\nSet-Cookie:x=1",
        "/a b",
        "/\tevil",
        "/あ",
        "/x#y",
        "/../../x",
        "/.sekisho",
        "/.sekisho/",
        "/.sekisho/login",
        "/.sekisho/logout",
        "/.sekisho/logout%3B/account",
        "/.sekisho/login%3Baccount",
        "/.sekisho/second-factor?x",
        "/.sekisho/accounts",
        "/%2esekisho/login",
        "/x/../.sekisho/login",
        "/.sekisho;x/login",
        "/.sekisho/account/../login",
    ] {
        assert_eq!(path(&visit, Some(bad)), "/", "{bad}");
    }
    assert_eq!(path(&visit, None), "/");
    assert_eq!(path(&visit, Some(&format!("/{}", "x".repeat(5000)))), "/");
    assert_eq!(path(&visit, Some(&format!("/{}", "\"".repeat(4000)))), "/", "12,000 bytes when they are escaped");
}

#[test]
fn no_text_leads_off_this_host() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let visit = runtime.block_on(visit());
    // Slashes, dots and what else has led other programmes astray come often.
    let pieces = prop_oneof![
        Just("/".to_owned()),
        Just("/".to_owned()),
        Just("\\".to_owned()),
        Just("?".to_owned()),
        Just("#".to_owned()),
        Just("\t".to_owned()),
        Just("//".to_owned()),
        Just("%2e%2E".to_owned()),
        Just("%40".to_owned()),
        Just("[::1]".to_owned()),
        Just(":443".to_owned()),
        Just("..".to_owned()),
        Just("%2f".to_owned()),
        Just("%5C".to_owned()),
        Just("%0d%0a".to_owned()),
        Just("@evil.test".to_owned()),
        Just("https:".to_owned()),
        Just(".sekisho".to_owned()),
        Just("login".to_owned()),
        Just(";".to_owned()),
        any::<String>(),
    ];
    proptest!(|(wish in prop::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat()))| {
        let led = path(&visit, Some(&wish));
        prop_assert!(led.starts_with('/') && !led.starts_with("//"), "{}", led);
        prop_assert!(led.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'), "{}", led);
        prop_assert!(!led.starts_with("/.sekisho/login"), "{}", led);
        // A browser's word for it (the URL standard's, which reads much that RFC 3986 does not).
        let page = url::Url::parse("https://shop.test/.sekisho/login?x#y").unwrap();
        let joined = page.join(&led).unwrap();
        prop_assert_eq!(joined.origin(), page.origin(), "{}", led);
        prop_assert_eq!(joined.path(), led.split('?').next().unwrap(), "{}", led);
        prop_assert!(joined.username().is_empty() && joined.password().is_none() && joined.fragment().is_none());
        // What is led to is led to again: nothing changes its meaning the second time.
        prop_assert_eq!(path(&visit, Some(&led)), led);
    });
}
