//! What is compared: contestants, what each does in a round, and which figures come of it.

use super::contestant::{Contestant, Start};
use super::rounds;
use super::table::Table;

/// One table.
pub struct Part {
    pub table: Table,
    pub contestants: &'static [(&'static str, Start)],
    /// Has a contestant do its work for about so many seconds, and returns what the table's columns say.
    pub play: fn(&Contestant, u32) -> Vec<f64>,
}

/// With whom the others are compared.
pub const MEASURES: &[&str] = &["pingora", "nginx + auth_request"];

impl Part {
    /// The table of those whose names, or that of the table with theirs, begin with one of these words; of all where there are none.
    pub fn measured(&self, words: &[String]) -> Option<String> {
        let title = self.table.title;
        let full = |name: &str| if title.is_empty() { name.to_owned() } else { format!("{title}: {name}") };
        let is_wanted = |name: &str| words.is_empty() || words.iter().any(|word| full(name).starts_with(word.as_str()));
        let wanted = self.contestants.iter().filter(|(name, _)| is_wanted(name));
        let contestants: Vec<Contestant> = wanted.map(|(name, start)| start(name)).collect();
        let rows = || rounds::all(&contestants, |one| one.name, self.play);
        (!contestants.is_empty()).then(|| self.table.of(&rows()))
    }
}
