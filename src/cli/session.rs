//! `sekisho session`: who is signed in, and ending that.

use clap::{Args, Subcommand};

use super::backend::Backend;
use super::output::{self, Table, moment};
use super::{ConfigFile, Failure, Format};
use crate::control::{Command, Reply};
use crate::id::SessionId;

#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// List the sessions that live
    List {
        /// Only those of this account (login or id)
        #[arg(long, value_name = "LOGIN")]
        user: Option<String>,
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        format: Format,
    },
    /// End one session, or all of an account, at once
    End {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        format: Format,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// The session's id, as `session list` shows it
    id: Option<SessionId>,
    /// All sessions of this account (login or id)
    #[arg(long, value_name = "LOGIN")]
    user: Option<String>,
}

pub fn run(command: SessionCommand) -> Result<(), Failure> {
    match command {
        SessionCommand::List { user, config, format } => {
            match Backend::ask(&config, Command::SessionList { who: user })? {
                Reply::Sessions(rows) if format.json => output::json(&rows),
                Reply::Sessions(rows) => {
                    let columns = ["ID", "LOGIN", "ADDRESS", "BEGAN (UTC)", "LAST SEEN (UTC)", "HOSTS", "BROWSER"];
                    let mut table = Table::new(&columns);
                    for row in rows {
                        let (began, seen) = (moment(&row.created_at), moment(&row.last_seen));
                        let hosts = row.hosts.join(" ");
                        table.row([row.id, row.login, row.address, began, seen, hosts, row.user_agent]);
                    }
                    table.print()
                }
                other => Err(Backend::unexpected(&other)),
            }
        }
        SessionCommand::End { which, config, format } => {
            let command = match which {
                Which { id: Some(id), .. } => Command::SessionEnd { id },
                Which { user, .. } => Command::SessionEndAll { who: user.unwrap_or_default() },
            };
            match Backend::ask(&config, command)? {
                Reply::Ended(count) if format.json => output::json(&serde_json::json!({ "ended": count })),
                Reply::Ended(1) => output::line("1 session ended"),
                Reply::Ended(count) => output::line(format_args!("{count} sessions ended")),
                other => Err(Backend::unexpected(&other)),
            }
        }
    }
}
