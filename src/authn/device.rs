//! Device access keys: a browser that has passed the second factor as one account.

use serde::{Deserialize, Serialize};

use super::session::Origin;
use super::user::User;
use crate::clock::Timestamp;
use crate::id::{DeviceId, UserId};

/// A key of one browser for one account, as it is stored under `device/SHA256/USER`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Device {
    pub id: DeviceId,
    pub user: UserId,
    /// The account's epoch when the key was made; one of an older epoch is worthless.
    pub epoch: u64,
    /// When this browser last gave the second factor as this account. A spared login does not move it.
    pub second_factor_at: Timestamp,
    /// Whether the person wished to be spared the code (F13).
    pub spares: bool,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub client: Origin,
}

impl Device {
    /// Whether this browser has passed the second factor as this account since its epoch last rose.
    #[must_use]
    pub fn is_of(&self, user: &User) -> bool {
        self.user == user.id && self.epoch == user.epoch
    }

    /// The second factor that spares this account the code, as far as its age allows.
    #[must_use]
    pub fn sparing(&self, user: &User) -> Option<Timestamp> {
        (self.spares && self.is_of(user)).then_some(self.second_factor_at)
    }
}
