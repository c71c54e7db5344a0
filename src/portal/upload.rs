//! Forms with a file (`multipart/form-data`, RFC 7578): every part at most once, and none but those that the page has.

use std::collections::BTreeMap;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use multer::{Constraints, Multipart, SizeLimit};

use super::form::{BadForm, Fields};

/// A form that was posted, and the file in it.
pub struct Upload {
    pub fields: Fields,
    /// Empty where none was chosen.
    pub file: Vec<u8>,
}

/// Reads a form of at most `most` bytes: the file in the part `file`, and these fields.
///
/// # Errors
/// [`BadForm`].
pub async fn read(headers: &HeaderMap, body: Body, fields: &[&'static str], most: usize) -> Result<Upload, BadForm> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(content_type).map_err(|_| BadForm::WrongType)?;
    let bytes = axum::body::to_bytes(body, most).await.map_err(|_| BadForm::TooLarge)?;
    let allowed: Vec<&str> = fields.iter().copied().chain([FILE]).collect();
    let constraints = Constraints::new().allowed_fields(allowed).size_limit(SizeLimit::new().whole_stream(most as u64));
    let whole = futures_util::stream::once(async move { Ok::<Bytes, std::convert::Infallible>(bytes) });
    let mut parts = Multipart::with_constraints(whole, boundary, constraints);
    let (mut read, mut file) = (BTreeMap::new(), None);
    while let Some(part) = parts.next_field().await.map_err(|_| BadForm::Malformed)? {
        let name = part.name().unwrap_or_default().to_owned();
        let content = part.bytes().await.map_err(|_| BadForm::Malformed)?;
        let twice = if name == FILE {
            file.replace(content).is_some()
        } else {
            let text = String::from_utf8(content.to_vec()).map_err(|_| BadForm::Malformed)?;
            read.insert(name, text).is_some()
        };
        if twice {
            return Err(BadForm::Malformed);
        }
    }
    Ok(Upload { fields: Fields::of(read), file: file.map(|content| content.to_vec()).unwrap_or_default() })
}

/// The part that holds the file.
const FILE: &str = "file";

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const MOST: usize = 1000;

    async fn read_as(content_type: &'static str, body: &str) -> Result<Upload, BadForm> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        read(&headers, Body::from(body.to_owned()), &["csrf", "text"], MOST).await
    }

    fn part(name: &str, more: &str, content: &str) -> String {
        format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{content}\r\n")
    }

    const FORM: &str = "multipart/form-data; boundary=X";

    #[tokio::test]
    async fn a_file_and_fields_are_read() {
        let file = part("file", "; filename=\"people.csv\"", "login\r\nann\r\n");
        let body = format!("{}{file}{}--X--\r\n", part("csrf", "", "t"), part("text", "", "山田"));
        let upload = read_as(FORM, &body).await.unwrap();
        assert_eq!(upload.file, b"login\r\nann\r\n");
        assert_eq!((upload.fields.get("csrf"), upload.fields.get("text")), (Some("t"), Some("山田")));
        let none = format!("{}--X--\r\n", part("file", "; filename=\"\"", ""));
        assert!(read_as(FORM, &none).await.unwrap().file.is_empty());
    }

    #[tokio::test]
    async fn what_is_not_as_the_page_has_it_is_refused() {
        let twice = format!("{}{}--X--\r\n", part("csrf", "", "a"), part("csrf", "", "b"));
        let two_files = format!("{}{}--X--\r\n", part("file", "", "a"), part("file", "", "b"));
        let unknown = format!("{}--X--\r\n", part("other", "", "a"));
        let cut = part("csrf", "", "a");
        let no_text = "--X\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n\u{fffd}--X--\r\n".to_owned();
        for body in [twice, two_files, unknown, cut, no_text] {
            assert_eq!(read_as(FORM, &body).await.err(), Some(BadForm::Malformed), "{body:?}");
        }
        for other in ["application/x-www-form-urlencoded", "multipart/form-data", "text/csv"] {
            assert_eq!(read_as(other, "").await.err(), Some(BadForm::WrongType), "{other}");
        }
        let large = format!("{}--X--\r\n", part("file", "", &"x".repeat(MOST)));
        assert_eq!(read_as(FORM, &large).await.err(), Some(BadForm::TooLarge));
    }
}
