//! The authenticator app: `oathtool`, which is not our own code.

use std::process::Command;

use super::unix_now;

/// The code that an app with this base32 key (spaces allowed) shows at `unix` seconds.
#[track_caller]
pub fn code_at(key: &str, unix: u64) -> String {
    let key: String = key.chars().filter(|c| !c.is_whitespace()).collect();
    let output = Command::new("oathtool")
        .args(["--totp", "--base32", "--now", &format!("@{unix}"), &key])
        .output()
        .expect("oathtool runs (Debian's package `oathtool`)");
    assert!(output.status.success(), "oathtool: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The code of the machine's present moment.
#[track_caller]
pub fn code_now(key: &str) -> String {
    code_at(key, unix_now())
}

/// The base32 key that stands in a text, in groups of four letters, one blank apart; 160 bits are eight groups.
pub fn key_in(text: &str) -> Option<String> {
    let is_group = |word: &&str| word.len() == 4 && word.bytes().all(|b| matches!(b, b'A'..=b'Z' | b'2'..=b'7'));
    let words: Vec<&str> = text.split_whitespace().collect();
    words.windows(8).find(|window| window.iter().all(is_group)).map(|window| window.join(" "))
}
