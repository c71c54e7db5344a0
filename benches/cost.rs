//! What a signed-in request costs, beside others: `benches/run`, or `cargo bench --bench cost` where nginx, wrk, h2load and taskset are
//! installed, and what `tests/caddy/prepare` needs.
//!
//! Every contestant runs alone on one core, with one thread; the load and the tool share the other. Contestants take turns, round by
//! round, so that a machine that is slow for a while is slow for all of them. CPU time is the kernel's count of the contestant's processes.
//!
//! Figures are printed and not judged. `-- sekisho nginx "TLS"` takes those alone whose names begin so, with their table's name before
//! it; `COST_ROUNDS` and `COST_SECONDS` say how many rounds of how many seconds.

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
    mod bytes;
    mod contestant;
    mod cpu;
    mod messages;
    mod part;
    mod requests;
    mod rounds;
    mod table;
    mod wrk;

    use rustix::thread::{CpuSet, sched_setaffinity};

    /// In the order in which they are printed.
    const PARTS: [part::Part; 5] = [requests::PLAIN, requests::ENGINES, requests::TLS, bytes::PART, messages::PART];

    pub fn main() {
        let mut words = std::env::args().skip(1);
        if words.next().as_deref() == Some(bare::WORD) {
            return bare::serve(words);
        }
        // What is not a contestant shares the other core.
        let mut ours = CpuSet::new();
        ours.set(contestant::OURS.parse().unwrap());
        sched_setaffinity(None, &ours).unwrap();
        let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
        for table in PARTS.iter().filter_map(|part| part.measured(&words)) {
            println!("{table}");
        }
    }
}
