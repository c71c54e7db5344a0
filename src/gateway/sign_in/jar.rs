//! A tool's cookies that are kept on this side, as a browser would keep them (RFC 6265 §5.3, §5.4), for one person, session and route.
//!
//! They come from one tool and go to no other, so there are no domains.

use cookie::Cookie;
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::gateway::headers::cookies::{pairs_without, sets_own};

/// More than this many a tool does not get to keep.
const MOST: usize = 50;
/// The longest name and value, together.
const LONGEST: usize = 8192;

/// Prints nothing.
#[derive(Clone, Default)]
pub struct Jar(Vec<One>);

#[derive(Clone)]
struct One {
    name: String,
    value: Zeroizing<String>,
    path: String,
    /// In milliseconds; `None`: as long as the session.
    until: Option<Timestamp>,
    /// The whole line, for a browser.
    line: HeaderValue,
}

impl Jar {
    /// Takes what an answer to a request for `path` sets.
    pub fn take(&mut self, headers: &HeaderMap, path: &str, now: Timestamp) {
        for line in headers.get_all(SET_COOKIE) {
            if sets_own(line) {
                continue;
            }
            let Some(parsed) = line.to_str().ok().and_then(|text| Cookie::parse(text).ok()) else { continue };
            if parsed.name().is_empty() || parsed.name().len() + parsed.value().len() > LONGEST {
                continue;
            }
            let given = parsed.path().filter(|given| given.starts_with('/'));
            let given_path = given.is_some();
            let kept = given.map_or_else(|| default_path(path), str::to_owned);
            self.0.retain(|one| one.name != parsed.name() || one.path != kept);
            let until = until(&parsed, now);
            if until.is_some_and(|until| until <= now) || self.0.len() >= MOST {
                continue;
            }
            // A browser would take its own request's folder for a path that is not named.
            let whole = match given_path {
                true => line.as_bytes().to_vec(),
                false => [line.as_bytes(), b"; Path=", kept.as_bytes()].concat(),
            };
            let Ok(mut line) = HeaderValue::from_bytes(&whole) else { continue };
            line.set_sensitive(true);
            let (name, value) = (parsed.name().to_owned(), Zeroizing::new(parsed.value().to_owned()));
            self.0.push(One { name, value, path: kept, until, line });
        }
    }

    /// The `Cookie` of a request for `path`; `None`: there is none to send.
    pub fn header(&self, path: &str, now: Timestamp) -> Option<HeaderValue> {
        self.header_beside(None, path, now)
    }

    /// The same with a browser's own cookies, but for those that stand here under the same name.
    pub fn header_beside(&self, others: Option<&HeaderValue>, path: &str, now: Timestamp) -> Option<HeaderValue> {
        let mut living: Vec<&One> = self.0.iter().filter(|one| one.lives(now) && covers(&one.path, path)).collect();
        // Longer paths first (RFC 6265 §5.4).
        living.sort_by_key(|one| std::cmp::Reverse(one.path.len()));
        let mut text = Zeroizing::new(Vec::new());
        for one in &living {
            push(&mut text, format!("{}={}", one.name, one.value.as_str()).as_bytes());
        }
        let is_ours = |name: &[u8]| living.iter().any(|one| one.name.as_bytes() == name);
        for pair in others.into_iter().flat_map(|line| pairs_without(line.as_bytes(), is_ours)) {
            push(&mut text, pair);
        }
        let mut value = HeaderValue::from_bytes(&text).ok().filter(|value| !value.is_empty())?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Whether there is one of this name that says something.
    pub fn has(&self, name: &str, now: Timestamp) -> bool {
        self.0.iter().any(|one| one.name == name && one.lives(now) && !one.value.is_empty())
    }

    /// The lines that give a browser the same, beside what this answer sets itself.
    pub fn lines_beside(&self, headers: &HeaderMap) -> impl Iterator<Item = &HeaderValue> {
        let names: Vec<_> = headers.get_all(SET_COOKIE).iter().map(name_of).collect();
        self.0.iter().filter(move |one| !names.contains(&one.name.as_bytes())).map(|one| &one.line)
    }
}

impl std::fmt::Debug for Jar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Jar({})", self.0.len())
    }
}

