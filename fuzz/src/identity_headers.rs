//! What an upstream is told of a person: the truth, once, in bytes that can stand in a header and decode back to it, whatever the client
//! said before.

use std::net::IpAddr;

use data_encoding::BASE64;
use http::header::{COOKIE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};
use sekisho::authn::user::{Method, Role};
use sekisho::authz::Account;
use sekisho::authz::identity::AccountSecondFactor;
use sekisho::config::{Config, HeaderEncoding, HeaderTemplate, TemplatePart};
use sekisho::gateway::fuzzing::{Road, identity_value};
use sekisho::id::UserId;

use crate::sample;

/// Lines: flags; login; name; mail address; groups with commas; a template; then the client's own header fields, and its target
/// before them where it begins with a slash.
pub fn check(data: &[u8]) {
    let mut lines = data.split(|b| *b == b'\n');
    let mut text = || std::str::from_utf8(lines.next().unwrap_or_default()).unwrap_or_default();
    let (flags, login, name, email, groups, template) = (text(), text(), text(), text(), text(), text());
    let encoding = match flags.bytes().next() {
        Some(b'u') => HeaderEncoding::Utf8,
        Some(b'r') => HeaderEncoding::Rfc2047,
        _ => HeaderEncoding::Percent,
    };
    let Ok(login) = login.parse() else { return };
    let account = Account {
        id: UserId::from_bytes([1; 10]),
        login,
        name: name.parse().unwrap_or_default(),
        email: email.parse().ok(),
        groups: groups.split(',').filter_map(|group| group.parse().ok()).collect(),
        role: Role::User,
        second_factor: AccountSecondFactor { switched_on: false, method: Method::Totp, usable: false },
    };
    let template = parts(template);
    let value = identity_value(&template, &account, encoding);
    reads_back(value.as_ref(), &plain(&template, &account), encoding);

    let mut config = sample::CONFIG.clone();
    config.identity.encoding = encoding;
    let shop = HeaderName::from_static("x-shop-login");
    for route in &mut config.upstreams {
        route.identity.push((shop.clone(), template.clone()));
    }
    let mut lines: Vec<&[u8]> = lines.collect();
    let target = match lines.first() {
        Some([b'/', ..]) => lines.remove(0),
        _ => b"/",
    };
    let somebody = (!flags.contains('n')).then_some(account);
    arrives(config, &lines, target, somebody.as_ref(), flags.contains('t'));
}

/// A template as the configuration would hold it: no control characters in its text.
fn parts(text: &str) -> HeaderTemplate {
    use TemplatePart::{Email, Groups, Id, Login, Name, Role, Text};
    let part = |word: &str| match word {
        "id" => Id,
        "login" => Login,
        "name" => Name,
        "email" => Email,
        "groups" => Groups,
        "role" => Role,
        literal => Text(literal.chars().filter(|c| !c.is_control()).collect()),
    };
    HeaderTemplate(text.split(['{', '}']).filter(|word| !word.is_empty()).map(part).collect())
}

/// What the template says of the account.
fn plain(HeaderTemplate(parts): &HeaderTemplate, account: &Account) -> String {
    let groups: Vec<&str> = account.groups.iter().map(|group| group.as_str()).collect();
    let text = |part: &TemplatePart| match part {
        TemplatePart::Text(text) => text.clone(),
        TemplatePart::Id => account.id.to_string(),
        TemplatePart::Login => account.login.to_string(),
        TemplatePart::Name => account.name.to_string(),
        TemplatePart::Email => account.email.as_ref().map(ToString::to_string).unwrap_or_default(),
        TemplatePart::Groups => groups.join(","),
        TemplatePart::Role => account.role.to_string(),
    };
    parts.iter().map(text).collect()
}

fn reads_back(value: Option<&HeaderValue>, plain: &str, encoding: HeaderEncoding) {
    let Some(value) = value else {
        assert!(plain.is_empty(), "{plain:?} is not told");
        return;
    };
    let bytes = value.as_bytes();
    let visible = |b: &u8| *b == b' ' || b.is_ascii_graphic();
    match encoding {
        HeaderEncoding::Percent => {
            assert!(bytes.iter().all(visible), "{value:?}");
            assert_eq!(percent_encoding::percent_decode(bytes).decode_utf8().as_deref(), Ok(plain));
        }
        HeaderEncoding::Utf8 => {
            assert!(bytes.iter().all(|b| visible(b) || !b.is_ascii()), "{value:?}");
            assert_eq!(std::str::from_utf8(bytes), Ok(plain));
        }
        HeaderEncoding::Rfc2047 => {
            assert!(bytes.iter().all(visible), "{value:?}");
            assert_eq!(encoded_words(std::str::from_utf8(bytes).expect("visible bytes")), plain);
        }
    }
}

