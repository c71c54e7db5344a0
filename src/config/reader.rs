//! Walks the tree: a [`Section`] is a mapping that knows which keys were asked of it; a [`Field`] is one value, under its
//! key or in a list.
//!
//! Nothing here stops at a problem: it is reported with its place, and reading goes on, so that one run tells them all.
//! What could not be read comes back as `None`, or as its default, in a draft that nobody will use.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::diagnostic::{Diagnostic, Place, Severity};
use super::surroundings::Variables;
use super::yaml::{Entry, Kind, Node};

mod asked;
mod field;

pub(super) use asked::{Asked, Shape};
use field::name;
pub(super) use field::{Field, shown};

/// What all sections of one file share.
pub(super) struct Context<'a> {
    path: PathBuf,
    file: String,
    /// Relative paths start here: the folder of the configuration file.
    folder: PathBuf,
    variables: Variables<'a>,
    diagnostics: RefCell<Vec<Diagnostic>>,
    /// What is wrong with other files that this one names.
    elsewhere: RefCell<Vec<Diagnostic>>,
    /// Every key that was asked for.
    asked: RefCell<BTreeMap<String, Asked>>,
}

impl<'a> Context<'a> {
    pub fn new(file: &Path, variables: Variables<'a>) -> Self {
        Self {
            path: file.to_owned(),
            file: file.display().to_string(),
            folder: file.parent().map(Path::to_path_buf).unwrap_or_default(),
            variables,
            diagnostics: RefCell::default(),
            elsewhere: RefCell::default(),
            asked: RefCell::default(),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file as messages name it.
    pub fn file(&self) -> &str {
        &self.file
    }

    pub fn error(&self, place: Place, message: impl Into<String>, hint: Option<String>) {
        self.report(Severity::Error, place, message.into(), hint);
    }

    pub fn warn(&self, place: Place, message: impl Into<String>, hint: Option<String>) {
        self.report(Severity::Warning, place, message.into(), hint);
    }

    /// What is wrong with another file.
    pub fn report_elsewhere(&self, problems: Vec<Diagnostic>) {
        self.elsewhere.borrow_mut().extend(problems);
    }

    fn report(&self, severity: Severity, place: Place, message: String, hint: Option<String>) {
        let Place { line, column } = place;
        let diagnostic = Diagnostic { severity, file: self.file.clone(), line, column, message, hint };
        self.diagnostics.borrow_mut().push(diagnostic);
    }

    pub fn variables(&self) -> Variables<'a> {
        self.variables
    }

    /// Notes something about a key.
    fn note(&self, path: &str, what: impl FnOnce(&mut Asked)) {
        what(self.asked.borrow_mut().entry(without_indices(path)).or_default());
    }

    /// What is done with the keys that were asked for so far.
    pub fn with_asked<T>(&self, done: impl FnOnce(&BTreeMap<String, Asked>) -> T) -> T {
        done(&self.asked.borrow())
    }

    /// Every problem so far, in the file's order, then those of other files; and the keys that were asked for.
    pub fn finish(self) -> (Vec<Diagnostic>, BTreeMap<String, Asked>) {
        let mut diagnostics = self.diagnostics.into_inner();
        diagnostics.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        diagnostics.dedup();
        diagnostics.extend(self.elsewhere.into_inner());
        (diagnostics, self.asked.into_inner())
    }
}

/// A mapping. Made and ended by [`Section::within`] and its siblings, which report the keys that nobody asked for.
pub(super) struct Section<'a> {
    ctx: &'a Context<'a>,
    /// `session.`, or nothing for the whole file.
    prefix: String,
    place: Place,
    entries: &'a [Entry],
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// Reads the whole file.
    pub fn root<T>(ctx: &'a Context<'a>, root: &'a Node, read: impl FnOnce(&mut Self) -> T) -> T {
        let entries = match &root.kind {
            Kind::Map(entries) => entries.as_slice(),
            Kind::Null => {
                ctx.error(Place::START, "the file is empty", Some("config/minimal.yaml is a beginning".to_owned()));
                &[]
            }
            other => {
                ctx.error(
                    root.place,
                    format!("the file must be a mapping of keys to values, not {}", name(other)),
                    None,
                );
                &[]
            }
        };
        Self { ctx, prefix: String::new(), place: Place::START, entries, asked: Vec::new() }.read(read)
    }

    /// The place of the section's own key (or list item).
    pub fn place(&self) -> Place {
        self.place
    }

    pub fn context(&self) -> &'a Context<'a> {
        self.ctx
    }

