//! Where every node of a YAML text stands, from the events of `saphyr-parser`.

use saphyr_parser::{Event, Parser, Span};

use super::diagnostic::Place;

/// The place of one node and of what is in it. An alias is a leaf: what it stands for is written elsewhere.
#[derive(Debug)]
pub(super) enum Spot {
    Leaf(Place),
    List(Place, Vec<Spot>),
    Map(Place, Vec<(Spot, Spot)>),
}

impl Spot {
    pub fn place(&self) -> Place {
        match self {
            Self::Leaf(place) | Self::List(place, _) | Self::Map(place, _) => *place,
        }
    }

    /// A list's items; nothing else has any.
    pub fn items(&self) -> &[Self] {
        if let Self::List(_, items) = self { items } else { &[] }
    }

    /// A mapping's keys and values; nothing else has any.
    pub fn entries(&self) -> &[(Self, Self)] {
        if let Self::Map(_, entries) = self { entries } else { &[] }
    }
}

/// Deeper than what `serde_yaml` reads (128): such a text is refused before anybody asks for its places.
const DEEPEST: usize = 256;

/// A list or mapping that has begun.
struct Open {
    place: Place,
    is_map: bool,
    /// In a mapping: key, value, key, value.
    children: Vec<Spot>,
}

/// The places of the first document; `None` where the text cannot be followed to its end.
pub(super) fn index(text: &str) -> Option<Spot> {
    let mut parser = Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut open: Vec<Open> = Vec::new();
    while let Some(event) = parser.next_event() {
        let (event, span) = event.ok()?;
        let done = match event {
            Event::Scalar(..) | Event::Alias(_) => Some(Spot::Leaf(place(span))),
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                let is_map = matches!(event, Event::MappingStart(..));
                open.push(Open { place: place(span), is_map, children: Vec::new() });
                if open.len() > DEEPEST {
                    return None;
                }
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(close),
            Event::StreamEnd => return None,
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => None,
        };
        if let Some(spot) = done {
            match open.last_mut() {
                Some(parent) => parent.children.push(spot),
                None => return Some(spot),
            }
        }
    }
    None
}

fn close(open: Open) -> Spot {
    if !open.is_map {
        return Spot::List(open.place, open.children);
    }
    let mut entries = Vec::with_capacity(open.children.len() / 2);
    let mut children = open.children.into_iter();
    while let (Some(key), Some(value)) = (children.next(), children.next()) {
        entries.push((key, value));
    }
    Spot::Map(open.place, entries)
}

fn place(span: Span) -> Place {
    Place { line: span.start.line().max(1), column: span.start.col() + 1 }
}