impl One {
    fn lives(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// `Max-Age` stands over `Expires` (RFC 6265 §5.3).
fn until(cookie: &Cookie<'_>, now: Timestamp) -> Option<Timestamp> {
    if let Some(age) = cookie.max_age() {
        let seconds = u64::try_from(age.whole_seconds()).unwrap_or(0);
        // No session of ours lasts as long.
        return Some(now.plus(std::time::Duration::from_secs(seconds.min(400 * 24 * 3600))));
    }
    let at = cookie.expires_datetime()?.unix_timestamp();
    Some(Timestamp::from_secs(u64::try_from(at).unwrap_or(0)))
}

/// RFC 6265 §5.1.4
fn default_path(path: &str) -> String {
    match path.rsplit_once('/') {
        Some((folder, _)) if !folder.is_empty() => folder.to_owned(),
        _ => "/".to_owned(),
    }
}

fn covers(cookie: &str, path: &str) -> bool {
    path.strip_prefix(cookie).is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

fn name_of(line: &HeaderValue) -> &[u8] {
    line.as_bytes().split(|&b| b == b'=' || b == b';').next().unwrap_or_default().trim_ascii()
}

fn push(text: &mut Vec<u8>, pair: &[u8]) {
    if !text.is_empty() {
        text.extend_from_slice(b"; ");
    }
    text.extend_from_slice(pair);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_000_000;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(NOW + seconds)
    }

    fn set(jar: &mut Jar, path: &str, lines: &[&str]) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(SET_COOKIE, HeaderValue::from_str(line).unwrap());
        }
        jar.take(&headers, path, at(0));
    }

    fn sent(jar: &Jar, path: &str, seconds: u64) -> String {
        jar.header(path, at(seconds)).map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn cookies_are_kept_as_a_browser_keeps_them() {
        let mut jar = Jar::default();
        set(
            &mut jar,
            "/a/login",
            &["sid=1; HttpOnly", "deep=2; Path=/a/b", "all=3; Path=/", "short=4; Path=/; Max-Age=60"],
        );
        assert_eq!(sent(&jar, "/a/b/c", 0), "deep=2; sid=1; all=3; short=4");
        assert_eq!(sent(&jar, "/a/x", 61), "sid=1; all=3");
        assert_eq!(sent(&jar, "/ab", 61), "all=3");
        set(
            &mut jar,
            "/a/x",
            &["sid=5", "all=; Path=/; Max-Age=0", "deep=x; Path=/a/b; Expires=Thu, 01 Jan 1970 00:00:00 GMT"],
        );
        assert_eq!(sent(&jar, "/a/b/c", 61), "sid=5");
        assert!(jar.has("sid", at(0)) && !jar.has("all", at(0)));
    }

    #[test]
    fn a_tool_keeps_no_cookie_of_sekishos_and_no_more_than_its_share() {
        let mut jar = Jar::default();
        set(&mut jar, "/", &["__Host-sekisho-session=x; Path=/", "sekisho-session=x", "=y"]);
        assert_eq!(sent(&jar, "/", 0), "");
        for number in 0..200 {
            set(&mut jar, "/", &[&format!("c{number}=1")]);
        }
        set(&mut jar, "/", &[&format!("long={}", "x".repeat(9000))]);
        assert_eq!(jar.lines_beside(&HeaderMap::new()).count(), MOST);
        assert!(!format!("{jar:?}").contains("c1"));
    }

    #[test]
    fn a_browsers_own_cookies_go_along_but_for_those_of_the_same_name() {
        let mut jar = Jar::default();
        set(&mut jar, "/", &["sid=new"]);
        let browsers = HeaderValue::from_static("sid=old; theme=dark;  sid =older");
        set(&mut jar, "/a/login", &["deep=1; HttpOnly"]);
        let mut headers = HeaderMap::new();
        let lines = |headers: &HeaderMap| jar.lines_beside(headers).cloned().collect::<Vec<_>>();
        assert_eq!(lines(&headers), ["sid=new; Path=/", "deep=1; HttpOnly; Path=/a"]);
        headers.append(SET_COOKIE, HeaderValue::from_static("sid = newer; Path=/"));
        assert_eq!(lines(&headers), ["deep=1; HttpOnly; Path=/a"], "what the tool sets now stands over it");
        let both = jar.header_beside(Some(&browsers), "/", at(0)).unwrap();
        assert_eq!(both, "sid=new; theme=dark");
    }
}
