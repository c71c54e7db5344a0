//! One sign-on for several hosts: what a session of the portal host has out at other hosts, and when a code is good that carries it
//! there.
//!
//! ```text
//! tool's host: a random cookie ──its digest──▶ portal host, signed in ──one-time code──▶ tool's host, with that cookie ──▶ its own value
//! ```
//!
//! A code found, stolen or put upon somebody else is worth nothing: it is good for one host, for the browser that began there, for one
//! minute, once, and while the session lives that it came from. So nobody gets into another's session, nor another into theirs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::session::Session;
use crate::authz::Host;
use crate::clock::Timestamp;
use crate::id::{SessionId, UserId};
use crate::secret::{Sealed, Token, TokenDigest};

/// How long a code is good for: one redirect.
pub const CODE_LIFETIME: Duration = Duration::from_secs(60);
/// How many codes of one session wait to be used: a browser that opens many windows at once has as many.
const CODES: usize = 16;
/// At how many hosts one session is signed in; with a wildcard in a route there are as many names as somebody likes.
const HOSTS: usize = 100;
/// Of how many hosts it is remembered which value an ended session had there.
const REMEMBERED: usize = 16;

/// A code on its way, as it is stored under `handoff/SHA256`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Handoff {
    pub user: UserId,
    /// The session that it carries on, and when that began.
    pub session: SessionId,
    pub begun_at: Timestamp,
    /// The one host that it is good for.
    pub host: String,
    /// Of the cookie that the browser was given at that host before it was led away.
    pub cookie: TokenDigest,
    /// Where the way leads afterwards.
    pub return_to: Sealed,
    pub expires_at: Timestamp,
}

/// A session at another host than the portal's, as it is stored under `host-session/SHA256`. It has no life of its own: activity, idling and
/// end are the session's that it belongs to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HostSession {
    pub user: UserId,
    pub session: SessionId,
    pub begun_at: Timestamp,
    pub host: String,
    /// What the session had come to when this value was given out: it rises with a new value, never under an old one.
    pub epoch: u64,
    pub second_factor_at: Option<Timestamp>,
    pub expires_at: Timestamp,
}

/// What a session of the portal host has given out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    #[serde(default)]
    pub hosts: Vec<Seat>,
    #[serde(default)]
    pub codes: Vec<TokenDigest>,
}

/// A host at which the session is signed in, and the value there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    pub host: String,
    pub value: TokenDigest,
}

/// Whether a code is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Good,
    Expired,
    OtherHost,
    /// Without the cookie, or with another one's.
    OtherBrowser,
}

impl Handoff {
    /// Judges a code that came to `host` along with `cookie`.
    #[must_use]
    pub fn judge(&self, host: &Host, cookie: Option<&Token>, now: Timestamp) -> Verdict {
        // Minted before the clock was set back: nobody knows how long ago.
        let of_now = now < self.expires_at && !self.expires_at.is_ahead_of(now.plus(CODE_LIFETIME));
        match cookie.map(Token::digest) {
            _ if !of_now => Verdict::Expired,
            _ if self.host != host.as_str() => Verdict::OtherHost,
            Some(cookie) if cookie == self.cookie => Verdict::Good,
            _ => Verdict::OtherBrowser,
        }
    }
}

impl HostSession {
    /// What this session is at `host` from now on.
    #[must_use]
    pub fn of(session: &Session, host: &Host) -> Self {
        Self {
            user: session.user,
            session: session.id,
            begun_at: session.created_at,
            host: host.as_str().to_owned(),
            epoch: session.epoch,
            second_factor_at: session.second_factor_at,
            expires_at: session.expires_at,
        }
    }
}

impl Elsewhere {
    /// Notes a code; hands back those that it takes the place of.
    #[must_use]
    pub fn minted(&mut self, code: TokenDigest) -> Vec<TokenDigest> {
        let too_many = (self.codes.len() + 1).saturating_sub(CODES);
        let gone = self.codes.drain(..too_many).collect();
        self.codes.push(code);
        gone
    }

    /// The code is spent.
    pub fn spent(&mut self, code: &TokenDigest) {
        self.codes.retain(|known| known != code);
    }

