//! What the schema asks of the file: each key with the kind of its value, noted while the file is read. The reference, the JSON
//! Schema and the example are held against it, so that none of them can say something else than the code does; and by it two nodes' files are
//! compared.

use std::ops::RangeInclusive;
use std::time::Duration;

/// What is known of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::config) struct Asked {
    /// `None`: it was only asked whether it is given.
    pub shape: Option<Shape>,
    pub required: bool,
    /// It may be something that nobody is told.
    pub secret: bool,
}

/// The kind of a value. Text may be a `${NAME}` or a `credential:NAME` too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) enum Shape {
    Section,
    /// A mapping with keys of the writer's own choice.
    Entries,
    List,
    Text,
    Path,
    Boolean,
    Integer(RangeInclusive<u64>),
    Duration(RangeInclusive<Duration>),
    Size {
        range: RangeInclusive<u64>,
        or_zero: bool,
    },
    Choice(Vec<&'static str>),
}
