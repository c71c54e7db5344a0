//! Whether a second factor is due: the policy of the gateway or the route, the account's switch, and the re-check interval.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::identity::AccountSecondFactor;
use crate::clock::Timestamp;

/// Who must give a second factor (F1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Nobody.
    Off,
    /// The accounts whose own switch is on.
    PerUser,
    /// Everybody.
    Required,
}

/// What a route asks for: its own word where it has one, else the gateway's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondFactorDemand {
    pub policy: Policy,
    /// How long a second factor counts (F12).
    pub recheck_interval: Duration,
}

/// What is missing before the request may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    Nothing,
    /// A code by the account's method.
    Code,
    /// There is nothing yet to give a code with.
    Enrolment,
}

impl SecondFactorDemand {
    /// What sekisho's own pages (`/account`, `/admin`) ask for where `self` is the gateway's word: the stricter of it and
    /// the account's switch, whatever a route says. So nobody changes an account's factors with less than the account
    /// itself asks for.
    #[must_use]
    pub const fn for_own_pages(self) -> Self {
        match self.policy {
            Policy::Off => Self { policy: Policy::PerUser, ..self },
            Policy::PerUser | Policy::Required => self,
        }
    }

    /// What asks for no less than either.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            policy: self.policy.max(other.policy),
            recheck_interval: self.recheck_interval.min(other.recheck_interval),
        }
    }

    /// Whether this account has to give a second factor at all.
    #[must_use]
    pub const fn applies_to(&self, account: AccountSecondFactor) -> bool {
        match self.policy {
            Policy::Off => false,
            Policy::PerUser => account.switched_on,
            Policy::Required => true,
        }
    }

    /// What is due for `account`, whose last second factor that counts was at `last`. One that lies far in the
    /// future, as after a clock was set back, does not count.
    #[must_use]
    pub fn due(&self, account: AccountSecondFactor, last: Option<Timestamp>, now: Timestamp) -> Due {
        if !self.applies_to(account) {
            return Due::Nothing;
        }
        if !account.usable {
            return Due::Enrolment;
        }
        let fresh = last.is_some_and(|at| at.is_within(self.recheck_interval, now));
        if fresh { Due::Nothing } else { Due::Code }
    }
}

#[cfg(test)]
mod tests;
