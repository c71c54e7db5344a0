//! From a row's cells to what they say of an account, or everything that is wrong with them at once.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::columns::Column;
use super::table::{Record, Table};
use crate::authn::user::{DisplayName, Email, Group, LoginName, Method, Role};

/// What a row says. `None`: there is no such column, or its cell is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub login: LoginName,
    pub name: Option<DisplayName>,
    pub email: Option<Email>,
    pub groups: Option<BTreeSet<Group>>,
    pub role: Option<Role>,
    pub method: Option<Method>,
    pub second_factor: Option<bool>,
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// `None`: with the row as a whole.
    pub column: Option<Column>,
    pub reason: Reason,
    /// What stands there, fit to be shown; empty where that tells nothing.
    #[serde(default)]
    pub value: String,
    /// Another line that it has to do with; 0: none.
    #[serde(default)]
    pub other: u64,
}

/// Why. The name is the end of its text's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    LoginMissing,
    LoginRule,
    NameRule,
    EmailRule,
    GroupRule,
    RoleUnknown,
    MethodUnknown,
    SwitchUnknown,
    LineBreak,
    TooManyCells,
    /// The same login stands on another line.
    Repeated,
    Exists,
    MailWithoutAddress,
    MailNotConfigured,
    OwnerSwitchesOn,
    GroupNotHeld,
    LoginNamedByRoute,
    /// The role does not reach as far.
    Forbidden,
    Oneself,
    LastAdmin,
    /// Another thing that the accounts' rules refuse.
    Refused,
    /// The store could not take it.
    NotStored,
}

impl Fault {
    pub fn new(column: Column, reason: Reason, value: &str) -> Self {
        Self { column: Some(column), reason, value: shown(value), other: 0 }
    }

    pub fn of_row(reason: Reason) -> Self {
        Self { column: None, reason, value: String::new(), other: 0 }
    }
}

/// Reads one row.
pub fn read(table: &Table, record: &Record) -> Result<Row, Vec<Fault>> {
    let mut faults = Vec::new();
    if record.cells.len() > table.columns.len() {
        faults.push(Fault::of_row(Reason::TooManyCells));
    }
    let cells = Cells { table, record };
    let login = match cells.get(Column::Login) {
        Some(_) => cells.parse(Column::Login, Reason::LoginRule, &mut faults),
        None => {
            faults.push(Fault::new(Column::Login, Reason::LoginMissing, ""));
            None
        }
    };
    let name = cells.parse(Column::Name, Reason::NameRule, &mut faults);
    let email = cells.parse(Column::Email, Reason::EmailRule, &mut faults);
    let groups = cells.groups(&mut faults);
    let role = cells.word(Column::Role, Reason::RoleUnknown, ROLES, &mut faults);
    let method = cells.word(Column::Method, Reason::MethodUnknown, METHODS, &mut faults);
    let second_factor = cells.word(Column::SecondFactor, Reason::SwitchUnknown, SWITCHES, &mut faults);
    match login {
        Some(login) if faults.is_empty() => Ok(Row { login, name, email, groups, role, method, second_factor }),
        _ => Err(faults),
    }
}

/// The login of a row, whatever else is wrong with it.
pub fn login(table: &Table, record: &Record) -> Option<LoginName> {
    login_cell(table, record)?.parse().ok()
}

/// What stands where the login should.
pub fn login_cell<'t>(table: &'t Table, record: &'t Record) -> Option<&'t str> {
    Cells { table, record }.get(Column::Login)
}

/// Text as a page and a list of faults may have it: at most 64 characters, none that is invisible.
pub fn shown(text: &str) -> String {
    const MOST: usize = 64;
    let mut kept: String = text.chars().filter(|c| !c.is_control()).take(MOST + 1).collect();
    if let Some((cut, _)) = kept.char_indices().nth(MOST) {
        kept.truncate(cut);
        kept.push('…');
    }
    kept
}

