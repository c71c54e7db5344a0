//! `sekisho check`: what there is to say about a configuration, without starting anything.

use std::path::Path;

use crate::config::{self, diagnostic};
use crate::portal;

/// The answer of one check.
#[derive(Debug)]
pub struct Checked {
    /// For standard output: one paragraph a problem, or one JSON array; and for people a last line that sums up.
    pub output: String,
    /// Whether the gateway could start with it. Warnings do not count.
    pub valid: bool,
}

/// Checks the configuration in `file`.
#[must_use]
pub fn check(file: &Path, json: bool) -> Checked {
    let (diagnostics, valid) = match config::load(file) {
        Ok(loaded) => {
            let theme = portal::theme::check(&loaded.config.portal);
            let valid = theme.iter().all(|problem| problem.severity != config::Severity::Error);
            (loaded.warnings.into_iter().chain(theme).collect(), valid)
        }
        Err(problems) => (problems, false),
    };
    if json {
        return Checked { output: diagnostic::render_json(&diagnostics) + "\n", valid };
    }
    let errors = diagnostics.iter().filter(|problem| problem.severity == config::Severity::Error).count();
    let summary = match (errors, diagnostics.len() - errors) {
        (0, 0) => format!("{}: valid", file.display()),
        (0, warnings) => format!("{}: valid, with {}", file.display(), counted(warnings, "warning")),
        (errors, 0) => format!("{}: {}", file.display(), counted(errors, "error")),
        (errors, warnings) => {
            format!("{}: {}, {}", file.display(), counted(errors, "error"), counted(warnings, "warning"))
        }
    };
    Checked { output: format!("{}{summary}\n", diagnostic::render(&diagnostics)), valid }
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{ExposeSecret, Keys};

    fn checked(text: &str, json: bool) -> Checked {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("secret.key");
        std::fs::write(&key, Keys::generate_line().unwrap().expose_secret()).unwrap();
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let file = folder.path().join("sekisho.yaml");
        std::fs::write(&file, text).unwrap();
        check(&file, json)
    }

    const MINIMAL: &str = include_str!("../../config/minimal.yaml");

    #[test]
    fn a_valid_file_is_called_valid() {
        let checked = checked(MINIMAL, false);
        assert!(checked.valid && checked.output.ends_with("sekisho.yaml: valid\n"), "{checked:?}");
    }

    #[test]
    fn warnings_do_not_make_a_file_invalid() {
        let checked = checked(&format!("{MINIMAL}session: {{idle_timeout: 2h}}\n"), false);
        assert!(checked.valid && checked.output.ends_with("sekisho.yaml: valid, with 1 warning\n"), "{checked:?}");
    }

    #[test]
    fn errors_are_counted_and_make_it_invalid() {
        let checked = checked(&format!("{MINIMAL}session: {{idle_timeout: 2, max_lifetime: x}}\n"), false);
        assert!(!checked.valid && checked.output.ends_with("sekisho.yaml: 2 errors\n"), "{checked:?}");
    }

    #[test]
    fn json_is_one_array_valid_or_not() {
        for (text, length) in [(MINIMAL.to_owned(), 0), (format!("{MINIMAL}x: 1\ny: 2\n"), 2)] {
            let array: serde_json::Value = serde_json::from_str(&checked(&text, true).output).unwrap();
            assert_eq!(array.as_array().unwrap().len(), length, "{array}");
        }
    }
}
