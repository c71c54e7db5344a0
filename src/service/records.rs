//! What the services keep, under which names. One type opens the records of one kind.

use std::net::{IpAddr, Ipv6Addr};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::audit::Event;
use crate::authn::address_change::AddressChange;
use crate::authn::device::Device;
use crate::authn::lockout::{AccountThrottle, AddressThrottle};
use crate::authn::login::Flow;
use crate::authn::machine_token::MachineToken;
use crate::authn::mail_limit::MailThrottle;
use crate::authn::reset_link::{NewestLink, ResetLink};
use crate::authn::session::{Ended, EndedElsewhere, Session};
use crate::authn::sign_on::{Handoff, HostSession};
use crate::authn::user::{LoginName, User};
use crate::clock::Timestamp;
use crate::id::{SessionId, UserId};
use crate::secret::TokenDigest;
use crate::store::record::Record;

/// `user/ID`
impl Record for User {
    const KIND: &'static str = "user";
}

/// `login/NAME`: which account has this login. Committed together with the account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoginIndex {
    pub user: UserId,
}

impl Record for LoginIndex {
    const KIND: &'static str = "login";
}

/// `session/SHA256`
impl Record for Session {
    const KIND: &'static str = "session";
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

/// `host-session/SHA256`
impl Record for HostSession {
    const KIND: &'static str = "host-session";
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

/// `handoff/SHA256`
impl Record for Handoff {
    const KIND: &'static str = "handoff";
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

/// `ended/SHA256`: under the digest that the session stood under.
impl Record for Ended {
    const KIND: &'static str = "ended";
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.forgotten_at())
    }
}

/// `ended-elsewhere/SHA256`: under the digest of the value at another host.
impl Record for EndedElsewhere {
    const KIND: &'static str = "ended-elsewhere";
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.forgotten_at())
    }
}

/// `session-of/USER/SHA256`: the sessions of one account, found without reading everybody's. Committed together with them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionIndex {
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
}

impl Record for SessionIndex {
    const KIND: &'static str = "session-of";
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

/// `session-at/TIME-ID`: all sessions in the order in which they began. Committed together with them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionAt {
    pub expires_at: Timestamp,
    pub digest: TokenDigest,
}

impl Record for SessionAt {
    const KIND: &'static str = "session-at";
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

/// Browsers keep a cookie for 400 days at most (RFC 6265bis §5.5), so a key that was renewed earlier than that is never
/// shown again.
pub const DEVICE_LIFETIME: std::time::Duration = std::time::Duration::from_secs(400 * 24 * 3600);

/// `device/SHA256/USER`
impl Record for Device {
    const KIND: &'static str = "device";
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.second_factor_at.plus(DEVICE_LIFETIME))
    }
}

/// `device-of/USER/SHA256`: the keys of one account, found without reading everybody's. Committed together with them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeviceIndex {
    pub expires_at: Timestamp,
}

