//! `sekisho store`: back-up, restoring, verification and tidying of all that sekisho keeps.

mod export;
mod import;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Subcommand;

use super::backend::Backend;
use super::output::{self, Progress, Table, moment};
use super::{ConfigFile, Failure, Format};
use crate::control::{Command, Problem, Reply};

#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Write all accounts, events and counts of failures into a file, as they are at one moment; the gateway goes on
    Export {
        /// The file to make, readable by its owner alone; - is standard output. Useless without the key file, and with it everything:
        /// keep the two apart
        file: PathBuf,
        /// Replace the file where there is one
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        format: Format,
    },
    /// Make a new store from an export; everybody signs in anew then
    Import {
        /// The export
        file: PathBuf,
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        format: Format,
    },
    /// Read and compare everything, and say what is wrong; changes nothing
    Verify {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        format: Format,
    },
    /// Remove what has expired now, as the gateway does every minute
    Sweep {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        format: Format,
    },
    /// List the gateways that share a database, and which sections of their configuration are not as here
    Nodes {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        format: Format,
    },
}

pub fn run(command: StoreCommand) -> Result<(), Failure> {
    match command {
        StoreCommand::Export { file, force, config, format } => export::run(&file, force, &config, format),
        StoreCommand::Import { file, config, format } => import::run(&file, &config, format),
        StoreCommand::Verify { config, format } => verify(&config, format),
        StoreCommand::Sweep { config, format } => sweep(&config, format),
        StoreCommand::Nodes { config, format } => nodes(&config, format),
    }
}

fn verify(config: &ConfigFile, format: Format) -> Result<(), Failure> {
    let backend = Backend::on_a_copy(config)?;
    let mut progress = Progress::new("verifying");
    let mut problems: Vec<Problem> = Vec::new();
    let reply = backend.listen(Command::StoreVerify, |piece| {
        match piece {
            Reply::Progress { done, total } => progress.at(done, total),
            Reply::Problems(found) => problems.extend(found),
            other => return Err(Backend::unexpected(&other)),
        }
        Ok(())
    });
    drop(progress);
    let verified = match reply? {
        Reply::Verified(verified) => verified,
        other => return Err(Backend::unexpected(&other)),
    };
    if format.json {
        output::json(&serde_json::json!({
            "records": verified.records,
            "sealed_with_newest_key": verified.sealed_with_newest_key,
            "sealed_with_older_keys": verified.sealed_with_older_keys,
            "problem_count": verified.problems,
            "problems": problems,
        }))?;
    } else {
        for Problem { record, problem } in &problems {
            output::line(format_args!("{record}: {problem}"))?;
        }
        let untold = verified.problems - problems.len() as u64;
        if untold > 0 {
            output::line(format_args!("and {untold} more"))?;
        }
        let read: u64 = verified.records.values().sum();
        let sealed = verified.sealed_with_newest_key + verified.sealed_with_older_keys;
        output::line(format_args!("{read} records read, {sealed} sealed values opened"))?;
        if verified.sealed_with_older_keys > 0 {
            output::line(format_args!(
                "{} of them are sealed with an older key; `sekisho key rotate` seals them anew",
                verified.sealed_with_older_keys
            ))?;
        }
    }
    match verified.problems {
        0 if format.json => Ok(()),
        0 => output::line("no problems"),
        1 => Err(Failure::because("there is 1 problem in the store").hint(RESTORE)),
        many => Err(Failure::because(format!("there are {many} problems in the store")).hint(RESTORE)),
    }
}

const RESTORE: &str =
    "keep a copy of the store's folder before anything else; docs/backup.md says how to restore an export";

fn sweep(config: &ConfigFile, format: Format) -> Result<(), Failure> {
    match Backend::ask(config, Command::StoreSweep)? {
        Reply::Swept(kinds) if format.json => output::json(&kinds),
        Reply::Swept(kinds) if kinds.is_empty() => output::line("nothing had expired"),
        Reply::Swept(kinds) => output::line(format_args!("removed: {}", counted(&kinds))),
        other => Err(Backend::unexpected(&other)),
    }
}

fn nodes(config: &ConfigFile, format: Format) -> Result<(), Failure> {
    match Backend::ask(config, Command::StoreNodes)? {
        Reply::Nodes(nodes) if format.json => output::json(&nodes.unwrap_or_default()),
        Reply::Nodes(None) => output::line("there are no other nodes: the store is this machine's alone"),
        Reply::Nodes(Some(nodes)) => {
            let mut table = Table::new(&["NODE", "VERSION", "LAST SEEN (UTC)", "DIFFERS IN"]);
            for node in nodes {
                let differs = if node.differs.is_empty() { "-".to_owned() } else { node.differs.join(", ") };
                table.row([node.name, node.version, moment(&node.seen), differs]);
            }
            table.print()
        }
        other => Err(Backend::unexpected(&other)),
    }
}

/// `user 3, audit 17`
fn counted(kinds: &BTreeMap<String, u64>) -> String {
    kinds.iter().map(|(kind, number)| format!("{kind} {number}")).collect::<Vec<_>>().join(", ")
}
