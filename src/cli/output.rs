//! Standard output: lines, JSON, and tables that fit the terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::Failure;

/// Prints text as it is.
///
/// # Errors
/// Where standard output cannot take it. A reader that left (`| head`) is no error.
pub fn print(text: &str) -> Result<(), Failure> {
    stream(text).map(|_| ())
}

/// Prints text of which more may follow; false: the reader has left.
///
/// # Errors
/// Where standard output cannot take it.
pub fn stream(text: &str) -> Result<bool, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::of("cannot write to standard output", &error)),
    }
}

/// Says something on standard error, beside the command's result.
pub fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Prints one line.
///
/// # Errors
/// As [`print`].
pub fn line(text: impl std::fmt::Display) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}

/// Prints `value` as JSON, indented.
///
/// # Errors
/// As [`print`].
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::of("cannot write JSON", &error))?;
    line(text)
}

/// A table of text cells.
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// One with these columns.
    pub fn new(head: &[&'static str]) -> Self {
        Self { head: head.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; cells beyond the head's columns are not shown.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| printable(&cell)).collect());
    }

    /// Prints it as wide as the terminal; into a file or pipe nothing is cut.
    ///
    /// # Errors
    /// As [`print`].
    pub fn print(&self) -> Result<(), Failure> {
        print(&self.render(terminal_width()))
    }

    fn render(&self, width: Option<usize>) -> String {
        let mut widths: Vec<usize> = self.head.iter().map(|title| title.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        if let Some(width) = width {
            shrink(&mut widths, width);
        }
        let head: Vec<String> = self.head.iter().map(ToString::to_string).collect();
        let mut text = String::new();
        for row in std::iter::once(&head).chain(&self.rows) {
            let mut line = String::new();
            for (cell, &width) in row.iter().zip(&widths) {
                let shown = fit(cell, width);
                let blanks = width.saturating_sub(shown.width()) + GAP;
                line.push_str(&shown);
                line.extend(std::iter::repeat_n(' ', blanks));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

const GAP: usize = 2;

/// No column is cut below this.
const NARROWEST: usize = 6;

/// Takes from the widest column until the row fits, or nothing more can be taken.
fn shrink(widths: &mut [usize], terminal: usize) {
    let gaps = GAP * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > terminal {
        match widths.iter_mut().max() {
            Some(widest) if *widest > NARROWEST => *widest -= 1,
            _ => return,
        }
    }
}

fn fit(cell: &str, width: usize) -> String {
    if cell.width() <= width {
        return cell.to_owned();
    }
    let mut shown = String::new();
    let mut used = 0;
    for c in cell.chars() {
        used += c.width().unwrap_or(0);
        if used >= width {
            break;
        }
        shown.push(c);
    }
    shown.push('…');
    shown
}

/// Control characters could speak to the terminal in somebody else's name.
fn printable(cell: &str) -> String {
    cell.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn terminal_width() -> Option<usize> {
    let stdout = io::stdout();
    rustix::termios::tcgetwinsize(&stdout).ok().map(|size| usize::from(size.ws_col)).filter(|&width| width >= 20)
}

/// How far something is, on standard error, where that is a terminal and it takes long enough to wonder.
pub struct Progress {
    what: &'static str,
    shown: Option<ProgressBar>,
    began: Instant,
}

/// After this time somebody would like to know.
const LONG: Duration = Duration::from_secs(2);

impl Progress {
    /// Something begins.
    pub fn new(what: &'static str) -> Self {
        Self { what, shown: None, began: Instant::now() }
    }

    /// It is so far; a `total` of 0 is not known.
    pub fn at(&mut self, done: u64, total: u64) {
        if self.shown.is_none() && (self.began.elapsed() < LONG || !io::stderr().is_terminal()) {
            return;
        }
        let what = self.what;
        let bar = self.shown.get_or_insert_with(|| {
            let bar = ProgressBar::no_length().with_message(what);
            bar.set_style(style(SPINNER));
            bar
        });
        if total > 0 && bar.length() != Some(total) {
            bar.set_style(style(BAR));
            bar.set_length(total);
        }
        bar.set_position(done);
        bar.tick();
    }
}

const SPINNER: &str = "{spinner} {msg} {human_pos}";
const BAR: &str = "{msg} [{wide_bar}] {human_pos}/{human_len} {eta}";

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

/// Names and values, one pair a line, the values under each other.
pub fn fields(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.width()).max().unwrap_or(0) + GAP;
    pairs.iter().map(|(name, value)| format!("{name:width$}{}\n", printable(value))).collect()
}

/// `2026-11-21T08:15:00Z` as a person reads it: `2026-11-21 08:15` (UTC).
pub fn moment(rfc3339: &str) -> String {
    rfc3339.get(..16).unwrap_or(rfc3339).replace('T', " ")
}

/// The same, for what may be absent.
pub fn moment_or_dash(rfc3339: Option<&str>) -> String {
    rfc3339.map_or_else(|| "-".into(), moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["LOGIN", "NAME"]);
        table.row(["alice".into(), "山田 花子 (総務部)".into()]);
        table.row(["bob".into(), "Bob".into()]);
        table
    }

    #[test]
    fn columns_stand_under_each_other_also_in_japanese() {
        let mut table = Table::new(&["NAME", "ROLE"]);
        table.row(["花子".into(), "admin".into()]);
        table.row(["Bob".into(), "user".into()]);
        assert_eq!(table.render(None), "NAME  ROLE\n花子  admin\nBob   user\n");
    }

    #[test]
    fn a_wide_table_is_cut_to_the_terminal() {
        for width in [16, 20, 40] {
            for line in table().render(Some(width)).lines() {
                assert!(line.width() <= width, "{line:?} is wider than {width}");
            }
        }
        assert!(table().render(Some(20)).contains('…'));
        assert!(!table().render(None).contains('…'));
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let mut table = Table::new(&["AGENT"]);
        table.row(["evil\u{1b}[2J\r\n".into()]);
        let text = table.render(None);
        assert_eq!(text.lines().count(), 2);
        assert!(!text.contains('\u{1b}'));
    }
}
