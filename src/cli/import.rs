//! `sekisho user import`: another gate's list of accounts, whose passwords go on working.
//!
//! The list is read here, all of it, before anybody is added; whoever carries it out gets some accounts at a time.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::backend::Backend;
use super::output::{self, Progress, Table};
use super::user::{method, role};
use super::{ConfigFile, Failure};
use crate::authn::user::{Group, Method, Role};
use crate::control::{Command, ForeignAccount, PasswordText, Reply, Taken};
use crate::service::import::foreign::{self, Entry, Given};
use crate::service::users::NewUser;

/// The largest list, in bytes: beyond a hundred thousand accounts.
const LARGEST: u64 = 64 * 1024 * 1024;
/// How many accounts are sent at once: the longest of them fit into a frame, and the store makes them durable together.
const AT_ONCE: usize = 200;

#[derive(Debug, Args)]
pub struct Import {
    /// The other gate's list: an htpasswd file, or Authelia's users file (YAML); - reads standard input
    file: PathBuf,
    /// Whose list it is; without it, the content tells
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Only say what would become of each account; nothing is added, and no store is made
    #[arg(long)]
    dry_run: bool,
    /// A group that all of them get, beside those that the list gives; may be given several times
    #[arg(long, value_name = "GROUP")]
    group: Vec<Group>,
    /// Their role in sekisho itself
    #[arg(long, value_parser = role(), default_value = "user")]
    role: Role,
    /// By what their second factor is given: an authenticator app, or a code by mail
    #[arg(long, value_parser = method())]
    method: Option<Method>,
    #[command(flatten)]
    config: ConfigFile,
    /// Print JSON for scripts instead of text for people
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// `login:hash` on each line: bcrypt, apr1, SHA-1, SHA-crypt
    Htpasswd,
    /// The file backend's YAML: argon2id, SHA-crypt, bcrypt, PBKDF2, scrypt
    Authelia,
}

/// What became of an account: also the form of `--json`.
#[derive(Debug, Serialize)]
struct Row {
    line: u64,
    login: String,
    outcome: Outcome,
    /// The scheme of the hash, where it is one that is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Added,
    Exists,
    Refused,
}

impl Import {
    pub fn run(self) -> Result<(), Failure> {
        let bytes = read(&self.file)?;
        let given = Given { groups: self.group.iter().cloned().collect(), role: self.role, method: self.method };
        let format = self.format.map(|format| match format {
            Format::Htpasswd => foreign::Format::Htpasswd,
            Format::Authelia => foreign::Format::Authelia,
        });
        let (format, entries) = foreign::read(&bytes, format, &given).map_err(|error| {
            Failure::of(self.file.display(), &error).hint("--format htpasswd or --format authelia says what it is")
        })?;
        let rows = self.carry_out(entries)?;
        self.report(format, &rows)
    }

    fn carry_out(&self, entries: Vec<Entry>) -> Result<Vec<Row>, Failure> {
        let (mut rows, mut waiting) = (Vec::with_capacity(entries.len()), Vec::new());
        for Entry { line, login, account } in entries {
            let hash = account.as_ref().ok().and_then(|account| account.hash.as_ref()).map(|hash| hash.scheme().name());
            match account {
                Ok(account) => {
                    waiting.push((rows.len(), asked(account)?));
                    // Until the answer comes.
                    rows.push(Row { line, login, outcome: Outcome::Refused, hash, reason: None });
                }
                Err(reasons) => {
                    rows.push(Row { line, login, outcome: Outcome::Refused, hash, reason: Some(reasons.join("; ")) });
                }
            }
        }
        if waiting.is_empty() {
            return Ok(rows);
        }
        let backend =
            if self.dry_run { Backend::rehearsal(&self.config) } else { Backend::open_or_create(&self.config) }?;
        let (mut progress, total) = (Progress::new("importing"), waiting.len() as u64);
        let mut done = 0;
        let mut waiting = waiting.into_iter();
        let mut next = || {
            let (places, accounts): (Vec<_>, Vec<_>) = waiting.by_ref().take(AT_ONCE).unzip();
            (places, Command::UserImport { accounts, rehearsal: self.dry_run })
        };
        let (mut places, first) = next();
        backend.converse(first, |reply| {
            let Reply::Taken(taken) = reply else { return Err(Backend::unexpected(&reply)) };
            if taken.len() != places.len() {
                return Err(Backend::unexpected(&Reply::Taken(taken)));
            }
            for (place, taken) in places.iter().zip(taken) {
                if let Some(row) = rows.get_mut(*place) {
                    row.settle(taken);
                }
            }
            done += places.len() as u64;
            progress.at(done, total);
            let (following, command) = next();
            places = following;
            Ok((!places.is_empty()).then_some(command))
        })?;
        Ok(rows)
    }

    /// What became of the list. Where an account was refused, the command has failed, whatever else it did.
    fn report(&self, format: foreign::Format, rows: &[Row]) -> Result<(), Failure> {
        let count = |outcome| rows.iter().filter(|row| row.outcome == outcome).count();
        let (added, exist, refused) = (count(Outcome::Added), count(Outcome::Exists), count(Outcome::Refused));
        if self.json {
            output::json(&rows)?;
        } else {
            let mut table = Table::new(&["LINE", "LOGIN", "", "REASON"]);
            let left: Vec<_> = rows.iter().filter(|row| row.outcome != Outcome::Added).collect();
            for row in &left {
                let (what, reason) = match row.outcome {
                    Outcome::Exists => ("there already", "left as it is"),
                    _ => ("refused", row.reason.as_deref().unwrap_or_default()),
                };
                table.row([row.line.to_string(), row.login.clone(), what.to_owned(), reason.to_owned()]);
            }
            if !left.is_empty() {
                table.print()?;
            }
            let (list, verb) = (name(format), if self.dry_run { "would be added" } else { "added" });
            output::line(format_args!("{list}: {added} {verb}, {exist} there already, {refused} refused"))?;
            if added > 0 && !self.dry_run {
                output::line("Their passwords go on working; each is hashed anew when its owner next signs in.")?;
            }
        }
        match refused {
            0 => Ok(()),
            1 => Err(Failure::because("an account was refused")),
            many => Err(Failure::because(format!("{many} accounts were refused"))),
        }
        .map_err(|failure| failure.hint("the others are not touched by that; mend the list and import it again"))
    }
}

impl Row {
    fn settle(&mut self, taken: Taken) {
        (self.outcome, self.reason) = match taken {
            Taken::Added => (Outcome::Added, None),
            Taken::Exists => (Outcome::Exists, None),
            Taken::Refused(reason) => (Outcome::Refused, Some(reason)),
        };
    }
}

const fn name(format: foreign::Format) -> &'static str {
    match format {
        foreign::Format::Htpasswd => "htpasswd",
        foreign::Format::Authelia => "Authelia",
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    use std::io::Read as _;
    let cannot = |error: &std::io::Error| Failure::of(format_args!("cannot read {}", file.display()), error);
    let mut bytes = Vec::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| cannot(&error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Failure::because(format!("{} is larger than 64 MiB", file.display())));
    }
    Ok(bytes)
}

fn asked(account: NewUser) -> Result<ForeignAccount, Failure> {
    let hash = account.hash.ok_or_else(|| Failure::because("an account of the list has no hash"))?;
    Ok(ForeignAccount {
        login: account.login,
        name: account.name,
        email: account.email,
        groups: account.groups.into_iter().collect(),
        role: account.role,
        method: account.method,
        hash: PasswordText(hash.as_str().to_owned().into()),
        disabled: account.disabled,
    })
}
