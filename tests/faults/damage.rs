//! Files of the store that were damaged at random places: everything is there, or the gateway says so and does not start. Never an
//! empty store in the place of a broken one, and no panic in anybody's face.

use std::path::Path;
use std::time::Duration;

use crate::crash::Chance;
use crate::harness::{Client, Process, Recorder, Sekisho, poll, unix_now};

/// How many places in the ordinary run, and in the long one.
const PLACES: (u32, u32) = (12, 150);

/// Flips a bit, zeroes a block or cuts the end off; says what it did.
fn damage(bytes: &mut Vec<u8>, chance: &mut Chance) -> String {
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
    let at = usize::try_from(chance.below(used as u64)).unwrap();
    match chance.below(4) {
        0 => {
            bytes.truncate(at);
            format!("cut at {at} of {used}")
        }
        1 => {
            let end = (at + 4096).min(bytes.len());
            bytes[at..end].fill(0);
            format!("zeroed from {at} of {used}")
        }
        _ => {
            let bit = chance.below(8);
            bytes[at] ^= 1 << bit;
            format!("bit {bit} flipped at {at} of {used}")
        }
    }
}

fn files_of(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files.map(|path| (path.clone(), std::fs::read(&path).unwrap())).collect()
}

/// Serves, or has given up.
fn settled(gate: &Sekisho, place: &str) -> (Process, bool) {
    let mut process = gate.spawn_serve();
    let serves = poll(Duration::from_secs(30), || {
        let listens = process.lines().iter().any(|line| line.contains("\"listening\""));
        (listens || !process.is_running()).then_some(listens)
    });
    let serves = serves.unwrap_or_else(|| panic!("{place}: neither serves nor gives up"));
    (process, serves)
}

#[test]
fn a_store_damaged_anywhere_is_whole_or_refused_and_never_taken_for_a_new_one() {
    let places = if std::env::var_os("SEKISHO_LONG_TESTS").is_some() { PLACES.1 } else { PLACES.0 };
    let seed = std::env::var("SEKISHO_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(unix_now);
    println!("SEKISHO_SEED={seed}");
    let mut chance = Chance::new(seed);
    let upstream = Recorder::ok();
    let builder = Sekisho::builder().cheap_hashes().set("second_factor.policy", "off").upstream(&upstream.url());
    let mut gate = (0..8).fold(builder, |builder, number| builder.user(&format!("user{number}"), &[])).start();
    for number in 0..8 {
        Client::new(&gate).sign_in(&gate, &format!("user{number}"), None);
    }
    let accounts = gate.cli_json(&["user", "list"]);
    assert_eq!(accounts.as_array().map(Vec::len), Some(8));
    gate.kill();
    let folder = gate.path("store");
    let whole = files_of(&folder);
    let (mut served, mut refused) = (0, 0);
    for _ in 0..places {
        for (path, _) in files_of(&folder) {
            std::fs::remove_file(path).unwrap();
        }
        for (path, bytes) in &whole {
            std::fs::write(path, bytes).unwrap();
        }
        // Nearly everything is in the log.
        let log = chance.below(5) > 0;
        let candidates: Vec<&(std::path::PathBuf, Vec<u8>)> =
            whole.iter().filter(|(path, bytes)| !bytes.is_empty() && (!log || path.ends_with("db"))).collect();
        let (path, bytes) = chance.pick(&candidates).unwrap();
        let mut bytes = bytes.clone();
        let place = format!("seed {seed}: {} {}", path.file_name().unwrap().display(), damage(&mut bytes, &mut chance));
        std::fs::write(path, &bytes).unwrap();

        let (mut process, serves) = settled(&gate, &place);
        if serves {
            assert_eq!(gate.cli_json(&["user", "list"]), accounts, "{place}: it serves with something missing");
            assert_eq!(gate.cli_json(&["store", "verify"])["problem_count"], 0, "{place}");
            process.signal(rustix::process::Signal::KILL);
            process.wait();
            served += 1;
        } else {
            assert_eq!(process.wait().code(), Some(1), "{place}: {:?}", process.lines());
            let said = process.lines().join("\n");
            assert!(said.contains("store") && said.contains("damaged"), "{place}: {said}");
            let (mut again, serves) = settled(&gate, &place);
            assert!(!serves && again.wait().code() == Some(1), "{place}: refused once, taken the next time");
            let added = gate.cli_with_input(&["user", "add", "eve", "--password-stdin"], "Another-horse-9\n");
            assert_eq!(added.status.code(), Some(1), "{place}: {added:?}");
            refused += 1;
        }
        let said = process.lines().join("\n");
        assert!(!said.contains("panicked") && !said.contains("RUST_BACKTRACE"), "{place}: {said}");
    }
    println!("{places} places: {served} harmless, {refused} refused");
    assert!(refused > 0, "nothing was damaged");
}
