//! What is wrong with a configuration file, where, and what to do about it.
//!
//! A diagnostic never holds the value of a secret: whoever makes one names the key, not what stands there.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Whether the configuration can be used all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// A line and a column in the file, both counted from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    /// The beginning of the file, for what has no better place.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    pub severity: Severity,
    pub file: String,
    pub line: usize,
    pub column: usize,
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error of the file as a whole.
    #[must_use]
    pub fn of_file(file: &Path, message: impl Into<String>) -> Self {
        let Place { line, column } = Place::START;
        let (file, message) = (file.display().to_string(), message.into());
        Self { severity: Severity::Error, file, line, column, message, hint: None }
    }

    /// `FILE:LINE:COL: error: message`
    #[must_use]
    pub fn line(&self) -> String {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let Self { file, line, column, message, .. } = self;
        format!("{}:{line}:{column}: {severity}: {}", printable(file), printable(message))
    }
}

/// `FILE:LINE:COL: error: message`, and the hint on a line of its own.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line())?;
        match &self.hint {
            Some(hint) => write!(f, "\n    hint: {}", printable(hint)),
            None => Ok(()),
        }
    }
}

/// All of them as text, each ended by a line break.
#[must_use]
pub fn render(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| format!("{diagnostic}\n")).collect()
}

/// All of them as one JSON array.
#[must_use]
pub fn render_json(diagnostics: &[Diagnostic]) -> String {
    // Plain structs of text and numbers: there is nothing in them that JSON could not say.
    serde_json::to_string_pretty(diagnostics).unwrap_or_else(|_| "[]".to_owned())
}

/// The file's text reaches a terminal through messages; control characters in it must not.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
