//! Forms and query strings: `application/x-www-form-urlencoded`, small, every field at most once, valid UTF-8. Whatever
//! two readers could understand differently is refused.

use std::collections::BTreeMap;

use axum::body::Body;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use percent_encoding::percent_decode_str;

/// The gateway's cap on what is sent to the portal, in bytes; uploads have another one.
pub const MAX_BODY: usize = 64 * 1024;

/// The fields of a form or of a query string.
#[derive(Default)]
pub struct Fields(BTreeMap<String, String>);

/// Why a form cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadForm {
    /// 413
    TooLarge,
    /// 415
    WrongType,
    /// 400: not what a browser sends, or a field twice.
    Malformed,
}

impl Fields {
    /// Reads a form that was posted.
    ///
    /// # Errors
    /// [`BadForm`].
    pub async fn read(headers: &HeaderMap, body: Body) -> Result<Self, BadForm> {
        if !is_form(headers) {
            return Err(BadForm::WrongType);
        }
        let bytes = axum::body::to_bytes(body, MAX_BODY).await.map_err(|_| BadForm::TooLarge)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| BadForm::Malformed)?;
        Self::parse(text).ok_or(BadForm::Malformed)
    }

    /// Reads a query string; one that is malformed says nothing.
    #[must_use]
    pub fn of_query(query: Option<&str>) -> Self {
        query.and_then(Self::parse).unwrap_or_default()
    }

    /// Fields that came in another form than this module reads.
    #[must_use]
    pub const fn of(fields: BTreeMap<String, String>) -> Self {
        Self(fields)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut fields = BTreeMap::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if fields.insert(decode(name)?, decode(value)?).is_some() {
                return None;
            }
        }
        Some(Self(fields))
    }

    /// A field's value; `None`: it was not sent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// What stands behind `prefix` in the names of the boxes that are ticked.
    pub fn ticked<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        let boxes = self.0.iter().filter(|(_, value)| *value == "on");
        boxes.filter_map(move |(name, _)| name.strip_prefix(prefix))
    }

    /// Takes a field out; empty where it was not sent.
    #[must_use]
    pub fn take(&mut self, name: &str) -> String {
        self.0.remove(name).unwrap_or_default()
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(content_type), None) = (types.next(), types.next()) else { return false };
    let Ok(content_type) = content_type.to_str() else { return false };
    let mut parts = content_type.split(';').map(str::trim);
    let is_urlencoded =
        parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/x-www-form-urlencoded"));
    is_urlencoded && parts.all(|parameter| parameter.eq_ignore_ascii_case("charset=utf-8"))
}

fn decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    async fn read(content_type: &'static str, body: impl Into<Body>) -> Result<Fields, BadForm> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Fields::read(&headers, body.into()).await
    }

    const FORM: &str = "application/x-www-form-urlencoded";

    #[tokio::test]
    async fn a_browsers_form_is_read() {
        let fields = read(FORM, "login=alice&password=+a%2Bb%26%E3%81%82+&empty=").await.unwrap();
        assert_eq!(fields.get("login"), Some("alice"));
        assert_eq!(fields.get("password"), Some(" a+b&あ "));
        assert_eq!(fields.get("empty"), Some(""));
        assert_eq!(fields.get("absent"), None);
    }

    #[tokio::test]
    async fn a_field_that_comes_twice_is_refused() {
        assert_eq!(read(FORM, "code=1&code=2").await.err(), Some(BadForm::Malformed));
        assert_eq!(read(FORM, "code=1&c%6fde=2").await.err(), Some(BadForm::Malformed));
        assert_eq!(read(FORM, "code=%ff").await.err(), Some(BadForm::Malformed));
    }

    #[tokio::test]
    async fn other_types_are_refused() {
        for other in [
            "text/plain",
            "application/json",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencoded; charset=shift_jis",
        ] {
            assert_eq!(read(other, "code=1").await.err(), Some(BadForm::WrongType), "{other}");
        }
        assert!(read("application/x-www-form-urlencoded; charset=UTF-8", "code=1").await.is_ok());
        assert_eq!(Fields::read(&HeaderMap::new(), Body::from("a=b")).await.err(), Some(BadForm::WrongType));
    }

    #[tokio::test]
    async fn more_than_64_kib_is_refused() {
        assert!(read(FORM, format!("a={}", "x".repeat(MAX_BODY - 2))).await.is_ok());
        assert_eq!(read(FORM, format!("a={}", "x".repeat(MAX_BODY))).await.err(), Some(BadForm::TooLarge));
    }
}