    /// The value under `key`.
    pub fn field(&mut self, key: &'static str) -> Field<'a> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        let path = format!("{}{key}", self.prefix);
        self.ctx.note(&path, |_| ());
        let found = self.entries.iter().find(|entry| entry.key.as_deref() == Some(key));
        Field {
            ctx: self.ctx,
            path,
            key_place: found.map_or(self.place, |entry| entry.key_place),
            node: found.map(|entry| &entry.node),
            secret: false,
            in_file: false,
        }
    }

    /// Reads the section under `key`, where there is one.
    pub fn optional<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.field(key).section().map(|section| section.read(read))
    }

    /// Reads the section under `key`; an absent one has its defaults.
    pub fn within<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Self) -> T) -> T {
        let field = self.field(key);
        let section = field.section().unwrap_or_else(|| field.empty_section());
        section.read(read)
    }

    pub fn duration(&mut self, key: &'static str, default: Duration, range: RangeInclusive<Duration>) -> Duration {
        self.field(key).duration(range).unwrap_or(default)
    }

    pub fn integer<T: TryFrom<u64>>(&mut self, key: &'static str, default: T, range: RangeInclusive<u64>) -> T {
        self.field(key).integer(range).and_then(|number| T::try_from(number).ok()).unwrap_or(default)
    }

    pub fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        self.field(key).boolean().unwrap_or(default)
    }

    pub fn choice<T: Copy>(&mut self, key: &'static str, default: T, words: &[(&'static str, T)]) -> T {
        self.field(key).choice(words).unwrap_or(default)
    }

    /// A text that may also be given as `KEY_file`. At most one of the two.
    pub fn text_or_file(&mut self, key: &'static str, key_file: &'static str) -> Field<'a> {
        let (direct, file) = (self.field(key), self.field(key_file));
        direct.note(Shape::Text);
        file.note(Shape::Path);
        if direct.given() && file.given() {
            file.error(format!("`{}` is given as well", direct.path), Some("keep one of the two".to_owned()));
        }
        if direct.given() || !file.given() { direct } else { Field { in_file: true, ..file } }
    }

    fn read<T>(mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let result = read(&mut self);
        self.report_repeated_keys();
        self.report_unknown_keys();
        result
    }

    fn report_repeated_keys(&self) {
        for (index, entry) in self.entries.iter().enumerate() {
            let Some(key) = &entry.key else { continue };
            let earlier = self.entries.iter().take(index).find(|earlier| earlier.key.as_ref() == Some(key));
            if let Some(earlier) = earlier {
                let message = format!("the key `{}{}` is given twice", self.prefix, shown(key));
                let hint = format!("it stands on line {} already", earlier.key_place.line);
                self.ctx.error(entry.key_place, message, Some(hint));
            }
        }
    }

    fn report_unknown_keys(&self) {
        for entry in self.entries {
            match entry.key.as_deref() {
                None => self.ctx.error(entry.key_place, "a key must be text", None),
                Some(key) if self.asked.contains(&key) => {}
                Some("<<") => {
                    let hint = "write the keys out".to_owned();
                    self.ctx.error(entry.key_place, "merge keys (`<<`) are not supported", Some(hint));
                }
                Some(key) => {
                    let hint = nearest(key, &self.asked).map(|known| format!("did you mean `{known}`?"));
                    let place = self.prefix.trim_end_matches('.');
                    let message = match place {
                        "" => format!("unknown key `{}`", shown(key)),
                        _ => format!("unknown key `{}` in `{place}`", shown(key)),
                    };
                    self.ctx.error(entry.key_place, message, hint.or_else(|| self.known_keys()));
                }
            }
        }
    }

    fn known_keys(&self) -> Option<String> {
        (!self.asked.is_empty()).then(|| format!("known here: {}", self.asked.join(", ")))
    }
}

/// The known word that `word` is probably meant to be.
fn nearest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    let word = word.to_lowercase();
    // Long enough keys only: the distance is quadratic in the lengths, and no known word is longer.
    if word.len() > 64 {
        return None;
    }
    let score = |known: &str| strsim::jaro_winkler(&word, known);
    let best = known.iter().copied().max_by(|a, b| score(a).total_cmp(&score(b)))?;
    let close = strsim::damerau_levenshtein(&word, best) <= 2 && word.len() > 2;
    (close || score(best) >= 0.87).then_some(best)
}

/// `routes[0].name` → `routes[].name`.
fn without_indices(path: &str) -> String {
    let mut in_brackets = false;
    let keep = |c: &char| {
        in_brackets = *c == '[' || (in_brackets && *c != ']');
        !in_brackets || *c == '['
    };
    path.chars().filter(keep).collect()
}
