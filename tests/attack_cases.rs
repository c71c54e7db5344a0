//! The register of attack cases (`docs/attack-cases.md`) and the table of ASVS requirements (`docs/asvs.md`) say which test shows
//! what. Here it is seen to that nothing is left out of them, and that each test that they name is there and is a test.

use std::path::{Path, PathBuf};

const REGISTER: &str = "docs/attack-cases.md";
const CASES: usize = 60;

const STANDARD: &str = "docs/asvs.md";
const SUMMARY: &str = "SECURITY.md";
/// The sections of the standard's chapters, and how many requirements each has (ASVS 5.0.0).
const SECTIONS: [(&str, usize); 30] = [
    ("V3.1", 1),
    ("V3.2", 3),
    ("V3.3", 5),
    ("V3.4", 8),
    ("V3.5", 8),
    ("V3.6", 1),
    ("V3.7", 5),
    ("V4.1", 5),
    ("V4.2", 5),
    ("V4.3", 2),
    ("V4.4", 4),
    ("V6.1", 3),
    ("V6.2", 12),
    ("V6.3", 8),
    ("V6.4", 6),
    ("V6.5", 8),
    ("V6.6", 4),
    ("V6.7", 2),
    ("V6.8", 4),
    ("V7.1", 3),
    ("V7.2", 4),
    ("V7.3", 2),
    ("V7.4", 5),
    ("V7.5", 3),
    ("V7.6", 2),
    ("V16.1", 1),
    ("V16.2", 5),
    ("V16.3", 4),
    ("V16.4", 3),
    ("V16.5", 4),
];
const VERDICTS: [&str; 4] = ["met", "partly", "gap", "n/a"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rows of a page's tables whose first cell is taken by `is_first`, cell by cell.
fn rows(page: &str, is_first: impl Fn(&str) -> bool) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
    let cells = |line: &str| -> Option<Vec<String>> {
        let inner = line.strip_prefix('|')?.strip_suffix('|')?;
        Some(inner.split('|').map(|cell| cell.trim().to_owned()).collect())
    };
    text.lines().filter_map(cells).filter(|cells| is_first(&cells[0])).collect()
}

/// The tests that a cell names, each in a span of code: `module::name`.
fn tests_in(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).filter(|span| span.contains("::")).collect()
}

/// Where a test of this name would stand: in `tests` or `src`, in a file of its module's name or in the inline module `tests` of
/// one.
fn places(test: &str) -> Vec<PathBuf> {
    let (module, _) = test.rsplit_once("::").unwrap();
    let inline = module.strip_suffix("::tests");
    let modules = [Some(module), inline].into_iter().flatten();
    let files = modules.map(|module| format!("{}.rs", module.replace("::", "/")));
    files.flat_map(|file| ["tests", "src"].map(|room| root().join(room).join(&file))).collect()
}

fn is_there(test: &str) -> bool {
    let (_, name) = test.rsplit_once("::").unwrap();
    places(test).iter().filter_map(|file| std::fs::read_to_string(file).ok()).any(|text| is_test(&text, name))
}

/// Whether `text` has a function of this name with an attribute that makes it a test.
fn is_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let defined = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ").and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.starts_with('('))
    };
    let at = lines.iter().position(|line| defined(line));
    at.is_some_and(|at| {
        let attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        attributes.into_iter().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
    })
}

#[test]
fn every_attack_case_has_its_row_and_each_test_of_it_is_there() {
    let rows = rows(REGISTER, |first| first.starts_with('A') && first[1..].parse::<usize>().is_ok());
    let numbers: Vec<String> = rows.iter().map(|row| row[0].clone()).collect();
    let expected: Vec<String> = (1..=CASES).map(|number| format!("A{number:02}")).collect();
    assert_eq!(numbers, expected);
    let mut wrong = Vec::new();
    for row in &rows {
        let [case, tried, holds, tests] = row.as_slice() else { panic!("{row:?} has not four cells") };
        assert!(!tried.is_empty() && !holds.is_empty(), "{case}");
        let tests = tests_in(tests);
        if tests.is_empty() {
            wrong.push(format!("{case} has no test"));
        }
        wrong
            .extend(tests.iter().filter(|test| !is_there(test)).map(|test| format!("{case}: there is no test {test}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_requirement_of_the_standard_has_its_row_and_each_test_of_it_is_there() {
    let is_number = |first: &str| first.strip_prefix('V').is_some_and(|rest| rest.matches('.').count() == 2);
    let rows = rows(STANDARD, is_number);
    let numbers: Vec<String> = rows.iter().map(|row| row[0].clone()).collect();
    let of_section = |(section, count): &(&str, usize)| {
        let section = (*section).to_owned();
        (1..=*count).map(move |number| format!("{section}.{number}"))
    };
    assert_eq!(numbers, SECTIONS.iter().flat_map(of_section).collect::<Vec<_>>());
    let mut wrong = Vec::new();
    for row in &rows {
        let [number, level, about, verdict, how, tests] = row.as_slice() else { panic!("{row:?} has not six cells") };
        assert!(["1", "2", "3"].contains(&level.as_str()), "{number}: {level}");
        assert!(VERDICTS.contains(&verdict.as_str()), "{number}: {verdict}");
        assert!(!about.is_empty() && !how.is_empty(), "{number}");
        let missing = tests_in(tests).into_iter().filter(|test| !is_there(test));
        wrong.extend(missing.map(|test| format!("{number}: there is no test {test}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    every_verdict_is_counted(&rows);
}

/// The summary says of each chapter how many requirements are met, and so on.
#[track_caller]
fn every_verdict_is_counted(requirements: &[Vec<String>]) {
    let told = rows(SUMMARY, |first| first == "all" || first.strip_prefix('V').is_some_and(|rest| rest.contains(' ')));
    let chapters: Vec<&str> = told.iter().map(|row| row[0].split(' ').next().unwrap()).collect();
    assert_eq!(chapters, ["V3", "V4", "V6", "V7", "V16", "all"]);
    for (chapter, row) in chapters.into_iter().zip(&told) {
        let of_chapter = |row: &&Vec<String>| chapter == "all" || row[0].split('.').next() == Some(chapter);
        let counted = VERDICTS
            .map(|verdict| requirements.iter().filter(of_chapter).filter(|row| row[3] == verdict).count().to_string());
        assert_eq!(row[1..], counted, "{chapter} in {SUMMARY}");
    }
}

/// What looks for tests is tested: one that finds everything would be of no use.
#[test]
fn a_test_is_told_from_what_is_none() {
    assert!(is_there("attack_cases::a_test_is_told_from_what_is_none"));
    assert!(is_there("portal::cookie::tests::over_https_every_cookie_is_bound_to_the_host"), "inline");
    assert!(is_there("portal::tests::table::every_page_and_method_has_a_row"), "of tokio's");
    for nothing in [
        "attack_cases::is_there",
        "attack_cases::a_test_is_told",
        "attack_case::a_test_is_told_from_what_is_none",
        "sign_in::every_page_and_method_has_a_row",
    ] {
        assert!(!is_there(nothing), "{nothing}");
    }
    assert_eq!(tests_in("`a::b` and `c`, `d::e::f`"), ["a::b", "d::e::f"]);
}
