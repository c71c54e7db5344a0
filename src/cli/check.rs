//! `sekisho check`: what there is to say about a configuration, without starting anything.

use std::path::Path;

use crate::config::{self, diagnostic};

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
        Ok(loaded) => (loaded.warnings, true),
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
