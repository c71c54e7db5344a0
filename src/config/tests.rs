//! Files as people write them, and what is said about them.

mod agreement;
mod example;
mod files;
mod hostile;
mod problems;
mod reference;

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::secret::ExposeSecret;

/// A folder with a key file `secret.key`, to be the configuration file's own.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "secret.key", Keys::generate_line().unwrap().expose_secret(), 0o600);
    folder
}

fn write(folder: &TempDir, name: &str, content: &str, mode: u32) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path
}

/// Reads `text` as `sekisho.yaml` in `folder`, with a few variables.
fn load_in(folder: &TempDir, text: &str) -> Result<Loaded, Vec<Diagnostic>> {
    let variables = |name: &str| match name {
        "PORT" => Some("9001".to_owned()),
        "PASSWORD" => Some("hunter2".to_owned()),
        "CREDENTIALS_DIRECTORY" => Some(folder.path().display().to_string()),
        _ => None,
    };
    parse(text, &folder.path().join("sekisho.yaml"), &variables)
}

/// `snippet`, and after it what it lacks of the required sections.
fn completed(snippet: &str) -> String {
    let sections = [
        "server: {listen: [\"127.0.0.1:0\"]}",
        "store: {path: data}",
        "secrets: {key_file: secret.key}",
        "routes: [{name: tool, upstream: \"http://127.0.0.1:9000\"}]",
    ];
    let has = |section: &str| {
        let key = section.split_inclusive(':').next().unwrap();
        snippet.lines().any(|line| line.starts_with(key))
    };
    let mut text = snippet.to_owned();
    for section in sections.iter().filter(|section| !has(section)) {
        text.push('\n');
        text.push_str(section);
    }
    text
}

/// The configuration of a snippet that must be right, though it may have warnings.
fn config(snippet: &str) -> Config {
    load_in(&folder(), &completed(snippet)).map_err(|problems| diagnostic::render(&problems)).unwrap().config
}

/// Everything that is said about a snippet, one line each: `1:2: error: message (hint)`.
fn said(snippet: &str) -> Vec<String> {
    said_in(&folder(), snippet)
}

fn said_in(folder: &TempDir, snippet: &str) -> Vec<String> {
    let diagnostics = match load_in(folder, &completed(snippet)) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems,
    };
    let line = |diagnostic: Diagnostic| {
        let shown =
            diagnostic.to_string().replace("\n    hint: ", " (") + if diagnostic.hint.is_some() { ")" } else { "" };
        shown.split_once("sekisho.yaml:").unwrap().1.to_owned()
    };
    diagnostics.into_iter().map(line).collect()
}
