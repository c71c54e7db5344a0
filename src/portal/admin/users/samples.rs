//! The list as it is tried in tests and looked at.

use std::sync::Arc;
use std::time::Duration;

use super::listing::Listing;
use super::{BulkForm, UsersPage, done};
use crate::authn::lockout::INDEFINITELY;
use crate::authn::user::{Method, Role};
use crate::clock::Timestamp;
use crate::id::UserId;
use crate::portal::nav::{Nav, Room};
use crate::portal::view::Samples;
use crate::service::directory::{Page, Row};

const NOW: Timestamp = Timestamp::from_secs(1_795_339_805);

/// Accounts of all sorts.
pub fn rows() -> Vec<Row> {
    let row = |number: u8, login: &str, name: &str, email: Option<&str>| Row {
        id: UserId::from_bytes([number.wrapping_mul(37); 10]),
        login: login.to_owned(),
        name: name.to_owned(),
        email: email.map(str::to_owned),
        role: Role::User,
        groups: Arc::default(),
        switched_on: true,
        method: Method::Totp,
        app_enrolled: true,
        password_set: true,
        must_change_password: false,
        last_login: Some(NOW),
        registered_at: Timestamp::from_secs(1_760_000_000),
        disabled: false,
        locked_until: None,
    };
    let groups = Arc::new(["ops", "受注担当"].map(|group| group.parse().unwrap()).into());
    vec![
        Row {
            role: Role::Admin, groups, ..row(1, "hanako.yamada", "山田 花子", Some("hanako.yamada@example.com"))
        },
        Row { method: Method::Mail, role: Role::Manager, ..row(2, "taro", "佐藤 太郎", Some("taro@example.com")) },
        Row { app_enrolled: false, last_login: None, ..row(3, "newcomer", "", None) },
        Row { switched_on: false, app_enrolled: false, disabled: true, ..row(4, "left.long.ago", "Kim Lee", None) },
        Row {
            locked_until: Some(NOW.plus(Duration::from_secs(600))),
            role: Role::Viewer,
            ..row(5, "m.suzuki", "", None)
        },
        Row {
            locked_until: Some(INDEFINITELY), ..row(6, "guessed.at.by.somebody.with.patience", "渡辺 あき", None)
        },
    ]
}

impl Samples for UsersPage {
    fn samples() -> Vec<(String, Self)> {
        let sample = |file: &str, address: &str, found: Page, role: Role, policy| {
            let listing = Listing::of_text(address).at(found.page);
            let nav = Nav::sample(role, Room::Users);
            let mut page = Self::new(nav, "/.sekisho/admin/users".to_owned(), &listing, &found, role, policy);
            page.bulk = (role > Role::Viewer).then(|| BulkForm::new(&listing, "x".repeat(43)));
            (file.to_owned(), page)
        };
        let groups = ["ops", "受注担当"].map(|group| group.parse().unwrap());
        let some = Page { rows: rows(), total: 6, pages: 1, groups: groups.into(), ..Page::default() };
        let middle = Page { total: 1234, page: 3, pages: 25, ..some.clone() };
        let none = Page { pages: 1, ..Page::default() };
        let narrowed = "q=%E5%B1%B1%E7%94%B0&role=admin&group=gone&second-factor=on&enrolled=no&method=totp\
             &state=locked&last-login=never&from=2026-11-01&to=2026-11-22&sort=-last-login";
        let alerted = ["deleted", "nothing-ticked", "no-act", "too-many"].map(|key| {
            let (_, page) = sample("", "", some.clone(), Role::Manager, None);
            (key.to_owned(), Self { alert: done(key), ..page })
        });
        let mut samples = vec![
            sample("some", "", some.clone(), Role::Admin, None),
            sample("viewer", "sort=email", some.clone(), Role::Viewer, Some("required")),
            sample("middle", narrowed, middle, Role::Manager, Some("off")),
            sample("none", "", none.clone(), Role::Admin, None),
            sample("none-found", "q=x", none, Role::Admin, None),
        ];
        samples.extend(alerted);
        samples
    }
}
