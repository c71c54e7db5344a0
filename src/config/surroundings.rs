//! What a configuration takes from outside its own text: environment variables, systemd's credentials, other files.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::yaml::{Kind, Node};

/// Looks up an environment variable. Tests give their own, so that none of them changes the process.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The process's own environment. A value that is not UTF-8 counts as absent.
#[must_use]
pub fn process_variables(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Files that hold one value, a key or a certificate chain are small; whatever is larger is something else.
const LARGEST_FILE: u64 = 1024 * 1024;

/// Why a `${…}` cannot be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BadVariable {
    Missing(String),
    NotAName,
    Unclosed,
}

/// Replaces every `${NAME}` in every text of the tree; `$${` stays as `${`. Reports each that cannot be.
pub(super) fn substitute(node: &mut Node, variables: Variables<'_>, report: &mut dyn FnMut(&Node, BadVariable)) {
    let result = match &mut node.kind {
        Kind::List(items) => {
            items.iter_mut().for_each(|item| substitute(item, variables, report));
            return;
        }
        Kind::Map(entries) => {
            entries.iter_mut().for_each(|entry| substitute(&mut entry.node, variables, report));
            return;
        }
        Kind::Text(text) if text.value.contains("${") => expand(&text.value, variables).map(|expanded| {
            (text.value, text.from_environment) = (expanded.0.into(), expanded.1);
        }),
        _ => return,
    };
    if let Err(problem) = result {
        report(node, problem);
        node.kind = Kind::Unresolved;
    }
}

/// The text with its variables replaced, and whether there were any.
fn expand(text: &str, variables: Variables<'_>) -> Result<(String, bool), BadVariable> {
    let mut out = String::with_capacity(text.len());
    let mut replaced = false;
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = after;
            continue;
        }
        let (name, after) = after.split_once('}').ok_or(BadVariable::Unclosed)?;
        if !is_variable_name(name) {
            return Err(BadVariable::NotAName);
        }
        let value = variables(name).ok_or_else(|| BadVariable::Missing(name.to_owned()))?;
        out.push_str(before);
        out.push_str(&value);
        replaced = true;
        rest = after;
    }
    out.push_str(rest);
    Ok((out, replaced))
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Where systemd keeps the credentials of the service while it runs. They are for its user and for root, who so can use the command line
/// beside it.
const OF_THE_SERVICE: &str = "/run/credentials/sekisho.service";

/// Where the credential of this name lies, or why there is none. The reason does not repeat the name.
pub(super) fn credential_path(name: &str, variables: Variables<'_>) -> Result<PathBuf, &'static str> {
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        return Err("after `credential:` comes the name of a credential, without a slash");
    }
    match variables("CREDENTIALS_DIRECTORY") {
        Some(folder) if !folder.is_empty() => Ok(Path::new(&folder).join(name)),
        _ if Path::new(OF_THE_SERVICE).is_dir() => Ok(Path::new(OF_THE_SERVICE).join(name)),
        _ => {
            Err("`credential:` works only where systemd sets CREDENTIALS_DIRECTORY (LoadCredential= in the unit), and \
                  for root while sekisho.service runs")
        }
    }
}

/// Reads a regular file of at most 1 MiB. A pipe or device is refused before it is opened: it could block for ever.
pub(super) fn read_file(path: &Path) -> io::Result<(Vec<u8>, std::fs::Metadata)> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    Ok((read_limited(file)?, metadata))
}

/// Reads all of `source`, which may be a pipe, up to 1 MiB.
pub(super) fn read_limited(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "larger than 1 MiB"));
    }
    Ok(bytes)
}

/// What went wrong, in words without the operating system's error number.
pub(super) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}
