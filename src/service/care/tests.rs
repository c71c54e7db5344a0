use std::collections::BTreeSet;
use std::io::Cursor;
use std::sync::Mutex;

use super::restore::{self, Unusable};
use super::*;
use crate::authn::user::User;
use crate::secret::{ExposeSecret, Keys};
use crate::service::records::{LoginIndex, login_name};
use crate::service::testing::{Bench, Browser, PASSWORD};
use crate::store::record::Change;
use crate::store::sled::testing::scratch;

/// Keeps what it hears.
#[derive(Default)]
struct Heard(Mutex<(Vec<String>, Vec<Problem>)>);

#[async_trait]
impl Listener for Heard {
    async fn hear(&self, piece: Piece) {
        let mut heard = self.0.lock().unwrap();
        match piece {
            Piece::Lines(lines) => heard.0.extend(lines),
            Piece::Problems(problems) => heard.1.extend(problems),
            Piece::Progress { .. } => {}
        }
    }
}

async fn export(bench: &Bench) -> String {
    let heard = Heard::default();
    bench.services.care.export(&heard).await.unwrap();
    let heard = heard.0.into_inner().unwrap();
    heard.0.iter().map(|line| format!("{line}\n")).collect()
}

async fn problems(bench: &Bench) -> Vec<String> {
    let heard = Heard::default();
    let verified = bench.services.care.verify(&heard).await.unwrap();
    let problems = heard.0.into_inner().unwrap().1;
    assert_eq!(verified.problems, problems.len() as u64);
    problems.into_iter().map(|problem| problem.problem).collect()
}

fn examine(bench: &Bench, text: &str) -> Result<restore::Examined, Unusable> {
    restore::examine(Cursor::new(text), &bench.services.config.load().keys, |_| ())
}

/// A store in which there is something of most kinds.
async fn lived_in() -> Bench {
    let bench = Bench::new(|_| ());
    for login in ["alice", "bob", "花子"] {
        bench.add(login).await;
    }
    let mut browser = Browser::default();
    browser.enrol(&bench, "alice", true).await;
    Browser::default().password(&bench, "bob", "wrong").await;
    Browser::default().password(&bench, "花子", PASSWORD).await;
    bench
}

#[test]
fn no_kind_of_record_is_forgotten() {
    let mut missing = BTreeSet::new();
    let mut folders = vec![std::path::PathBuf::from("src")];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.ends_with("tests.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for kind in text.split("const KIND: &'static str = \"").skip(1).filter_map(|rest| rest.split('"').next()) {
                let known = kinds::KINDS.iter().any(|known| known.name.starts_with(kind));
                if !known && kind != "number" {
                    missing.insert(kind.to_owned());
                }
            }
        }
    }
    assert!(missing.is_empty(), "`KINDS` knows nothing of {missing:?}");
}

#[tokio::test]
async fn what_was_exported_stands_in_the_new_store_and_verifies() {
    let bench = lived_in().await;
    assert_eq!(problems(&bench).await, Vec::<String>::new());
    let text = export(&bench).await;
    let examined = examine(&bench, &text).unwrap();
    assert_eq!(examined.records["user"], 3);
    let (store, _dir) = scratch();
    let written = restore::write(&store, Cursor::new(&text), &examined, |_| ()).await.unwrap();
    assert_eq!(written, examined.records);
    let alice = bench.services.users.show("alice", bench.now()).await.unwrap().unwrap().user;
    let restored = store.get::<User>(&alice.id.to_string(), bench.now()).await.unwrap().record.unwrap();
    assert_eq!(restored.epoch, alice.epoch + 1);
    let config = Arc::clone(&bench.services.config);
    let restored = crate::service::Services::new(config, store, bench.clock.clone(), None);
    let heard = Heard::default();
    assert_eq!(restored.care.verify(&heard).await.unwrap().problems, 0, "{:?}", heard.0.lock().unwrap().1);
    assert!(restored.sessions.list(None, bench.now()).await.unwrap().is_empty());
}

#[tokio::test]
async fn whatever_byte_of_an_export_changes_it_is_refused() {
    let bench = lived_in().await;
    let text = export(&bench).await;
    for index in (0..text.len()).step_by(text.len() / 200) {
        let mut changed = text.clone().into_bytes();
        changed[index] ^= 1;
        assert!(
            restore::examine(Cursor::new(changed), &bench.services.config.load().keys, |_| ()).is_err(),
            "byte {index}"
        );
        assert!(examine(&bench, text.get(..index).unwrap_or_default()).is_err(), "cut at {index}");
    }
}

#[tokio::test]
async fn without_its_key_an_export_is_refused_and_the_key_is_named() {
    let bench = lived_in().await;
    let text = export(&bench).await;
    let other = Keys::parse(Keys::generate_line().unwrap().expose_secret()).unwrap();
    let name = bench.services.config.load().keys.fingerprints()[0].clone();
    let said = restore::examine(Cursor::new(text), &other, |_| ()).unwrap_err().to_string();
    assert!(said.contains(&name), "{said}");
}

#[tokio::test]
async fn a_loose_end_is_found_from_both_sides() {
    let bench = lived_in().await;
    let change = Change::new().delete::<LoginIndex>(&login_name(&"bob".parse().unwrap()));
    bench.store.commit(change).await.unwrap();
    assert_eq!(problems(&bench).await, ["its login does not lead to it"]);
    let alice = bench.services.users.show("alice", bench.now()).await.unwrap().unwrap().user;
    bench.store.commit(Change::new().delete::<User>(&alice.id.to_string())).await.unwrap();
    let found = problems(&bench).await;
    assert!(found.contains(&"it leads to no account that has this login".to_owned()), "{found:?}");
    assert!(found.contains(&"its account is gone".to_owned()), "{found:?}");
}
