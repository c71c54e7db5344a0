//! From text to rows (RFC 4180): which separator, which columns, which line. What a cell says is [`super::row`]'s business.

use csv::{ReaderBuilder, StringRecord};
use serde::{Deserialize, Serialize};

use super::Unreadable;
use super::columns::{self, Column};
use super::text::{self, Encoding};

/// How many accounts one list may have.
pub const MAX_ROWS: usize = 5_000;
/// Nobody's list has more; each cell costs memory even where it is empty.
const MAX_COLUMNS: usize = 64;

/// What stands between two cells. The name is the end of its text's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Separator {
    Comma,
    Semicolon,
    Tab,
}

impl Separator {
    const ALL: [Self; 3] = [Self::Comma, Self::Semicolon, Self::Tab];

    const fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
        }
    }
}

/// A list as it came in: read, but not judged.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    pub encoding: Encoding,
    pub separator: Separator,
    /// The header row as it stands in the file.
    pub header: Vec<String>,
    /// Which of its cells are read, and as what.
    pub columns: Vec<Option<Column>>,
    /// The names of the others.
    pub unread: Vec<String>,
    pub records: Vec<Record>,
}

/// One row of cells.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The line of the file on which it begins, from 1.
    pub line: u64,
    pub cells: Vec<String>,
}

impl Table {
    /// Reads a list.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let (text, encoding) = text::decode(bytes)?;
        // So that a line ends in one way, within quotes too.
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let separator = separator(&text);
        let mut reader = reader(&text, separator);
        let mut record = StringRecord::new();
        if !next(&mut reader, &mut record)? {
            return Err(Unreadable::Empty);
        }
        if record.len() > MAX_COLUMNS {
            return Err(Unreadable::TooManyColumns);
        }
        let (columns, unread) = columns::read(record.iter())?;
        let header: Vec<String> = record.iter().map(str::to_owned).collect();
        let mut records = Vec::new();
        let mut lines = Lines::of(&text);
        while next(&mut reader, &mut record)? {
            // Spreadsheets write rows of nothing at the end.
            if record.iter().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            if records.len() == MAX_ROWS {
                return Err(Unreadable::TooManyRows);
            }
            let line = lines.at(record.position().map_or(0, csv::Position::byte));
            // One cell more than the header has is enough to tell that there are too many.
            let cells = record.iter().take(header.len() + 1).map(str::to_owned).collect();
            records.push(Record { line, cells });
        }
        if records.is_empty() {
            return Err(Unreadable::Empty);
        }
        Ok(Self { encoding, separator, header, columns, unread, records })
    }
}

/// The one by which the header row makes most sense; the comma, where that says nothing.
fn separator(text: &str) -> Separator {
    let sense = |separator: Separator| {
        let mut record = StringRecord::new();
        match next(&mut reader(text, separator), &mut record) {
            Ok(true) if record.len() <= MAX_COLUMNS => columns::sense(record.iter()),
            _ => 0,
        }
    };
    // The last of several greatest is taken: so the comma comes last.
    Separator::ALL.into_iter().rev().max_by_key(|separator| sense(*separator)).unwrap_or(Separator::Comma)
}

/// Tells on which line a record begins; asked from the top down.
struct Lines<'t> {
    bytes: &'t [u8],
    counted: usize,
    line: u64,
}

impl<'t> Lines<'t> {
    const fn of(text: &'t str) -> Self {
        Self { bytes: text.as_bytes(), counted: 0, line: 1 }
    }

    /// The line of the first record from this byte on; the reader stands before the empty lines that it passes over.
    fn at(&mut self, byte: u64) -> u64 {
        let from = usize::try_from(byte).unwrap_or(usize::MAX).max(self.counted);
        let ahead = self.bytes.get(self.counted..from).unwrap_or_default();
        let empty = self.bytes.get(from..).unwrap_or_default().iter().take_while(|byte| **byte == b'\n').count();
        let breaks = ahead.iter().filter(|byte| **byte == b'\n').count() + empty;
        self.counted = from.saturating_add(empty);
        self.line = self.line.saturating_add(breaks as u64);
        self.line
    }
}

fn reader(text: &str, separator: Separator) -> csv::Reader<&[u8]> {
    ReaderBuilder::new().has_headers(false).flexible(true).delimiter(separator.byte()).from_reader(text.as_bytes())
}

fn next(reader: &mut csv::Reader<&[u8]>, record: &mut StringRecord) -> Result<bool, Unreadable> {
    // From memory, and text already: there is nothing left that could fail.
    reader.read_record(record).map_err(|_| Unreadable::NoText)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(text: &str) -> Vec<(u64, Vec<String>)> {
        Table::read(text.as_bytes()).unwrap().records.into_iter().map(|record| (record.line, record.cells)).collect()
    }

    fn row(line: u64, cells: &[&str]) -> (u64, Vec<String>) {
        (line, cells.iter().map(|cell| (*cell).to_owned()).collect())
    }

    #[test]
    fn quotes_hold_separators_quotes_and_line_breaks() {
        let text = "login,name\r\na,\"Smith, \"\"Ann\"\"\"\r\n\"b\",\"two\r\nlines\"\r\n\r\n,,\r\nc,\r\n";
        assert_eq!(
            cells(text),
            [row(2, &["a", "Smith, \"Ann\""]), row(3, &["b", "two\nlines"]), row(7, &["c", ""])],
            "each with the line on which it begins"
        );
        assert_eq!(cells("login\r\r\ra\rb\r"), [row(4, &["a"]), row(5, &["b"])], "an old Mac's");
    }

    #[test]
    fn the_separator_is_the_one_that_makes_sense_of_the_header() {
        for (text, separator) in [
            ("login,name;first\na,b\n", Separator::Comma),
            ("login;name;groups\na;b;x,y\n", Separator::Semicolon),
            ("login\tname\na\tb\n", Separator::Tab),
            ("login\na\n", Separator::Comma),
            ("login;\"name, in full\"\na;b\n", Separator::Semicolon),
        ] {
            assert_eq!(Table::read(text.as_bytes()).map(|table| table.separator), Ok(separator), "{text:?}");
        }
    }

    #[test]
    fn a_list_has_an_end_and_a_beginning() {
        let rows = |count: usize| format!("login\n{}", "a\n".repeat(count));
        assert_eq!(cells(&rows(MAX_ROWS)).len(), MAX_ROWS);
        assert_eq!(Table::read(rows(MAX_ROWS + 1).as_bytes()), Err(Unreadable::TooManyRows));
        for nothing in ["", "\n\n", "login,name\n", "login,name\n,\n"] {
            assert_eq!(Table::read(nothing.as_bytes()), Err(Unreadable::Empty), "{nothing:?}");
        }
        let wide = format!("login{}\na\n", ",x".repeat(MAX_COLUMNS));
        assert_eq!(Table::read(wide.as_bytes()), Err(Unreadable::TooManyColumns));
        assert_eq!(
            cells("login\na,b,c,d\n"),
            [row(2, &["a", "b"])],
            "no more is kept than tells that there is too much"
        );
    }
}
