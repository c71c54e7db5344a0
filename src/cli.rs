//! The command line: one file per command. Reads arguments, asks the running gateway (or the store itself, where none
//! runs), and prints. What a command does is `control::execute`'s; what the configuration says is `config`'s.
//!
//! Exit status: 0 done; 1 it could not be done, with the reason on standard error; 2 wrong usage; 78 invalid configuration.

mod audit;
mod backend;
pub mod check;
mod demo;
mod device;
mod failure;
mod import;
mod key;
mod log_lines;
mod output;
mod password;
mod problems;
mod reload;
mod serve;
mod session;
mod shell;
mod store;
mod token;
mod tool_login;
mod upgrade;
mod user;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

pub use failure::{Failure, Status};

use crate::config::{self, Config, diagnostic};

/// A login wall in front of admin tools that nobody can change any more.
///
/// sekisho stands between the browser and the tool, asks for a password and a second factor, and lets through only
/// people it knows.
#[derive(Debug, Parser)]
#[command(name = "sekisho", version, propagate_version = true, subcommand_required = true)]
#[command(after_help = "New here? `sekisho demo` shows everything in a browser and leaves nothing behind.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Serve(serve::ServeCommand),
    /// Have the running gateway take its configuration file anew, dropping no connection
    Reload {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        format: Format,
    },
    /// Have the running gateway hand over to a new process, refusing no connection: for another version of the program
    Upgrade {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        format: Format,
    },
    /// Validate a configuration: every problem with its place and what to do
    Check {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        format: Format,
    },
    /// Show everything in a browser: a sample tool, sample accounts, nothing to install, nothing left behind
    Demo(demo::DemoCommand),
    /// Manage the accounts that may pass
    #[command(subcommand)]
    User(user::UserCommand),
    /// See and forget the browsers that people are known on
    #[command(subcommand)]
    Device(device::DeviceCommand),
    /// See and end the sessions of people who are signed in
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// Make, list and revoke tokens for programmes, each for some routes and until a day
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Store what people sign in with at tools that ask each account for its own
    #[command(subcommand)]
    ToolLogin(tool_login::ToolLoginCommand),
    /// Search, follow and export what happened: who did what, when and from where
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Back up and restore all that sekisho keeps; verify it, tidy it
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Make and change the key that encrypts secrets at rest
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Print completions for a shell
    Completions(shell::Completions),
    /// Print the manual page, or write one for each command
    Man(shell::Pages),
}

/// Where the configuration is.
#[derive(Debug, Clone, Args)]
struct ConfigFile {
    /// The configuration file (YAML)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, Args)]
struct Format {
    /// Print JSON for scripts instead of text for people
    #[arg(long)]
    json: bool,
}

/// Runs the program with the process's arguments.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(usage) => {
            // Help and version go to standard output with status 0, the rest to standard error with status 2.
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    let outcome = match arguments.command {
        Command::Serve(command) => serve::run(&command),
        Command::Upgrade { config, format } => upgrade::run(&config, format),
        Command::Reload { config, format } => reload::run(&config, format),
        Command::Check { config, format } => check(&config, format),
        Command::Demo(command) => demo::run(&command),
        Command::User(command) => user::run(command),
        Command::Device(command) => device::run(command),
        Command::Session(command) => session::run(command),
        Command::Token(command) => token::run(command),
        Command::ToolLogin(command) => tool_login::run(command),
        Command::Audit(command) => audit::run(command),
        Command::Store(command) => store::run(command),
        Command::Key(command) => key::run(command),
        Command::Completions(command) => shell::completions(&command),
        Command::Man(pages) => shell::man(&pages),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn check(config: &ConfigFile, format: Format) -> Result<(), Failure> {
    let checked = check::check(&config.config, format.json);
    output::print(&checked.output)?;
    if checked.valid { Ok(()) } else { Err(Failure::silent(Status::Configuration)) }
}

/// A path that means the same wherever it is read.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::of(path.display(), &error))
}

/// The configuration; its problems, or what may be wise to change, go to standard error.
fn load(file: &ConfigFile) -> Result<Config, Failure> {
    match config::load(&file.config) {
        Ok(loaded) => {
            output::complain(&diagnostic::render(&loaded.warnings));
            Ok(loaded.config)
        }
        Err(problems) => {
            output::complain(&diagnostic::render(&problems));
            Err(Failure::because("the configuration is invalid")
                .hint("`sekisho check` tells the same, without starting anything")
                .status(Status::Configuration))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_password_is_never_an_argument() {
        for arguments in [
            ["sekisho", "user", "add", "alice", "--config", "c.yaml", "--password", "x"].as_slice(),
            ["sekisho", "user", "passwd", "alice", "--config", "c.yaml", "x"].as_slice(),
            ["sekisho", "user", "add", "alice", "--config", "c.yaml", "--password-stdin=x"].as_slice(),
        ] {
            assert!(Arguments::try_parse_from(arguments).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn whatever_prints_a_result_prints_it_as_json_too() {
        fn check(command: &clap::Command) {
            // These run until they are stopped, or print what is no result but a file in a language of its own.
            const OTHERS: [&str; 5] = ["serve", "demo", "completions", "man", "help"];
            if command.get_subcommands().next().is_none() && !OTHERS.contains(&command.get_name()) {
                let has = command.get_arguments().any(|argument| argument.get_id() == "json");
                assert!(has, "`{}` has no --json", command.get_name());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Arguments::command());
    }

    #[test]
    fn every_command_and_option_says_what_it_is_for() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{} has no help text", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} of {} has no help", argument.get_id(), command.get_name());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Arguments::command());
    }
}
