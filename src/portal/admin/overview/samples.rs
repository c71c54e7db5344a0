//! How things may stand, to try the template with.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::authn::user::Method;
use crate::id::UserId;
use crate::portal::view::Samples;

const DAY: u64 = 24 * 3600;
/// 2026-11-22, at noon.
const NOW: u64 = 1_795_348_800;

fn days(values: impl Fn(u64) -> (u64, u64)) -> Vec<Day> {
    let first = NOW - NOW % DAY - 29 * DAY;
    (0..30)
        .map(|number| {
            let (sign_ins, failures) = values(number);
            Day { begins: Timestamp::from_secs(first + number * DAY), sign_ins, failures }
        })
        .collect()
}

fn locked(number: u8, login: &str, name: &str, locked_until: Timestamp) -> directory::Row {
    directory::Row {
        id: UserId::from_bytes([number; 10]),
        login: login.to_owned(),
        name: name.to_owned(),
        email: None,
        role: Role::User,
        groups: Arc::new(BTreeSet::new()),
        switched_on: true,
        method: Method::Totp,
        app_enrolled: true,
        password_set: true,
        must_change_password: false,
        last_login: None,
        registered_at: Timestamp::from_secs(NOW),
        disabled: false,
        locked_until: Some(locked_until),
    }
}

impl Samples for OverviewPage {
    fn samples() -> Vec<(String, Self)> {
        let sample = |file: &str, role: Role, standing: Standing| {
            (
                file.to_owned(),
                Self::new(
                    Nav::sample(role, Room::Overview),
                    ["/.sekisho/admin/users", "/.sekisho/admin/sessions"],
                    standing,
                ),
            )
        };
        let busy = Standing {
            counts: Counts {
                accounts: 1284,
                switched_on: 1250,
                enrolled: 1201,
                locked: 12,
                disabled: 18,
                unused: 42,
                admins: 3,
            },
            sessions: 317,
            admins: 3,
            // Fewer at weekends; a night on which somebody guessed passwords.
            days: days(|day| {
                let weekend = matches!(day % 7, 1 | 2);
                let sign_ins = if weekend { 31 + day } else { 260 + day * 37 % 70 };
                (sign_ins, if day == 19 { 1480 } else { sign_ins / 12 })
            }),
            locked: vec![
                locked(1, "hanako.yamada", "山田 花子", Timestamp::from_secs(NOW + 600)),
                locked(2, "taro", "", INDEFINITELY),
                locked(3, "a-rather-long-login-name.of.somebody@example.com", "佐藤 次郎", INDEFINITELY),
            ],
        };
        let first_day = Standing {
            counts: Counts { accounts: 1, admins: 1, ..Counts::default() },
            sessions: 1,
            admins: 1,
            days: days(|day| (u64::from(day == 29), 0)),
            locked: vec![],
        };
        let nobody = Standing {
            counts: Counts { accounts: 2, enrolled: 2, locked: 1, ..Counts::default() },
            sessions: 0,
            admins: 0,
            days: days(|_| (0, 0)),
            locked: vec![locked(1, "hanako.yamada", "山田 花子", INDEFINITELY)],
        };
        vec![
            sample("busy", Role::Admin, busy),
            sample("first-day", Role::Admin, first_day),
            sample("nobody", Role::Viewer, nobody),
        ]
    }
}
