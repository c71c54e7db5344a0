//! Reading a configuration anew beside the one in force: what cannot change while the gateway runs is an error with its
//! place, so that a reload is refused as a whole and never half done.
//!
//! A key stands here only where the running process cannot follow it: what it was built around (threads, the store, the
//! form of its log), or by what others find it (the control socket).

use std::path::Path;

use super::diagnostic::Diagnostic;
use super::load::{Loaded, load};
use super::{Config, LogFormat, Store};
use crate::secret::ExposeSecret;

const RESTART: &str = "restart sekisho to change it, or take the change back";

/// Why a file cannot take the place of the configuration in force: every problem, warnings among them, in the file's order.
#[derive(Debug)]
pub enum Unusable {
    /// It is no valid configuration.
    Invalid(Vec<Diagnostic>),
    /// It is, and changes what cannot change while the gateway runs.
    Fixed(Vec<Diagnostic>),
}

/// Reads `path` as [`load`] does, and compares it with the configuration in force.
///
/// # Errors
/// [`Unusable`]; at least one of its problems is an error.
pub fn load_beside(path: &Path, in_force: &Config) -> Result<Loaded, Unusable> {
    let loaded = load(path).map_err(Unusable::Invalid)?;
    let mut problems: Vec<Diagnostic> = differences(in_force, &loaded.config)
        .into_iter()
        .map(|(key, was)| {
            let message = format!("`{key}` cannot change while the gateway runs{was}");
            loaded.anchors.error(key, message, Some(RESTART.to_owned()))
        })
        .collect();
    if problems.is_empty() {
        return Ok(loaded);
    }
    problems.extend(loaded.warnings);
    problems.sort_by_key(|problem| (problem.line, problem.column));
    Err(Unusable::Fixed(problems))
}

/// Each key that may not differ and does; and `, where it is …`, where that may be said.
fn differences(old: &Config, new: &Config) -> Vec<(&'static str, String)> {
    let (old_server, new_server) = (&old.server, &new.server);
    let mut found = vec![
        ("secrets.key_file", old.key_file == new.key_file, old.key_file.display().to_string()),
        (
            "server.admin_socket",
            old_server.admin_socket == new_server.admin_socket,
            old_server.admin_socket.display().to_string(),
        ),
        ("server.workers", old_server.workers == new_server.workers, old_server.workers.to_string()),
        ("log.format", old.log.format == new.log.format, spelled(old.log.format).to_owned()),
    ];
    found.push(match (&old.store, &new.store) {
        (Store::Sled { path: old }, Store::Sled { path: new }) => ("store.path", old == new, old.display().to_string()),
        (Store::Postgres { database: old, .. }, Store::Postgres { database: new, .. }) => {
            // It may hold a password.
            ("store.url", old.url().expose_secret() == new.url().expose_secret(), String::new())
        }
        (Store::Sled { .. }, Store::Postgres { .. }) => ("store.engine", false, "sled".to_owned()),
        (Store::Postgres { .. }, Store::Sled { .. }) => ("store.engine", false, "postgres".to_owned()),
    });
    if let (Store::Postgres { ca: old_ca, stale_for: old, .. }, Store::Postgres { ca: new_ca, stale_for: new, .. }) =
        (&old.store, &new.store)
    {
        found.push(("store.ca", old_ca == new_ca, String::new()));
        found.push(("store.stale_for", old == new, format!("{}s", old.as_secs())));
    }
    let said = |was: String| if was.is_empty() { was } else { format!(", where it is {was}") };
    found.into_iter().filter(|(_, same, _)| !same).map(|(key, _, was)| (key, said(was))).collect()
}

const fn spelled(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Json => "json",
        LogFormat::Text => "text",
    }
}
