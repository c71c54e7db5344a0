//! Where a login leads: never off the origin, as a browser reads it.

use std::sync::{Arc, LazyLock};

use http::HeaderValue;
use sekisho::authz::{NormalTarget, RawTarget};
use sekisho::clock::Timestamp;
use sekisho::config::{Config, Language};
use sekisho::id::RequestId;
use sekisho::portal::return_to;
use sekisho::service::visit::{Ask, SekishoCookies, Visit};
use url::Url;

use crate::sample;

static CONFIG: LazyLock<Arc<Config>> = LazyLock::new(|| Arc::new(sample::CONFIG.clone()));

const PAGE: &str = "/.sekisho/login";

fn visit(secure: bool) -> Visit {
    let raw = RawTarget { target: PAGE.as_bytes(), authority: Some(b"shop.test:8443"), secure };
    Visit {
        request_id: RequestId::from_bytes([0; 10]),
        now: Timestamp::from_secs(1_800_000_000),
        config: Arc::clone(&CONFIG),
        client: [192, 0, 2, 1].into(),
        secure,
        may_sign_in: true,
        target: NormalTarget::parse(raw).expect("a page of ours"),
        route: None,
        cookies: SekishoCookies::default(),
        language: Language::En,
        session: None,
        ask: Ask::Page,
    }
}

/// The first byte says whether it comes over https; the rest is the wish, as it was decoded from a form or a query.
pub fn check(data: &[u8]) {
    let Some((flags, wish)) = data.split_first() else { return };
    let Ok(wish) = std::str::from_utf8(wish) else { return };
    let secure = flags & 1 == 0;
    let visit = visit(secure);
    let led = return_to(&visit, Some(wish));

    let page = format!("{}://shop.test:8443{PAGE}", if secure { "https" } else { "http" });
    let page = Url::parse(&page).expect("an address");
    let lands = page.join(&led).expect("a browser can go there");
    assert_eq!(lands.origin(), page.origin(), "{wish} leads to {lands}");
    assert!(lands.username().is_empty() && lands.password().is_none() && lands.fragment().is_none(), "{lands}");
    // Browsers escape it in queries; it means the same.
    let apostrophes = |text: &str| text.replace("%27", "'");
    let asked = apostrophes(&lands[url::Position::BeforePath..]);
    assert_eq!(asked, apostrophes(&led), "a browser asks for something else");
    assert!(led.starts_with('/') && !led.starts_with("//") && !led.contains('\\'), "{led}");
    assert!(led.bytes().all(|b| b.is_ascii_graphic()) && HeaderValue::from_str(&led).is_ok(), "{led}");
    assert!(led.len() <= 4096, "{}", led.len());
    assert_eq!(return_to(&visit, Some(&led)), led, "the second time it leads elsewhere");
    // Whoever decodes it once more than need be leads off no more.
    let decoded: Vec<u8> = percent_encoding::percent_decode_str(lands.path()).collect();
    assert!(!matches!(decoded.as_slice(), [b'/', b'/' | b'\\', ..]), "{led}");

    // What is kept of a wish is what the wish meant to a browser; anything else became the root.
    if led != "/" {
        assert_eq!(page.join(wish).map(|meant| meant.origin()), Ok(page.origin()), "{wish}");
    }
    // Not back into the login, nor out.
    if let Some(own) = lands.path().strip_prefix("/.sekisho/") {
        let first = own.split('/').next().unwrap_or_default();
        let first = percent_encoding::percent_decode_str(first).decode_utf8_lossy();
        // A `;` begins parameters, written as an escape too.
        let page = first.split(';').next().unwrap_or_default();
        assert!(["account", "admin", "held"].contains(&page), "{led}");
    }
}
