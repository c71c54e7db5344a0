//! Codes: as they are made, and as people type them (full-width digits, blanks and hyphens are forgiven (F15), anything
//! else makes it no code).

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

/// `digits` decimal digits, each code as likely as any other, from `draw`'s random 32-bit numbers. Numbers from the
/// incomplete range at the end, which would make small codes likelier, are drawn again.
///
/// # Errors
/// As `draw`.
pub fn random_digits<E>(digits: u8, mut draw: impl FnMut() -> Result<u32, E>) -> Result<String, E> {
    /// The most that one number of 32 bits gives.
    const AT_ONCE: u8 = 9;
    let mut code = String::with_capacity(usize::from(digits));
    let mut missing = digits;
    while missing > 0 {
        let part = missing.min(AT_ONCE);
        let (width, range) = (usize::from(part), 10_u64.pow(u32::from(part)));
        let end = (1_u64 << 32) / range * range;
        let number = loop {
            let number = u64::from(draw()?);
            if number < end {
                break number % range;
            }
        };
        code.push_str(&format!("{number:0width$}"));
        missing -= part;
    }
    Ok(code)
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
    fn codes_keep_their_leading_zeros_and_pass_over_the_uneven_end() {
        let mut numbers = [u32::MAX, 4_294_000_000, 7].into_iter();
        // 4,294,967,295 lies beyond 4,294 × 10^6; 4,294,000,000 too. The next one counts.
        let code = random_digits(6, || numbers.next().ok_or(()));
        assert_eq!(code.as_deref(), Ok("000007"));
        assert_eq!(random_digits::<()>(8, || Ok(12_345_678)).as_deref(), Ok("12345678"));
        let mut numbers = [123_456_789, 4_294_967_290, 42].into_iter();
        assert_eq!(
            random_digits(12, || numbers.next().ok_or(())).as_deref(),
            Ok("123456789042"),
            "longer than one number"
        );
    }

    #[test]
    fn anything_else_is_no_code() {
        for typed in ["", " ", "12345a", "+23456", "१२३४५६", "12.34", "0x1234"] {
            assert_eq!(normalise(typed), None, "{typed}");
        }
        assert_eq!(normalise(&"1".repeat(65)), None);
    }
}
