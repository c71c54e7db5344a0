//! Every dependency has a licence that `deny.toml` allows and comes from crates.io.
//!
//! `cargo deny` checks the same and more, but takes long to build; this reads `cargo metadata` and the lists of `deny.toml`.

use std::process::Command;

use serde_json::Value;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[test]
fn every_dependency_has_an_allowed_licence_and_source() {
    let allowed = allowed();
    assert!(allowed.contains(&"Apache-2.0".to_owned()), "deny.toml was not understood: {allowed:?}");
    let packages = packages();
    assert!(packages.len() > 100, "cargo metadata was not understood");
    let wrong: Vec<String> = packages
        .iter()
        .filter(|package| !package["source"].is_null())
        .filter_map(|package| {
            let licence = package["license"].as_str().unwrap_or_default();
            let source = package["source"].as_str().unwrap_or_default();
            let fine = source == CRATES_IO && is_allowed(licence, &allowed);
            (!fine).then(|| format!("{} {}: {licence} from {source}", package["name"], package["version"]))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is not ours and no crate stands with its origin and its licence.
#[test]
fn the_list_of_leaked_passwords_says_where_it_is_from_and_under_which_licence() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/passwords");
    let read =
        |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).unwrap_or_else(|e| panic!("{name}: {e}"));
    let note = read("README.md");
    for part in ["leaked.txt", "common-passwords.txt.gz", "Django", "LICENSE.django", "BSD"] {
        assert!(note.contains(part), "{part}");
    }
    let licence = read("LICENSE.django");
    assert!(licence.contains("Django Software Foundation") && licence.contains("Redistributions in binary form"));
    assert_eq!(read("leaked.txt").lines().count(), 10_000);
}

/// The reader of expressions is tested, as one that allows everything would pass unnoticed.
#[test]
fn licence_expressions_are_read_by_their_operators() {
    let allowed = ["MIT".to_owned(), "Zlib".to_owned()];
    for fine in ["MIT", "MIT OR GPL-3.0", "GPL-3.0/MIT", "(GPL-2.0 OR MIT) AND Zlib", "Foo WITH bar OR MIT"] {
        assert!(is_allowed(fine, &allowed), "{fine}");
    }
    for wrong in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Zlib) AND GPL-3.0", "MIT WITH exception"] {
        assert!(!is_allowed(wrong, &allowed), "{wrong}");
    }
}

fn packages() -> Vec<Value> {
    let version = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc tells its host");
    // What other platforms would need is not on this machine; `cargo deny` looks at it.
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// The list `licenses.allow`.
fn allowed() -> Vec<String> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml")).unwrap();
    let section = text.split("[licenses]").nth(1).unwrap().split("\n[").next().unwrap();
    let list = section.split("allow = [").nth(1).unwrap().split(']').next().unwrap();
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// An SPDX expression, with the older `/` for OR. AND binds tighter than OR, WITH tighter than both.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    either(&mut rest, allowed) && rest.is_empty()
}

fn either(rest: &mut &[&str], allowed: &[String]) -> bool {
    let mut fine = both(rest, allowed);
    while let ["OR", after @ ..] = rest {
        *rest = after;
        fine |= both(rest, allowed);
    }
    fine
}

fn both(rest: &mut &[&str], allowed: &[String]) -> bool {
    let mut fine = one(rest, allowed);
    while let ["AND", after @ ..] = rest {
        *rest = after;
        fine &= one(rest, allowed);
    }
    fine
}

fn one(rest: &mut &[&str], allowed: &[String]) -> bool {
    match *rest {
        ["(", after @ ..] => {
            *rest = after;
            let fine = either(rest, allowed);
            *rest = rest.strip_prefix(&[")"]).unwrap_or(rest);
            fine
        }
        // An exception is a licence of its own, and would have to be listed as such.
        [name, "WITH", exception, after @ ..] => {
            *rest = after;
            allowed.contains(&format!("{name} WITH {exception}"))
        }
        [name, after @ ..] => {
            *rest = after;
            allowed.iter().any(|known| known == name)
        }
        [] => false,
    }
}
