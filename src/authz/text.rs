//! Short texts that need no memory of their own: each request has a host and a target, and nearly all of them are short.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use arrayvec::ArrayString;

/// A text; up to `N` bytes of it lie in the value itself.
#[derive(Clone)]
pub(super) struct Text<const N: usize>(Kept<N>);

#[derive(Clone)]
enum Kept<const N: usize> {
    Here(ArrayString<N>),
    Apart(Box<str>),
}

impl<const N: usize> Text<N> {
    pub(super) fn new(text: &str) -> Self {
        match ArrayString::from(text) {
            Ok(here) => Self(Kept::Here(here)),
            Err(_) => Self(Kept::Apart(text.into())),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        match &self.0 {
            Kept::Here(text) => text,
            Kept::Apart(text) => text,
        }
    }

    pub(super) fn make_ascii_lowercase(&mut self) {
        match &mut self.0 {
            Kept::Here(text) => text.make_ascii_lowercase(),
            Kept::Apart(text) => text.make_ascii_lowercase(),
        }
    }
}

// Wherever it lies, it is its text: tables are searched by a part of one.

impl<const N: usize> PartialEq for Text<N> {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl<const N: usize> Eq for Text<N> {}

impl<const N: usize> PartialOrd for Text<N> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<const N: usize> Ord for Text<N> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl<const N: usize> Hash for Text<N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_text_is_the_same_wherever_it_lies() {
        for length in [0, 1, 7, 8, 9, 300] {
            let text = "xY".repeat(length).split_at(length).0.to_owned();
            let mut kept = Text::<8>::new(&text);
            assert_eq!((kept.as_str(), kept.clone() == kept), (text.as_str(), true));
            assert_eq!(format!("{kept:?}"), format!("{text:?}"));
            kept.make_ascii_lowercase();
            assert_eq!(kept.as_str(), text.to_ascii_lowercase());
            assert!(HashSet::from([kept]).contains(&Text::new(&text.to_ascii_lowercase())));
        }
        assert!(Text::<2>::new("ab") < Text::new("abc") && Text::<2>::new("abc") < Text::new("b"));
    }

    #[test]
    fn a_short_text_needs_no_memory() {
        let (asked, text) = crate::counting::asked(|| Text::<8>::new("12345678"));
        assert_eq!((asked, text.as_str()), (0, "12345678"));
        assert_eq!(crate::counting::asked(|| Text::<8>::new("123456789")).0, 1);
    }
}
