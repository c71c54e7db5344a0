//! The layer rule of `src/lib.rs`: a module imports only from the layers below its own.
//!
//! Reads the text, not the compiler's view: a path that is spelled `crate::room` is found wherever it stands. Test code
//! (from `#[cfg(test)]` or `#![cfg(test)]` on, and files called `tests.rs`) may reach for anything.

use std::fs;
use std::path::{Path, PathBuf};

/// Each room, and the rooms that it may name.
const MAY_USE: [(&str, &[&str]); 19] = [
    ("counting", &[]),
    ("clock", &[]),
    ("secret", &[]),
    ("id", &["secret"]),
    // One layer: a login asks the requirement what is due, a route names logins and groups.
    ("authn", &["clock", "secret", "id", "authz"]),
    ("authz", &["clock", "secret", "id", "authn"]),
    ("config", &["clock", "secret", "id", "authn", "authz"]),
    ("i18n", &["config"]),
    ("store", DOMAIN),
    ("mail", DOMAIN),
    ("audit", DOMAIN),
    ("metrics", DOMAIN),
    ("service", &["clock", "secret", "id", "authn", "authz", "config", "i18n", "store", "mail", "audit", "metrics"]),
    ("gateway", FRONT),
    ("portal", FRONT),
    ("control", FRONT),
    ("server", TOP),
    ("demo", TOP),
    ("cli", TOP),
];

const DOMAIN: &[&str] = &["clock", "secret", "id", "authn", "authz", "config"];
const FRONT: &[&str] = &["clock", "secret", "id", "authn", "authz", "config", "i18n", "metrics", "service"];
const TOP: &[&str] = &[
    "clock", "secret", "id", "authn", "authz", "config", "i18n", "store", "mail", "audit", "metrics", "service",
    "gateway", "portal", "control", "server", "demo",
];

/// What the pure rooms must not know: runtimes, sockets, frameworks, storage.
const PURE: [&str; 2] = ["authn", "authz"];
const IMPURE: [&str; 8] =
    ["tokio::", "pingora::", "axum::", "sled::", "moka::", "std::net::TcpStream", "std::fs::", "std::time::Instant"];

#[test]
fn no_module_imports_from_a_layer_above_its_own() {
    let wrong: Vec<String> = sources().iter().flat_map(upward).collect();
    assert!(wrong.is_empty(), "arrows that point up:\n{}", wrong.join("\n"));
}

#[test]
fn the_pure_rooms_know_no_runtime_no_framework_and_no_store() {
    let sources = sources();
    let wrong: Vec<String> = sources
        .iter()
        .filter(|source| PURE.contains(&source.room.as_str()))
        .flat_map(|source| {
            source.lines().filter_map(move |(number, line)| {
                let found = IMPURE.iter().find(|name| line.contains(**name))?;
                Some(format!("{}:{number}: {found}", source.path.display()))
            })
        })
        .collect();
    assert!(wrong.is_empty(), "not pure:\n{}", wrong.join("\n"));
}

/// The rule itself is tested, as a check that finds nothing anywhere would pass unnoticed.
#[test]
fn an_arrow_that_points_up_is_found_in_each_spelling() {
    for text in ["use crate::store::Engine;", "    crate::service::go();", "use crate::{clock::Clock, gateway};"] {
        let source = Source { room: "authz".into(), path: "x.rs".into(), text: text.into() };
        assert_eq!(upward(&source).len(), 1, "{text}");
    }
    let lawful = Source { room: "service".into(), path: "x.rs".into(), text: "use crate::store::Engine;".into() };
    assert!(upward(&lawful).is_empty());
}

struct Source {
    room: String,
    path: PathBuf,
    text: String,
}

impl Source {
    /// The product's own lines, numbered, without comments and without what is compiled for tests alone.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
            .take_while(|(_, line)| {
                !["#[cfg(test)]", "#![cfg(test)]"].iter().any(|test| line.trim_start().starts_with(test))
            })
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn upward(source: &Source) -> Vec<String> {
    let Some((_, allowed)) = MAY_USE.iter().find(|(room, _)| *room == source.room) else {
        return vec![format!("{}: room `{}` is not in the layer table", source.path.display(), source.room)];
    };
    let mut wrong = Vec::new();
    for (number, line) in source.lines() {
        for named in rooms_named(line) {
            if named != source.room && !allowed.contains(&named) {
                wrong.push(format!("{}:{number}: {} uses {named}", source.path.display(), source.room));
            }
        }
    }
    wrong
}

/// The rooms behind `crate::` in a line, in a braced list too.
fn rooms_named(line: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        // `$crate::` in a macro and `other_crate::` are no path of ours.
        if line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &line[at + "crate::".len()..];
        let heads: Vec<&str> = match rest.strip_prefix('{') {
            Some(list) => list.split(',').collect(),
            None => vec![rest],
        };
        for head in heads {
            let name: String = head.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.extend(MAY_USE.iter().map(|(room, _)| *room).filter(|room| *room == name));
        }
    }
    found
}

/// Every file of `src` but the crate's two roots, which name all rooms by their nature.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    assert!(paths.len() > 20, "the sources were not found under {}", root.display());
    paths
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| name != "tests.rs"))
        .filter_map(|path| {
            let relative = path.strip_prefix(&root).unwrap();
            let room = relative.components().next()?.as_os_str().to_str()?.trim_end_matches(".rs").to_owned();
            (room != "lib" && room != "main").then(|| Source { text: fs::read_to_string(&path).unwrap(), room, path })
        })
        .collect()
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}
