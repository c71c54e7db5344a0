//! Why an act on an account was refused, as the pages of administration say it.

use http::StatusCode;

use crate::service::users::Rejection;

/// The text's key.
#[must_use]
pub const fn key(rejection: &Rejection) -> &'static str {
    match rejection {
        Rejection::LoginTaken(_) => "rejection-login-taken",
        Rejection::NoSuchUser(_) => "rejection-no-such-user",
        Rejection::MailWithoutAddress => "rejection-mail-without-address",
        Rejection::WeakPassword(_) => "rejection-weak-password",
        Rejection::LastAdmin(_) => "rejection-last-admin",
        Rejection::MailNotConfigured => "rejection-mail-not-configured",
        Rejection::NoAddress(_) => "rejection-no-address",
        Rejection::Disabled(_) => "rejection-disabled",
        Rejection::TooManyMails(_) => "rejection-too-many-mails",
        Rejection::OwnerSwitchesOn => "rejection-owner-switches-on",
        Rejection::Forbidden => "rejection-forbidden",
        Rejection::Oneself => "rejection-oneself",
        Rejection::GroupNotHeld(_) => "rejection-group-not-held",
        Rejection::LoginNamedByRoute(_) => "rejection-login-named-by-route",
        Rejection::AddressOutOfReach => "rejection-address-out-of-reach",
        Rejection::ChangedMeanwhile => "rejection-changed-meanwhile",
    }
}

/// The answer's status.
#[must_use]
pub const fn status(rejection: &Rejection) -> StatusCode {
    match rejection {
        Rejection::NoSuchUser(_) => StatusCode::NOT_FOUND,
        Rejection::Forbidden
        | Rejection::Oneself
        | Rejection::GroupNotHeld(_)
        | Rejection::LoginNamedByRoute(_)
        | Rejection::AddressOutOfReach
        | Rejection::OwnerSwitchesOn => StatusCode::FORBIDDEN,
        Rejection::LoginTaken(_) | Rejection::LastAdmin(_) | Rejection::Disabled(_) | Rejection::ChangedMeanwhile => {
            StatusCode::CONFLICT
        }
        Rejection::TooManyMails(_) => StatusCode::TOO_MANY_REQUESTS,
        Rejection::MailWithoutAddress
        | Rejection::WeakPassword(_)
        | Rejection::MailNotConfigured
        | Rejection::NoAddress(_) => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// Every text of [`key`], so that a test can tell that there is one in each language.
#[cfg(test)]
pub fn every_text(language: crate::config::Language) {
    let login = || "alice".parse().unwrap();
    for rejection in [
        Rejection::LoginTaken(login()),
        Rejection::NoSuchUser(String::new()),
        Rejection::MailWithoutAddress,
        Rejection::WeakPassword(crate::authn::password::Weakness::Personal),
        Rejection::LastAdmin(login()),
        Rejection::MailNotConfigured,
        Rejection::NoAddress(login()),
        Rejection::Disabled(login()),
        Rejection::TooManyMails(login()),
        Rejection::OwnerSwitchesOn,
        Rejection::Forbidden,
        Rejection::Oneself,
        Rejection::GroupNotHeld("ops".parse().unwrap()),
        Rejection::LoginNamedByRoute(login()),
        Rejection::AddressOutOfReach,
        Rejection::ChangedMeanwhile,
    ] {
        assert!(crate::i18n::text(language, key(&rejection), None).is_some(), "{rejection:?}");
    }
}
