//! The figures, for people.

use std::fmt::Write;

use super::rounds::Row;

/// What a table has.
pub struct Table {
    pub title: &'static str,
    /// With how many digits behind the point.
    pub columns: &'static [(&'static str, usize)],
    /// Those of which ratios are given.
    pub compared: &'static [usize],
    /// To whom, where they run.
    pub measures: &'static [&'static str],
}

impl Table {
    /// Markdown: medians, and ratios taken round by round, with their lowest and highest.
    pub fn of(&self, rows: &[Row]) -> String {
        let measures = self.measures.iter().filter_map(|name| rows.iter().find(|row| row.name == *name));
        let measures: Vec<&Row> = measures.collect();
        let mut text = format!("\n| {} |", self.title);
        for (column, _) in self.columns {
            let _ = write!(text, " {column} |");
        }
        for measure in &measures {
            for index in self.compared {
                let _ = write!(text, " {} : {} |", self.columns[*index].0, measure.name);
            }
        }
        let _ = writeln!(text, "\n|{}", " --- |".repeat(1 + self.columns.len() + self.compared.len() * measures.len()));
        for row in rows {
            let _ = write!(text, "| {} |", row.name);
            for (index, (_, digits)) in self.columns.iter().enumerate() {
                let _ = write!(text, " {:.digits$} |", median(row.rounds.iter().map(|round| round[index]).collect()));
            }
            for measure in &measures {
                for index in self.compared {
                    let rounds = row.rounds.iter().zip(&measure.rounds);
                    let ratios = rounds.map(|(one, other)| one[*index] / other[*index]);
                    let _ = write!(text, " {} |", spread(ratios.collect()));
                }
            }
            text.push('\n');
        }
        text
    }
}

/// `median (lowest–highest)`.
pub fn spread(all: Vec<f64>) -> String {
    let (lowest, highest) = all.iter().fold((f64::MAX, 0.0_f64), |(low, high), one| (low.min(*one), high.max(*one)));
    format!("{:.2} ({lowest:.2}–{highest:.2})", median(all))
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}
