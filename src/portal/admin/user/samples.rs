//! The pages of one account, to be looked at and to be judged by tests.

use super::fields::{Choice, FieldsView, Fixed, Problems};
use super::{Browser, Facts, Forms, Recent, UserPage, edit, new};
use crate::authn::user::Role;
use crate::clock::Timestamp;
use crate::portal::account::tools::Tool;
use crate::portal::moment::Moment;
use crate::portal::nav::{Nav, Room};
use crate::portal::refusal::Alert;
use crate::portal::view::Samples;

fn nav() -> Nav {
    Nav::sample(Role::Manager, Room::Users)
}

fn at(secs: u64) -> Moment {
    Moment::of(Timestamp::from_secs(1_795_000_000 + secs))
}

fn browser(name: &str, marked: bool) -> Browser {
    let (id, address) = ("0123456789abcdef".to_owned(), "203.0.113.7".to_owned());
    Browser { id, name: name.to_owned(), address, begun: at(0), seen: at(7000), marked }
}

fn event(event: &str, failed: bool) -> Recent {
    let somebody = || Some("hanako.yamada".to_owned()).filter(|_| failed);
    let (event, address) = (event.to_owned(), "203.0.113.7".to_owned());
    Recent { time: at(7000), event, failed, login: somebody(), actor: somebody(), address }
}

fn facts() -> Facts {
    Facts {
        id: "0123456789abcdef".to_owned(),
        login: "taro.suzuki".to_owned(),
        name: "鈴木 太郎".to_owned(),
        email: "taro@example.com".to_owned(),
        role: "user".to_owned(),
        groups: vec!["ops".to_owned(), "shop".to_owned()],
        state: "active",
        locked_until: None,
        last_login: Some(at(9000)),
        registered: at(0),
        password: Some(at(60)),
        must_change: false,
        switched_on: true,
        method: "totp",
        enrolled: Some(at(120)),
        recovery_codes: Some(9),
    }
}

fn page(facts: Facts, forms: Forms, alert: Option<Alert>) -> UserPage {
    UserPage {
        nav: nav(),
        alert,
        list: "/.sekisho/admin/users".to_owned(),
        path: "/.sekisho/admin/users/0123456789abcdef".to_owned(),
        facts,
        own: false,
        edit: Some("/.sekisho/admin/users/0123456789abcdef/edit".to_owned()),
        forms,
        without_mail: false,
        tools: Vec::new(),
        devices: Vec::new(),
        sessions: Vec::new(),
        events: Vec::new(),
        all_events: "/.sekisho/admin/audit?person=0123456789abcdef".to_owned(),
    }
}

/// Every button.
fn forms() -> Forms {
    let token = || Some("x".repeat(43));
    Forms {
        disable: token(),
        enable: None,
        unlock: None,
        reset: token(),
        link: token(),
        end_session: token(),
        end_sessions: token(),
        forget_device: token(),
        forget_devices: token(),
        tool_login: token(),
        forget_tool_login: token(),
        delete: token(),
    }
}

impl Samples for UserPage {
    fn samples() -> Vec<(String, Self)> {
        let token = || Some("x".repeat(43));
        let full = UserPage {
            tools: vec![Tool::sample("supervisor", true, true), Tool::sample("prometheus", false, false)],
            devices: vec![browser("Chrome, Windows", true), browser("", false)],
            sessions: vec![browser("Chrome, Windows", true), browser("", false)],
            events: vec![event("login", false), event("user-changed", true)],
            ..page(facts(), forms(), None)
        };
        let bare = Facts {
            name: String::new(),
            email: String::new(),
            groups: Vec::new(),
            last_login: None,
            password: None,
            enrolled: None,
            recovery_codes: None,
            ..facts()
        };
        let bare = UserPage { without_mail: true, ..page(bare, Forms { link: None, ..forms() }, None) };
        let locked =
            Facts { state: "locked", locked_until: Some(at(900)), method: "mail", must_change: true, ..facts() };
        let locked = page(locked, Forms { unlock: token(), ..forms() }, Some(Alert::problem("problem-other-login")));
        let in_row = Facts { state: "locked", recovery_codes: Some(1), switched_on: false, ..facts() };
        let disabled = Facts { state: "disabled", ..facts() };
        let disabled = page(disabled, Forms { disable: None, enable: token(), link: None, ..forms() }, None);
        let own = UserPage { own: true, ..page(facts(), Forms::default(), None) };
        vec![
            ("full".to_owned(), full),
            ("bare".to_owned(), bare),
            ("locked".to_owned(), locked),
            ("locked-in-row".to_owned(), page(in_row, Forms { unlock: token(), ..forms() }, None)),
            ("disabled".to_owned(), disabled),
            ("seen".to_owned(), UserPage { edit: None, ..page(facts(), Forms::default(), None) }),
            ("own".to_owned(), own),
        ]
    }
}

fn choices(values: &[&str], chosen: &str) -> Vec<Choice> {
    values.iter().map(|value| Choice::sample(value, *value == chosen)).collect()
}

fn fields() -> FieldsView {
    FieldsView {
        login: "taro.suzuki".to_owned(),
        name: "鈴木 太郎".to_owned(),
        email: "taro@example.com".to_owned(),
        groups: "ops, shop".to_owned(),
        roles: choices(&["user", "viewer", "manager", "admin"], "user"),
        methods: choices(&["totp", "mail"], "totp"),
        switches: choices(&["on", "off"], "on"),
        problems: Problems::default(),
        fixed: Fixed::default(),
        own_groups: None,
    }
}

fn wrong() -> Problems {
    Problems {
        login: Some("problem-field-login"),
        name: Some("problem-field-name"),
        email: Some("problem-field-email"),
        groups: Some("problem-field-groups"),
        role: Some("problem-field-choice"),
        method: Some("problem-field-choice"),
        second_factor: Some("problem-field-choice"),
    }
}

impl Samples for edit::EditPage {
    fn samples() -> Vec<(String, Self)> {
        let sample = |name: &str, fields: FieldsView, alert: Option<Alert>| {
            let page = Self {
                nav: nav(),
                alert,
                path: "/.sekisho/admin/users/0123456789abcdef".to_owned(),
                csrf: "x".repeat(43),
                edition: "x".repeat(43),
                whose: "鈴木 太郎".to_owned(),
                fields,
            };
            (name.to_owned(), page)
        };
        let all = Fixed { login: true, email: true, role: true, method: true, second_factor: true };
        let own = FieldsView { fixed: all, ..fields() };
        let without_groups = FieldsView { own_groups: Some(String::new()), ..fields() };
        vec![
            sample("plain", fields(), None),
            sample("own", own, None),
            sample("manager", without_groups, Some(Alert::problem("rejection-changed-meanwhile"))),
            sample("wrong", FieldsView { problems: wrong(), own_groups: Some("ops".to_owned()), ..fields() }, None),
        ]
    }
}

impl Samples for new::NewPage {
    fn samples() -> Vec<(String, Self)> {
        let sample = |name: &str, fields: FieldsView, mail: bool| {
            let page = Self {
                nav: nav(),
                alert: None,
                list: "/.sekisho/admin/users".to_owned(),
                action: "/.sekisho/admin/users/new".to_owned(),
                csrf: "x".repeat(43),
                fields,
                mail,
            };
            (name.to_owned(), page)
        };
        let empty = || {
            let none = String::new;
            FieldsView { login: none(), name: none(), email: none(), groups: none(), ..fields() }
        };
        vec![
            sample("plain", empty(), true),
            sample("without-mail", empty(), false),
            sample("wrong", FieldsView { problems: wrong(), ..fields() }, true),
        ]
    }
}
