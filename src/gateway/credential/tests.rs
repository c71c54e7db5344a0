use http::HeaderValue;

use super::*;

const TOKEN: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn read(lines: &[&str], secure: bool) -> Cookies {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(COOKIE, HeaderValue::from_str(line).unwrap());
    }
    Cookies::read(&headers, secure)
}

fn is_session(lines: &[&str], secure: bool) -> bool {
    matches!(read(lines, secure).presented(), Presented::Session(_))
}

#[test]
fn only_the_names_of_the_scheme_are_read() {
    let host = format!("a=b; __Host-sekisho-session={TOKEN}; c=d");
    let plain = format!("sekisho-session={TOKEN}");
    assert!(is_session(&[&host], true));
    assert!(!is_session(&[&host], false));
    assert!(is_session(&[&plain], false));
    assert!(!is_session(&[&plain], true));
    assert!(matches!(read(&[&plain], true).presented(), Presented::None));
    assert!(read(&[&plain], true).any_own, "it is kept from the upstream all the same");
}

#[test]
fn two_of_one_name_are_none() {
    let one = format!("sekisho-session={TOKEN}");
    let doubled = format!("{one}; {one}");
    for lines in
        [vec![doubled.as_str()], vec![&one, &one], vec![&one, "sekisho-session="], vec!["sekisho-session", &one]]
    {
        assert!(matches!(read(&lines, false).presented(), Presented::Invalid), "{lines:?}");
        assert!(read(&lines, false).own.session.is_none());
    }
    let device = format!("sekisho-device={TOKEN}");
    assert!(read(&[&device], false).own.device.is_some());
    assert!(read(&[&device, &device], false).own.device.is_none());
}

#[test]
fn what_is_no_token_is_invalid_and_not_absent() {
    for value in [
        "",
        "x",
        TOKEN.trim_end_matches("AA"),
        &format!("{TOKEN}A"),
        &format!("\"{TOKEN}\""),
        &TOKEN.replace('A', "%41"),
    ] {
        assert!(
            matches!(read(&[&format!("sekisho-session={value}")], false).presented(), Presented::Invalid),
            "{value}"
        );
    }
    assert!(matches!(read(&["SEKISHO-SESSION=x", "a=sekisho-session=x"], false).presented(), Presented::None));
    assert!(matches!(read(&[], false).presented(), Presented::None));
}
