//! What strangers wrote, as it may stand in a line that somebody reads on a terminal or a page.

use std::fmt::Write;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// At most `most` characters of `text`; what steers a terminal or the direction of a line is written in letters, as
/// `\u{202e}`.
#[must_use]
pub fn printable(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most));
    for character in text.chars().take(most) {
        // Nearly all there is, and to look its category up takes ten times as long.
        if matches!(character, ' '..='~') || is_plain(character) {
            out.push(character);
        } else {
            // A String takes whatever is written.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(character));
        }
    }
    out
}

/// Neither a control character, nor one that is not seen and changes how others are, nor an end of a line, nor one that means
/// something else everywhere.
fn is_plain(character: char) -> bool {
    !matches!(
        character.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::PrivateUse
            | GeneralCategory::Surrogate
            | GeneralCategory::Unassigned
    )
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn what_steers_terminals_and_lines_is_written_in_letters() {
        assert_eq!(printable("a\u{202e}b\u{1b}[31m\n\u{2066}\u{200b}\u{9b}\u{2028}\u{feff}\u{e0041}", 99), {
            r"a\u{202e}b\u{1b}[31m\u{a}\u{2066}\u{200b}\u{9b}\u{2028}\u{feff}\u{e0041}"
        });
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for text in ["hanako", "山田 花子", "é ß ﾃｽﾄ", "Mozilla/5.0 (X11; Linux) <b>\"'&", "👍", ""] {
            assert_eq!(printable(text, 99), text);
        }
        assert_eq!(printable("山田花子", 2), "山田");
    }
}
