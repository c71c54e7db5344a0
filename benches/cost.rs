//! What a signed-in request costs, beside what others take for the same: `benches/run`, or `cargo bench --bench cost` where nginx, wrk and
//! taskset are installed.
//!
//! Every contestant passes the same requests on to the same tool: a thousand of them, each with a session of its own and a forged
//! `Remote-User`, for an answer of 1 KiB. It runs alone on one core; the load and the tool share the other. Contestants take turns, round by
//! round, so that a machine that is slow for a while is slow for all of them. CPU time is the kernel's count of the contestant's processes.
//!
//! Figures are printed and not judged. `-- sekisho nginx` takes the contestants alone whose names begin so; `COST_ROUNDS` and `COST_SECONDS` say how
//! many rounds of how many seconds.

#[cfg(test)]
use tests::harness;

/// That of the program (`src/main.rs`): bare Pingora runs in this one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    #[cfg(test)]
    cost::main();
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
mod cost {
    mod bare;
    mod contestant;
    mod cpu;
    mod round;
    mod table;

    use contestant::{Contestant, START};

    pub fn main() {
        let mut words = std::env::args().skip(1);
        if words.next().as_deref() == Some(bare::WORD) {
            return bare::serve(words);
        }
        let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
        let tool = contestant::tool();
        let runs = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.starts_with(word.as_str()));
        let contestants: Vec<Contestant> =
            START.iter().filter(|(name, _)| runs(name)).map(|(name, start)| start(name, &tool)).collect();
        println!("{}", table::of(&round::all(&contestants)));
    }
}
