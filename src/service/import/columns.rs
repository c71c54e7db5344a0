//! What the columns of a list are called, in English and Japanese, and which of the names nobody knows were meant.

use serde::{Deserialize, Serialize};

use super::Unreadable;

/// A column that is read. The name is the end of its text's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Column {
    Login,
    Name,
    Email,
    Groups,
    Role,
    Method,
    SecondFactor,
}

/// What a name in the header row stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Read(Column),
    Password,
    Unknown,
}

const NAMES: &[(Column, &[&str])] = &[
    (Column::Login, &["login", "loginid", "loginname", "user", "username", "account"]),
    (Column::Login, &["ログインid", "ログイン名", "ログイン", "ユーザー名", "ユーザ名", "アカウント"]),
    (Column::Name, &["name", "fullname", "displayname", "名前", "氏名", "表示名"]),
    (Column::Email, &["email", "mail", "mailaddress", "emailaddress", "メール", "メールアドレス", "eメール"]),
    (Column::Groups, &["groups", "group", "グループ", "所属グループ"]),
    (Column::Role, &["role", "役割", "権限", "ロール"]),
    (Column::Method, &["method", "secondfactormethod", "方式", "方法", "認証方式", "認証方法", "二段階認証の方法"]),
    (Column::SecondFactor, &["secondfactor", "twofactor", "2fa", "mfa", "二要素認証", "2要素認証"]),
    (Column::SecondFactor, &["二段階認証", "2段階認証", "第二要素"]),
];

/// A password, or the hash of one, is nobody's to choose for somebody else.
const PASSWORDS: &[&str] = &[
    "password",
    "passwd",
    "pass",
    "pwd",
    "passphrase",
    "newpassword",
    "initialpassword",
    "temporarypassword",
    "passwordhash",
    "hash",
    "パスワード",
    "初期パスワード",
    "仮パスワード",
    "暗証番号",
];

/// What is longer was not meant to be one of these; comparing takes time by the length.
const LONGEST_NAME: usize = 32;

/// Which column stands where, by the header row; and the names of those that are not read.
pub fn read<'h>(header: impl Iterator<Item = &'h str>) -> Result<(Vec<Option<Column>>, Vec<String>), Unreadable> {
    let (mut columns, mut unread) = (Vec::new(), Vec::new());
    for name in header {
        let column = match named(name) {
            Named::Password => return Err(Unreadable::Password { name: shown(name) }),
            Named::Read(column) if columns.contains(&Some(column)) => {
                return Err(Unreadable::ColumnTwice { name: shown(name) });
            }
            Named::Read(column) => Some(column),
            Named::Unknown => {
                if let Some(meant) = meant(name) {
                    return Err(Unreadable::Misspelt { name: shown(name), meant: meant.to_owned() });
                }
                unread.extend(Some(shown(name)).filter(|name| !name.is_empty()));
                None
            }
        };
        columns.push(column);
    }
    if columns.contains(&Some(Column::Login)) { Ok((columns, unread)) } else { Err(Unreadable::NoLogin) }
}

/// How much sense these names make: a name that is known counts twice as much as one that is close to one.
pub fn sense<'h>(header: impl Iterator<Item = &'h str>) -> usize {
    header
        .map(|name| match named(name) {
            Named::Unknown => usize::from(meant(name).is_some()),
            Named::Read(_) | Named::Password => 2,
        })
        .sum()
}

fn named(name: &str) -> Named {
    let plain = plain(name);
    if PASSWORDS.contains(&plain.as_str()) {
        return Named::Password;
    }
    match NAMES.iter().find(|(_, names)| names.contains(&plain.as_str())) {
        Some((column, _)) => Named::Read(*column),
        None => Named::Unknown,
    }
}

/// The name that was meant, if this one is close to it: a third of its letters may be wrong.
fn meant(name: &str) -> Option<&'static str> {
    let plain = plain(name);
    if plain.chars().count() > LONGEST_NAME {
        return None;
    }
    let names = NAMES.iter().flat_map(|(_, names)| names.iter().copied());
    let (distance, nearest) =
        names.map(|known| (strsim::damerau_levenshtein(&plain, known), known)).min_by_key(|(distance, _)| *distance)?;
    (distance * 3 <= nearest.chars().count()).then_some(nearest)
}

/// Without case, blanks, `_` and `-`, and with full-width letters and digits made half-width.
fn plain(name: &str) -> String {
    let narrow = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    };
    let kept = |c: &char| !c.is_whitespace() && !c.is_control() && !matches!(c, '_' | '-');
    name.chars().map(narrow).filter(kept).flat_map(char::to_lowercase).collect()
}

/// As it stands in the file, fit to be shown.
fn shown(name: &str) -> String {
    super::row::shown(name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: &[&str]) -> Result<(Vec<Option<Column>>, Vec<String>), Unreadable> {
        read(header.iter().copied())
    }

    #[test]
    fn columns_are_known_by_english_and_japanese_names() {
        use Column::{Email, Groups, Login, Method, Name, Role, SecondFactor};
        let all = [Login, Name, Email, Groups, Role, Method, SecondFactor].map(Some).to_vec();
        for header in [
            ["login", "name", "email", "groups", "role", "method", "second_factor"],
            ["Login ID", "Full name", "E-Mail", "Group", "ROLE", "Method", "Second factor"],
            ["ログインID", "名前", "メール", "グループ", "役割", "方式", "二要素認証"],
            ["ログインＩＤ", "氏名", "メールアドレス", "グループ", "権限", "認証方式", "２段階認証"],
        ] {
            assert_eq!(of(&header), Ok((all.clone(), vec![])), "{header:?}");
        }
    }

    #[test]
    fn a_misspelt_name_is_refused_with_the_one_that_was_meant() {
        for (name, meant) in
            [("lgoin", "login"), ("grups", "groups"), ("rôle", "role"), ("メールアドレフ", "メールアドレス")]
        {
            let expected = Unreadable::Misspelt { name: name.to_owned(), meant: meant.to_owned() };
            assert_eq!(of(&[name, "user"]), Err(expected));
        }
    }

    #[test]
    fn other_columns_are_not_read_and_named() {
        let (columns, unread) = of(&["login", "部署", "phone", "", "id", "last_login"]).unwrap();
        assert_eq!(columns, [Some(Column::Login), None, None, None, None, None]);
        assert_eq!(unread, ["部署", "phone", "id", "last_login"]);
    }

    #[test]
    fn passwords_and_doubled_columns_and_a_missing_login_are_refused() {
        for name in ["password", "Password", "passwd", "パスワード", "ｐａｓｓｗｏｒｄ", "pass-word"] {
            assert_eq!(of(&["login", name]), Err(Unreadable::Password { name: name.to_owned() }));
        }
        assert_eq!(of(&["login", "name", "氏名"]), Err(Unreadable::ColumnTwice { name: "氏名".to_owned() }));
        assert_eq!(of(&["alice", "Alice Liddell"]), Err(Unreadable::NoLogin));
    }
}
