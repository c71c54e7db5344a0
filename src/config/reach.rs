//! Where the gateway of a configuration can be reached, be the rest of the file as wrong as it may: the gateway that runs is
//! told of a file that it cannot take.

use std::fs::File;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::surroundings::{self, process_variables};
use super::yaml::{self, Kind, Node};

/// Where the control socket is unless the file says so.
pub(super) const ADMIN_SOCKET: &str = "/run/sekisho/admin.sock";

/// `server.admin_socket` of the file at `path`, as far as it can be made out.
#[must_use]
pub fn admin_socket(path: &Path) -> PathBuf {
    let bytes = File::open(path).and_then(surroundings::read_limited).map(Zeroizing::new).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let given = match yaml::parse(&text) {
        Ok(mut root) => {
            surroundings::substitute(&mut root, &process_variables, &mut |_, _| {});
            key(&root, "server").and_then(|server| key(server, "admin_socket")).and_then(text_of)
        }
        // Not YAML at all, at some other place most likely.
        Err(_) => text.lines().find_map(written),
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    given.map_or_else(|| PathBuf::from(ADMIN_SOCKET), |given| folder.join(given))
}

fn key<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let Kind::Map(entries) = &node.kind else { return None };
    entries.iter().find(|entry| entry.key.as_deref() == Some(name)).map(|entry| &entry.node)
}

fn text_of(node: &Node) -> Option<String> {
    match &node.kind {
        Kind::Text(text) if !text.value.is_empty() => Some(text.value.to_string()),
        _ => None,
    }
}

/// The value in a line that has the key, whatever stands around it.
fn written(line: &str) -> Option<String> {
    let code = line.split(" #").next().unwrap_or(line);
    let (before, after) = code.split_once("admin_socket:")?;
    if before.trim_start().starts_with('#') {
        return None;
    }
    let value = after.split([',', '}']).next().unwrap_or(after).trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.to_owned())
}
