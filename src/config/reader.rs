//! Walks the tree: a [`Section`] is a mapping that knows which keys were asked of it, a [`Field`] is one value under its key.
//!
//! Nothing here stops at a problem: it is reported with its place, and reading goes on, so that one run tells them all.
//! What could not be read comes back as `None`, or as its default, in a draft that nobody will use.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::diagnostic::{Diagnostic, Place, Severity};
use super::surroundings::{self, Variables};
use super::values::{self, Bad};
use super::yaml::{Entry, Kind, Node};

/// What all sections of one file share.
pub(super) struct Context<'a> {
    file: String,
    /// Relative paths start here: the folder of the configuration file.
    folder: PathBuf,
    variables: Variables<'a>,
    diagnostics: RefCell<Vec<Diagnostic>>,
    /// Every key that was asked for, for the test that compares the schema with the example.
    asked: RefCell<BTreeSet<String>>,
}

impl<'a> Context<'a> {
    pub fn new(file: &Path, variables: Variables<'a>) -> Self {
        Self {
            file: file.display().to_string(),
            folder: file.parent().map(Path::to_path_buf).unwrap_or_default(),
            variables,
            diagnostics: RefCell::default(),
            asked: RefCell::default(),
        }
    }

    pub fn error(&self, place: Place, message: impl Into<String>, hint: Option<String>) {
        self.report(Severity::Error, place, message.into(), hint);
    }

    pub fn warn(&self, place: Place, message: impl Into<String>, hint: Option<String>) {
        self.report(Severity::Warning, place, message.into(), hint);
    }

    fn report(&self, severity: Severity, place: Place, message: String, hint: Option<String>) {
        let Place { line, column } = place;
        let diagnostic = Diagnostic { severity, file: self.file.clone(), line, column, message, hint };
        self.diagnostics.borrow_mut().push(diagnostic);
    }

    pub fn variables(&self) -> Variables<'a> {
        self.variables
    }

    /// Every problem so far, in the file's order; and the keys that were asked for.
    pub fn finish(self) -> (Vec<Diagnostic>, BTreeSet<String>) {
        let mut diagnostics = self.diagnostics.into_inner();
        diagnostics.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        diagnostics.dedup();
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
        self.asked.push(key);
        let path = format!("{}{key}", self.prefix);
        self.ctx.asked.borrow_mut().insert(without_indices(&path));
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

/// One value, under the key or in the list where it stands.
pub(super) struct Field<'a> {
    ctx: &'a Context<'a>,
    /// `session.idle_timeout`, `routes[0].name`.
    path: String,
    key_place: Place,
    node: Option<&'a Node>,
    /// Its value is never repeated in a message.
    secret: bool,
    /// It names the file in which its value stands.
    in_file: bool,
}

impl<'a> Field<'a> {
    /// Marks the value as one that no message may repeat.
    pub fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// Reports the key as missing where it is.
    pub fn required(self, hint: &str) -> Self {
        if self.node.is_none() {
            let message = format!("`{}` is missing", self.path);
            self.ctx.error(self.key_place, message, Some(hint.to_owned()).filter(|hint| !hint.is_empty()));
        }
        self
    }

    pub fn given(&self) -> bool {
        self.node.is_some()
    }

    /// The value's place, or that of the section where it is missing.
    pub fn place(&self) -> Place {
        self.node.map_or(self.key_place, |node| node.place)
    }

    pub fn error(&self, message: impl Into<String>, hint: Option<String>) {
        self.ctx.error(self.place(), format!("`{}`: {}", self.path, message.into()), hint);
    }

    /// Like [`Field::error`], at the key instead of its value.
    pub fn error_at_key(&self, message: impl Into<String>, hint: Option<String>) {
        self.ctx.error(self.key_place, format!("`{}`: {}", self.path, message.into()), hint);
    }

    pub fn warn(&self, message: impl Into<String>, hint: Option<String>) {
        self.ctx.warn(self.place(), format!("`{}`: {}", self.path, message.into()), hint);
    }

    /// The text, as it stands or as `credential:NAME` names it. Never empty.
    pub fn text(&self) -> Option<String> {
        let raw = self.raw_text()?;
        let text = match raw.strip_prefix("credential:") {
            _ if self.in_file => self.content(&self.path()?)?,
            Some(name) => self.content(&self.credential_path(name)?)?,
            None => raw.to_owned(),
        };
        if text.is_empty() {
            self.error("must not be empty", None);
            return None;
        }
        Some(text)
    }