/// The words of a cell, in both languages; the first of each is what the list of accounts is exported with.
type Words<T> = &'static [(T, &'static [&'static str])];

const ROLES: Words<Role> = &[
    (Role::User, &["user", "利用者", "一般", "ユーザー"]),
    (Role::Viewer, &["viewer", "閲覧者", "閲覧"]),
    (Role::Manager, &["manager", "担当者", "管理担当者", "マネージャー", "マネージャ"]),
    (Role::Admin, &["admin", "administrator", "管理者"]),
];
const METHODS: Words<Method> = &[
    (Method::Totp, &["totp", "app", "authenticator app", "アプリ", "認証アプリ"]),
    (Method::Mail, &["mail", "email", "e-mail", "メール"]),
];
const SWITCHES: Words<bool> = &[
    (true, &["on", "yes", "true", "1", "オン", "有効", "はい", "○", "◯"]),
    (false, &["off", "no", "false", "0", "オフ", "無効", "いいえ", "×"]),
];

/// The cells of one row, by column.
struct Cells<'t> {
    table: &'t Table,
    record: &'t Record,
}

impl<'t> Cells<'t> {
    /// What stands there, without the blanks around it; `None`: nothing.
    fn get(&self, column: Column) -> Option<&'t str> {
        let place = self.table.columns.iter().position(|there| *there == Some(column))?;
        let cell = self.record.cells.get(place)?;
        Some(without_apostrophe(cell.trim())).filter(|cell| !cell.is_empty())
    }

    /// A field by its own rule.
    fn parse<T: std::str::FromStr>(&self, column: Column, rule: Reason, faults: &mut Vec<Fault>) -> Option<T> {
        let cell = self.get(column)?;
        let parsed = cell.parse::<T>().ok();
        if parsed.is_none() {
            // Most often a quotation mark that never ends: the rest of the file is one cell then.
            let reason = if cell.contains(['\n', '\r']) { Reason::LineBreak } else { rule };
            faults.push(Fault::new(column, reason, cell));
        }
        parsed
    }

    fn word<T: Copy>(&self, column: Column, rule: Reason, words: Words<T>, faults: &mut Vec<Fault>) -> Option<T> {
        let cell = self.get(column)?;
        let lower = cell.to_lowercase();
        let found = words.iter().find(|(_, words)| words.contains(&lower.as_str())).map(|(value, _)| *value);
        if found.is_none() {
            faults.push(Fault::new(column, rule, cell));
        }
        found
    }

    /// Several in one cell, parted by what no group's name can have.
    fn groups(&self, faults: &mut Vec<Fault>) -> Option<BTreeSet<Group>> {
        let cell = self.get(Column::Groups)?;
        if cell.contains(['\n', '\r']) {
            // As in any other cell: other people's groups would be this one's.
            faults.push(Fault::new(Column::Groups, Reason::LineBreak, cell));
            return None;
        }
        let parted = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '、' | '，' | '；' | '|');
        let mut groups = BTreeSet::new();
        for part in cell.split(parted).filter(|part| !part.is_empty()) {
            match part.parse() {
                Ok(group) => {
                    groups.insert(group);
                }
                Err(_) => {
                    // The first tells enough, and a cell may have millions of them.
                    faults.push(Fault::new(Column::Groups, Reason::GroupRule, part));
                    return None;
                }
            }
        }
        Some(groups)
    }
}

/// With what a cell begins that a spreadsheet takes for a formula, in the letters of any keyboard.
pub const FORMULA: [char; 11] = ['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n'];

