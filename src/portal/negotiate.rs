//! What kind of client asks: a person at a browser's address bar, a page that shows HTML, or a programme (F33, attack
//! case A47).

use http::header::{ACCEPT, HeaderName, UPGRADE};
use http::{HeaderMap, Method};

/// How a refusal is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// A top-level GET navigation: can be led to a page.
    Navigation,
    /// Shows HTML, but not as the whole window, or not by GET: a frame, a form.
    Html,
    /// XHR, fetch, curl, WebSocket: gets problem+json.
    Programme,
}

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// Who asks. Fetch Metadata decides where there is any; an older browser is known by asking for `text/html` by GET.
#[must_use]
pub fn audience(method: &Method, headers: &HeaderMap) -> Audience {
    let scripted = headers.contains_key(X_REQUESTED_WITH) || headers.contains_key(UPGRADE);
    let fetch_metadata = [&SEC_FETCH_MODE, &SEC_FETCH_DEST, &SEC_FETCH_SITE];
    let html = accepts_html(headers);
    if fetch_metadata.iter().any(|name| headers.contains_key(*name)) {
        let is = |name: &HeaderName, expected: &str| headers.get(name).is_some_and(|value| value == expected);
        let navigates = is(&SEC_FETCH_MODE, "navigate");
        return match () {
            () if scripted => Audience::Programme,
            () if navigates && is(&SEC_FETCH_DEST, "document") && *method == Method::GET => Audience::Navigation,
            () if html => Audience::Html,
            () => Audience::Programme,
        };
    }
    match () {
        () if scripted || !html => Audience::Programme,
        () if *method == Method::GET => Audience::Navigation,
        () => Audience::Html,
    }
}

/// Whether it is not the whole window that asks, as far as the request tells: a script, a frame, a picture.
#[must_use]
pub fn is_part_of_a_page(headers: &HeaderMap) -> bool {
    let other = |name: &HeaderName, expected: &str| headers.get(name).is_some_and(|value| value != expected);
    headers.contains_key(X_REQUESTED_WITH)
        || headers.contains_key(UPGRADE)
        || other(&SEC_FETCH_MODE, "navigate")
        || other(&SEC_FETCH_DEST, "document")
}

/// Whether the frame that asks is within a page (an old tool's frames).
#[must_use]
pub fn is_framed(headers: &HeaderMap) -> bool {
    headers.get(SEC_FETCH_DEST).is_some_and(|dest| ["frame", "iframe", "embed", "object"].iter().any(|d| dest == d))
}

/// Whether `text/html` is named, and not with a weight of nothing (RFC 9110 §12.5.1). `*/*` alone is what programmes send.
fn accepts_html(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(
        |item| {
            let mut parts = item.split(';').map(str::trim);
            let named = parts.next().is_some_and(|media| {
                media.eq_ignore_ascii_case("text/html") || media.eq_ignore_ascii_case("application/xhtml+xml")
            });
            named && !parts.any(|part| part.strip_prefix("q=").is_some_and(|q| q.parse::<f32>() == Ok(0.0)))
        },
    )
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

    fn asked(method: &Method, lines: &[(&'static str, &'static str)]) -> Audience {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        audience(method, &headers)
    }

    #[test]
    fn a_window_that_goes_somewhere_is_a_navigation() {
        let modern = [
            ("accept", BROWSER),
            ("sec-fetch-site", "none"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert_eq!(asked(&Method::GET, &modern), Audience::Navigation);
        assert_eq!(asked(&Method::POST, &modern), Audience::Html);
        assert_eq!(asked(&Method::GET, &[("accept", BROWSER)]), Audience::Navigation);
        assert_eq!(asked(&Method::HEAD, &[("accept", BROWSER)]), Audience::Html);
    }

    #[test]
    fn a_frame_is_no_window() {
        let frame = [("accept", BROWSER), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
        assert_eq!(asked(&Method::GET, &frame), Audience::Html);
    }

    #[test]
    fn scripts_are_programmes() {
        assert_eq!(asked(&Method::GET, &[]), Audience::Programme);
        assert_eq!(asked(&Method::GET, &[("accept", "*/*")]), Audience::Programme);
        assert_eq!(asked(&Method::GET, &[("accept", "application/json")]), Audience::Programme);
        assert_eq!(asked(&Method::GET, &[("accept", "text/html;q=0, */*")]), Audience::Programme);
        let jquery = [("accept", "text/html, */*; q=0.01"), ("x-requested-with", "XMLHttpRequest")];
        assert_eq!(asked(&Method::GET, &jquery), Audience::Programme);
        let fetch = [("accept", "*/*"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")];
        assert_eq!(asked(&Method::GET, &fetch), Audience::Programme);
        let socket = [("upgrade", "websocket"), ("sec-fetch-mode", "websocket"), ("accept", BROWSER)];
        assert_eq!(asked(&Method::GET, &socket), Audience::Programme);
    }
}
