//! The password file of Apache httpd (`htpasswd`), which nginx and many others read too.

use super::{Draft, Entry, Given, bare};
use crate::authn::user::LoginName;

/// A line for each account: `login:hash`, and behind another colon what nobody reads. Empty lines and those that begin with `#`
/// are none.
pub fn read(text: &str, given: &Given) -> Vec<Entry> {
    let lines = text.lines().zip(1..).map(|(line, number)| (line.trim(), number));
    let meant = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
    meant.map(|(line, number)| entry(line, number, given)).collect()
}

fn entry(line: &str, number: u64, given: &Given) -> Entry {
    let Some((login, rest)) = line.split_once(':') else {
        // It may be a password: the line is not shown.
        let mut draft = Draft::of(number, "");
        draft.refuse("the line is not `login:hash`");
        return draft.finish(None);
    };
    let mut draft = Draft::of(number, login);
    let mut parts = rest.split(':');
    let hash = parts.next().unwrap_or_default();
    let login = draft.field::<LoginName>("the login", login);
    // `htdigest` writes login:realm:MD5, and its MD5 is of all three.
    let is_md5 = |text: &str| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let hash = match parts.next() {
        Some(digest) if is_md5(digest) => {
            draft.refuse("it is a line of htdigest, whose hash is good for Digest authentication alone");
            None
        }
        _ => draft.hash(hash),
    };
    let account = login.zip(hash).map(|(login, hash)| bare(login, hash, given));
    draft.finish(account)
}