/// The apostrophe with which the exported list keeps a spreadsheet from calculating what looks like a formula.
fn without_apostrophe(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.starts_with(FORMULA) => rest,
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<Result<Row, Vec<Fault>>> {
        let table = Table::read(text.as_bytes()).unwrap();
        table.records.iter().map(|record| read(&table, record)).collect()
    }

    fn row(text: &str) -> Row {
        rows(text).remove(0).unwrap()
    }

    fn faults(text: &str) -> Vec<(Option<Column>, Reason, String)> {
        let faults = rows(text).remove(0).unwrap_err();
        faults.into_iter().map(|fault| (fault.column, fault.reason, fault.value)).collect()
    }

    #[test]
    fn a_row_says_what_its_cells_say_and_nothing_of_empty_ones() {
        let all = row("login,name,email,groups,role,method,second_factor\n\
             Hanako,山田 花子,hanako@example.com,\"ops, support\",viewer,mail,on\n");
        assert_eq!(all.login.as_str(), "hanako");
        assert_eq!(all.groups, Some(["ops", "support"].map(|group| group.parse().unwrap()).into()));
        assert_eq!((all.role, all.method, all.second_factor), (Some(Role::Viewer), Some(Method::Mail), Some(true)));
        let bare = row("login,name,email,groups,role,method,second_factor\nhanako,, ,,,,\n");
        assert_eq!((bare.name, bare.email, bare.groups, bare.role), (None, None, None, None));
        let short = row("login,name,email\nhanako\n");
        assert_eq!((short.name, short.email), (None, None));
    }

    #[test]
    fn a_groups_cell_with_a_quotation_mark_that_never_ends_gives_nobody_others_groups() {
        let text = "login,groups\nhanako,\"ops\ntaro,finance\njiro,admins\n";
        let told: Vec<_> = faults(text).into_iter().map(|(column, reason, _)| (column, reason)).collect();
        assert_eq!(told, [(Some(Column::Groups), Reason::LineBreak)]);
        let many = format!("login,groups\nhanako,\"{}\"\n", "!,".repeat(100_000));
        assert_eq!(faults(&many).len(), 1);
    }

    #[test]
    fn words_are_known_in_both_languages() {
        let japanese = row("ログインID,権限,方式,二要素認証\nhanako,管理者,アプリ,オフ\n");
        assert_eq!(
            (japanese.role, japanese.method, japanese.second_factor),
            (Some(Role::Admin), Some(Method::Totp), Some(false))
        );
        assert_eq!(row("login,role\nh,ADMIN\n").role, Some(Role::Admin));
    }

    #[test]
    fn everything_wrong_with_a_row_is_told_at_once() {
        let text =
            "login,name,email,groups,role,method,second_factor\na b,\"x\ny\",nobody,\"ok,no!\",boss,sms,maybe,more\n";
        assert_eq!(
            faults(text),
            [
                (None, Reason::TooManyCells, String::new()),
                (Some(Column::Login), Reason::LoginRule, "a b".to_owned()),
                (Some(Column::Name), Reason::LineBreak, "xy".to_owned()),
                (Some(Column::Email), Reason::EmailRule, "nobody".to_owned()),
                (Some(Column::Groups), Reason::GroupRule, "no!".to_owned()),
                (Some(Column::Role), Reason::RoleUnknown, "boss".to_owned()),
                (Some(Column::Method), Reason::MethodUnknown, "sms".to_owned()),
                (Some(Column::SecondFactor), Reason::SwitchUnknown, "maybe".to_owned()),
            ]
        );
        assert_eq!(faults("login,name\n,Nobody\n"), [(Some(Column::Login), Reason::LoginMissing, String::new())]);
    }

    #[test]
    fn the_apostrophe_of_the_exported_list_is_taken_away_and_no_other() {
        for (cell, name) in
            [("'=1+1", "=1+1"), ("'@home", "@home"), ("'90s", "'90s"), ("O'Hara", "O'Hara"), ("=1", "=1")]
        {
            let text = format!("login,name\nh,{cell}\n");
            assert_eq!(row(&text).name.unwrap().as_str(), name, "{cell}");
        }
        assert_eq!(row("login\n'+81\n").login.as_str(), "+81");
    }

    #[test]
    fn a_quotation_mark_that_never_ends_is_told_as_a_line_break() {
        let text = "login,name\na,\"Ann\nb,Bob\nc,Carol\n";
        assert_eq!(rows(text).len(), 1);
        assert_eq!(faults(text), [(Some(Column::Name), Reason::LineBreak, "Annb,Bobc,Carol".to_owned())]);
    }

    #[test]
    fn what_is_shown_is_short_and_visible() {
        assert_eq!(shown("a\u{7}b\nc"), "abc");
        assert_eq!(shown(&"あ".repeat(64)), "あ".repeat(64));
        assert_eq!(shown(&"あ".repeat(65)), format!("{}…", "あ".repeat(64)));
    }
}
