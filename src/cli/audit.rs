//! `sekisho audit`: the events that were kept, and those that happen just now.

use std::collections::VecDeque;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use super::backend::Backend;
use super::output::{self, Table, moment};
use super::{ConfigFile, Failure, Format};
use crate::audit::{EventRow, Kind, Result as Outcome};
use crate::clock::{Clock, SystemClock};
use crate::control::{Command, Reply};
use crate::service::history::{BadMoment, Filter, Network, Seek, Span};

/// The most that `search` shows; `export` has no limit.
const MOST: u32 = 10_000;

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Show the newest events that the filters leave
    Search {
        #[command(flatten)]
        filters: Filters,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST)))]
        limit: u32,
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        format: Format,
    },
    /// Print events as they happen, until it is interrupted; needs a gateway that runs
    Follow {
        #[command(flatten)]
        filters: Filters,
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        format: Format,
    },
    /// Print all events that the filters leave, oldest first: JSON lines, or one JSON array with --json
    Export {
        #[command(flatten)]
        filters: Filters,
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        format: Format,
    },
}

/// Which events.
#[derive(Debug, Args)]
pub struct Filters {
    /// About this account, or by it (login or id)
    #[arg(long, value_name = "LOGIN")]
    user: Option<String>,
    /// Of this kind
    #[arg(long, value_name = "EVENT", value_parser = PossibleValuesParser::new(Kind::ALL.iter().map(|kind| kind.name())).try_map(|name| name.parse::<Kind>()))]
    event: Option<Kind>,
    /// With this result
    #[arg(long, value_name = "RESULT", value_parser = PossibleValuesParser::new(Outcome::ALL.iter().map(|result| result.name())).try_map(|name| name.parse::<Outcome>()))]
    result: Option<Outcome>,
    /// From then on: 2026-11-22, 2026-11-22T09:30 (UTC), or 12h ago
    #[arg(long, value_name = "TIME", value_parser = span)]
    since: Option<Span>,
    /// Up to then, and then: as --since
    #[arg(long, value_name = "TIME", value_parser = span)]
    until: Option<Span>,
    /// From this address or network
    #[arg(long, value_name = "ADDRESS")]
    address: Option<Network>,
    /// With this text in the login, actor, address, browser, session, route or reason
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
}

fn span(text: &str) -> Result<Span, BadMoment> {
    Span::parse(text, SystemClock.now())
}

impl Filters {
    fn filter(self) -> Filter {
        Filter {
            person: self.user,
            kind: self.event,
            result: self.result,
            since: self.since.map(|span| span.first),
            until: self.until.map(|span| span.last),
            address: self.address,
            text: self.text,
        }
    }
}

pub fn run(command: AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Search { filters, limit, config, format } => {
            let rows = search(&config, &filters.filter(), limit)?;
            if format.json { output::json(&rows) } else { table(rows).print() }
        }
        AuditCommand::Follow { filters, config, format } => follow(&config, &filters.filter(), format.json),
        AuditCommand::Export { filters, config, format } => export(&config, &filters.filter(), format.json),
    }
}

/// Newest first. A page may be short because the gateway had looked for long enough.
fn search(config: &ConfigFile, filter: &Filter, limit: u32) -> Result<Vec<EventRow>, Failure> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    let ask = |seek| Command::AuditSearch { filter: filter.clone(), seek };
    Backend::open(config)?.converse(ask(Seek::Newest), |reply| {
        let Reply::Events { rows, next } = reply else { return Err(Backend::unexpected(&reply)) };
        found.extend(rows);
        Ok(next.filter(|_| found.len() < limit).map(|next| ask(Seek::OlderThan(next))))
    })?;
    found.truncate(limit);
    Ok(found)
}

/// One page in memory, however many there are.
fn export(config: &ConfigFile, filter: &Filter, as_array: bool) -> Result<(), Failure> {
    let mut before = "[\n";
    let ask = |seek| Command::AuditSearch { filter: filter.clone(), seek };
    Backend::open(config)?.converse(ask(Seek::Oldest), |reply| {
        let Reply::Events { rows, next } = reply else { return Err(Backend::unexpected(&reply)) };
        let mut lines = String::new();
        for row in &rows {
            if as_array {
                lines.push_str(std::mem::replace(&mut before, ",\n"));
            }
            lines.push_str(row.line().trim_end());
            lines.push_str(if as_array { "" } else { "\n" });
        }
        let is_read = output::stream(&lines)?;
        Ok(next.filter(|_| is_read).map(|next| ask(Seek::NewerThan(next))))
    })?;
    match (as_array, before) {
        (false, _) => Ok(()),
        (true, ",\n") => output::line("\n]"),
        (true, _) => output::line("[]"),
    }
}

fn follow(config: &ConfigFile, filter: &Filter, json: bool) -> Result<(), Failure> {
    let ask = |place| Command::AuditFollow { filter: filter.clone(), place };
    Backend::running(config)?.converse(ask(None), |reply| {
        let Reply::Followed { rows, place, missed } = reply else { return Err(Backend::unexpected(&reply)) };
        if missed > 0 {
            output::complain(&format!("{missed} events went by too quickly; `sekisho audit search` has them\n"));
        }
        let mut rows = VecDeque::from(rows);
        while let Some(row) = rows.pop_front() {
            if !output::stream(&if json { row.line() } else { words(&row) })? {
                return Ok(None);
            }
        }
        Ok(Some(ask(Some(place))))
    })
}

fn table(rows: Vec<EventRow>) -> Table {
    let mut table = Table::new(&["TIME (UTC)", "EVENT", "RESULT", "LOGIN", "BY", "ADDRESS", "REASON"]);
    for row in rows {
        let (event, result) = (row.event.to_string(), row.result.name().to_owned());
        let actor = row.actor.unwrap_or_else(|| "-".to_owned());
        table.row([moment(&row.time), event, result, row.login, actor, row.address, row.reason]);
    }
    table
}

/// One line for people.
fn words(row: &EventRow) -> String {
    let actor = row.actor.as_ref().filter(|actor| **actor != row.login);
    let by = actor.map(|actor| format!("by {actor}")).unwrap_or_default();
    let route = row.route.as_ref().map(|route| format!("on {route}")).unwrap_or_default();
    let words = [&row.login, &by, &row.address, &route, &row.reason];
    let words: Vec<&str> = words.into_iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
    format!("{}  {:<18} {:<8} {}\n", row.time, row.event, row.result.name(), words.join("  "))
}
