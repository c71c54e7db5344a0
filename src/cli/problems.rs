//! What is wrong with a configuration, told by a command that has asked the running gateway.

use std::path::Path;

use super::output;
use super::{Failure, Format, Status};
use crate::config::{self, Diagnostic, diagnostic};

/// Nobody could be asked, or what was asked was refused. Where the file is wrong, that is worth knowing first: it may be why.
pub fn told_here(file: &Path, format: Format, failure: Failure) -> Failure {
    match config::load(file) {
        Ok(_) => failure,
        Err(problems) => match show(&problems, format) {
            Ok(()) => failure.status(Status::Configuration),
            Err(unprinted) => unprinted,
        },
    }
}

/// On standard error for people, on standard output for programmes.
pub fn show(problems: &[Diagnostic], format: Format) -> Result<(), Failure> {
    if format.json {
        return output::print(&(diagnostic::render_json(problems) + "\n"));
    }
    output::complain(&diagnostic::render(problems));
    Ok(())
}
