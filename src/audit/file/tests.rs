use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::audit::{Kind, Result as Outcome, SessionMark, printable};
use crate::authn::session::Origin;
use crate::clock::ManualClock;
use crate::id::{EventId, SessionId};

fn event(index: u8, user_agent: &str) -> Event {
    Event {
        id: EventId::from_bytes([index; 10]),
        at: Timestamp::from_millis(1_795_339_805_123),
        kind: Kind::Login,
        result: Outcome::Failure,
        user: None,
        login: "alice".to_owned(),
        actor: None,
        actor_id: None,
        client: Origin { address: "192.0.2.1".to_owned(), user_agent: printable(user_agent, 256) },
        session: Some(SessionMark::of(SessionId::from_bytes([1; 10]))),
        route: None,
        detail: "wrong password".to_owned(),
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_secs(1_795_339_805)))
}

fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ids(path: &Path) -> Vec<String> {
    lines(path).iter().map(|line| line["id"].as_str().unwrap_or("gap").to_owned()).collect()
}

fn id(index: u8) -> String {
    EventId::from_bytes([index; 10]).to_string()
}

#[test]
fn a_line_is_one_json_object_with_every_field_whatever_the_browser_calls_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let file = AuditFile::open(&path, clock()).unwrap();
    file.write(&event(1, "\"}\n{\"event\":\"login\"} \u{1b}[2J\u{202e}\u{2028}\u{0}\\ 関所"));
    drop(file);
    let all = lines(&path);
    let keys: Vec<&String> = all[0].as_object().unwrap().keys().collect();
    let mut expected = [
        "time",
        "event",
        "result",
        "user_id",
        "login",
        "actor_id",
        "actor",
        "address",
        "user_agent",
        "session",
        "route",
        "reason",
        "id",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!((all.len(), &all[0]["time"]), (1, &serde_json::json!("2026-11-22T09:30:05.123Z")));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.trim_end().chars().all(|c| !c.is_control() && !"\u{202e}\u{2028}".contains(c)), "{text}");
    assert!(text.contains("関所"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777 & !0o640, 0);
}

#[test]
fn what_is_there_is_appended_to_and_a_line_that_was_cut_short_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    drop(AuditFile::open(&path, clock()).map(|file| file.write(&event(1, ""))));
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [whole.as_slice(), &[b'x'; 9000]].concat()).unwrap();
    drop(AuditFile::open(&path, clock()).map(|file| file.write(&event(2, ""))));
    assert_eq!(ids(&path), [id(1), "gap".to_owned(), id(2)]);
    assert_eq!(lines(&path)[1]["lost"], 1);
    drop(AuditFile::open(&path, clock()).unwrap());
    assert_eq!(lines(&path).len(), 3, "nothing is written at a start");
}

#[test]
fn a_rotated_file_ends_where_the_new_one_begins() {
    let folder = tempfile::tempdir().unwrap();
    let (path, old) = (folder.path().join("audit.jsonl"), folder.path().join("audit.jsonl.1"));
    let file = AuditFile::open(&path, clock()).unwrap();
    (0..50).for_each(|index| file.write(&event(index, "")));
    file.sync();
    std::fs::rename(&path, &old).unwrap();
    (50..100).for_each(|index| file.write(&event(index, "")));
    file.reopen();
    (100..150).for_each(|index| file.write(&event(index, "")));
    drop(file);
    assert_eq!(ids(&old), (0..100).map(id).collect::<Vec<_>>());
    assert_eq!(ids(&path), (100..150).map(id).collect::<Vec<_>>());
}

#[test]
fn what_the_file_cannot_take_is_counted_and_told_in_it_as_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let (place, path) = (folder.path().join("later"), folder.path().join("later/audit.jsonl"));
    let clock = clock();
    let file = AuditFile::open(&path, clock.clone()).unwrap();
    (0..3).for_each(|index| file.write(&event(index, "")));
    file.sync();
    std::fs::create_dir(&place).unwrap();
    file.write(&event(3, ""));
    file.sync();
    clock.advance(AGAIN);
    file.write(&event(4, ""));
    file.sync();
    assert_eq!(ids(&path), ["gap".to_owned(), id(4)]);
    assert_eq!(lines(&path)[0]["lost"], 4);
    drop(file);
}

#[test]
fn a_disk_that_hangs_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::from(0o600), 0).unwrap();
    // Nobody reads: the writing thread hangs in its first lines.
    let reader = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let file = AuditFile::open(&pipe, clock()).unwrap();
    for index in 0..WAITING * 4 {
        file.write(&event((index % 200) as u8, ""));
    }
    assert!(file.lost.untold.load(Ordering::Relaxed) > 0);
    let drain = std::thread::spawn(move || {
        use std::io::BufRead;
        let (mut seen, mut lost) = (0, 0);
        let mut lines = io::BufReader::new(reader).lines();
        while seen + lost < WAITING as u64 * 4 {
            let line: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            match line["lost"].as_u64() {
                Some(count) => lost += count,
                None => seen += 1,
            }
        }
        lost
    });
    file.sync();
    assert!(drain.join().unwrap() > 0);
}
