//! How the gateway holds under attack: `cargo bench --bench overload` (`-- rapid-reset` for one scenario alone).
//!
//! Each scenario gets a gateway of its own. Signed-in people ask at a steady rate all the while; the attack comes and goes,
//! so that rounds with it stand beside rounds without it on the same, perhaps busy, machine. One table is printed: the 99th
//! percentile of the signed-in people's answers without and with the attack, how much the gateway's memory grew, and what
//! the attackers got. Figures are printed and not judged; what must hold at any rate is in `tests/`.
//!
//! Everything is on loopback and ends by itself. Attackers run at the lowest priority, so that what they compute themselves
//! takes little from the gateway, which shares the machine with them.

#[cfg(test)]
use tests::harness;

fn main() {
    #[cfg(test)]
    overload::main();
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
mod overload {
    mod attacker;
    mod http2;
    mod round;
    mod slow;
    pub mod stage;
    mod storm;
    mod table;
    mod upstream;

    use stage::Scenario;

    /// Every attack, in the order of the table.
    const SCENARIOS: &[&Scenario] = &[
        &slow::HEADS,
        &slow::FORMS,
        &http2::RAPID_RESET,
        &http2::PATIENT_RESET,
        &http2::MADE_YOU_RESET,
        &http2::CONTINUATIONS,
        &http2::HPACK_BOMB,
        &http2::EMPTY_DATA,
        &http2::PINGS,
        &http2::PINGS_UNREAD,
        &http2::UNKNOWN,
        &http2::WINDOW_ZERO,
        &http2::UNREAD,
        &storm::LOGINS,
        &storm::FLOOD,
    ];

    pub fn main() {
        let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
        let rows = SCENARIOS
            .iter()
            .filter(|scenario| wanted.is_empty() || wanted.iter().any(|word| scenario.name.contains(word.as_str())))
            .map(|scenario| round::run(scenario))
            .collect::<Vec<_>>();
        println!("{}", table::of(&rows));
    }
}
