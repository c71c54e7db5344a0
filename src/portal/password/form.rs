//! The part of a form in which somebody chooses a password: two fields and the rules, which a small script marks as fulfilled
//! while one types. What is right about a password is decided in `authn::password`, after sending.
//!
//! A page has it as `new_password` and includes `new_password.html`; its [`Page::script`] is [`SCRIPT`].
//!
//! [`Page::script`]: crate::portal::view::Page::script

use serde::Serialize;

use crate::authn::password::{MAX_CHARS, Weakness};
use crate::config::Config;
use crate::portal::assets::{Asset, NEW_PASSWORD};
use crate::portal::form::Fields;
use crate::portal::refusal::Alert;
use crate::secret::{ExposeSecret, SecretString};
use crate::service::login::KnownOf;

/// Marks the rules while one types, and shows what was typed.
pub fn script() -> &'static Asset {
    &NEW_PASSWORD
}

/// The part.
#[derive(Debug, Clone, Serialize)]
pub struct NewPassword {
    min_length: usize,
    max_length: usize,
    min_classes: u8,
    /// What it must not hold. The script is told, so that it can say so at once.
    login: String,
    name: String,
    email: String,
    /// Whether there is one before it that it has to differ from.
    replaces: bool,
    /// Whether what was typed before was not taken.
    wrong: bool,
}

impl NewPassword {
    /// For this account. `alert`: what the page says above it.
    #[must_use]
    pub fn of(config: &Config, personal: &KnownOf, replaces: bool, alert: Option<&Alert>) -> Self {
        Self {
            min_length: config.password.min_length,
            max_length: MAX_CHARS,
            min_classes: config.password.min_classes,
            login: personal.login.clone(),
            name: personal.name.clone(),
            email: personal.email.clone(),
            replaces,
            wrong: alert.is_some_and(|alert| is_about_it(alert.key)),
        }
    }
}

/// Takes what was typed, twice the same.
///
/// # Errors
/// What to say where it was not.
pub fn typed(fields: &mut Fields) -> Result<SecretString, Alert> {
    let (new, again) = (SecretString::from(fields.take("new")), SecretString::from(fields.take("again")));
    if new.expose_secret().is_empty() {
        return Err(Alert::problem("new-password-missing"));
    }
    if new.expose_secret() != again.expose_secret() {
        return Err(Alert::problem("new-password-differs"));
    }
    Ok(new)
}

/// What is said of a password that is not good enough.
#[must_use]
pub const fn alert(weakness: Weakness) -> Alert {
    match weakness {
        Weakness::TooShort(least) => Alert::counting("new-password-too-short", least),
        Weakness::TooLong => Alert::counting("new-password-too-long", MAX_CHARS),
        Weakness::TooFewClasses(least) => Alert::counting("new-password-too-few-classes", least as usize),
        Weakness::Personal => Alert::problem("new-password-personal"),
        Weakness::Leaked => Alert::problem("new-password-leaked"),
        Weakness::Unchanged => Alert::problem("new-password-unchanged"),
    }
}

fn is_about_it(key: &str) -> bool {
    key.starts_with("new-password-")
}

#[cfg(test)]
impl NewPassword {
    pub fn sample(replaces: bool, alert: Option<&Alert>) -> Self {
        Self {
            min_length: 10,
            max_length: MAX_CHARS,
            min_classes: 3,
            login: "hanako.yamada".to_owned(),
            name: "山田 \"花子\" <b>".to_owned(),
            email: "hanako@example.com".to_owned(),
            replaces,
            wrong: alert.is_some_and(|alert| is_about_it(alert.key)),
        }
    }

    /// Everything that can be said of a password.
    pub fn alerts() -> Vec<(&'static str, Alert)> {
        vec![
            ("short", alert(Weakness::TooShort(10))),
            ("long", alert(Weakness::TooLong)),
            ("classes", alert(Weakness::TooFewClasses(3))),
            ("personal", alert(Weakness::Personal)),
            ("leaked", alert(Weakness::Leaked)),
            ("unchanged", alert(Weakness::Unchanged)),
            ("missing", Alert::problem("new-password-missing")),
            ("differs", Alert::problem("new-password-differs")),
        ]
    }
}
