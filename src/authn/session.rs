//! A session as it is stored: what a signed-in browser may show for itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::sign_on::Elsewhere;
use super::user::User;
use crate::clock::Timestamp;
use crate::id::{DeviceId, SessionId, UserId};
use crate::secret::TokenDigest;

/// A session, as it is stored under `session/SHA256`. The cookie's value is not in it: the key is its digest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    /// Stays the same when the cookie's value changes.
    pub id: SessionId,
    pub user: UserId,
    /// The account's epoch at the login; a session of an older epoch is ended.
    pub epoch: u64,
    pub created_at: Timestamp,
    /// The maximum lifetime: after this moment it is over, whatever its use.
    pub expires_at: Timestamp,
    /// Written behind, at most once in 30 s.
    pub last_seen: Timestamp,
    /// Last activity on each route with an idle timeout of its own, by the route's name.
    #[serde(default)]
    pub route_last_seen: Vec<(String, Timestamp)>,
    /// When this browser last gave the second factor, in this login or before it (a device key that spared it).
    #[serde(default)]
    pub second_factor_at: Option<Timestamp>,
    /// That second factor was a recovery code: the person may enrol a new app in this session.
    #[serde(default)]
    pub by_recovery_code: bool,
    /// When the password was last given in it; a session of an older sekisho says nothing.
    #[serde(default)]
    pub password_at: Option<Timestamp>,
    /// The browser's key for this account, where it has one: forgetting the browser ends the session too.
    #[serde(default)]
    pub device: Option<DeviceId>,
    /// Where and with what it began, for the person's own list.
    pub client: Origin,
    /// What it has out at other hosts than the portal's.
    #[serde(default)]
    pub elsewhere: Elsewhere,
}

#[cfg(test)]
impl Session {
    /// For tests: one that begins now and lasts a day, in which nothing was given yet.
    pub fn begun(id: SessionId, user: UserId, epoch: u64, now: Timestamp) -> Self {
        Self {
            id,
            user,
            epoch,
            created_at: now,
            expires_at: now.plus(Duration::from_secs(24 * 3600)),
            last_seen: now,
            route_last_seen: Vec::new(),
            second_factor_at: None,
            by_recovery_code: false,
            password_at: None,
            device: None,
            client: Origin::default(),
            elsewhere: Elsewhere::default(),
        }
    }
}

/// Where a login came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub address: String,
    /// At most 256 characters, without control characters.
    #[serde(default)]
    pub user_agent: String,
}

/// For how long an ended session is remembered.
pub const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// What is left of a session that its time or a manager has ended, so that the cookie which a browser still shows is recognised: it lets
/// nobody in, and says only whose form it is that comes with it. Nothing is left of one that was logged out, nor of one that fell with
/// the account's epoch (a new password or factor, a disabled account).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub session: SessionId,
    pub user: UserId,
    pub epoch: u64,
    pub ended_at: Timestamp,
}

/// The same at another host than the portal's: leads from the value that the session had there to what is left of the session. Where nothing is
/// left of that, this is worth nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedElsewhere {
    pub host: String,
    /// The value that the session stood under.
    pub value: TokenDigest,
    pub ended_at: Timestamp,
}

impl EndedElsewhere {
    /// From then on nothing is known of it.
    #[must_use]
    pub fn forgotten_at(&self) -> Timestamp {
        self.ended_at.plus(REMEMBERED)
    }
}

impl Ended {
    /// What is left of this session, which ends at `at`.
    #[must_use]
    pub const fn of(session: &Session, at: Timestamp) -> Self {
        Self { session: session.id, user: session.user, epoch: session.epoch, ended_at: at }
    }

    /// From then on nothing is known of it.
    #[must_use]
    pub fn forgotten_at(&self) -> Timestamp {
        self.ended_at.plus(REMEMBERED)
    }

    /// Whether it still speaks for this account, as the account is now.
    #[must_use]
    pub fn speaks_for(&self, user: &User, now: Timestamp) -> bool {
        let is_known = now < self.forgotten_at() && !self.ended_at.is_ahead_of(now);
        is_known && user.id == self.user && user.epoch == self.epoch && !user.disabled
    }
}
