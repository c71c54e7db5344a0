//! One value of the file: what kind it is, what it means, and what is wrong with it.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::asked::Shape;
use super::{Context, Section, nearest};
use crate::config::diagnostic::Place;
use crate::config::surroundings;
use crate::config::values::{self, Bad};
use crate::config::yaml::{Kind, Node};

/// One value, under the key or in the list where it stands.
pub(in crate::config) struct Field<'a> {
    pub(super) ctx: &'a Context<'a>,
    /// `session.idle_timeout`, `routes[0].name`.
    pub(super) path: String,
    pub(super) key_place: Place,
    pub(super) node: Option<&'a Node>,
    /// Its value is never repeated in a message.
    pub(super) secret: bool,
    /// It names the file in which its value stands.
    pub(super) in_file: bool,
}

impl<'a> Field<'a> {
    /// Marks the value as one that no message may repeat.
    pub fn secret(self) -> Self {
        self.ctx.note(&self.path, |asked| asked.secret = true);
        Self { secret: true, ..self }
    }

    /// Reports the key as missing where it is.
    pub fn required(self, hint: &str) -> Self {
        self.ctx.note(&self.path, |asked| asked.required = true);
        if self.node.is_none() {
            let message = format!("`{}` is missing", self.path);
            self.ctx.error(self.key_place, message, Some(hint.to_owned()).filter(|hint| !hint.is_empty()));
        }
        self
    }

    /// Notes what kind of value the schema takes here. The first word stands: what is read as a text may be the content of a file.
    pub(super) fn note(&self, shape: Shape) {
        self.ctx.note(&self.path, |asked| {
            asked.shape.get_or_insert(shape);
        });
    }

    pub fn given(&self) -> bool {
        self.node.is_some()
    }

    /// The value's place, or that of the section where it is missing.
    pub fn place(&self) -> Place {
        match self.node {
            Some(node) if !matches!(node.kind, Kind::Null) => node.place,
            // What is not there has no place of its own.
            _ => self.key_place,
        }
    }

    /// A list without items; one whose items are all wrong is none.
    pub fn is_empty_list(&self) -> bool {
        self.node.is_some_and(|node| matches!(&node.kind, Kind::List(items) if items.is_empty()))
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
        self.note(Shape::Text);
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
        self.note(Shape::Text);
        if self.node.is_some_and(|node| matches!(&node.kind, Kind::Text(text) if text.value.is_empty())) {
            return self.settle("", read(""));
        }
        self.parse(read)
    }

    pub fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        self.note(Shape::Duration(range.clone()));
        if let Some(Kind::Integer(number)) = self.node.map(|node| &node.kind) {
            self.error(format!("{number} has no unit"), Some(values::DURATION_HINT.to_owned()));
            return None;
        }
        self.parse(|text| values::duration(text, range))
    }

    /// A size in bytes.
    pub fn size(&self, range: RangeInclusive<u64>) -> Option<u64> {
        self.note(Shape::Size { range: range.clone(), or_zero: false });
        if let Some(Kind::Integer(number)) = self.node.map(|node| &node.kind) {
            self.error(format!("{number} has no unit"), Some(values::SIZE_HINT.to_owned()));
            return None;
        }
        self.parse(|text| values::size(text, range))
    }

    /// A size, or a bare 0 with a meaning of its own.
    pub fn size_or_zero(&self, range: RangeInclusive<u64>) -> Option<u64> {
        self.note(Shape::Size { range: range.clone(), or_zero: true });
        if matches!(self.node?.kind, Kind::Integer(0)) { Some(0) } else { self.size(range) }
    }

    pub fn integer(&self, range: RangeInclusive<u64>) -> Option<u64> {
        self.note(Shape::Integer(range.clone()));
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
        self.note(Shape::Boolean);
        match &self.node?.kind {
            Kind::Bool(value) => Some(*value),
            Kind::Text(text) if text.from_environment && *text.value == "true" => Some(true),
            Kind::Text(text) if text.from_environment && *text.value == "false" => Some(false),
            _ => {
                self.wrong_kind("true or false", None);
                None
            }
        }
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, words: &[(&'static str, T)]) -> Option<T> {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.note(Shape::Choice(words.iter().map(|(word, _)| *word).collect()));
        let rule = format!("must be one of: {}", known.join(", "));
        let text = match &self.node?.kind {
            // `off` is text to YAML 1.2, but readers of YAML 1.1 would make `false` of it: both are taken for it.
            Kind::Bool(false) if known.contains(&"off") => "off".to_owned(),
            Kind::Text(_) => self.text()?,
            _ => {
                self.wrong_kind(&format!("one of {}", known.join(", ")), None);
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
        self.note(Shape::Path);
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

    /// The path beside which something can be kept that belongs to the file: its own; for a credential, whose folder cannot be written
    /// and goes when the service stops, that of a file of the same name in the configuration's folder.
    pub fn path_to_keep_beside(&self) -> Option<PathBuf> {
        match self.raw_text()?.strip_prefix("credential:") {
            Some(name) => self.credential_path(name).map(|_| self.ctx.folder.join(name)),
            None => self.path(),
        }
    }

    /// A list, each item read by `read`; items that `read` cannot make anything of are left out.
    pub fn list<T>(&self, mut read: impl FnMut(Field<'a>) -> Option<T>) -> Option<Vec<T>> {
        self.note(Shape::List);
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
        self.note(Shape::Entries);
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

    pub(super) fn section(&self) -> Option<Section<'a>> {
        self.note(Shape::Section);
        match &self.node?.kind {
            Kind::Map(entries) => Some(Section { entries, ..self.empty_section() }),
            _ => {
                self.wrong_kind("a mapping of keys to values", None);
                None
            }
        }
    }

    pub(super) fn empty_section(&self) -> Section<'a> {
        let prefix = format!("{}.", self.path);
        Section { ctx: self.ctx, prefix, place: self.key_place, entries: &[], asked: Vec::new() }
    }

    /// The text as it stands, where it is text.
    fn raw_text(&self) -> Option<&'a str> {
        match &self.node?.kind {
            Kind::Text(text) => Some(&text.value),
            Kind::Null | Kind::List(_) | Kind::Map(_) | Kind::Tagged | Kind::Unresolved => {
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
        if self.node.is_some_and(|node| matches!(node.kind, Kind::Unresolved)) {
            return;
        }
        let found = self.node.map_or("nothing", |node| name(&node.kind));
        let hint = match self.node.map(|node| &node.kind) {
            Some(Kind::Null) => Some("give it a value, or remove the key".to_owned()),
            Some(Kind::Tagged) => Some("YAML tags (`!…`) are not supported".to_owned()),
            _ => hint,
        };
        self.error(format!("must be {expected}, not {found}"), hint);
    }
}

/// A kind in words.
pub(super) fn name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Null => "nothing",
        Kind::Bool(_) => "true or false",
        Kind::Integer(_) | Kind::Float => "a number",
        Kind::Text(_) => "text",
        Kind::List(_) => "a list",
        Kind::Map(_) => "a mapping",
        Kind::Tagged => "a tagged value",
        Kind::Unresolved => "unknown",
    }
}

/// A key of the writer's, short enough for a message.
pub(in crate::config) fn shown(key: &str) -> String {
    const LONGEST: usize = 60;
    if key.chars().count() <= LONGEST {
        return key.to_owned();
    }
    key.chars().take(LONGEST).chain(['…']).collect()
}
