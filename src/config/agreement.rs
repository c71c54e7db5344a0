//! What nodes on one database must have in common, as a digest for each section: so that a node can say which sections of another one
//! differ, without either of them telling what stands there.
//!
//! It goes by what the file says, key by key. What a machine has of its own is left out: whole sections of it ([`OWN`]), files, what is secret, and
//! where tools are; so is how a list or a mapping is written.

use std::collections::BTreeMap;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::reader::{Asked, Shape, shown as name_of};
use super::values;
use super::yaml::{Kind, Node};
use crate::secret::Keys;

/// Sections and keys that are each machine's own.
const OWN: [&str; 4] = ["server", "log", "store", "mail.smtp"];
/// What no message repeats, as it might be a URL with a password, but is none once it was read.
const PUBLIC: [&str; 2] = ["portal.url", "routes[].websocket_origins[]"];
/// Under this name stands which keys there are, by their fingerprints.
const KEYS: &str = "secrets";
/// As many bytes of a digest as tell two configurations apart.
const BYTES: usize = 8;

/// Each section that the file has, with its digest.
pub type Agreement = BTreeMap<String, String>;

/// Of a file that was read, and what the schema has asked of it; without the keys.
pub(super) fn of(root: &Node, asked: &BTreeMap<String, Asked>) -> Agreement {
    let mut said = Vec::new();
    collect(root, "", "", asked, &mut said);
    said.sort_unstable();
    let mut sections: BTreeMap<String, Sha256> = BTreeMap::new();
    for (path, value) in said {
        let section = path.split(['.', '[']).next().unwrap_or_default().to_owned();
        add(sections.entry(section).or_default(), &[&path, &value]);
    }
    sections.into_iter().map(|(section, digest)| (section, shown(&digest.finalize()))).collect()
}

/// With the keys that are in force: another one may come without a new file.
pub(super) fn with_keys(mut agreed: Agreement, keys: &Keys) -> Agreement {
    let mut digest = Sha256::new();
    for fingerprint in keys.fingerprints() {
        add(&mut digest, &[&fingerprint]);
    }
    agreed.insert(KEYS.to_owned(), shown(&digest.finalize()));
    agreed
}

/// Every value below `node`, by its path; `kind`: the same path without the numbers of list items, by which the schema has asked for it.
fn collect(node: &Node, path: &str, kind: &str, asked: &BTreeMap<String, Asked>, said: &mut Vec<(String, String)>) {
    let here = asked.get(kind);
    let is_hidden = here.is_some_and(|asked| asked.secret && !PUBLIC.contains(&kind));
    if OWN.contains(&kind) || is_hidden || here.is_some_and(|asked| asked.shape == Some(Shape::Path)) {
        return;
    }
    match &node.kind {
        Kind::Map(entries) => {
            for entry in entries {
                let Some(key) = &entry.key else { continue };
                let dot = if path.is_empty() { "" } else { "." };
                collect(
                    &entry.node,
                    &format!("{path}{dot}{key}"),
                    &format!("{kind}{dot}{}", name_of(key)),
                    asked,
                    said,
                );
            }
        }
        Kind::List(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, &format!("{path}[{index}]"), &format!("{kind}[]"), asked, said);
            }
        }
        Kind::Text(text) => {
            let is_duration = here.is_some_and(|asked| matches!(asked.shape, Some(Shape::Duration(_))));
            let duration = is_duration.then(|| values::duration(&text.value, Duration::ZERO..=Duration::MAX));
            let value = match duration {
                // 60s and 1m are the same.
                Some(Ok(duration)) => format!("{duration:?}"),
                _ => text.value.to_string(),
            };
            said.push((path.to_owned(), value));
        }
        Kind::Bool(value) => said.push((path.to_owned(), value.to_string())),
        Kind::Integer(number) => said.push((path.to_owned(), number.to_string())),
        // Such a file is no configuration.
        Kind::Null | Kind::Float | Kind::Tagged | Kind::Unresolved => {}
    }
}

/// Each part with its length before it, so that no two lists of parts look the same.
fn add(digest: &mut Sha256, parts: &[&str]) {
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
}

fn shown(digest: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(digest.first_chunk::<BYTES>().map_or(&[], <[u8; BYTES]>::as_slice))
}
