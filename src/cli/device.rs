//! `sekisho device`: the browsers that people are known on, and forgetting them.

use clap::{Args, Subcommand};

use super::backend::Backend;
use super::output::{self, Table, moment};
use super::{ConfigFile, Failure, Format};
use crate::control::{Command, Reply};
use crate::id::DeviceId;

#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// List the browsers that have passed the second factor
    List {
        /// Only those of this account (login or id)
        #[arg(long, value_name = "LOGIN")]
        user: Option<String>,
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        format: Format,
    },
    /// Forget one browser, or all of an account: the code is asked for again, and sessions begun there end
    Forget {
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
    /// The device's id, as `device list` shows it
    id: Option<DeviceId>,
    /// All devices of this account (login or id)
    #[arg(long, value_name = "LOGIN")]
    user: Option<String>,
}

pub fn run(command: DeviceCommand) -> Result<(), Failure> {
    match command {
        DeviceCommand::List { user, config, format } => {
            match Backend::ask(&config, Command::DeviceList { who: user })? {
                Reply::Devices(rows) if format.json => output::json(&rows),
                Reply::Devices(rows) => {
                    let mut table = Table::new(&[
                        "ID",
                        "LOGIN",
                        "ADDRESS",
                        "FIRST SEEN (UTC)",
                        "LAST SEEN (UTC)",
                        "REMEMBERED",
                        "BROWSER",
                    ]);
                    for row in rows {
                        let (first, last) = (moment(&row.first_seen), moment(&row.last_seen));
                        let remembered = if row.remembered { "yes" } else { "no" }.to_owned();
                        table.row([row.id, row.login, row.address, first, last, remembered, row.user_agent]);
                    }
                    table.print()
                }
                other => Err(Backend::unexpected(&other)),
            }
        }
        DeviceCommand::Forget { which, config, format } => {
            let command = match which {
                Which { id: Some(id), .. } => Command::DeviceForget { id },
                Which { user, .. } => Command::DeviceForgetAll { who: user.unwrap_or_default() },
            };
            match Backend::ask(&config, command)? {
                Reply::Forgotten { devices, sessions } if format.json => {
                    output::json(&serde_json::json!({ "forgotten": devices, "sessions_ended": sessions }))
                }
                Reply::Forgotten { devices, sessions } => {
                    let plural =
                        |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
                    output::line(format_args!(
                        "{} forgotten, {} ended",
                        plural(devices, "device"),
                        plural(sessions, "session")
                    ))
                }
                other => Err(Backend::unexpected(&other)),
            }
        }
    }
}
