//! `session`, `second_factor`, `password`, `lockout`: how people sign in and for how long.
//!
//! Where a limit or a warning comes from a standard, it is named beside it.

use crate::authn::user::Method;
use crate::authz::{Policy, SecondFactorDemand};
use crate::config::reader::Section;
use crate::config::values::{self, days, hours, minutes, seconds};
use crate::config::{
    AddressThrottle, Argon2, Lockout, MailCode, Password, RecoveryCodes, RememberDevice, SecondFactor, Session,
    SwitchedOnBy, Totp,
};

pub(super) const POLICIES: &[(&str, Policy)] =
    &[("required", Policy::Required), ("per_user", Policy::PerUser), ("off", Policy::Off)];

pub(super) fn session(section: &mut Section<'_>) -> Session {
    let idle = section.field("idle_timeout");
    let idle_timeout = idle.duration(seconds(1)..=days(365)).unwrap_or(minutes(30));
    if idle_timeout > hours(1) {
        idle.warn("is longer than an hour", Some("NIST SP 800-63B-4 §2.2.3 advises at most 1h".to_owned()));
    }
    let lifetime = section.field("max_lifetime");
    let max_lifetime = lifetime.duration(seconds(1)..=days(365)).unwrap_or(days(1));
    if max_lifetime > hours(24) {
        lifetime.warn("is longer than a day", Some("NIST SP 800-63B-4 §2.2.3 advises at most 24h".to_owned()));
    }
    if idle_timeout > max_lifetime {
        let field = if idle.given() { idle } else { lifetime };
        field.warn("the idle timeout is longer than `max_lifetime`, so it never comes to bear", None);
    }
    Session { idle_timeout, max_lifetime, max_per_user: section.integer("max_per_user", 10, 1..=1000) }
}

pub(super) fn second_factor(section: &mut Section<'_>, title: &str, has_mail: bool) -> SecondFactor {
    let policy = section.choice("policy", Policy::Required, POLICIES);
    let default = section.field("default_method");
    let default_method = default.choice(&[("totp", Method::Totp), ("mail", Method::Mail)]).unwrap_or_default();
    if default_method == Method::Mail && !has_mail {
        default.error("codes by mail need the section `mail`", None);
    }
    let recheck = section.field("recheck_interval");
    let recheck_interval = recheck.duration(seconds(1)..=days(3650)).unwrap_or(days(7));
    if recheck_interval > days(30) {
        recheck.warn("is longer than 30 days", Some("NIST SP 800-63B-4 §2.1.3 advises at most 30d".to_owned()));
    }
    let remember = [("ask", RememberDevice::Ask), ("always", RememberDevice::Always), ("never", RememberDevice::Never)];
    let remember_device = section.choice("remember_device", RememberDevice::Ask, &remember);
    let switches = [("managers", SwitchedOnBy::Managers), ("owner", SwitchedOnBy::Owner)];
    let switched_on_by = section.choice("switched_on_by", SwitchedOnBy::Managers, &switches);
    SecondFactor {
        demand: SecondFactorDemand { policy, recheck_interval },
        default_method,
        switched_on_by,
        remember_device,
        totp: section.within("totp", |section| totp(section, title)),
        mail_code: section.within("mail_code", |section| mail_code(section, has_mail)),
        recovery_codes: section.within("recovery_codes", recovery_codes),
    }
}

fn totp(section: &mut Section<'_>, title: &str) -> Totp {
    let issuer = section.field("issuer").parse(values::issuer);
    Totp {
        // A colon in the title would be cut by the apps (Key URI format: the label is `issuer:account`).
        issuer: issuer.unwrap_or_else(|| title.replace(':', " ")),
        period: section.duration("period", seconds(30), seconds(15)..=seconds(120)),
        digits: section.integer("digits", 6, 6..=8),
        skew: section.integer("skew", 1, 0..=2),
    }
}