    /// A text that `read` makes something of.
    pub fn parse<T>(&self, read: impl FnOnce(&str) -> Result<T, Bad>) -> Option<T> {
        let text = self.text()?;
        self.settle(&text, read(&text))
    }

    /// Like [`Field::parse`], but an empty text means something here.
    pub fn parse_or_empty<T>(&self, read: impl FnOnce(&str) -> Result<T, Bad>) -> Option<T> {
        if self.node.is_some_and(|node| matches!(&node.kind, Kind::Text(text) if text.value.is_empty())) {
            return self.settle("", read(""));
        }
        self.parse(read)
    }

    pub fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        if let Some(Kind::Integer(number)) = self.node.map(|node| &node.kind) {
            self.error(format!("{number} has no unit"), Some(values::DURATION_HINT.to_owned()));
            return None;
        }
        self.parse(|text| values::duration(text, range))
    }

    /// A size in bytes.
    pub fn size(&self, range: RangeInclusive<u64>) -> Option<u64> {
        if let Some(Kind::Integer(number)) = self.node.map(|node| &node.kind) {
            self.error(format!("{number} has no unit"), Some(values::SIZE_HINT.to_owned()));
            return None;
        }
        self.parse(|text| values::size(text, range))
    }

    /// A size, or a bare 0 with a meaning of its own.
    pub fn size_or_zero(&self, range: RangeInclusive<u64>) -> Option<u64> {
        if matches!(self.node?.kind, Kind::Integer(0)) { Some(0) } else { self.size(range) }
    }

    pub fn integer(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let number = match &self.node?.kind {
            Kind::Integer(number) => u64::try_from(*number).ok(),
            // A number that comes from `${NAME}` is text to YAML.
            Kind::Text(text) if text.from_environment => text.value.trim().parse().ok(),
            _ => {
                self.wrong_kind("a whole number", None);
                return None;
            }
        };
        let in_range = number.filter(|number| range.contains(number));
        if in_range.is_none() {
            self.error(format!("must be a whole number from {} to {}", range.start(), range.end()), None);
        }
        in_range
    }

    pub fn boolean(&self) -> Option<bool> {
        match &self.node?.kind {
            Kind::Bool(value) => Some(*value),
            Kind::Text(text) if text.from_environment && text.value == "true" => Some(true),
            Kind::Text(text) if text.from_environment && text.value == "false" => Some(false),
            _ => {
                self.wrong_kind("true or false", None);
                None
            }
        }
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, words: &[(&'static str, T)]) -> Option<T> {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let rule = format!("must be one of: {}", known.join(", "));
        let text = match &self.node?.kind {
            // `off` is text to YAML 1.2, but readers of YAML 1.1 would make `false` of it: both are taken for it.
            Kind::Bool(false) if known.contains(&"off") => "off".to_owned(),
            Kind::Text(_) => self.text()?,
            _ => {
                self.error(rule, None);
                return None;
            }
        };
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let hint = nearest(&text, &known).map(|known| format!("did you mean `{known}`?"));
            self.error(rule, hint);
        }
        found
    }

    /// The path of a file or folder. A relative one starts at the configuration file's folder; `credential:NAME` is that
    /// credential's file.
    pub fn path(&self) -> Option<PathBuf> {
        let text = self.raw_text()?;
        if text.is_empty() || text.contains('\0') {
            self.error("must be the path of a file", None);
            return None;
        }
        match text.strip_prefix("credential:") {
            Some(name) => self.credential_path(name),
            None => Some(self.ctx.folder.join(text)),
        }
    }

    /// A list, each item read by `read`; items that `read` cannot make anything of are left out.
    pub fn list<T>(&self, mut read: impl FnMut(Field<'a>) -> Option<T>) -> Option<Vec<T>> {
        let Kind::List(items) = &self.node?.kind else {
            self.wrong_kind("a list", Some("like [a, b], or one item a line after a dash".to_owned()));
            return None;
        };
        let item = |(index, node): (usize, &'a Node)| {
            let path = format!("{}[{index}]", self.path);
            read(Field { ctx: self.ctx, path, key_place: node.place, node: Some(node), secret: false, in_file: false })
        };
        Some(items.iter().enumerate().filter_map(item).collect())
    }

    /// A mapping with keys of the writer's own choice.
    pub fn entries(&self) -> Option<Vec<(&'a str, Field<'a>)>> {
        let Kind::Map(entries) = &self.node?.kind else {
            self.wrong_kind("a mapping of keys to values", None);
            return None;
        };
        let mut fields = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(key) = entry.key.as_deref() else {
                self.ctx.error(entry.key_place, "a key must be text", None);
                continue;
            };
            let path = format!("{}.{}", self.path, shown(key));
            let (key_place, node) = (entry.key_place, Some(&entry.node));
            fields.push((key, Field { ctx: self.ctx, path, key_place, node, secret: false, in_file: false }));
        }
        Some(fields)
    }

    /// Where the key itself stands.
    pub fn key_place(&self) -> Place {
        self.key_place
    }

    /// A list item that is a section.
    pub fn read_section<T>(self, read: impl FnOnce(&mut Section<'a>) -> T) -> Option<T> {
        self.section().map(|section| section.read(read))
    }

    fn section(&self) -> Option<Section<'a>> {
        match &self.node?.kind {
            Kind::Map(entries) => Some(Section { entries, ..self.empty_section() }),
            _ => {
                self.wrong_kind("a mapping of keys to values", None);
                None
            }
        }
    }

    fn empty_section(&self) -> Section<'a> {
        let prefix = format!("{}.", self.path);
        Section { ctx: self.ctx, prefix, place: self.key_place, entries: &[], asked: Vec::new() }
    }

    /// The text as it stands, where it is text.
    fn raw_text(&self) -> Option<&'a str> {
        match &self.node?.kind {
            Kind::Text(text) => Some(&text.value),
            Kind::Null | Kind::List(_) | Kind::Map(_) | Kind::Tagged => {
                self.wrong_kind("text", None);
                None
            }
            Kind::Bool(_) | Kind::Integer(_) | Kind::Float => {
                self.wrong_kind("text", Some("put it in quotes".to_owned()));
                None
            }
        }
    }

    fn credential_path(&self, name: &str) -> Option<PathBuf> {
        match surroundings::credential_path(name, self.ctx.variables) {
            Ok(path) => Some(path),
            Err(problem) => {
                self.error(problem, None);
                None
            }
        }
    }

    /// What a file that holds one value says: its text without the line break at the end.
    fn content(&self, path: &Path) -> Option<String> {
        let bytes = match surroundings::read_file(path) {
            Ok((bytes, _)) => bytes,
            Err(error) => {
                self.error(format!("cannot read {}: {}", path.display(), surroundings::reason(&error)), None);
                return None;
            }
        };
        let Ok(text) = String::from_utf8(bytes) else {
            self.error(format!("{} is not UTF-8 text", path.display()), None);
            return None;
        };
        Some(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    fn settle<T>(&self, text: &str, result: Result<T, Bad>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(bad) => {
                self.error(format!("{}{}", self.quoted(text), bad.rule), bad.hint);
                None
            }
        }
    }

    /// The value as it may stand before a message: short, from the file itself, and no secret.
    fn quoted(&self, text: &str) -> String {
        let from_environment =
            self.node.is_some_and(|node| matches!(&node.kind, Kind::Text(text) if text.from_environment));
        let foreign = from_environment || self.raw_text().is_none_or(|raw| raw.starts_with("credential:"));
        if self.secret || self.in_file || foreign || text.is_empty() || text.chars().count() > 60 {
            return String::new();
        }
        format!("\"{text}\" ")
    }

    fn wrong_kind(&self, expected: &str, hint: Option<String>) {
        let found = self.node.map_or("nothing", |node| name(&node.kind));
        let hint = match self.node.map(|node| &node.kind) {
            Some(Kind::Null) => Some("give it a value, or remove the key".to_owned()),
            Some(Kind::Tagged) => Some("YAML tags (`!…`) are not supported".to_owned()),
            _ => hint,
        };
        self.error(format!("must be {expected}, not {found}"), hint);
    }
}

fn name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Null => "nothing",
        Kind::Bool(_) => "true or false",
        Kind::Integer(_) | Kind::Float => "a number",
        Kind::Text(_) => "text",
        Kind::List(_) => "a list",
        Kind::Map(_) => "a mapping",
        Kind::Tagged => "a tagged value",
    }
}

/// A key of the writer's, short enough for a message.
fn shown(key: &str) -> String {
    const LONGEST: usize = 60;
    if key.chars().count() <= LONGEST {
        return key.to_owned();
    }
    key.chars().take(LONGEST).chain(['…']).collect()
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
