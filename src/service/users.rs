//! Accounts, as a manager or the command line handles them.

use std::collections::BTreeSet;

use super::ServiceError;
use crate::authn::user::{DisplayName, Email, Group, LoginName, Method, Role, User};
use crate::clock::Timestamp;
use crate::secret::SecretString;

/// All accounts.
pub struct Users {
    _private: (),
}

/// What `user add` is given.
#[derive(Debug)]
pub struct NewUser {
    pub login: LoginName,
    pub name: DisplayName,
    pub email: Option<Email>,
    pub groups: BTreeSet<Group>,
    pub role: Role,
    /// `None`: the configuration's default.
    pub method: Option<Method>,
    /// `None`: on where the policy is `required`, else off.
    pub second_factor: Option<bool>,
    pub password: Option<SecretString>,
    pub must_change: bool,
}

/// What `user set` changes; `None` leaves a field as it is.
#[derive(Debug, Default)]
pub struct UserChange {
    pub name: Option<DisplayName>,
    /// `Some(None)` removes the address.
    pub email: Option<Option<Email>>,
    pub groups: Option<BTreeSet<Group>>,
    pub role: Option<Role>,
    pub method: Option<Method>,
    pub second_factor: Option<bool>,
    pub password: Option<SecretString>,
    pub must_change: Option<bool>,
}

/// An account as it is shown: what the list of F24 has.
#[derive(Debug, Clone)]
pub struct UserView {
    pub user: User,
    /// Until when wrong passwords have locked it.
    pub locked_until: Option<Timestamp>,
}

/// Why an account was not added or changed: the caller's mistake, in words the caller can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("there is an account {0} already")]
    LoginTaken(LoginName),
    #[error("there is no account {0}")]
    NoSuchUser(String),
    #[error("the mail method needs a mail address")]
    MailWithoutAddress,
    #[error("the password is too weak: {0}")]
    WeakPassword(String),
    #[error("{0} is the last administrator who can sign in; make another one first")]
    LastAdmin(LoginName),
}

impl Users {
    /// Adds an account.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn add(
        &self,
        _new: NewUser,
        _actor: &str,
        _now: Timestamp,
    ) -> Result<Result<UserView, Rejection>, ServiceError> {
        todo!("service helper")
    }

    /// All accounts, by login.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn list(&self, _now: Timestamp) -> Result<Vec<UserView>, ServiceError> {
        todo!("service helper")
    }

    /// One account, by login or id.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn show(&self, _who: &str, _now: Timestamp) -> Result<Result<UserView, Rejection>, ServiceError> {
        todo!("service helper")
    }

    /// Changes fields. A changed password, role, group or method ends the account's sessions where it must.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn set(
        &self,
        _who: &str,
        _change: UserChange,
        _actor: &str,
        _now: Timestamp,
    ) -> Result<Result<UserView, Rejection>, ServiceError> {
        todo!("service helper")
    }

    /// Disables (ends all sessions at once) or enables.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn set_disabled(
        &self,
        _who: &str,
        _disabled: bool,
        _actor: &str,
        _now: Timestamp,
    ) -> Result<Result<UserView, Rejection>, ServiceError> {
        todo!("service helper")
    }

    /// Lifts a lock and forgets the failures counted.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn unlock(
        &self,
        _who: &str,
        _actor: &str,
        _now: Timestamp,
    ) -> Result<Result<UserView, Rejection>, ServiceError> {
        todo!("service helper")
    }

    /// Removes the factor, the device keys and the sessions: the next login enrols anew.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn reset_second_factor(
        &self,
        _who: &str,
        _actor: &str,
        _now: Timestamp,
    ) -> Result<Result<UserView, Rejection>, ServiceError> {
        todo!("service helper")
    }

    /// Deletes an account with everything that belongs to it.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn delete(
        &self,
        _who: &str,
        _actor: &str,
        _now: Timestamp,
    ) -> Result<Result<(), Rejection>, ServiceError> {
        todo!("service helper")
    }
}
