//! Device access keys: a browser that has passed the second factor as one account.

use serde::{Deserialize, Serialize};

use super::session::Origin;
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
