//! What counts as the same text in a search: full-width and half-width, capital and small letters (NFKC, then lower case).

use unicode_normalization::UnicodeNormalization as _;

use crate::authn::user::User;

/// Parts the three texts of an account: a search has no line break in it, and neither has any of them.
const BREAK: char = '\n';

/// Login, name and mail address in one piece.
#[derive(PartialEq, Eq)]
pub struct Texts {
    all: Box<str>,
    name: u16,
    email: u16,
}

impl Texts {
    /// As they are shown.
    pub fn shown(user: &User) -> Self {
        Self::join(user.login.as_str(), user.name.as_str(), email(user))
    }

    /// As they are searched and sorted by.
    pub fn folded(user: &User) -> Self {
        Self::join(&fold(user.login.as_str()), &fold(user.name.as_str()), &fold(email(user)))
    }

    fn join(login: &str, name: &str, email: &str) -> Self {
        // A name of 128 characters is far from this end; beyond it a part would be shown as empty.
        let at = |length: usize| u16::try_from(length).unwrap_or(u16::MAX);
        let (name_at, email_at) = (at(login.len() + 1), at(login.len() + name.len() + 2));
        Self { all: format!("{login}{BREAK}{name}{BREAK}{email}").into(), name: name_at, email: email_at }
    }

    pub fn login(&self) -> &str {
        self.all.get(..usize::from(self.name).saturating_sub(1)).unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        self.all.get(usize::from(self.name)..usize::from(self.email).saturating_sub(1)).unwrap_or_default()
    }

    pub fn email(&self) -> &str {
        self.all.get(usize::from(self.email)..).unwrap_or_default()
    }

    pub fn contains(&self, word: &str) -> bool {
        self.all.contains(word)
    }
}

fn email(user: &User) -> &str {
    user.email.as_ref().map_or("", |email| email.as_str())
}

/// One form for all ways to write the same.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        let kept = text.chars().filter(|character| !character.is_ascii_control());
        return kept.map(|character| character.to_ascii_lowercase()).collect();
    }
    // Some small letters come apart into what could be put together again: so once more.
    let lower = text.nfkc().collect::<String>().to_lowercase();
    lower.nfkc().filter(|character| !character.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_width_half_width_and_capitals_are_one() {
        for (written, folded) in [
            ("Ａｌｉｃｅ", "alice"),
            ("ALICE", "alice"),
            ("ﾔﾏﾀﾞ", "ヤマダ"),
            ("山田　花子", "山田 花子"),
            ("１２３", "123"),
            ("Ünal", "u\u{308}nal"),
            ("a\nb", "ab"),
        ] {
            assert_eq!(fold(written), fold(folded), "{written}");
        }
        assert_eq!(fold("ﾔﾏﾀﾞ"), "ヤマダ");
    }

    #[test]
    fn the_parts_come_back_as_they_were() {
        for (login, name, email) in [("a", "", ""), ("a", "山田 花子", "a@example.com"), ("花子", "", "h@example.com")]
        {
            let texts = Texts::join(login, name, email);
            assert_eq!((texts.login(), texts.name(), texts.email()), (login, name, email));
        }
        let long = "﷽".repeat(30_000);
        assert_eq!(Texts::join("a", &long, "e").email(), "");
    }
}
