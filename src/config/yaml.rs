//! YAML text → a tree in which every key and value knows its place.
//!
//! `serde_yaml` says what the text means. It does not say where a thing stood, so a second, low-level parser tells the
//! places of the same nodes in the same order ([`super::places`]), and the two trees are laid over each other. Should they
//! ever disagree about the shape, the node takes its parent's place: a less exact message, never a wrong value.
//!
//! Aliases (`*name`) work. Tags and merge keys do not: the schema knows no key `<<` and no tagged value.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use zeroize::Zeroizing;

use super::diagnostic::Place;
use super::places::{self, Spot};

/// One value of the file.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub place: Place,
    pub kind: Kind,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Integer(i128),
    Float,
    Text(Text),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// `!tag value`, which nothing in the schema asks for.
    Tagged,
    /// A text whose `${NAME}` could not be replaced, which has been reported: nobody can tell whether it is right.
    Unresolved,
}

/// Text, and whether the file itself spells it. It may be a secret: it is wiped, and `Debug` does not show it.
#[derive(Clone)]
pub(crate) struct Text {
    pub value: Zeroizing<String>,
    /// It came in whole or in part from an environment variable, and so must not be repeated in a message.
    pub from_environment: bool,
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Text(…)")
    }
}

/// A key and its value. A repeated key is kept, so that it can be reported.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// `None`: the key is no text.
    pub key: Option<String>,
    pub key_place: Place,
    pub node: Node,
}

/// What is not YAML at all.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub place: Place,
    pub message: String,
}

/// Reads one document.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let meaning: Meaning = serde_yaml::from_str(text).map_err(|error| SyntaxError::new(&error, text))?;
    let spots = places::index(text);
    Ok(lay_over(meaning, spots.as_ref(), Place::START))
}

impl SyntaxError {
    fn new(error: &serde_yaml::Error, yaml: &str) -> Self {
        let place = match error.location() {
            Some(at) => Place { line: at.line().max(1), column: at.column().max(1) },
            // Only a second document has none; it begins with a line of dashes.
            None => {
                let last = yaml.lines().enumerate().filter(|(_, line)| line.starts_with("---")).last();
                last.map_or(Place::START, |(index, _)| Place { line: index + 1, column: 1 })
            }
        };
        // The library appends its own " at line 3 column 5", which the diagnostic says already.
        let text = error.to_string();
        let message = match text.find(" at line ") {
            Some(end) => text.get(..end).unwrap_or(&text).to_owned(),
            None => text,
        };
        Self { place, message }
    }
}

/// What `serde_yaml` reads: like its `Value`, but a repeated key is no reason to stop reading.
enum Meaning {
    Null,
    Bool(bool),
    Integer(i128),
    Float,
    Text(String),
    List(Vec<Meaning>),
    Map(Vec<(Meaning, Meaning)>),
    Tagged,
}

impl<'de> Deserialize<'de> for Meaning {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MeaningVisitor)
    }
}

struct MeaningVisitor;

impl<'de> Visitor<'de> for MeaningVisitor {
    type Value = Meaning;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<Meaning, E> {
        Ok(Meaning::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Meaning, E> {
        Ok(Meaning::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Meaning, E> {
        Ok(Meaning::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Meaning, E> {
        Ok(Meaning::Integer(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Meaning, E> {
        Ok(Meaning::Integer(value))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Meaning, E> {
        // No setting is that large: its own range refuses the largest number just as well.
        Ok(Meaning::Integer(i128::try_from(value).unwrap_or(i128::MAX)))
    }

    fn visit_f64<E>(self, _value: f64) -> Result<Meaning, E> {
        Ok(Meaning::Float)
    }

    fn visit_str<E>(self, value: &str) -> Result<Meaning, E> {
        Ok(Meaning::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Meaning, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Meaning::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Meaning, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Meaning::Map(entries))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Meaning, A::Error> {
        let (_tag, content): (String, _) = data.variant()?;
        content.newtype_variant::<Meaning>()?;
        Ok(Meaning::Tagged)
    }
}

/// Gives every node its place. Both trees are at most as deep as `serde_yaml` reads (128 levels).
fn lay_over(meaning: Meaning, spot: Option<&Spot>, parent: Place) -> Node {
    let place = spot.map_or(parent, Spot::place);
    let kind = match meaning {
        Meaning::Null => Kind::Null,
        Meaning::Bool(value) => Kind::Bool(value),
        Meaning::Integer(value) => Kind::Integer(value),
        Meaning::Float => Kind::Float,
        Meaning::Text(value) => Kind::Text(Text { value: value.into(), from_environment: false }),
        Meaning::Tagged => Kind::Tagged,
        Meaning::List(items) => {
            let spots = spot.map_or(&[][..], Spot::items);
            let known = spots.len() == items.len();
            let at = |index| if known { spots.get(index) } else { None };
            Kind::List(items.into_iter().enumerate().map(|(index, item)| lay_over(item, at(index), place)).collect())
        }
        Meaning::Map(entries) => {
            let spots = spot.map_or(&[][..], Spot::entries);
            let known = spots.len() == entries.len();
            let at = |index| if known { spots.get(index) } else { None };
            let entry = |(index, (key, value))| {
                let (key_spot, value_spot) = at(index).map_or((None, None), |(key, value)| (Some(key), Some(value)));
                let key_place = key_spot.map_or(place, Spot::place);
                let key = if let Meaning::Text(key) = key { Some(key) } else { None };
                Entry { key, key_place, node: lay_over(value, value_spot, key_place) }
            };
            Kind::Map(entries.into_iter().enumerate().map(entry).collect())
        }
    };
    Node { place, kind }
}
