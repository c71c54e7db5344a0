//! The headers that tell a tool who somebody is.

use data_encoding::BASE64;
use http::HeaderValue;

use crate::authz::{Account, Machine};
use crate::config::{HeaderEncoding, HeaderTemplate, TemplatePart};

/// Most bytes of text in one encoded word: 75 characters in all (RFC 2047 §2), less frame, in base64.
const ENCODED_WORD_BYTES: usize = 45;

/// The header's value for this account; `None` where there is nothing to tell.
pub fn render(template: &HeaderTemplate, account: &Account, encoding: HeaderEncoding) -> Option<HeaderValue> {
    encoded(fill(template, |part, text| of_account(part, account, text)), encoding)
}

/// The same for a machine: `token:NAME` for its login. It has no mail address, no group and no role.
pub fn render_machine(template: &HeaderTemplate, machine: &Machine, encoding: HeaderEncoding) -> Option<HeaderValue> {
    encoded(fill(template, |part, text| of_machine(part, machine, text)), encoding)
}

fn encoded(text: String, encoding: HeaderEncoding) -> Option<HeaderValue> {
    if text.is_empty() {
        return None;
    }
    let plain = text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    let encoded = match encoding {
        // A `%` of the text is encoded too, or nobody could tell it from one of ours.
        HeaderEncoding::Percent if plain && !text.contains('%') => text,
        HeaderEncoding::Percent => percent(&text),
        HeaderEncoding::Utf8 => text.chars().filter(|c| !c.is_control()).collect(),
        // Nor could anybody tell an encoded word that somebody has for a name.
        HeaderEncoding::Rfc2047 if plain && !text.contains("=?") => text,
        HeaderEncoding::Rfc2047 => rfc2047(&text),
    };
    HeaderValue::try_from(encoded).ok()
}

fn fill(HeaderTemplate(parts): &HeaderTemplate, mut write: impl FnMut(&TemplatePart, &mut String)) -> String {
    let mut text = String::new();
    parts.iter().for_each(|part| write(part, &mut text));
    text
}

fn of_account(part: &TemplatePart, account: &Account, text: &mut String) {
    match part {
        TemplatePart::Text(literal) => text.push_str(literal),
        TemplatePart::Id => text.push_str(&account.id.to_string()),
        TemplatePart::Login => text.push_str(account.login.as_str()),
        TemplatePart::Name => text.push_str(account.name.as_str()),
        TemplatePart::Email => text.push_str(account.email.as_ref().map_or("", |email| email.as_str())),
        TemplatePart::Groups => {
            for (place, group) in account.groups.iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                text.push_str(group.as_str());
            }
        }
        TemplatePart::Role => text.push_str(&account.role.to_string()),
    }
}

fn of_machine(part: &TemplatePart, machine: &Machine, text: &mut String) {
    match part {
        TemplatePart::Text(literal) => text.push_str(literal),
        TemplatePart::Id => text.push_str(&machine.subject()),
        TemplatePart::Login => text.push_str(&machine.login()),
        TemplatePart::Name => text.push_str(&machine.name),
        TemplatePart::Email | TemplatePart::Groups | TemplatePart::Role => {}
    }
}

fn percent(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if (byte == b' ' || byte.is_ascii_graphic()) && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn rfc2047(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        if word.len() + c.len_utf8() > ENCODED_WORD_BYTES {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    words.push(word);
    let encoded = words.iter().map(|word| format!("=?UTF-8?B?{}?=", BASE64.encode(word.as_bytes())));
    encoded.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod properties;
