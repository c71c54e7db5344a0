//! Rounds: each contestant for some seconds, then the next one.

/// A contestant's rounds.
pub struct Row {
    pub name: &'static str,
    /// Its figures in each, in the order of the table's columns.
    pub rounds: Vec<Vec<f64>>,
}

/// Plays them all; `COST_ROUNDS` and `COST_SECONDS` say how often and for how long.
pub fn all<C>(contestants: &[C], name: fn(&C) -> &'static str, play: fn(&C, u32) -> Vec<f64>) -> Vec<Row> {
    let number = |name: &str, usual: u32| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (rounds, seconds) = (number("COST_ROUNDS", 5), number("COST_SECONDS", 6));
    let mut rows: Vec<Row> = contestants.iter().map(|one| Row { name: name(one), rounds: vec![] }).collect();
    // Pools fill, and caches.
    for contestant in contestants {
        play(contestant, 1);
    }
    for round in 1..=rounds {
        for (contestant, row) in contestants.iter().zip(&mut rows) {
            let figures = play(contestant, seconds);
            eprintln!("round {round}: {:22} {figures:.2?}", row.name);
            row.rounds.push(figures);
        }
    }
    rows
}