/// RFC 2047: encoded words, the blanks between two of which are nothing; anything else is as it is.
fn encoded_words(text: &str) -> String {
    let mut read = String::new();
    let mut after_word = false;
    for (index, word) in text.split(' ').enumerate() {
        let encoded = word.strip_prefix("=?UTF-8?B?").and_then(|rest| rest.strip_suffix("?="));
        let decoded = encoded.and_then(|base64| String::from_utf8(BASE64.decode(base64.as_bytes()).ok()?).ok());
        if index > 0 && !(after_word && decoded.is_some()) {
            read.push(' ');
        }
        after_word = decoded.is_some();
        assert!(decoded.is_none() || word.len() <= 75, "{word} is too long for an encoded word");
        read.push_str(decoded.as_deref().unwrap_or(word));
    }
    read
}

/// A name as CGI programs and their heirs see it: all of these are one to some tool.
fn folded(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_").to_ascii_uppercase()
}

/// What tools take a person from (the contract's list), beside the names that are configured.
fn tells_of_a_person(folded: &str) -> bool {
    const PREFIXES: [&str; 8] = [
        "REMOTE_",
        "X_REMOTE_",
        "X_AUTH_REQUEST_",
        "X_WEBAUTH_",
        "X_AUTHENTIK_",
        "X_SEKISHO_",
        "X_SSL_CLIENT_",
        "X_TOOL_",
    ];
    const NAMES: [&str; 8] = [
        "X_FORWARDED_USER",
        "X_FORWARDED_EMAIL",
        "X_FORWARDED_GROUPS",
        "X_FORWARDED_PREFERRED_USERNAME",
        "X_FORWARDED_ACCESS_TOKEN",
        "X_SHOP_LOGIN",
        "WHO",
        "PROXY",
    ];
    PREFIXES.iter().any(|prefix| folded.starts_with(prefix)) || NAMES.contains(&folded)
}

fn arrives(config: Config, fields: &[&[u8]], target: &[u8], somebody: Option<&Account>, trusted: bool) {
    let mut headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("app.test"))]);
    for field in fields {
        let (name, value) = match field.iter().position(|b| *b == b':') {
            Some(at) => (&field[..at], field[at + 1..].trim_ascii()),
            None => continue,
        };
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) else { continue };
        // Two of these were refused before.
        if name != HOST && headers.len() < 90 {
            headers.append(name, value);
        }
    }
    let encoding = config.identity.encoding;
    let templates = config.upstreams.first().map(|route| route.identity.clone()).unwrap_or_default();
    let peer: IpAddr = if trusted { [10, 9, 0, 7] } else { [192, 0, 2, 7] }.into();
    let Some(sent) = Road::new(config).take(peer, target, &headers, somebody.cloned()) else { return };

    assert_eq!(sent.target, sent.judged.path_and_query().as_bytes(), "what was judged is what is forwarded");
    let one = |name: &str| -> Option<Vec<u8>> {
        let values: Vec<_> = sent.headers.get_all(name).iter().collect();
        assert!(values.len() <= 1, "{name} twice: {values:?}");
        values.first().map(|value| value.as_bytes().to_vec())
    };
    let mut told: Vec<&str> = Vec::new();
    for (name, template) in &templates {
        let expected = somebody.and_then(|account| identity_value(template, account, encoding));
        assert_eq!(one(name.as_str()), expected.as_ref().map(|value| value.as_bytes().to_vec()), "{name}");
        told.extend(expected.is_some().then_some(name.as_str()));
    }
    for (name, value) in &sent.headers {
        let folded = folded(name.as_str());
        assert!(told.contains(&name.as_str()) || !tells_of_a_person(&folded), "{name}: {value:?}");
        // What the protocol gives a meaning passes in its own spelling alone.
        let respelt = name.as_str().replace('-', "_").to_ascii_uppercase() != folded;
        let protocol = ["HOST", "CONTENT_LENGTH", "TRANSFER_ENCODING", "COOKIE", "AUTHORIZATION", "CONNECTION"];
        assert!(!(respelt || name.as_str().contains('_')) || !protocol.contains(&&*folded), "{name}");
        assert!(!folded.starts_with("X_FORWARDED_") || name.as_str().starts_with("x-forwarded-"), "{name}");
        assert!(!value.as_bytes().iter().any(|b| matches!(b, b'\r' | b'\n' | 0)), "{name}: {value:?}");
    }
    assert_eq!(one("host").as_deref(), Some(&b"app.test"[..]));
    let chain = one("x-forwarded-for").unwrap_or_default();
    let last = chain.rsplit(|b| *b == b',').next().unwrap_or_default().trim_ascii();
    assert_eq!(last, peer.to_string().as_bytes());
    assert!(trusted || (chain == last && one("x-real-ip").as_deref() == Some(last)), "{chain:?}");
    assert!(trusted || one("x-forwarded-host").as_deref() == Some(&b"app.test"[..]));
    assert!(trusted || one("x-forwarded-proto").as_deref() == Some(&b"http"[..]));
    assert!(trusted || !sent.headers.contains_key("forwarded"));
    let cookies = one(COOKIE.as_str()).unwrap_or_default().to_ascii_lowercase();
    let ours = |pair: &[u8]| pair.starts_with(b"sekisho-") || pair.starts_with(b"__host-sekisho-");
    assert!(!cookies.split(|b| *b == b';').any(|pair| ours(pair.trim_ascii())), "{:?}", sent.headers);
}
