//! A login as it is kept between requests.

use serde::{Deserialize, Serialize};

use super::{Attempt, CodeDue, EnrolmentDue, PasswordChangeDue, RecoveryCodesShown};
use crate::authn::user::User;
use crate::authz::SecondFactorDemand;
use crate::clock::Timestamp;
use crate::id::{SessionId, UserId};
use crate::secret::Sealed;

/// A login in progress, between requests: stored under `flow/SHA256`, bound to the browser by its cookie.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Flow {
    pub state: State,
    pub expires_at: Timestamp,
    /// Where the person wanted to go, sealed: addresses tell about people.
    pub return_to: Sealed,
}

/// Where a login waits for the person.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    CodeDue(CodeDue),
    EnrolmentDue(EnrolmentDue),
    RecoveryCodesShown(RecoveryCodesShown),
    PasswordChangeDue(PasswordChangeDue),
}

/// What a flow holds sealed, each under a name of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    ReturnTo,
    TotpKey,
    RecoveryCodes,
}

impl Flow {
    /// Everything in it that is sealed, to be sealed anew.
    pub fn sealed(&mut self) -> impl Iterator<Item = (Part, &mut Sealed)> {
        let within = match &mut self.state {
            State::EnrolmentDue(state) => state.offered.as_mut().map(|key| (Part::TotpKey, key)),
            State::RecoveryCodesShown(state) => Some((Part::RecoveryCodes, &mut state.codes)),
            State::CodeDue(_) | State::PasswordChangeDue(_) => None,
        };
        std::iter::once((Part::ReturnTo, &mut self.return_to)).chain(within)
    }
}

impl State {
    #[must_use]
    pub const fn user(&self) -> UserId {
        self.attempt().user
    }

    /// Whether it can still lead anywhere for the account as it is now.
    #[must_use]
    pub fn stands(&self, user: &User) -> bool {
        self.attempt().check(user).is_ok()
    }

    #[must_use]
    pub const fn demand(&self) -> SecondFactorDemand {
        self.attempt().demand
    }

    /// The session that steps up.
    #[must_use]
    pub const fn session(&self) -> Option<SessionId> {
        self.attempt().session
    }

    /// Whether it only confirms a change: whether the browser is spared the code later is not asked then.
    #[must_use]
    pub const fn confirms(&self) -> bool {
        self.attempt().confirms
    }

    const fn attempt(&self) -> &Attempt {
        match self {
            Self::CodeDue(state) => &state.attempt,
            Self::EnrolmentDue(state) => &state.attempt,
            Self::RecoveryCodesShown(state) => &state.attempt,
            Self::PasswordChangeDue(state) => &state.attempt,
        }
    }
}
