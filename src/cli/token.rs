//! `sekisho token`: what programmes show for themselves instead of signing in.

use std::time::Duration;

use clap::Subcommand;
use serde::Serialize;

use super::backend::Backend;
use super::output::{self, Table, moment, moment_or_dash};
use super::{ConfigFile, Failure, Format};
use crate::authn::machine_token::TokenName;
use crate::config;
use crate::control::{Command, Reply, TokenRow};
use crate::id::TokenId;
use crate::secret::ExposeSecret;
use crate::service::tokens::{LONGEST, SHORTEST};

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token, which is shown this once
    Add {
        /// What it is for: tools are told token:NAME
        name: TokenName,
        /// A route that it is good for, by its name; several may be given
        #[arg(long = "route", value_name = "ROUTE", required = true, num_args = 1..)]
        routes: Vec<String>,
        /// For how long it is good: 90d, say
        #[arg(long, value_name = "DURATION", value_parser = lifetime)]
        expires: Duration,
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        format: Format,
    },
    /// List the tokens that are good
    List {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        format: Format,
    },
    /// Revoke a token at once; what is open by it is closed
    Revoke {
        /// The token's id, as `token list` shows it
        id: TokenId,
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        format: Format,
    },
}

fn lifetime(text: &str) -> Result<Duration, String> {
    config::parse_duration(text, SHORTEST..=LONGEST)
}

/// A new token with its value, as `--json` shows it.
#[derive(Serialize)]
struct New<'a> {
    #[serde(flatten)]
    row: &'a TokenRow,
    token: &'a str,
}

pub fn run(command: TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Add { name, routes, expires, config, format } => {
            let command = Command::TokenAdd { name, routes, lifetime_s: expires.as_secs() };
            match Backend::ask(&config, command)? {
                Reply::Token { row, value } if format.json => {
                    output::json(&New { row: &row, token: value.0.expose_secret() })
                }
                Reply::Token { row, value } => {
                    let row = *row;
                    let routes = row.routes.join(", ");
                    let until = format!("{} UTC", moment(&row.expires_at));
                    let pairs = [("id", row.id), ("name", row.name), ("routes", routes), ("good until", until)];
                    output::print(&output::fields(&pairs))?;
                    output::line(format_args!("\n{}\n", value.0.expose_secret()))?;
                    output::line("This is the only time that the token is shown.")
                }
                other => Err(Backend::unexpected(&other)),
            }
        }
        TokenCommand::List { config, format } => match Backend::ask(&config, Command::TokenList)? {
            Reply::Tokens(rows) if format.json => output::json(&rows),
            Reply::Tokens(rows) => {
                let mut table =
                    Table::new(&["ID", "NAME", "ROUTES", "MADE (UTC)", "GOOD UNTIL (UTC)", "LAST USED (UTC)", "FROM"]);
                for row in rows {
                    let (made, until) = (moment(&row.created_at), moment(&row.expires_at));
                    let used = moment_or_dash(row.last_used.as_deref());
                    let from = row.last_address.unwrap_or_else(|| "-".into());
                    table.row([row.id, row.name, row.routes.join(" "), made, until, used, from]);
                }
                table.print()
            }
            other => Err(Backend::unexpected(&other)),
        },
        TokenCommand::Revoke { id, config, format } => match Backend::ask(&config, Command::TokenRevoke { id })? {
            Reply::Done if format.json => output::json(&serde_json::json!({ "revoked": 1 })),
            Reply::Done => output::line("1 token revoked"),
            other => Err(Backend::unexpected(&other)),
        },
    }
}
