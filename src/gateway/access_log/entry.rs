//! A request that has ended, as one line: JSON, or the combined format of Apache and nginx.
//!
//! What strangers wrote cannot end a line, leave its quotes or steer a terminal.

use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::config::AccessLog;
use crate::id::RequestId;
use crate::service::printable;

/// The longest that is written of a user agent or a referer, in characters.
const MAX_SAID: usize = 512;
/// What most lines take, in bytes.
const USUAL: usize = 768;

/// What is known of the request; `None` where it was too broken to be read, or where there is none.
#[derive(Debug)]
pub struct Entry<'a> {
    /// When it came.
    pub at: Timestamp,
    pub request: Option<RequestId>,
    pub trace: Option<&'a str>,
    pub client: IpAddr,
    pub login: Option<&'a str>,
    pub route: Option<&'a str>,
    pub method: Option<&'a str>,
    pub host: Option<&'a str>,
    pub path: Option<&'a str>,
    pub status: u16,
    pub bytes: Option<u64>,
    pub duration: Duration,
    /// Until the head of the upstream's answer.
    pub upstream: Option<Duration>,
    pub agent: Option<&'a [u8]>,
    pub referer: Option<&'a [u8]>,
    pub protocol: Option<&'static str>,
    /// The version, where sekisho ended TLS itself.
    pub tls: Option<&'static str>,
}

#[derive(Serialize)]
struct Json<'a> {
    time: String,
    request: Option<RequestId>,
    trace: Option<&'a str>,
    client: IpAddr,
    login: Option<&'a str>,
    route: Option<&'a str>,
    method: Option<&'a str>,
    host: Option<&'a str>,
    path: Option<&'a str>,
    status: u16,
    bytes: Option<u64>,
    duration_ms: f64,
    upstream_ms: Option<f64>,
    user_agent: Option<String>,
    referer: Option<String>,
    protocol: Option<&'static str>,
    tls: Option<&'static str>,
}

impl Entry<'_> {
    /// The line, its end included; nothing where there is no access log.
    pub fn line(&self, format: AccessLog) -> String {
        match format {
            AccessLog::Off => String::new(),
            AccessLog::Json => self.json(),
            AccessLog::Combined => self.combined(),
        }
    }

    fn json(&self) -> String {
        let moment = i64::try_from(self.at.millis()).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
        let line = Json {
            time: moment.map(|at| format!("{at:.3}")).unwrap_or_default(),
            request: self.request,
            trace: self.trace,
            client: self.client,
            login: self.login,
            route: self.route,
            method: self.method,
            host: self.host,
            path: self.path,
            status: self.status,
            bytes: self.bytes,
            duration_ms: millis(self.duration),
            upstream_ms: self.upstream.map(millis),
            user_agent: self.agent.map(said),
            referer: self.referer.map(|referer| said(without_query(referer))),
            protocol: self.protocol,
            tls: self.tls,
        };
        let mut text = Vec::with_capacity(USUAL);
        // Text and numbers: there is nothing in them that JSON could not say.
        let written = serde_json::to_writer(&mut text, &line);
        text.push(b'\n');
        written.ok().and_then(|()| String::from_utf8(text).ok()).unwrap_or_default()
    }

    /// `%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i"`
    fn combined(&self) -> String {
        let moment = i64::try_from(self.at.secs()).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
        let moment = moment.map(|at| at.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string());
        let mut line = format!("{} - ", self.client);
        escape(&mut line, self.login.unwrap_or("-").as_bytes(), true);
        let _ = write!(line, " [{}] \"", moment.unwrap_or_default());
        match (self.method, self.path, self.protocol) {
            (Some(method), Some(path), Some(protocol)) => {
                escape(&mut line, method.as_bytes(), true);
                line.push(' ');
                escape(&mut line, path.as_bytes(), true);
                let _ = write!(line, " {protocol}");
            }
            _ => line.push('-'),
        }
        let _ = write!(line, "\" {} ", self.status);
        match self.bytes {
            Some(bytes) => {
                let _ = write!(line, "{bytes}");
            }
            None => line.push('-'),
        }
        for said in [self.referer.map(without_query), self.agent] {
            line.push_str(" \"");
            let said = said.filter(|said| !said.is_empty()).unwrap_or(b"-");
            escape(&mut line, said.get(..MAX_SAID).unwrap_or(said), false);
            line.push('"');
        }
        line.push('\n');
        line
    }
}