impl Record for DeviceIndex {
    const KIND: &'static str = "device-of";
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

/// `token/SHA256`
impl Record for MachineToken {
    const KIND: &'static str = "token";
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

/// `address-change/USER`
impl Record for AddressChange {
    const KIND: &'static str = "address-change";
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

/// `flow/SHA256`
impl Record for Flow {
    const KIND: &'static str = "flow";
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

/// `reset/SHA256`
impl Record for ResetLink {
    const KIND: &'static str = "reset";
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

/// `reset-of/USER`
impl Record for NewestLink {
    const KIND: &'static str = "reset-of";
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

/// `throttle/account/user-ID`, and `throttle/account/slot-XXXX` for logins that nobody has. A row of failures does not heal
/// by time, so it does not expire either; the slots are 65,536 at most.
impl Record for AccountThrottle {
    const KIND: &'static str = "throttle/account";
}

/// `throttle/address/ADDRESS`
impl Record for AddressThrottle {
    const KIND: &'static str = "throttle/address";
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.over_at())
    }
}

/// `throttle/mail/user-ID/LETTER`: apart from the failures, so that what forgets those forgets no mail.
impl Record for MailThrottle {
    const KIND: &'static str = "throttle/mail";
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.over_at())
    }
}

/// `audit/TIME-ID`: in the order of time. `audit.retain` is the background work's to keep.
impl Record for Event {
    const KIND: &'static str = "audit";
}

/// `audit-of/USER/TIME-ID`: the events about one account, or by it. Committed together with them, and removed with them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EventIndex {}

impl Record for EventIndex {
    const KIND: &'static str = "audit-of";
}

/// `meta/admins`: changed by every commit that could take an administrator away, so that two of them cannot each leave the
/// other as the last one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AdminGuard {
    pub changed_at: Option<Timestamp>,
}

impl AdminGuard {
    pub const NAME: &'static str = "admins";
}

impl Record for AdminGuard {
    const KIND: &'static str = "meta";
}

/// Keys are ASCII; a login may have letters of any script, and has no `%` of its own.
pub fn login_name(login: &LoginName) -> String {
    const KEEP: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-').remove(b'@').remove(b'+');
    utf8_percent_encode(login.as_str(), KEEP).to_string()
}

/// The digest that a record's name is, or ends in.
pub fn parse_digest(name: &str) -> Option<TokenDigest> {
    TokenDigest::try_from(name.to_owned()).ok()
}

pub fn session_index(user: UserId, digest: &TokenDigest) -> String {
    format!("{user}/{digest}")
}

pub fn session_at(session: &Session) -> String {
    session_place(session.created_at, session.id)
}

/// The same of a session of which no more is known: its value may change, this does not.
pub fn session_place(begun_at: Timestamp, id: SessionId) -> String {
    format!("{:016}-{id}", begun_at.millis())
}

pub fn device_name(digest: &TokenDigest, user: UserId) -> String {
    format!("{digest}/{user}")
}

pub fn device_index(user: UserId, digest: &TokenDigest) -> String {
    format!("{user}/{digest}")
}

pub fn account_throttle(user: UserId) -> String {
    format!("user-{user}")
}

/// Whose counter stands under this name; `None`: a slot's.
pub fn account_throttle_owner(name: &str) -> Option<UserId> {
    name.strip_prefix("user-").and_then(|id| id.parse().ok())
}

pub fn mail_throttle(user: UserId, letter: &str) -> String {
    format!("user-{user}/{letter}")
}

pub fn unknown_throttle(slot: u16) -> String {
    format!("slot-{slot:04x}")
}

/// One person has a whole /64 of IPv6, so that is what counts as one address.
pub fn address_throttle(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).to_string(),
    }
}

/// Links to forgotten passwords asked for from there: a count beside that of failures.
pub fn asking_throttle(address: IpAddr) -> String {
    format!("asking-{}", address_throttle(address))
}

/// Tokens shown from there that are none: a count beside the others, as a machine that was forgotten must keep no person from logging in.
pub fn token_throttle(address: IpAddr) -> String {
    format!("token-{}", address_throttle(address))
}

/// Times are padded, so that keys stand in their order.
pub fn event_name(event: &Event) -> String {
    format!("{:016}-{}", event.at.millis(), event.id)
}

/// `name`: the event's, as [`event_name`] makes it.
pub fn event_index(user: UserId, name: &str) -> String {
    format!("{user}/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_of_any_script_makes_an_ascii_name() {
        for (login, name) in [("alice", "alice"), ("a.b_c-d@e+f", "a.b_c-d@e+f"), ("花子", "%E8%8A%B1%E5%AD%90")] {
            assert_eq!(login_name(&login.parse().unwrap()), name);
        }
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_a_counter() {
        let name = |text: &str| address_throttle(text.parse().unwrap());
        assert_eq!(name("2001:db8:1:2:3::4"), name("2001:db8:1:2:ffff::1"));
        assert_ne!(name("2001:db8:1:2::1"), name("2001:db8:1:3::1"));
        assert_eq!(name("::ffff:192.0.2.1"), name("192.0.2.1"));
    }
}
