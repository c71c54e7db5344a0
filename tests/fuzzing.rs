//! The fuzz targets (`fuzz/`): each is whole and is run, and they are built of what the product is built of.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What is in the targets and not in the product, with its licence, which `deny.toml` allows for it.
const THEIR_OWN: [(&str, &str); 3] = [
    ("sekisho-fuzz", "Apache-2.0"),
    ("libfuzzer-sys", "(MIT OR Apache-2.0) AND NCSA"),
    ("arbitrary", "MIT OR Apache-2.0"),
];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The names in the `[[bin]]` tables of its manifest, which `cargo fuzz list` shows.
fn targets() -> BTreeSet<String> {
    let manifest = read("fuzz/Cargo.toml");
    let tables = manifest.split("[[bin]]").skip(1);
    tables.map(|table| table.split("name = \"").nth(1).unwrap().split('"').next().unwrap().to_owned()).collect()
}

#[test]
fn every_fuzz_target_has_its_check_its_seeds_and_its_words() {
    let targets = targets();
    for part in [
        "request_target",
        "host",
        "cookies",
        "return_to",
        "identity_headers",
        "configuration",
        "records",
        "control_messages",
    ] {
        assert!(targets.contains(part), "{part} is not fuzzed");
    }
    let map = read("fuzz/src/lib.rs");
    let script = read("tests/fuzz");
    for target in &targets {
        assert!(map.contains(&format!("[`{target}`]")), "{target} is not in the map of fuzz/src/lib.rs");
        let called = format!("sekisho_fuzz::{target}::check(data)");
        assert!(read(&format!("fuzz/fuzz_targets/{target}.rs")).contains(&called), "{target}");
        let seeds = read(&format!("fuzz/seeds/{target}"));
        assert!(seeds.lines().filter(|line| !line.starts_with('#')).count() >= 10, "{target} has too few seeds");
        let has_words = path(&format!("fuzz/dictionaries/{target}")).exists() || script.contains(&format!("{target})"));
        assert!(has_words || script.contains(&format!("{target} |")), "{target} has no dictionary");
    }
    let files = fs::read_dir(path("fuzz/fuzz_targets")).unwrap().count();
    assert_eq!(files, targets.len(), "a file of fuzz/fuzz_targets is in no table of fuzz/Cargo.toml");
}

#[test]
fn the_test_command_runs_every_fuzz_target() {
    let script = read("tests/fuzz");
    assert!(script.contains("mapfile -t targets < <(fuzz list)"), "tests/fuzz has a list of its own");
    assert!(script.contains("for target in \"${targets[@]}\""));
    assert!(read("tests/run").lines().any(|line| line == "step tests/fuzz 10"));
}

/// Otherwise something else would be tried than what is shipped. It also means that their licences are known.
#[test]
fn the_fuzz_targets_are_built_of_the_products_own_dependencies() {
    let packages = |lock: &str| -> BTreeSet<(String, String)> {
        let field = |package: &str, name: &str| {
            let rest = package.split(&format!("\n{name} = \"")).nth(1).unwrap_or_default();
            rest.split('"').next().unwrap_or_default().to_owned()
        };
        read(lock).split("[[package]]").skip(1).map(|one| (field(one, "name"), field(one, "version"))).collect()
    };
    let product = packages("Cargo.lock");
    assert!(product.len() > 100, "Cargo.lock was not understood");
    let known = |name: &str| THEIR_OWN.iter().any(|(own, _)| *own == name);
    let other: Vec<_> = packages("fuzz/Cargo.lock")
        .into_iter()
        .filter(|package| !product.contains(package) && !known(&package.0))
        .collect();
    assert!(
        other.is_empty(),
        "run `cargo update --manifest-path fuzz/Cargo.toml -p NAME --precise VERSION` for {other:?}"
    );
}
