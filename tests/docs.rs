//! The documentation: what it links to is there, every page is found from the index, and every configuration in it is one that
//! `sekisho check` takes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_yaml::Value;

use crate::harness::{Client, Process, Sekisho, wait_until};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// README, CHANGELOG and every page of `docs/`.
fn pages() -> Vec<PathBuf> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    let mut found: Vec<PathBuf> =
        ["README.md", "README.ja.md", "CHANGELOG.md"].iter().map(|name| root().join(name)).collect();
    collect(&root().join("docs"), &mut found);
    found.sort();
    found
}

fn text(page: &Path) -> String {
    std::fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}

/// Where the page's links lead that lead to files.
fn links(page: &Path) -> Vec<PathBuf> {
    let text = text(page);
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = targets.map(|target| target.split('#').next().unwrap_or_default());
    let files = files.filter(|target| !target.is_empty() && !target.contains("://") && !target.contains(' '));
    files.map(|target| page.parent().unwrap().join(target)).collect()
}

/// The blocks of code of this kind, each with its line.
fn blocks(page: &Path, kind: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut open: Option<(usize, usize, String)> = None;
    for (number, line) in text(page).lines().enumerate() {
        match &mut open {
            Some((at, _, block)) if line.trim() == "```" => {
                found.push((*at, std::mem::take(block)));
                open = None;
            }
            Some((_, indent, block)) => {
                block.push_str(line.get(*indent..).unwrap_or_default());
                block.push('\n');
            }
            None if line.trim() == format!("```{kind}") => {
                open = Some((number + 1, line.len() - line.trim_start().len(), String::new()));
            }
            None => {}
        }
    }
    found
}

#[test]
fn every_link_of_the_documentation_leads_somewhere() {
    for page in pages() {
        for target in links(&page) {
            assert!(target.exists(), "{}: {} is not there", page.display(), target.display());
        }
    }
}

#[test]
fn every_page_is_found_from_the_index() {
    let index = root().join("docs/README.md");
    let linked: BTreeSet<PathBuf> = links(&index).iter().filter_map(|target| target.canonicalize().ok()).collect();
    for page in pages() {
        let is_of_docs = page.starts_with(root().join("docs")) && page != index;
        assert!(
            !is_of_docs || linked.contains(&page.canonicalize().unwrap()),
            "{} is not in the index",
            page.display()
        );
    }
}

const KEYS: &[&str] = &[
    "server",
    "log",
    "store",
    "secrets",
    "session",
    "second_factor",
    "password",
    "lockout",
    "mail",
    "portal",
    "identity",
    "held",
    "audit",
    "routes",
];

#[test]
fn every_configuration_in_the_documentation_is_valid() {
    let mut checked = 0;
    for page in pages() {
        for (line, block) in blocks(&page, "yaml") {
            let place = format!("{}:{line}", page.display());
            let parsed: Value = serde_yaml::from_str(&block).unwrap_or_else(|error| panic!("{place}: {error}"));
            // Another programme's, or comments alone.
            let Some(entries) = parsed.as_mapping() else { continue };
            if !entries.keys().any(|key| key.as_str().is_some_and(|key| KEYS.contains(&key))) {
                continue;
            }
            check(&place, &block, entries);
            checked += 1;
        }
    }
    assert!(checked >= 10, "{checked}");
}

/// `block` as a file, with what it leaves out, and with the files that it names.
fn check(place: &str, block: &str, given: &serde_yaml::Mapping) {
    let gate = Sekisho::builder().tls(&["tool.example.com"]).prepare();
    let folder = gate.path("");
    let missing = [
        ("server", "server: {listen: [\"127.0.0.1:7999\"]}"),
        ("store", "store: {path: data}"),
        ("secrets", "secrets: {key_file: secret.key}"),
        ("routes", "routes: [{name: tool, upstream: \"http://127.0.0.1:9000\"}]"),
    ];
    // Their own machine's folders are this one.
    let mut text = block.replace("/etc/sekisho/", "").replace("/var/lib/sekisho", "data");
    for (_, section) in missing.iter().filter(|(key, _)| !given.contains_key(key)) {
        text.push_str(section);
        text.push('\n');
    }
    let own: Value = serde_yaml::from_str(&std::fs::read_to_string(gate.config()).unwrap()).unwrap();
    let pair = &own["server"]["tls"]["certificates"][0];
    name_files(&serde_yaml::from_str(&text).unwrap(), "", &mut |key, name| {
        let to = folder.join(name);
        match key {
            "certificate" | "ca" => drop(std::fs::copy(folder.join(pair["certificate"].as_str().unwrap()), to)),
            "key" => drop(std::fs::copy(folder.join(pair["key"].as_str().unwrap()), to)),
            "url_file" => std::fs::write(to, "postgresql://sekisho:a-secret@db.example.com/sekisho").unwrap(),
            key if key.ends_with("_file") && key != "key_file" => std::fs::write(to, "a-secret").unwrap(),
            _ => {}
        }
    });
    let file = gate.path("documented.yaml");
    std::fs::write(&file, text).unwrap();
    let output = gate.run(&["check", "--config", file.to_str().unwrap()], "");
    assert!(output.status.success(), "{place}: {}", String::from_utf8_lossy(&output.stdout));
}

/// Calls `found` with each text and its key.
fn name_files(value: &Value, key: &str, found: &mut dyn FnMut(&str, &str)) {
    match value {
        Value::Mapping(entries) => {
            entries.iter().for_each(|(key, value)| name_files(value, key.as_str().unwrap(), found));
        }
        Value::Sequence(items) => items.iter().for_each(|item| name_files(item, key, found)),
        Value::String(text) => found(key, text),
        _ => {}
    }
}

/// The page on PHP tools, as it stands: its script under PHP's own server, its route in front.
#[test]
fn the_php_tool_of_the_documentation_knows_who_is_there() {
    let page = root().join("docs/tools/php.md");
    let script = &blocks(&page, "php")[0].1;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.php"), script).unwrap();
    let mut tool = None;
    for _ in 0..5 {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new("php");
        command.args(["-S", &address.to_string(), "-t"]).arg(folder.path()).stdin(Stdio::null());
        let mut process = Process::start_group("php", &mut command);
        let answers = wait_until("php answers", || match std::net::TcpStream::connect(address).is_ok() {
            true => Some(true),
            false => (!process.is_running()).then_some(false),
        });
        if answers {
            tool = Some((process, address));
            break;
        }
    }
    let (_process, address) = tool.expect("php runs (is its Debian package installed?)");
    let gate = Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "off")
        .upstream(&format!("http://{address}"))
        .user("hanako", &["--name", "山田 花子", "--group", "ops"])
        .start();
    let mut browser = Client::new(&gate);
    browser.sign_in(&gate, "hanako", None);
    let forged = browser.request("GET", "/", "Remote_User: root\r\nREMOTE-GROUPS: root\r\nAccept: text/html\r\n", b"");
    assert_eq!(forged.text(), "Hello, 山田 花子 (hanako), of ops\n");
}
