//! Whatever stands in the file, there is an answer and no panic.

use proptest::prelude::*;

use super::*;

const EXAMPLE: &str = include_str!("../../../config/example.yaml");

fn survives(text: &str) {
    let none = |_: &str| None;
    let outcome = parse(text, std::path::Path::new("sekisho.yaml"), &none);
    // There is no key file beside it, so it can never load: something must have been said.
    let problems = outcome.expect_err("a configuration without its key file");
    assert!(problems.iter().any(|problem| problem.severity == Severity::Error), "{text}");
    for problem in problems {
        assert!(problem.line >= 1 && problem.column >= 1);
        assert!(!problem.to_string().contains('\u{1b}'));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        survives(&text);
    }

    #[test]
    fn any_yaml_like_text_is_answered(text in "[a-z0-9:\\-\\[\\]{},&*!|>'\"#%@ \n\t?$~<]{0,120}") {
        survives(&text);
    }

    #[test]
    fn a_changed_example_is_answered(
        changes in prop::collection::vec((0..EXAMPLE.len(), 0..12_usize, "[ -~\n\u{1b}é]{0,4}"), 1..6)
    ) {
        let mut bytes = EXAMPLE.as_bytes().to_vec();
        for (at, removed, inserted) in changes {
            let end = (at + removed).min(bytes.len());
            bytes.splice(at.min(end)..end, inserted.bytes());
        }
        survives(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_wrong_value_under_any_key_is_answered(
        line in 0..EXAMPLE.lines().count(),
        value in prop::sample::select(vec![
            "", "~", "[]", "{}", "-1", "1e999", "0x10", "99999999999999999999999999999999999999999", "\"\"", "[[[]]]",
            "{a: {b: c}}", "!!binary x", "!t x", "*x", "&x [*x]", "\"\\e[31m\"", "credential:", "${A}", "|\n x", "'",
            "18446744073709551615d", "::", "http://[::1", "http://a:b@c", "unix:", "systemd:", "*.", "%2e%2e/", "/%",
        ]),
    ) {
        let changed = EXAMPLE.lines().enumerate().map(|(index, text)| match text.split_once(':') {
            Some((key, _)) if index == line => format!("{}: {value}", key.replacen('#', "", 1)),
            _ => text.to_owned(),
        });
        survives(&changed.collect::<Vec<_>>().join("\n"));
    }
}

#[test]
fn depth_and_repetition_are_bounded() {
    survives(&"[".repeat(100_000));
    survives(&format!("a: {}", "{b: ".repeat(5_000)));
    survives(&"- ".repeat(50_000));
    let bomb: String = (1..20).map(|n| format!("a{n}: &a{n} [{}]\n", format!("*a{},", n - 1).repeat(9))).collect();
    survives(&format!("a0: &a0 [x]\n{bomb}"));
}

#[test]
fn a_text_of_several_documents_is_refused() {
    let text = "log: {}\n---\nlog: {}\n";
    survives(text);
    assert_eq!(parse(text, std::path::Path::new("c.yaml"), &|_| None).unwrap_err()[0].line, 2);
}
