//! Why a command ends with another status than 0: printed once, with its causes and what to do next.

use std::error::Error;
use std::fmt;
use std::io::Write;
use std::process::ExitCode;

/// Exit statuses other than 0. Wrong usage found by clap is 2 as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It could not be done.
    Failed = 1,
    /// Wrong usage.
    Usage = 2,
    /// The configuration is invalid (`EX_CONFIG` of sysexits.h).
    Configuration = 78,
}

/// A command that was not carried out.
#[derive(Debug)]
pub struct Failure {
    status: Status,
    /// Empty: everything has been said already.
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// It could not be done, for this reason.
    pub fn because(message: impl Into<String>) -> Self {
        Self { status: Status::Failed, message: message.into(), hint: None }
    }

    /// It could not be done: what was tried, and the error's whole chain.
    pub fn of(what: impl fmt::Display, error: &dyn Error) -> Self {
        Self::because(format!("{what}: {}", chain(error)))
    }

    /// It could not be done: the error's whole chain.
    pub fn from_error(error: &dyn Error) -> Self {
        Self::because(chain(error))
    }

    /// Nothing more to say than the status.
    pub const fn silent(status: Status) -> Self {
        Self { status, message: String::new(), hint: None }
    }

    /// With another status.
    pub const fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// With what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Prints it on standard error and turns it into the exit status.
    pub fn report(&self) -> ExitCode {
        let mut stderr = std::io::stderr().lock();
        if !self.message.is_empty() {
            let _ = writeln!(stderr, "error: {}", self.message);
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(stderr, "hint: {hint}");
        }
        ExitCode::from(self.status as u8)
    }
}

/// An error and its causes in one line. A cause that the text before it has already told is not told again.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        if !text.contains(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Layered {
        #[error("cannot read it")]
        Above(#[source] std::io::Error),
        #[error("cannot read it: {0}")]
        Told(#[source] std::io::Error),
    }

    #[test]
    fn each_cause_is_told_once() {
        let cause = || std::io::Error::other("the disk is gone");
        assert_eq!(chain(&Layered::Above(cause())), "cannot read it: the disk is gone");
        assert_eq!(chain(&Layered::Told(cause())), "cannot read it: the disk is gone");
    }
}
