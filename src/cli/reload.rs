//! `sekisho reload`: the running gateway takes its configuration file anew, or says what is wrong with it.

use super::backend::{Backend, ask_gateway};
use super::problems::{show, told_here};
use super::{ConfigFile, Failure, Format, Status};
use crate::config;
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

fn not_taken(status: Status) -> Failure {
    Failure::because("the configuration was not taken").hint("the one before stays in force, whole").status(status)
}