fn millis(duration: Duration) -> f64 {
    // To the microsecond: what is finer is noise.
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

pub fn said(bytes: &[u8]) -> String {
    printable(&String::from_utf8_lossy(bytes), MAX_SAID)
}

/// The page that led here; its query may hold anything, and so may what stands before an `@`.
fn without_query(referer: &[u8]) -> &[u8] {
    let end = referer.iter().position(|b| matches!(b, b'?' | b'#')).unwrap_or(referer.len());
    let page = referer.get(..end).unwrap_or_default();
    if page.contains(&b'@') { b"" } else { page }
}

/// As Apache and nginx do it: what is not printable ASCII, quotes and backslashes as `\xHH`; in a `word`, spaces as well.
fn escape(line: &mut String, bytes: &[u8], word: bool) {
    for &byte in bytes {
        let plain = byte.is_ascii_graphic() || (byte == b' ' && !word);
        if plain && byte != b'"' && byte != b'\\' {
            line.push(char::from(byte));
        } else {
            let _ = write!(line, "\\x{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry<'a>() -> Entry<'a> {
        Entry {
            at: Timestamp::from_millis(1_795_317_882_045),
            request: Some(RequestId::from_bytes([3; 10])),
            trace: Some("0af7651916cd43dd8448eb211c80319c"),
            client: "2001:db8::7".parse().unwrap(),
            login: Some("alice"),
            route: Some("shop"),
            method: Some("GET"),
            host: Some("app.test"),
            path: Some("/orders/7"),
            status: 200,
            bytes: Some(1234),
            duration: Duration::from_micros(12_345),
            upstream: Some(Duration::from_micros(9_870)),
            agent: Some(b"Mozilla/5.0 (X11; Linux)"),
            referer: Some(b"https://app.test/orders?q=secret#x"),
            protocol: Some("HTTP/2.0"),
            tls: Some("1.3"),
        }
    }

    #[test]
    fn json_has_every_field_in_its_place() {
        assert_eq!(
            entry().line(AccessLog::Json),
            concat!(
                r#"{"time":"2026-11-22T03:24:42.045Z","request":"0c1g60r30c1g60r3","trace":"0af7651916cd43dd8448eb211c80319c","#,
                r#""client":"2001:db8::7","login":"alice","route":"shop","method":"GET","host":"app.test","path":"/orders/7","#,
                r#""status":200,"bytes":1234,"duration_ms":12.345,"upstream_ms":9.87,"user_agent":"Mozilla/5.0 (X11; Linux)","#,
                r#""referer":"https://app.test/orders","protocol":"HTTP/2.0","tls":"1.3"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn combined_is_what_apache_and_nginx_write() {
        assert_eq!(
            entry().line(AccessLog::Combined),
            "2001:db8::7 - alice [22/Nov/2026:03:24:42 +0000] \"GET /orders/7 HTTP/2.0\" 200 1234 \
             \"https://app.test/orders\" \"Mozilla/5.0 (X11; Linux)\"\n"
        );
        let refused =
            Entry { login: None, method: None, path: None, bytes: None, agent: None, referer: None, ..entry() };
        assert_eq!(
            refused.line(AccessLog::Combined),
            "2001:db8::7 - - [22/Nov/2026:03:24:42 +0000] \"-\" 200 - \"-\" \"-\"\n"
        );
    }

    #[test]
    fn nothing_said_leaves_its_place() {
        let agent = "a\" 200 1 \"x\"\r\n1.2.3.4 - root \u{1b}[31m\\\u{202e}é".as_bytes();
        let evil = Entry { agent: Some(agent), login: Some("a b\"c"), path: Some("/a b\"\n"), ..entry() };
        let combined = evil.line(AccessLog::Combined);
        assert_eq!(combined.matches('\n').count(), 1);
        assert_eq!(combined.matches('"').count(), 6, "{combined}");
        assert_eq!(combined.split(' ').nth(2), Some("a\\x20b\\x22c"));
        assert_eq!(combined.split(' ').nth(6), Some("/a\\x20b\\x22\\x0A"));
        assert!(combined.bytes().all(|b| b == b'\n' || b == b' ' || b.is_ascii_graphic()), "{combined}");

        let json = evil.line(AccessLog::Json);
        assert_eq!(json.matches('\n').count(), 1);
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["login"], "a b\"c");
        assert!(!read["user_agent"].as_str().unwrap().chars().any(|c| c.is_control() || c == '\u{202e}'), "{json}");
        let long = "x".repeat(5000);
        assert!(Entry { agent: Some(long.as_bytes()), ..entry() }.line(AccessLog::Combined).len() < 1000);
    }

    #[test]
    fn a_referer_loses_what_may_be_secret() {
        for (referer, kept) in [
            ("https://a.test/x?token=1", "https://a.test/x"),
            ("https://a.test/x#token=1", "https://a.test/x"),
            ("https://user:word@a.test/x", ""),
            ("", ""),
        ] {
            assert_eq!(without_query(referer.as_bytes()), kept.as_bytes());
        }
    }
}
