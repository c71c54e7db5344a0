//! Codes as people type them: full-width digits, blanks and hyphens are forgiven (F15), anything else makes it no code.

/// More than any code needs with its blanks; what is longer is not read.
const MAX_TYPED: usize = 64;

/// The ASCII digits of what was typed. `None` where it holds something that is neither a digit nor forgiven, or nothing.
#[must_use]
pub fn normalise(typed: &str) -> Option<String> {
    let mut digits = String::new();
    for (index, c) in typed.chars().enumerate() {
        if index >= MAX_TYPED {
            return None;
        }
        match c {
            '0'..='9' => digits.push(c),
            '０'..='９' => digits.push(ascii(c)?),
            c if c.is_whitespace() || is_hyphen(c) => {}
            _ => return None,
        }
    }
    (!digits.is_empty()).then_some(digits)
}

/// A full-width digit (U+FF10 to U+FF19) as its ASCII one.
fn ascii(full_width: char) -> Option<char> {
    char::from_digit(u32::from(full_width) - u32::from('０'), 10)
}

/// What keyboards and input methods make of the hyphen key, the Japanese ones too.
const fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30FC}' | '\u{FF0D}' | '\u{FF70}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_width_digits_blanks_and_hyphens_are_forgiven() {
        for typed in ["123456", " 123 456 ", "123-456", "１２３４５６", "１２３　４５６", "123ー456", "12−34\u{2013}56"]
        {
            assert_eq!(normalise(typed).as_deref(), Some("123456"), "{typed}");
        }
    }

    #[test]
    fn anything_else_is_no_code() {
        for typed in ["", " ", "12345a", "+23456", "१२३४५६", "12.34", "0x1234"] {
            assert_eq!(normalise(typed), None, "{typed}");
        }
        assert_eq!(normalise(&"1".repeat(65)), None);
    }
}