fn mail_code(section: &mut Section<'_>, has_mail: bool) -> MailCode {
    let field = section.field("lifetime");
    let lifetime = field.duration(seconds(30)..=hours(24)).unwrap_or(minutes(30));
    if lifetime > minutes(10) && (field.given() || has_mail) {
        field.warn(
            "a mailed code is good for longer than 10 minutes",
            Some("NIST SP 800-63B-4 §3.1.3.2 allows at most 10m".to_owned()),
        );
    }
    MailCode {
        lifetime,
        max_attempts: section.integer("max_attempts", 10, 1..=100),
        resend_after: section.duration("resend_after", seconds(30), seconds(1)..=hours(1)),
    }
}

fn recovery_codes(section: &mut Section<'_>) -> RecoveryCodes {
    let count: u8 = section.integer("count", 10, 1..=50);
    // 6 digits are the 20 bits that a look-up secret must have at least (NIST SP 800-63B-4 §3.1.2.2).
    let digits = section.integer("digits", 8, 6..=20);
    let low_water_field = section.field("low_water");
    let low_water = low_water_field.integer(0..=50).and_then(|number| u8::try_from(number).ok()).unwrap_or(3);
    // By default a fresh set is not scarce, however small it is.
    let low_water = if low_water_field.given() { low_water } else { low_water.min(count.saturating_sub(1)) };
    if low_water_field.given() && low_water >= count {
        low_water_field.error("must be less than `count`", None);
    }
    RecoveryCodes { count, digits, low_water }
}

pub(super) fn password(section: &mut Section<'_>) -> Password {
    let max_age = section.field("max_age").parse(|text| match text {
        "never" => Ok(None),
        _ => values::duration(text, days(1)..=days(3650)).map(Some),
    });
    Password {
        // 8 is the least that NIST SP 800-63B-4 §3.1.1.2 allows beside a second factor.
        min_length: section.integer("min_length", 10, 8..=128),
        min_classes: section.integer("min_classes", 3, 1..=4),
        max_age: max_age.flatten(),
        argon2: section.within("argon2", argon2),
    }
}

fn argon2(section: &mut Section<'_>) -> Argon2 {
    const MIB: u64 = 1 << 20;
    let memory = section.field("memory");
    let bytes = memory.size(8 * MIB..=4096 * MIB).unwrap_or(19 * MIB);
    let argon2 = Argon2 {
        memory_kib: u32::try_from(bytes / 1024).unwrap_or(u32::MAX),
        iterations: section.integer("iterations", 2, 1..=64),
        parallelism: section.integer("parallelism", 1, 1..=64),
    };
    // OWASP's password storage cheat sheet: 46 MiB × 1, 19 × 2, 12 × 3, 9 × 4, 7 × 5 count as equal.
    if u64::from(argon2.memory_kib) * u64::from(argon2.iterations) < 35 * 1024 {
        memory.warn(
            "with so few iterations, hashes are cheaper to guess than OWASP advises",
            Some("19MiB with 2".to_owned()),
        );
    }
    argon2
}

pub(super) fn lockout(section: &mut Section<'_>) -> Lockout {
    let lockout = Lockout {
        max_failures: section.integer("max_failures", 5, 1..=100),
        window: section.duration("window", minutes(15), seconds(1)..=days(30)),
        duration: section.duration("duration", minutes(15), seconds(1)..=days(30)),
        // 100 in a row is the most that NIST SP 800-63B-4 §3.2.2 allows.
        max_in_row: section.integer("max_in_row", 100, 1..=100),
        per_address: section.within("per_address", |section| AddressThrottle {
            max_failures: section.integer("max_failures", 200, 1..=1_000_000),
            window: section.duration("window", minutes(15), seconds(1)..=days(30)),
        }),
    };
    if lockout.max_in_row < lockout.max_failures {
        section.field("max_in_row").error("must not be less than `max_failures`", None);
    }
    lockout
}
