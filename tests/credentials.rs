//! The key as a credential of systemd's (`LoadCredential=`): its folder cannot be written, and the store's id is kept all the same.

use std::path::{Path, PathBuf};

use crate::harness::{Client, Sekisho};

/// A gateway whose key is `credential:secret.key`, and the folder of credentials.
fn gate() -> (Sekisho, PathBuf) {
    let builder = Sekisho::builder();
    let folder = builder.folder().join("credentials");
    std::fs::create_dir(&folder).unwrap();
    let builder = builder.set("second_factor.policy", "off").set("secrets.key_file", "\"credential:secret.key\"");
    let builder = builder.upstream("http://127.0.0.1:9").environment("CREDENTIALS_DIRECTORY", folder.to_str().unwrap());
    let gate = builder.write_only();
    gate.make_key();
    std::fs::rename(gate.path("secret.key"), folder.join("secret.key")).unwrap();
    (gate, folder)
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_store_is_made_and_served_with_a_key_that_systemd_provides() {
    let (mut gate, credentials) = gate();
    gate.add_user("alice", crate::harness::PASSWORD, &[]);
    assert!(gate.path("secret.key.store-id").exists(), "beside the configuration: {:?}", names_in(&gate.path("")));
    assert_eq!(names_in(&credentials), ["secret.key"], "nothing is written among the credentials");
    gate.serve();
    assert_eq!(Client::new(&gate).get("/.sekisho/login").status, 200);
    gate.restart();
    assert_eq!(gate.cli_json(&["user", "list"]).as_array().map(Vec::len), Some(1));
}

#[test]
fn a_store_that_is_lost_or_another_one_is_refused_where_the_key_is_a_credential_too() {
    let (gate, _) = gate();
    gate.add_user("alice", crate::harness::PASSWORD, &[]);
    std::fs::rename(gate.path("store"), gate.path("kept")).unwrap();
    assert!(!gate.spawn_serve().wait().success(), "it serves without its store");
    let added = gate.cli_with_input(&["user", "add", "eve", "--password-stdin"], "Another-horse-9\n");
    assert!(!added.status.success(), "a new store was made where one is missing: {added:?}");
    let other = Sekisho::builder().upstream("http://127.0.0.1:9").user("bob", &[]).prepare();
    std::fs::rename(other.path("store"), gate.path("store")).unwrap();
    assert!(!gate.spawn_serve().wait().success(), "it serves another store");
}

/// What `secrets.key_file: secret.key` has left in the configuration's folder is what `credential:secret.key` looks for.
#[test]
fn a_key_file_becomes_a_credential_without_moving_the_stores_id() {
    let mut gate = Sekisho::builder().upstream("http://127.0.0.1:9").user("alice", &[]).prepare();
    let yaml = std::fs::read_to_string(gate.config()).unwrap();
    let line = yaml.lines().find(|line| line.trim_start().starts_with("key_file:")).unwrap();
    let line = (line, format!("{}: credential:secret.key", line.split(':').next().unwrap()));
    std::fs::write(gate.config(), yaml.replace(line.0, &line.1)).unwrap();
    let check = gate.cli(&["check"]);
    assert_eq!(check.status.code(), Some(78), "without systemd there are no credentials: {check:?}");

    std::fs::create_dir(gate.path("credentials")).unwrap();
    std::fs::rename(gate.path("secret.key"), gate.path("credentials/secret.key")).unwrap();
    gate.set_environment("CREDENTIALS_DIRECTORY", gate.path("credentials").to_str().unwrap());
    gate.serve();
    assert_eq!(gate.cli_json(&["user", "list"]).as_array().map(Vec::len), Some(1));
}

/// systemd makes the copy anew at each start: a key that stood in the copy alone would be lost with the service, and with it what it sealed.
#[test]
fn a_rotation_writes_no_key_into_a_credential_even_where_it_could() {
    let (gate, credentials) = gate();
    gate.add_user("alice", crate::harness::PASSWORD, &[]);
    let before = std::fs::read(credentials.join("secret.key")).unwrap();
    let refused = gate.cli(&["key", "rotate"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("`sekisho key generate`"), "it does not say what to do: {said}");
    assert_eq!(std::fs::read(credentials.join("secret.key")).unwrap(), before);
    assert_eq!(names_in(&credentials), ["secret.key"]);
}
