//! Whose the store is: one process at a time, one key file, one owner of its files.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::*;
use crate::store::open::{open, open_or_create};
use crate::store::record::testing::{numbers, write_numbers};

struct Place {
    dir: TempDir,
    store: PathBuf,
    key: PathBuf,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let (store, key) = (dir.path().join("store"), dir.path().join("secret.key"));
    Place { dir, store, key }
}

impl Place {
    fn beside(&self, suffix: &str) -> PathBuf {
        self.dir.path().join(format!("secret.key{suffix}"))
    }

    fn made() -> Self {
        let place = place();
        drop(open_or_create(&place.store, &place.key).unwrap());
        place
    }
}

#[test]
fn a_store_is_made_once_and_then_opened() {
    let place = place();
    assert!(matches!(open(&place.store, &place.key), Err(StoreError::Missing(_))));
    assert!(!place.store.exists(), "refused, but made all the same");
    fs::create_dir(&place.store).unwrap();
    assert!(matches!(open(&place.store, &place.key), Err(StoreError::Missing(_))));
    assert_eq!(fs::read_dir(&place.store).unwrap().count(), 0);
    drop(open_or_create(&place.store, &place.key).unwrap());
    let id = fs::read(place.beside(".store-id")).unwrap();
    assert!(!place.beside(".store-id.new").exists());
    drop(open(&place.store, &place.key).unwrap());
    drop(open_or_create(&place.store, &place.key).unwrap());
    assert_eq!(fs::read(place.beside(".store-id")).unwrap(), id);
}

#[test]
fn a_store_that_is_gone_or_was_emptied_is_not_made_anew() {
    let place = Place::made();
    fs::remove_dir_all(&place.store).unwrap();
    for make in [open, open_or_create] {
        assert!(matches!(make(&place.store, &place.key), Err(StoreError::Foreign { .. })));
        assert!(!place.store.exists());
    }
    fs::create_dir(&place.store).unwrap();
    for make in [open, open_or_create] {
        assert!(matches!(make(&place.store, &place.key), Err(StoreError::Foreign { .. })));
        assert_eq!(fs::read_dir(&place.store).unwrap().count(), 0);
    }
}

#[test]
fn a_store_without_its_log_is_damaged_and_stays_as_it_is() {
    for empty in [false, true] {
        let place = Place::made();
        fs::remove_file(place.store.join("db")).unwrap();
        if empty {
            fs::write(place.store.join("db"), "").unwrap();
        }
        for make in [open, open_or_create] {
            assert!(matches!(make(&place.store, &place.key), Err(StoreError::Corrupt { .. })));
            assert_eq!(fs::metadata(place.store.join("db")).map_or(0, |about| about.len()), 0);
        }
    }
}

#[test]
fn the_store_of_another_key_is_refused() {
    let (one, other) = (Place::made(), Place::made());
    for make in [open, open_or_create] {
        assert!(matches!(make(&one.store, &other.key), Err(StoreError::Foreign { .. })));
        let unknown = one.dir.path().join("third.key");
        assert!(matches!(make(&one.store, &unknown), Err(StoreError::Foreign { .. })));
    }
    drop(open(&one.store, &one.key).unwrap());
}

#[tokio::test]
async fn a_making_that_was_cut_short_is_finished_the_next_time() {
    // Cut short before the store was begun, while sled made its files, and before the id got its name.
    let begun = place();
    fs::write(begun.beside(".store-id.new"), "0123\n").unwrap();
    let partial = place();
    fs::write(partial.beside(".store-id.new"), "0123\n").unwrap();
    fs::create_dir_all(partial.store.join("blobs")).unwrap();
    let unnamed = Place::made();
    fs::rename(unnamed.beside(".store-id"), unnamed.beside(".store-id.new")).unwrap();
    let unwritten = place();
    fs::write(unwritten.beside(".store-id.new"), "").unwrap();
    for place in [&begun, &partial, &unwritten] {
        assert!(matches!(open(&place.store, &place.key), Err(StoreError::Missing(_))));
    }
    for place in [begun, partial, unnamed, unwritten] {
        let store = open_or_create(&place.store, &place.key).unwrap();
        write_numbers(&store, 0, 10).await;
        drop(store);
        assert!(place.beside(".store-id").exists() && !place.beside(".store-id.new").exists());
        assert!(!fs::read_to_string(place.beside(".store-id")).unwrap().trim().is_empty());
        assert!(!numbers(&open(&place.store, &place.key).unwrap()).await.unwrap().is_empty());
    }
}

