//! What grows with what is in the gateway, and what does not: `cargo bench --bench growth`, where nginx, wrk and taskset are installed
//! (`benches/run` installs them).
//!
//! The cost of a signed-in request with a thousand sessions in the store and with a million, with one route and with a thousand; how soon
//! a gateway with a million sessions answers after its start; how many logins it does beside what argon2id itself would; what three nodes and
//! their PostgreSQL take with a million sessions (`GROWTH_SESSIONS` says another number). Words behind the command choose among `sessions`, `everybody`,
//! `routes`, `start`, `logins` and `nodes`. What is compared takes turns, round by round: `COST_ROUNDS`
//! and `COST_SECONDS` say how many of how many seconds.
//!
//! Figures are printed and not judged.

#[cfg(test)]
use tests::harness;

fn main() {
    #[cfg(test)]
    growth::main();
}

#[cfg(test)]
#[path = "../tests"]
mod tests {
    #[allow(
        clippy::allow_attributes,
        clippy::string_slice,
        dead_code,
        unused_imports,
        reason = "a tool box, made for tests: not every tool is out at all times"
    )]
    pub mod harness;
}

#[cfg(test)]
mod growth {
    mod contestant;
    #[path = "../cost/cpu.rs"]
    mod cpu;
    mod filling;
    mod logins;
    mod nodes;
    #[path = "../cost/rounds.rs"]
    mod rounds;
    mod routes;
    mod sessions;
    mod start;
    #[path = "../cost/table.rs"]
    mod table;
    #[path = "../cost/wrk.rs"]
    mod wrk;

    use filling::Full;

    type Measure = fn(&Full);

    /// Everything that is measured here, in the order of the tables.
    const MEASURES: &[(&str, Measure)] = &[
        ("sessions", sessions::of_whom_few_work),
        ("everybody", sessions::who_all_work),
        ("routes", routes::measure),
        ("start", start::measure),
        ("logins", logins::measure),
        ("nodes", nodes::measure),
    ];

    pub fn main() {
        let mut words = std::env::args().skip(1);
        if words.next().as_deref() == Some(logins::WORD) {
            return logins::hash();
        }
        let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
        let runs = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
        let full = Full::default();
        MEASURES.iter().filter(|(name, _)| runs(name)).for_each(|(_, measure)| measure(&full));
    }
}
