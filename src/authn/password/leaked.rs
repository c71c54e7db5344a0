//! The passwords that leaked most often (`assets/passwords`): whoever guesses begins with them, and with them a capital in
//! front and a few digits or marks behind.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Where the list is from, and under which licence, stands beside it.
const LIST: &str = include_str!("../../../assets/passwords/leaked.txt");

/// How many digits and marks at the end are looked behind: `Password123!` is `password` to whoever guesses.
const ENDING: usize = 4;
/// A shorter word is no password that somebody has lengthened, but the beginning of anything.
const SHORTEST: usize = 4;

static LEAKED: LazyLock<HashSet<&'static str>> = LazyLock::new(|| LIST.lines().collect());

/// Whether `password` is on the list, without regard to case, or becomes so by taking up to [`ENDING`] digits and marks
/// from its end.
pub fn holds(password: &str) -> bool {
    let lower = password.to_lowercase();
    let mut word = lower.as_str();
    for _ in 0..=ENDING {
        if LEAKED.contains(word) {
            return true;
        }
        let mut characters = word.chars();
        match characters.next_back() {
            Some(last) if !last.is_alphabetic() => word = characters.as_str(),
            _ => return false,
        }
        if word.chars().count() < SHORTEST {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_ten_thousand_words_in_lower_case() {
        assert_eq!(LEAKED.len(), 10_000);
        for word in LIST.lines() {
            assert!(!word.is_empty() && word.to_lowercase() == word, "{word}");
        }
    }

    #[test]
    fn a_listed_word_is_found_however_it_is_written_and_a_little_lengthened() {
        for password in
            ["1q2w3e4r5t", "QWERTYuiop", "Password", "Password123!", "Basketball1", "Liverpool-99", "Пароль1"]
        {
            assert!(holds(password), "{password}");
        }
    }

    #[test]
    fn a_word_among_others_is_no_listed_one() {
        for password in
            ["Correct-horse-7", "xPassword123", "Password-and-98765", "Sunflower-98765!", "Sencha-green-1", ""]
        {
            assert!(!holds(password), "{password}");
        }
    }
}
