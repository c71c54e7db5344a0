//! Previews to try the template with.

use super::*;
use crate::clock::Timestamp;
use crate::portal::view::Samples;
use crate::service::import::{Fault, Reason};

/// A fault of every kind, as the rows of a list have them.
pub fn every_fault() -> Vec<RefusedRow> {
    let fault = |column: Option<Column>, reason: Reason, value: &str, other: u64| Fault {
        column,
        reason,
        value: value.to_owned(),
        other,
    };
    let of = |column, reason, value: &str| vec![fault(Some(column), reason, value, 0)];
    let rows = [
        ("", of(Column::Login, Reason::LoginMissing, "")),
        ("sato taro", of(Column::Login, Reason::LoginRule, "sato taro")),
        ("suzuki", of(Column::Name, Reason::NameRule, "…")),
        (
            "takahashi",
            vec![
                fault(Some(Column::Email), Reason::EmailRule, "takahashi@", 0),
                fault(Some(Column::Groups), Reason::GroupRule, "営業!", 0),
                fault(Some(Column::Role), Reason::RoleUnknown, "部長", 0),
            ],
        ),
        ("tanaka", of(Column::Method, Reason::MethodUnknown, "sms")),
        ("ito", of(Column::SecondFactor, Reason::SwitchUnknown, "?")),
        ("watanabe", of(Column::Name, Reason::LineBreak, "渡辺 一郎nakamura")),
        ("nakamura", vec![fault(None, Reason::TooManyCells, "", 0)]),
        ("kobayashi", vec![fault(Some(Column::Login), Reason::Repeated, "", 14)]),
        ("hanako.yamada", of(Column::Login, Reason::Exists, "")),
        ("kato", of(Column::Email, Reason::MailWithoutAddress, "")),
        ("yoshida", of(Column::Method, Reason::MailNotConfigured, "")),
        ("yamamoto", of(Column::SecondFactor, Reason::OwnerSwitchesOn, "")),
        ("sasaki", of(Column::Groups, Reason::GroupNotHeld, "root")),
        ("matsumoto", of(Column::Login, Reason::LoginNamedByRoute, "")),
        ("inoue", vec![fault(None, Reason::Forbidden, "", 0)]),
        ("manager", vec![fault(None, Reason::Oneself, "", 0)]),
        ("admin", vec![fault(None, Reason::LastAdmin, "", 0)]),
        ("kimura", vec![fault(None, Reason::Refused, "", 0)]),
        ("hayashi", vec![fault(None, Reason::NotStored, "", 0)]),
    ];
    (2..).zip(rows).map(|(line, (login, faults))| RefusedRow::sample(line, login, faults)).collect()
}

fn good(line: u64, login: &str, name: &str, changes: Option<Vec<Column>>) -> GoodRow {
    GoodRow {
        line,
        login: login.to_owned(),
        name: name.to_owned(),
        email: format!("{login}@example.com"),
        groups: if changes.is_some() { vec![] } else { vec!["ops".to_owned(), "support".to_owned()] },
        role: changes.is_none().then_some(Role::Viewer),
        method: changes.is_none().then_some(Method::Totp),
        second_factor: if changes.is_none() { Some(true) } else { Some(false) },
        changes,
    }
}

fn all_columns() -> Vec<Column> {
    use Column::{Email, Groups, Login, Method, Name, Role, SecondFactor};
    vec![Login, Name, Email, Groups, Role, Method, SecondFactor]
}

fn page() -> PreviewPage {
    PreviewPage {
        nav: Nav::sample(Role::Manager, Room::Users),
        action: "/.sekisho/admin/users/import/preview".to_owned(),
        again: "/.sekisho/admin/users/import".to_owned(),
        refused_list: "/.sekisho/admin/users/import/refused.csv".to_owned(),
        csrf: "x".repeat(43),
        alert: None,
        id: "0".repeat(16),
        seen: "0".repeat(32),
        encoding: Encoding::ShiftJis,
        separator: Separator::Comma,
        columns: all_columns(),
        unread: vec!["社員番号".to_owned(), "部署".to_owned()],
        update: true,
        added: 118,
        changed: 2,
        same: 4,
        refused: every_fault(),
        rows: vec![
            good(23, "abe.shinji", "阿部 真司", None),
            good(24, "mori.yuko", "森 裕子", Some(vec![Column::Name, Column::Groups])),
        ],
        mailable: Some(101),
        kept_until: Moment::of(Timestamp::from_secs(1_795_339_805)),
    }
}

impl Samples for PreviewPage {
    fn samples() -> Vec<(String, Self)> {
        let clean = Self {
            encoding: Encoding::Utf8,
            separator: Separator::Semicolon,
            unread: vec![],
            update: false,
            changed: 0,
            same: 0,
            refused: vec![],
            added: 1,
            mailable: None,
            ..page()
        };
        let nothing = Self {
            encoding: Encoding::Utf16,
            separator: Separator::Tab,
            columns: vec![Column::Login],
            added: 0,
            changed: 0,
            rows: vec![],
            mailable: Some(0),
            ..page()
        };
        let changed = Self { alert: Some(Alert::problem("import-changed-meanwhile")), ..page() };
        [("some", page()), ("clean", clean), ("nothing", nothing), ("changed", changed)]
            .map(|(name, page)| (name.to_owned(), page))
            .into()
    }
}