#[test]
fn a_directory_that_holds_something_else_is_refused_and_left_alone() {
    for strange in ["notes.txt", ".hidden", "db.bak"] {
        let place = place();
        fs::create_dir(&place.store).unwrap();
        fs::write(place.store.join(strange), "mine").unwrap();
        assert!(matches!(open_or_create(&place.store, &place.key), Err(StoreError::NotAStore { .. })));
        assert_eq!(fs::read_dir(&place.store).unwrap().count(), 1);
    }
    // A link in sled's place could lead anywhere.
    let place = place();
    fs::create_dir(&place.store).unwrap();
    let target = place.dir.path().join("target");
    fs::write(&target, "mine").unwrap();
    symlink(&target, place.store.join("db")).unwrap();
    assert!(matches!(open_or_create(&place.store, &place.key), Err(StoreError::NotAStore { .. })));
    assert_eq!(fs::read(&target).unwrap(), b"mine");
}

#[test]
fn files_are_private_whatever_the_umask_left_of_them() {
    let place = Place::made();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&place.store), 0o700);
    assert_eq!(mode(&place.store.join("blobs")), 0o700);
    assert_eq!(mode(&place.beside(".store-id")), 0o600);
    for name in ["db", "conf", "watermark"] {
        assert_eq!(mode(&place.store.join(name)), 0o600, "{name}");
    }
}

#[test]
fn what_root_makes_belongs_to_the_owner_of_the_parent() {
    if rustix::process::geteuid().is_root() {
        gives_what_it_makes_to_the_owner_of_the_parent();
    } else {
        // Others can be root over the ids that `/etc/subuid` and `/etc/subgid` lend them.
        in_its_own_namespace("possession::gives_what_it_makes_to_the_owner_of_the_parent", &["--map-auto"]);
    }
}

#[test]
#[ignore = "a child of what_root_makes_belongs_to_the_owner_of_the_parent, which has to be root"]
fn gives_what_it_makes_to_the_owner_of_the_parent() {
    let place = place();
    let root = fs::File::open(place.dir.path()).unwrap();
    std::os::unix::fs::fchown(&root, Some(12_345), Some(12_346)).unwrap();
    for _ in 0..2 {
        drop(open_or_create(&place.store, &place.key).unwrap());
        let mut all = vec![place.store.clone(), place.beside(".store-id")];
        all.extend(fs::read_dir(&place.store).unwrap().map(|entry| entry.unwrap().path()));
        assert!(all.len() >= 6);
        for path in all {
            let about = fs::symlink_metadata(&path).unwrap();
            assert_eq!((about.uid(), about.gid()), (12_345, 12_346), "{}", path.display());
        }
    }
}

#[tokio::test]
#[ignore = "a child of a_second_process_is_told_that_the_store_is_in_use"]
async fn holds_the_store_until_its_input_ends() {
    let _engine = start(&given()).unwrap();
    println!("held");
    std::io::stdout().flush().unwrap();
    std::io::stdin().lines().for_each(drop);
}

#[test]
fn a_second_process_is_told_that_the_store_is_in_use() {
    let place = Place::made();
    let mut holder = child("possession::holds_the_store_until_its_input_ends", &place.store);
    let mut holder = holder.stdin(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "held"));
    for make in [open, open_or_create] {
        assert!(matches!(make(&place.store, &place.key), Err(StoreError::Locked(_))));
    }
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    drop(open(&place.store, &place.key).unwrap());
}

#[tokio::test]
async fn an_engine_whose_directory_was_replaced_does_not_begin_a_new_store_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    Directory::make(&path).unwrap();
    let engine = start(&path).unwrap();
    committed(&engine, put("a", "x")).await;
    fs::rename(&path, dir.path().join("away")).unwrap();
    fs::create_dir(&path).unwrap();
    engine.jobs.send(Job::Suspect(0)).unwrap();
    // The writer takes one job after the other: this answer comes after it has tried.
    assert!(engine.commit(put("a", "y")).await.is_err());
    assert!(engine.get(&key("a")).await.is_err());
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    fs::remove_dir(&path).unwrap();
    fs::rename(dir.path().join("away"), &path).unwrap();
    until("it has come back", async || engine.commit(put("b", "z")).await).await;
    assert!(engine.get(&key("a")).await.unwrap().is_some());
}

#[tokio::test]
async fn an_engine_whose_files_were_removed_acknowledges_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    Directory::make(&path).unwrap();
    let engine = start(&path).unwrap();
    committed(&engine, put("a", "x")).await;
    fs::remove_dir_all(&path).unwrap();
    assert!(engine.commit(put("a", "y")).await.is_err());
    assert!(engine.durable().await.is_err());
    drop(engine);
    assert!(!path.exists());
}
