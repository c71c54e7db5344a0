//! From a file to a [`Config`]: read, parse, replace variables, walk the schema, validate as a whole.

use std::fs::File;
use std::path::Path;

use zeroize::Zeroizing;

use super::anchors::Anchors;
use super::diagnostic::{Diagnostic, Place, Severity};
use super::reader::{Context, Section};
use super::surroundings::{self, BadVariable, Variables, process_variables};
use super::{Config, agreement, schema, validate, yaml};

/// A configuration, and what may be wise to change in it.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<Diagnostic>,
    /// Where its keys stand.
    pub anchors: Anchors,
}

/// Reads a configuration file.
///
/// # Errors
/// Every problem of the file, warnings among them, in the file's order; at least one is an error.
pub fn load(path: &Path) -> Result<Loaded, Vec<Diagnostic>> {
    let variables: Variables<'_> = &process_variables;
    let unreadable = |reason: String| {
        let ctx = Context::new(path, variables);
        ctx.error(Place::START, format!("cannot read the configuration: {reason}"), None);
        ctx.finish().0
    };
    let bytes = File::open(path)
        .and_then(surroundings::read_limited)
        .map(Zeroizing::new)
        .map_err(|error| unreadable(surroundings::reason(&error)))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let (valid, _) = bytes.split_at_checked(error.valid_up_to()).unwrap_or_default();
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        let ctx = Context::new(path, variables);
        ctx.error(Place { line, column: 1 }, "the file is not UTF-8 text", None);
        ctx.finish().0
    })?;
    parse(text, path, variables)
}

/// Makes a configuration of `text`, as if it stood in `file`: relative paths start at that file's folder.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, file: &Path, variables: Variables<'_>) -> Result<Loaded, Vec<Diagnostic>> {
    let ctx = Context::new(file, variables);
    let config = read(text, &ctx);
    let (diagnostics, _) = ctx.finish();
    let is_wrong = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    match config {
        Some((config, anchors)) if !is_wrong => Ok(Loaded { config, warnings: diagnostics, anchors }),
        _ => Err(diagnostics),
    }
}

/// The configuration, as far as there is one; what is wrong with it is in `ctx`.
pub(super) fn read(text: &str, ctx: &Context<'_>) -> Option<(Config, Anchors)> {
    let mut root = match yaml::parse(text) {
        Ok(root) => root,
        Err(error) => {
            ctx.error(error.place, error.message, None);
            return None;
        }
    };
    surroundings::substitute(&mut root, ctx.variables(), &mut |node, problem| {
        let (message, hint) = match problem {
            BadVariable::Missing(name) => (format!("the environment variable {name} is not set"), None),
            BadVariable::NotAName => {
                ("`${…}` takes the name of an environment variable".to_owned(), Some("write $${ for ${ itself"))
            }
            BadVariable::Unclosed => ("`${` without its `}`".to_owned(), Some("write $${ for ${ itself")),
        };
        ctx.error(node.place, message, hint.map(str::to_owned));
    });
    let draft = Section::root(ctx, &root, schema::read);
    let mut config = validate::assemble(ctx, draft)?;
    config.agreed = ctx.with_asked(|asked| agreement::of(&root, asked));
    Some((config, Anchors::new(ctx.file().to_owned(), &root)))
}
