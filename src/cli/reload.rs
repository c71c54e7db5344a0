//! `sekisho reload`: the running gateway takes its configuration file anew, or says what is wrong with it.

use std::path::Path;

use super::backend::{Backend, ask_gateway};
use super::output;
use super::{ConfigFile, Failure, Format, Status};
use crate::config::{self, Diagnostic, diagnostic};
use crate::control::{Command, Operation, ReloadOutcome, Reply};

pub fn run(config: &ConfigFile, format: Format) -> Result<(), Failure> {
    let file = super::absolute(&config.config)?;
    let command = Command::Operate(Operation::Reload { file: file.clone() });
    // The file may be as wrong as can be: it is for the gateway to say so, to its log as well.
    let reply = ask_gateway(&config::admin_socket(&file), &command);
    let reply = reply.map_err(|failure| told_here(&file, format, failure))?;
    let Reply::Configuration { outcome, problems } = reply else { return Err(Backend::unexpected(&reply)) };
    show(&problems, format)?;
    match outcome {
        ReloadOutcome::Taken => Ok(()),
        ReloadOutcome::Invalid => Err(not_taken(Status::Configuration)),
        ReloadOutcome::Refused => Err(not_taken(Status::Failed)),
    }
}

fn show(problems: &[Diagnostic], format: Format) -> Result<(), Failure> {
    if format.json {
        return output::print(&(diagnostic::render_json(problems) + "\n"));
    }
    output::complain(&diagnostic::render(problems));
    Ok(())
}

fn not_taken(status: Status) -> Failure {
    Failure::because("the configuration was not taken").hint("the one before stays in force, whole").status(status)
}

/// Nobody could be asked. Where the file is wrong, that is worth knowing first: it may be why.
fn told_here(file: &Path, format: Format, failure: Failure) -> Failure {
    match config::load(file) {
        Ok(_) => failure,
        Err(problems) => match show(&problems, format) {
            Ok(()) => failure.status(Status::Configuration),
            Err(unprinted) => unprinted,
        },
    }
}
