//! What one's own pages show.

use super::{Own, OwnSettings, is_asked_for_anywhere, is_required_anywhere};
use crate::authn::login::facts;
use crate::authn::recovery_code::RecoverySet;
use crate::authn::user::{Email, Method, User};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::service::ServiceError;
use crate::service::visit::Visit;

/// An account as its owner sees it.
#[derive(Debug, Clone)]
pub struct OwnView {
    pub email: Option<Email>,
    /// `None`: no password is set.
    pub password_changed_at: Option<Timestamp>,
    pub factor: FactorView,
    /// How many recovery codes are left; `None`: there is no set.
    pub recovery_left: Option<usize>,
    /// They are few.
    pub recovery_low: bool,
    /// Nobody has said that they are saved.
    pub recovery_unsaved: bool,
    pub recovery_made_at: Option<Timestamp>,
    /// Whether mails can be sent at all.
    pub mail: bool,
}

/// The second factor as its owner sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "facts beside each other, not a state")]
pub struct FactorView {
    pub method: Method,
    /// A code could be asked for right now.
    pub usable: bool,
    /// And is, at least on some way.
    pub asked_for: bool,
    pub enrolled_at: Option<Timestamp>,
    /// Everybody has to have one.
    pub required: bool,
    /// An app can be set up, or another one.
    pub app_possible: bool,
    /// Codes by mail can be switched on.
    pub switch_possible: bool,
}

impl OwnSettings {
    /// The account of whoever is signed in; `None`: nobody is any more.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn view(&self, visit: &Visit) -> Result<Option<OwnView>, ServiceError> {
        let Some(own) = Own::load(&self.context, visit).await? else { return Ok(None) };
        let (user, config) = (&own.account.user, &visit.config);
        let recovery = user.second_factor.recovery.as_ref();
        let recovery_left = recovery.map(RecoverySet::left);
        let low_water = usize::from(config.second_factor.recovery_codes.low_water);
        Ok(Some(OwnView {
            email: user.email.clone(),
            password_changed_at: user.password.as_ref().map(|password| password.changed_at),
            factor: factor(user, config),
            recovery_left,
            recovery_low: recovery_left.is_some_and(|left| left <= low_water),
            recovery_unsaved: recovery.is_some_and(|set| !set.is_saved()),
            recovery_made_at: recovery.map(|set| set.made_at),
            mail: config.mail.is_some(),
        }))
    }
}

fn factor(user: &User, config: &Config) -> FactorView {
    let facts = facts(user);
    let required = is_required_anywhere(config);
    let asked_for = required || (is_asked_for_anywhere(config) && facts.switched_on);
    FactorView {
        method: facts.method,
        usable: facts.usable,
        asked_for: facts.usable && asked_for,
        enrolled_at: user.second_factor.totp.as_ref().map(|app| app.enrolled_at),
        required,
        app_possible: user.second_factor.totp.is_some() || is_asked_for_anywhere(config),
        switch_possible: facts.method == Method::Mail
            && facts.usable
            && !facts.switched_on
            && config.mail.is_some()
            && is_asked_for_anywhere(config),
    }
}
