//! The names of a kept form's fields: enough to know one's own form again, and nothing of what was typed.

use std::convert::Infallible;

use bytes::Bytes;
use multer::Multipart;
use percent_encoding::percent_decode;
use serde::Serialize;

use crate::service::held::Form;
use crate::service::printable;

/// How many are shown, and how much of each.
const SHOWN: usize = 30;
const LENGTH: usize = 80;

/// Each once, in the form's order.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Names {
    shown: Vec<String>,
    /// How many others there are.
    more: usize,
}

impl Names {
    /// Of this form. What cannot be read has no names; it is sent as it came all the same.
    pub async fn of(form: &Form) -> Self {
        let essence = form.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let all = match essence.as_str() {
            "application/x-www-form-urlencoded" => urlencoded(&form.body),
            "multipart/form-data" => multipart(&form.content_type, form.body.clone()).await,
            _ => plain(&form.body),
        };
        let mut names = Self::default();
        for name in all.iter().map(|name| printable(name, LENGTH)).filter(|name| !name.is_empty()) {
            if names.shown.contains(&name) {
                continue;
            }
            if names.shown.len() < SHOWN {
                names.shown.push(name);
            } else {
                names.more += 1;
            }
        }
        names
    }

    #[cfg(test)]
    pub fn sample(shown: &[&str], more: usize) -> Self {
        Self { shown: shown.iter().map(|name| (*name).to_owned()).collect(), more }
    }
}

fn urlencoded(body: &[u8]) -> Vec<String> {
    let name = |pair: &[u8]| {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        let spaced: Vec<u8> = name.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        percent_decode(&spaced).decode_utf8_lossy().into_owned()
    };
    body.split(|byte| *byte == b'&').map(name).collect()
}

/// RFC 7578.
async fn multipart(content_type: &str, body: Bytes) -> Vec<String> {
    let Ok(boundary) = multer::parse_boundary(content_type) else { return Vec::new() };
    let whole = futures_util::stream::once(async move { Ok::<Bytes, Infallible>(body) });
    let mut parts = Multipart::new(whole, boundary);
    let mut names = Vec::new();
    while let Ok(Some(part)) = parts.next_field().await {
        names.extend(part.name().map(str::to_owned));
    }
    names
}

/// `text/plain`: a line each.
fn plain(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    text.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn names(content_type: &str, body: &str) -> Names {
        let (content_type, body) = (content_type.to_owned(), Bytes::from(body.to_owned()));
        Names::of(&Form { target: "/".to_owned(), content_type, body }).await
    }

    #[tokio::test]
    async fn names_are_shown_and_values_are_not() {
        let urlencoded = "application/x-www-form-urlencoded";
        assert_eq!(
            names(urlencoded, "a=1&b%5B%5D=2&b%5B%5D=3&%E5%90%8D+x=4&&d").await,
            Names::sample(&["a", "b[]", "名 x", "d"], 0)
        );
        assert_eq!(names(urlencoded, "").await, Names::default());
        let part = |name: &str, more: &str| {
            format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\nname=\"secret\"\r\n")
        };
        let body = format!("{}{}--X--\r\n", part("a", ""), part("file", "; filename=\"secret.txt\""));
        assert_eq!(names("multipart/form-data; boundary=X", &body).await, Names::sample(&["a", "file"], 0));
        assert_eq!(names("multipart/form-data", &body).await, Names::default());
        assert_eq!(names("text/plain", "a=1\r\nb=2=3\r\n").await, Names::sample(&["a", "b"], 0));
    }

    #[tokio::test]
    async fn there_is_an_end_to_them() {
        let many: String = (0..50).map(|index| format!("field{index}=x&")).collect();
        let names = names("application/x-www-form-urlencoded", &many).await;
        assert_eq!((names.shown.len(), names.more), (SHOWN, 20));
        let long = super::tests::names("application/x-www-form-urlencoded", &format!("{}=x", "n".repeat(500))).await;
        assert!(long.shown[0].chars().count() <= LENGTH, "{long:?}");
    }
}
