//! How the names of fields are written to an upstream over HTTP/1.1, where their case does not count (RFC 9110 §5.1).

use http::HeaderName;
use http::request::Parts;
use pingora::Error;
use pingora::http::RequestHeader;

/// Words that people do not write as others.
const WORDS: [(&str, &str); 5] =
    [("dnt", "DNT"), ("ip", "IP"), ("soapaction", "SOAPAction"), ("te", "TE"), ("websocket", "WebSocket")];

/// Has a head keep names in lower case, as HTTP/2 has them: Pingora would copy the client's spelling for each upstream that is tried.
pub fn forget(head: &mut RequestHeader) {
    // What is not a path and a query cannot be told from the parts.
    if head.uri.path_and_query().is_some_and(|target| target.as_str().as_bytes() == head.raw_path()) {
        *head = RequestHeader::from(parts(head));
    }
}

/// Takes a head apart, and leaves an empty one.
pub(super) fn parts(head: &mut RequestHeader) -> Parts {
    let nothing = http::Request::new(()).into_parts().0;
    Parts::from(std::mem::replace(head, RequestHeader::from(nothing)))
}

/// A head whose names are written as people write them, for upstreams that know them by it alone.
pub(super) fn titled(parts: Parts) -> Result<RequestHeader, Box<Error>> {
    let mut head = RequestHeader::build(parts.method, b"/", Some(parts.headers.len()))?;
    head.set_uri(parts.uri);
    head.set_version(parts.version);
    *head.extensions_mut() = parts.extensions;
    for (name, value) in &parts.headers {
        head.append_header(title(name), value.clone())?;
    }
    Ok(head)
}

/// `Remote-User` for `remote-user`.
pub fn title(name: &HeaderName) -> String {
    let words = name.as_str().split('-').map(|word| {
        let known = WORDS.iter().find(|(lower, _)| *lower == word);
        known.map_or_else(|| capital(word), |(_, written)| (*written).to_owned())
    });
    words.collect::<Vec<_>>().join("-")
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_people_write_them() {
        for name in ["Host", "Remote-User", "X-Real-IP", "Sec-WebSocket-Key", "X_Custom", "X--Odd-", "SOAPAction"] {
            assert_eq!(title(&HeaderName::from_bytes(name.as_bytes()).unwrap()), name.replace("X_Custom", "X_custom"));
        }
    }
}
