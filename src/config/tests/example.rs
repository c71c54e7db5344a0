//! The two files that are shipped.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::config::reader::Context;
use crate::config::yaml::{self, Kind, Node};

const EXAMPLE: &str = include_str!("../../../config/example.yaml");

/// The example with the key file of the test's folder.
pub fn example() -> String {
    assert_eq!(EXAMPLE.matches("/etc/sekisho/secret.key").count(), 1);
    EXAMPLE.replace("/etc/sekisho/secret.key", "secret.key")
}

/// The example with the commented-out settings too: those whose # is followed by a key or a dash.
pub fn complete_example() -> String {
    let uncomment = |line: &str| {
        let (indent, rest) = line.split_at(line.find(|c| c != ' ').unwrap_or(line.len()));
        let setting = rest.strip_prefix('#').filter(|setting| {
            let word = setting.trim_start_matches(' ').trim_start_matches("- ");
            let is_key = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            word.split_once(':').is_some_and(|(key, value)| is_key(key) && (value.is_empty() || value.starts_with(' ')))
        });
        setting.map_or_else(|| line.to_owned(), |setting| format!("{indent}{setting}"))
    };
    example().lines().map(uncomment).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_minimal_configuration_loads_without_a_word() {
    let loaded = load_in(&folder(), include_str!("../../../config/minimal.yaml")).unwrap();
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config.routes.iter().count(), 1);
}

#[test]
fn the_example_loads_and_warns_of_the_mailed_codes_lifetime_alone() {
    let loaded = load_in(&folder(), &example()).map_err(|problems| diagnostic::render(&problems)).unwrap();
    let [warning] = loaded.warnings.as_slice() else { panic!("{:#?}", loaded.warnings) };
    assert!(warning.message.contains("longer than 10 minutes"), "{warning}");
}

#[test]
fn the_example_shows_the_defaults() {
    let shown = load_in(&folder(), &example()).unwrap().config;
    // What has no default takes the example's word; all else is left out.
    let bare = config("routes: [{name: shop-admin, upstream: \"http://127.0.0.1:9000\"}]");
    let without_paths = |config: &Config| {
        format!(
            "{:#?}",
            (
                (
                    &config.server.tls,
                    &config.server.trusted_proxies,
                    &config.server.metrics,
                    &config.server.admin_socket
                ),
                (config.server.shutdown_grace, config.server.upgrade_grace, config.server.workers),
                (config.server.proxy_protocol, config.log, config.session, &config.second_factor),
                (config.password, config.lockout, &config.mail, &config.portal, &config.identity, &config.audit),
                (&config.routes, &config.upstreams),
            )
        )
    };
    assert_eq!(without_paths(&shown), without_paths(&bare));
    let Store::Sled { path } = &config("store: {engine: sled}").store else { panic!("not sled") };
    assert_eq!(path, Path::new("/var/lib/sekisho"));
}

#[test]
fn what_the_example_has_commented_out_is_valid_too() {
    let folder = folder();
    files::write_certificate(&folder, "cert.pem", "key.pem");
    files::write_authority(&folder, "clients.pem", "revoked.pem");
    std::fs::copy(folder.path().join("cert.pem"), folder.path().join("ca.pem")).unwrap();
    let problems = load_in(&folder, &complete_example()).unwrap_err();
    // What excludes another of them: two ways to name an upstream, two stores, TLS beside plain upstreams.
    let expected = ["is given as well", "belongs to `engine: postgres`", "leads to an upstream without TLS"];
    let unexpected: Vec<_> = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .filter(|problem| !expected.iter().any(|text| problem.message.contains(text)))
        .map(|problem| problem.message.as_str())
        // Variables and files that only the example's own machine has.
        .filter(|message| !message.starts_with("the environment variable SMTP_PASSWORD"))
        .filter(|message| !message.starts_with("the environment variable TOOL_"))
        .filter(|message| !message.starts_with("`portal.theme`: there is no folder /etc/sekisho/theme"))
        .collect();
    assert_eq!(unexpected, [""; 0]);
}

#[test]
fn every_key_of_the_schema_stands_in_the_example() {
    let folder = folder();
    let text = complete_example();
    let none = |_: &str| None;
    let file = folder.path().join("sekisho.yaml");
    let ctx = Context::new(&file, &none);
    load::read(&text, &ctx);
    let (_, asked) = ctx.finish();
    let mut shown = BTreeSet::new();
    collect_keys(&yaml::parse(&text).unwrap(), "", &mut shown);
    assert!(asked.len() > 100, "{}", asked.len());
    let unshown = |key: &&String| !shown.contains(*key) && !key.ends_with("[]");
    assert_eq!(asked.keys().filter(unshown).collect::<Vec<_>>(), Vec::<&String>::new());
}

fn collect_keys(node: &Node, path: &str, keys: &mut BTreeSet<String>) {
    match &node.kind {
        Kind::List(items) => items.iter().for_each(|item| collect_keys(item, &format!("{path}[]"), keys)),
        Kind::Map(entries) => {
            for entry in entries {
                let key = entry.key.as_deref().unwrap();
                let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                collect_keys(&entry.node, &path, keys);
                keys.insert(path);
            }
        }
        _ => {}
    }
}