    /// Notes the value at a host; hands back those that it takes the place of: the same host's, and the oldest where there are too many.
    #[must_use]
    pub fn seated(&mut self, host: &Host, value: TokenDigest) -> Vec<TokenDigest> {
        let (mut gone, mut kept): (Vec<_>, Vec<_>) = self.hosts.drain(..).partition(|seat| seat.host == host.as_str());
        let too_many = (kept.len() + 1).saturating_sub(HOSTS);
        gone.extend(kept.drain(..too_many));
        kept.push(Seat { host: host.as_str().to_owned(), value });
        self.hosts = kept;
        gone.into_iter().map(|seat| seat.value).collect()
    }

    /// The hosts that it came to last, as many as are remembered of a session that has ended.
    pub fn remembered(&self) -> impl Iterator<Item = &Seat> {
        self.hosts.iter().rev().take(REMEMBERED)
    }

    /// Whether this is the host's value now.
    #[must_use]
    pub fn has(&self, host: &str, value: &TokenDigest) -> bool {
        self.hosts.iter().any(|seat| seat.host == host && seat.value == *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{ExposeSecret, Keys, Purpose};

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn host(name: &str) -> Host {
        Host::parse(name).unwrap()
    }

    fn digest(byte: u8) -> TokenDigest {
        Token::from_bytes([byte; 32]).digest()
    }

    #[test]
    fn a_code_is_good_at_its_host_with_its_cookie_and_for_a_minute() {
        let keys = Keys::parse(Keys::generate_line().unwrap().expose_secret()).unwrap();
        let [cookie, other] = [1, 2].map(|byte| Token::from_bytes([byte; 32]));
        let code = Handoff {
            user: UserId::from_bytes([1; 10]),
            session: SessionId::from_bytes([2; 10]),
            begun_at: NOW,
            host: "a.test".to_owned(),
            cookie: cookie.digest(),
            return_to: keys.seal(Purpose::SignOn, "", b"/").unwrap(),
            expires_at: NOW.plus(CODE_LIFETIME),
        };
        let second = Duration::from_secs(1);
        let last = NOW.plus(CODE_LIFETIME - second);
        for (at, cookie, now, verdict) in [
            ("a.test", Some(&cookie), NOW, Verdict::Good),
            ("a.test", Some(&cookie), last, Verdict::Good),
            ("a.test", Some(&cookie), last.plus(second), Verdict::Expired),
            // The clock was set back by an hour.
            ("a.test", Some(&cookie), Timestamp::from_secs(1_800_000_000 - 3600), Verdict::Expired),
            ("b.test", Some(&cookie), NOW, Verdict::OtherHost),
            ("x.a.test", Some(&cookie), NOW, Verdict::OtherHost),
            ("a.test", Some(&other), NOW, Verdict::OtherBrowser),
            ("a.test", None, NOW, Verdict::OtherBrowser),
        ] {
            assert_eq!(code.judge(&host(at), cookie, now), verdict, "{at} {now:?}");
        }
    }

    #[test]
    fn a_session_has_one_value_a_host_and_is_at_so_many_hosts_at_most() {
        let mut elsewhere = Elsewhere::default();
        assert_eq!(elsewhere.seated(&host("a.test"), digest(1)), []);
        assert_eq!(elsewhere.seated(&host("b.test"), digest(2)), []);
        assert_eq!(elsewhere.seated(&host("a.test"), digest(3)), [digest(1)]);
        assert!(elsewhere.has("a.test", &digest(3)) && elsewhere.has("b.test", &digest(2)));
        assert!(!elsewhere.has("a.test", &digest(1)) && !elsewhere.has("b.test", &digest(3)));
        let gone: Vec<_> = (0..HOSTS).flat_map(|n| elsewhere.seated(&host(&format!("n{n}.test")), digest(9))).collect();
        assert_eq!(gone, [digest(2), digest(3)], "those that came first");
        assert_eq!(elsewhere.hosts.len(), HOSTS);
    }

    #[test]
    fn so_many_codes_wait_at_most() {
        let mut elsewhere = Elsewhere::default();
        let gone: Vec<_> = (0..=CODES).flat_map(|n| elsewhere.minted(digest(u8::try_from(n).unwrap()))).collect();
        assert_eq!(gone, [digest(0)]);
        elsewhere.spent(&digest(1));
        assert_eq!(elsewhere.codes.len(), CODES - 1);
    }
}
