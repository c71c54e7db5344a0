//! What a test handled as a secret, and the search for it in logs.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use serde_json::Value as Json;

/// What must never stand in a log line: every party of a test that handles a secret adds it here.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Mutex<HashSet<String>>>);

impl Secrets {
    /// From now on this must not be found.
    pub fn add(&self, secret: &str) {
        if secret.len() >= 4 {
            self.0.lock().unwrap().insert(secret.to_owned());
        }
    }

    /// What must not be in these lines: panics, and anything that the test knows to be secret.
    pub(super) fn faults_in(&self, lines: impl Iterator<Item = String>) -> Vec<String> {
        let secrets = self.0.lock().unwrap();
        // By the first word of each, so that a line is searched for those alone that it may hold.
        let mut by_word: HashMap<&str, Vec<&str>> = HashMap::new();
        for secret in secrets.iter() {
            by_word.entry(words(secret).next().unwrap_or_default()).or_default().push(secret);
        }
        let mut faults = Vec::new();
        for line in lines {
            let searched = without_times(&line);
            if searched.contains("panicked at") {
                faults.push(format!("a panic: {line}"));
            }
            let present: HashSet<&str> = words(&searched).chain([""]).collect();
            let candidates = present.into_iter().filter_map(|word| by_word.get(word)).flatten();
            faults.extend(
                candidates.filter(|secret| holds(&searched, secret)).map(|secret| format!("{secret} in: {line}")),
            );
        }
        faults
    }
}

/// The runs of ASCII letters and digits.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

/// A JSON line without its timestamp, whose digits could be anybody's code.
fn without_times(line: &str) -> String {
    match serde_json::from_str::<Json>(line) {
        Ok(Json::Object(mut object)) => {
            object.remove("timestamp");
            Json::Object(object).to_string()
        }
        _ => line.to_owned(),
    }
}

/// Whether `line` holds `secret` as a word: six digits within a longer number are no code.
fn holds(line: &str, secret: &str) -> bool {
    line.match_indices(secret).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + secret.len()..].chars().next();
        !before.is_some_and(|c| c.is_ascii_alphanumeric()) && !after.is_some_and(|c| c.is_ascii_alphanumeric())
    })
}

#[test]
fn a_secret_is_found_as_a_word_wherever_it_stands() {
    let secrets = Secrets::default();
    for secret in ["123456", "aB3-x_9", "-_-_-", "JBSW Y3DP"] {
        secrets.add(secret);
    }
    let found = |line: &str| secrets.faults_in([line.to_owned()].into_iter()).len();
    for line in ["123456", "code=123456,", "{\"a\":\"aB3-x_9\"}", "x -_-_- y", "key JBSW Y3DP.", "thread panicked at x"]
    {
        assert_eq!(found(line), 1, "{line}");
    }
    for line in ["1234567", "x123456", "aB3-x_90", "{\"timestamp\":\"123456\"}", "JBSW", "aB3"] {
        assert_eq!(found(line), 0, "{line}");
    }
}
