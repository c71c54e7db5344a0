//! What one node's commit tells the others: the keys, in notifications of at most 8,000 bytes each, committed with the change itself.
//!
//! ```text
//! NODE.0          who has committed: the node's own watchers know already
//! +user/…         put
//! -session/…      deleted
//! !               something that cannot be said here
//! ```

use crate::store::engine::{Change, Key};
use crate::store::watch::Told;

/// The name under which they are told.
pub(super) const CHANNEL: &str = "sekisho";
/// PostgreSQL takes 7,999 bytes.
const LONGEST: usize = 7_900;

/// The notifications of a commit of this voice's.
pub(super) fn write(voice: &str, changes: &[Change]) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for change in changes {
        let line = match change {
            Change::Put(key) => line('+', key),
            Change::Delete(key) => line('-', key),
            Change::Lagged => "\n!".to_owned(),
        };
        match told.last_mut() {
            Some(last) if last.len() + line.len() <= LONGEST => last.push_str(&line),
            _ => told.push(format!("{voice}{line}")),
        }
    }
    told
}

fn line(sign: char, key: &Key) -> String {
    let key = key.as_str();
    match key.contains('\n') || key.len() > LONGEST / 2 {
        true => "\n!".to_owned(),
        false => format!("\n{sign}{key}"),
    }
}

/// What is to be told here of a notification; `None`: it is this voice's own.
pub(super) fn read(voice: &str, payload: &str) -> Option<Told> {
    let mut lines = payload.lines();
    if lines.next() == Some(voice) {
        return None;
    }
    let change = |line: &str| match line.split_at_checked(1)? {
        ("+", key) => Some(Change::Put(Key::new(key.to_owned()))),
        ("-", key) => Some(Change::Delete(Key::new(key.to_owned()))),
        _ => None,
    };
    let changes: Option<Vec<Change>> = lines.map(change).collect();
    Some(match changes {
        Some(changes) if !changes.is_empty() => Told::Changes(changes.into()),
        // From a newer sekisho, or from somebody else: better too much than too little.
        _ => Told::Missed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::new(text.to_owned())
    }

    fn changes(told: Option<Told>) -> Vec<Change> {
        match told {
            Some(Told::Changes(changes)) => changes.to_vec(),
            Some(Told::Missed) => vec![Change::Lagged],
            None => Vec::new(),
        }
    }

    #[test]
    fn what_is_told_comes_out_at_the_others_and_not_at_oneself() {
        let all: Vec<Change> = (0..1000)
            .map(|index| Change::Delete(key(&format!("session/{index:060}"))))
            .chain([Change::Put(key("é +-"))])
            .collect();
        let told = write("node", &all);
        assert!(told.len() > 5 && told.iter().all(|payload| payload.len() < 8_000));
        let heard: Vec<Change> = told.iter().flat_map(|payload| changes(read("other", payload))).collect();
        assert_eq!(heard, all);
        assert!(told.iter().all(|payload| read("node", payload).is_none()));
        assert!(write("node", &[]).is_empty());
    }

    #[test]
    fn what_cannot_be_said_or_understood_is_told_as_missed() {
        for odd in [key("a\nb"), key(&"x".repeat(5_000))] {
            let told = write("node", &[Change::Put(odd)]);
            assert_eq!(changes(read("other", &told[0])), [Change::Lagged]);
        }
        for odd in ["", "node2", "node2\n", "node2\n?x", "node2\n+a\n*"] {
            assert_eq!(changes(read("other", odd)), [Change::Lagged], "{odd:?}");
        }
    }
}
