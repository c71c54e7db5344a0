//! `sekisho tool-login`: what people sign in with at tools that ask each account for its own. It goes in and never comes out.

use clap::{Args, Subcommand};

use super::backend::Backend;
use super::output::{self, Table, moment};
use super::{ConfigFile, Failure, Format, password};
use crate::control::{Command, PasswordText, Reply};

#[derive(Debug, Subcommand)]
pub enum ToolLoginCommand {
    /// List for which accounts and routes something is stored; never what
    List {
        /// Only those of this account (login or id)
        #[arg(long, value_name = "LOGIN")]
        user: Option<String>,
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        format: Format,
    },
    /// Store what an account signs in with at a route's tool; asks for the password or token
    Set {
        #[command(flatten)]
        of: Of,
        /// The account's name at the tool; left out where the tool takes a token
        #[arg(long, value_name = "NAME", default_value = "")]
        username: String,
        /// Read the password or token from standard input instead of the terminal
        #[arg(long)]
        password_stdin: bool,
    },
    /// Remove what is stored: the account is not let through to the tool until there is something again
    Forget(Of),
}

#[derive(Debug, Args)]
pub struct Of {
    /// The account's login or id
    #[arg(value_name = "LOGIN")]
    who: String,
    /// The route's name
    #[arg(long, value_name = "NAME")]
    route: String,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    format: Format,
}

pub fn run(command: ToolLoginCommand) -> Result<(), Failure> {
    match command {
        ToolLoginCommand::List { user, config, format } => {
            match Backend::ask(&config, Command::ToolLoginList { who: user })? {
                Reply::ToolLogins(rows) if format.json => output::json(&rows),
                Reply::ToolLogins(rows) => {
                    let mut table = Table::new(&["LOGIN", "ROUTE", "STORED (UTC)"]);
                    for row in rows {
                        let at = moment(&row.changed_at);
                        table.row([row.login, row.route, at]);
                    }
                    table.print()
                }
                other => Err(Backend::unexpected(&other)),
            }
        }
        ToolLoginCommand::Set { of, username, password_stdin } => {
            let secret = password::read(&format!("{} at {}", of.who, of.route), password_stdin)?;
            let secret = PasswordText(secret);
            let command = Command::ToolLoginSet { who: of.who, route: of.route, username, secret };
            done(&of.config, of.format, command, "stored")
        }
        ToolLoginCommand::Forget(of) => {
            let command = Command::ToolLoginForget { who: of.who, route: of.route };
            done(&of.config, of.format, command, "removed")
        }
    }
}

fn done(config: &ConfigFile, format: Format, command: Command, what: &str) -> Result<(), Failure> {
    match Backend::ask(config, command)? {
        Reply::Done if format.json => output::json(&serde_json::json!({ "done": what })),
        Reply::Done => output::line(format_args!("{what}")),
        other => Err(Backend::unexpected(&other)),
    }
}
