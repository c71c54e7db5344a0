//! Who asks, as far as a decision needs it: facts about the account and about the session, read at one moment.

use std::sync::Arc;

use crate::authn::user::{DisplayName, Email, Group, LoginName, Method, Role};
use crate::clock::Timestamp;
use crate::id::{SessionId, UserId};

/// What is known of an account on every request. Shared by all its cached sessions and replaced as a whole when the
/// account changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: UserId,
    pub login: LoginName,
    pub name: DisplayName,
    pub email: Option<Email>,
    pub groups: Vec<Group>,
    pub role: Role,
    pub second_factor: AccountSecondFactor,
}

/// The account's side of the second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountSecondFactor {
    pub switched_on: bool,
    pub method: Method,
    /// Whether the method could be asked for right now (an app is enrolled, or there is a mail address).
    pub usable: bool,
}

/// A living session and its account, at the moment of the request. What has ended (logout, epoch, a disabled account)
/// is no identity any more and never gets here; what time ends, [`super::decide`] judges.
#[derive(Debug, Clone)]
pub struct Identity {
    pub account: Arc<Account>,
    pub session: SessionId,
    /// When they signed in.
    pub begun_at: Timestamp,
    /// The end of the maximum lifetime.
    pub expires_at: Timestamp,
    /// The last activity that counts on the route asked for.
    pub last_seen: Timestamp,
    /// The last second factor that counts within this session.
    pub second_factor_at: Option<Timestamp>,
}
