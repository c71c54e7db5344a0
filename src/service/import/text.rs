//! From bytes to text. The rule is short enough to be told on a page:
//!
//! 1. a byte order mark says what it is: UTF-8, or the UTF-16 of a spreadsheet's "Unicode text";
//! 2. without one, what is valid UTF-8 is UTF-8;
//! 3. anything else is Shift_JIS, as Excel writes it in Japan, where every byte of it makes sense as that.
//!
//! A wrong guess changes no account: the preview names the encoding and shows the first rows.

use encoding_rs::{Encoding as Charset, SHIFT_JIS, UTF_8};
use serde::{Deserialize, Serialize};

use super::Unreadable;

/// How the text was written. The name is the end of its text's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    Utf8,
    Utf16,
    ShiftJis,
}

/// The text, without its byte order mark.
pub fn decode(bytes: &[u8]) -> Result<(String, Encoding), Unreadable> {
    let (charset, encoding, marked) = match Charset::for_bom(bytes) {
        Some((charset, mark)) if charset == UTF_8 => (charset, Encoding::Utf8, mark),
        Some((charset, mark)) => (charset, Encoding::Utf16, mark),
        None if std::str::from_utf8(bytes).is_ok() => (UTF_8, Encoding::Utf8, 0),
        None => (SHIFT_JIS, Encoding::ShiftJis, 0),
    };
    let body = bytes.get(marked..).unwrap_or_default();
    let text = charset.decode_without_bom_handling_and_without_replacement(body).ok_or(Unreadable::UnknownEncoding)?;
    // No text file has one; a workbook, a picture or UTF-16 without its mark does.
    if text.contains('\0') {
        return Err(Unreadable::NoText);
    }
    Ok((text.into_owned(), encoding))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_encoding_is_known_by_its_bytes() {
        let text = "login,name\r\nhanako,山田 花子\r\n";
        let marked = |mark: &[u8], bytes: Vec<u8>| [mark, &bytes].concat();
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for (bytes, encoding) in [
            (text.as_bytes().to_vec(), Encoding::Utf8),
            (marked(b"\xef\xbb\xbf", text.as_bytes().to_vec()), Encoding::Utf8),
            (marked(b"\xff\xfe", little.clone()), Encoding::Utf16),
            (marked(b"\xfe\xff", big), Encoding::Utf16),
            (SHIFT_JIS.encode(text).0.into_owned(), Encoding::ShiftJis),
        ] {
            assert_eq!(decode(&bytes), Ok((text.to_owned(), encoding)));
        }
        assert_eq!(decode(&little), Err(Unreadable::NoText), "UTF-16 that does not say so");
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert_eq!(decode(b"login\nali\0ce\n"), Err(Unreadable::NoText));
        assert_eq!(decode(b"PK\x03\x04\x14\x00\x06\x00"), Err(Unreadable::NoText), "a workbook");
        // Neither UTF-8 nor Shift_JIS: EUC-JP for 山田, and a byte that Shift_JIS does not have.
        assert_eq!(decode(b"login\n\xbb\xb3\xc5\xc4\xff\n"), Err(Unreadable::UnknownEncoding));
        assert_eq!(decode(b"\xef\xbb\xbflogin\n\xff\n"), Err(Unreadable::UnknownEncoding), "the mark is believed");
    }

    #[test]
    fn what_japanese_spreadsheets_add_to_shift_jis_is_read() {
        // NEC's and IBM's letters of windows-31j: ①, ㈱, 髙, 﨑.
        let (text, encoding) = decode(b"name\n\x87\x40\x87\x8a\xfb\xfc\xed\x95\n").unwrap();
        assert_eq!((text.as_str(), encoding), ("name\n①㈱髙﨑\n", Encoding::ShiftJis));
    }
}
