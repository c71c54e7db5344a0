//! What nodes must have in common, and what a machine may have of its own.

use super::*;

/// One folder, and so one key, for all that is compared.
struct Machines(TempDir);

impl Machines {
    fn agreement(&self, snippet: &str) -> Agreement {
        let text = completed(snippet);
        load_in(&self.0, &text).map_err(|problems| diagnostic::render(&problems)).unwrap().config.agreement()
    }

    /// The sections in which these two differ.
    fn differing(&self, one: &str, other: &str) -> Vec<String> {
        let (one, other) = (self.agreement(one), self.agreement(other));
        let all = one.keys().chain(other.keys()).filter(|section| one.get(*section) != other.get(*section));
        let mut all: Vec<String> = all.cloned().collect();
        all.sort();
        all.dedup();
        all
    }
}

#[test]
fn a_section_that_says_something_else_is_named() {
    let machines = Machines(folder());
    let route = |rest: &str| format!("routes: [{{name: tool, upstream: \"http://127.0.0.1:9000\"{rest}}}]");
    for (one, other, section) in [
        ("lockout: {max_failures: 5}", "lockout: {max_failures: 6}", "lockout"),
        ("session: {idle_timeout: 30m}", "session: {idle_timeout: 31m}", "session"),
        ("second_factor: {policy: off}", "second_factor: {policy: required}", "second_factor"),
        ("held: {lifetime: 10m}", "", "held"),
        ("audit: {retain: 400d}", "audit: {retain: 30d}", "audit"),
        ("portal: {url: \"https://a.example.com\"}", "portal: {url: \"https://b.example.com\"}", "portal"),
        (
            "identity: {headers: {Remote-User: \"{login}\"}}",
            "identity: {headers: {Remote-User: \"{email}\"}}",
            "identity",
        ),
        (&route(""), &route(", access: public"), "routes"),
        (&route(", allow: {groups: [a, b]}"), &route(", allow: {groups: [b]}"), "routes"),
        (
            &route(", websocket_origins: [\"https://a.test\"]"),
            &route(", websocket_origins: [\"https://b.test\"]"),
            "routes",
        ),
    ] {
        assert_eq!(machines.differing(one, other), [section], "{one} {other}");
    }
}

#[test]
fn what_a_machine_has_of_its_own_and_how_a_thing_is_written_make_no_difference() {
    let machines = Machines(folder());
    let tool = |upstream: &str| format!("routes: [{{name: tool, upstream: \"{upstream}\"}}]");
    for (one, other) in [
        ("server: {listen: [\"127.0.0.1:1\"]}", "server: {listen: [\"127.0.0.1:2\"], workers: 2}"),
        ("log: {access: json}", "log: {access: off}"),
        ("store: {path: a}", "store: {path: b}"),
        ("audit: {file: a.jsonl}", "audit: {file: b.jsonl}"),
        (&tool("http://127.0.0.1:9000"), &tool("http://10.0.0.7:80")),
        ("session: {idle_timeout: 60s, max_per_user: 3}", "# here\nsession:\n  max_per_user: 3\n  idle_timeout: 1m"),
    ] {
        assert_eq!(machines.differing(one, other), [""; 0], "{one} {other}");
    }
}

#[test]
fn what_is_secret_makes_no_difference_and_another_key_does() {
    let machines = Machines(folder());
    let with = |auth: &str| {
        format!("routes: [{{name: tool, upstream: \"http://127.0.0.1:9000\", upstream_auth: {{{auth}}}}}]")
    };
    let (one, other) = (with("basic: {username: u, password: one}"), with("basic: {username: u, password: two}"));
    assert_eq!(machines.differing(&one, &other), [""; 0]);
    assert_eq!(machines.differing(&one, &with("basic: {username: v, password: one}")), ["routes"]);
    assert_ne!(machines.agreement("")["secrets"], Machines(folder()).agreement("")["secrets"]);
}
