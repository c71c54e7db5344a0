//! Who is compared: each passes everything on to one tool, alone on its core.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::bare;
use crate::harness::tools::{Tool, start_on_free_port};
use crate::harness::{Client, PASSWORD, Sekisho};

/// Where contestants run, and where everything else does.
pub const THEIRS: &str = "1";
pub const OURS: &str = "0";
/// So many people are signed in.
pub const SESSIONS: usize = 1000;

type Start = fn(&'static str, &Tool) -> Contestant;

/// All of them, in the order of the table.
pub const START: &[(&str, Start)] = &[
    ("nginx", nginx),
    ("nginx + auth_request", nginx_asks),
    ("pingora", |name, tool| pingora(name, tool, "")),
    ("pingora, timed", |name, tool| pingora(name, tool, bare::TIMED)),
    ("sekisho", |name, tool| sekisho(name, tool, "off")),
    ("sekisho, access log", |name, tool| sekisho(name, tool, "json")),
];

/// One that runs.
pub struct Contestant {
    pub name: &'static str,
    pub address: SocketAddr,
    /// Its processes, whose children count as well.
    pub processes: Vec<u32>,
    /// What its thousand people show: the values of their `Cookie` fields.
    pub cookies: Vec<String>,
    _parts: Vec<Box<dyn std::any::Any>>,
}

/// What everything is passed on to: 1 KiB whatever is asked.
pub fn tool() -> Tool {
    let answer = "x".repeat(1024);
    start_on_free_port("the tool", |address, folder| {
        nginx_on(OURS, folder, "", &format!("listen {address}; location / {{ return 200 \"{answer}\"; }}"))
    })
}

fn nginx(name: &'static str, tool: &Tool) -> Contestant {
    let proxy = start_on_free_port(name, |address, folder| {
        nginx_on(THEIRS, folder, &pool(tool), &format!("listen {address}; location / {{ {PASS_ON} }}"))
    });
    Contestant::of(name, proxy, vec![])
}

fn nginx_asks(name: &'static str, tool: &Tool) -> Contestant {
    let judge = start_on_free_port("the judge", |address, folder| {
        nginx_on(THEIRS, folder, "", &format!("listen {address}; location / {{ return 200; }}"))
    });
    let proxy = start_on_free_port(name, |address, folder| {
        let pools = format!("{} upstream judge {{ server {}; keepalive 64; }}", pool(tool), judge.address());
        let server = format!(
            "listen {address}; location / {{ auth_request /judge; {PASS_ON} }} location = /judge {{ internal; \
             proxy_pass http://judge; proxy_http_version 1.1; proxy_set_header Connection \"\"; \
             proxy_pass_request_body off; proxy_set_header Content-Length \"\"; }}"
        );
        nginx_on(THEIRS, folder, &pools, &server)
    });
    Contestant::of(name, proxy, vec![judge])
}

const PASS_ON: &str = "proxy_pass http://tool; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header Remote-User \"\";";

fn pool(tool: &Tool) -> String {
    format!("upstream tool {{ server {}; keepalive 64; }}", tool.address())
}

fn nginx_on(core: &str, folder: &TempDir, before: &str, server: &str) -> Command {
    let path = folder.path().display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {path}/{kind}; "))
        .concat();
    let text = format!(
        "daemon off; worker_processes 1; pid {path}/pid; error_log stderr crit;\nevents {{ worker_connections 4096; }}\n\
         http {{ access_log off; keepalive_requests 1000000000; {temporary} {before}\nserver {{ {server} }} }}\n"
    );
    std::fs::write(folder.path().join("nginx.conf"), text).unwrap();
    let mut command = pinned(core, Path::new("/usr/sbin/nginx"));
    command.args(["-e", "stderr", "-p"]).arg(folder.path()).arg("-c").arg(folder.path().join("nginx.conf"));
    command
}

fn pingora(name: &'static str, tool: &Tool, timed: &str) -> Contestant {
    let own = std::env::current_exe().unwrap();
    let proxy = start_on_free_port(name, |address, _| {
        let mut command = pinned(THEIRS, &own);
        command.args([bare::WORD, &address.to_string(), &tool.address().to_string(), timed]);
        command
    });
    Contestant::of(name, proxy, vec![])
}

fn sekisho(name: &'static str, tool: &Tool, access_log: &str) -> Contestant {
    let mut gate = Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "off")
        .set("server.workers", "1")
        .set("session.max_per_user", "1000")
        .set("log.access", access_log)
        .user("alice", &[])
        .upstream(&tool.url())
        .started_by(&["taskset", "-c", THEIRS])
        .start();
    let about = serde_json::json!({"login": "alice", "password": PASSWORD});
    let sign_in = |_| {
        let mut alice = Client::new(&gate);
        assert_eq!(alice.post_json("/.sekisho/api/login", &about).status, 200);
        assert_eq!(alice.get("/").status, 200, "she is signed in");
        alice.cookie_header().trim().trim_start_matches("Cookie: ").to_owned()
    };
    let cookies = (0..SESSIONS).map(sign_in).collect();
    let process = gate.process().pid();
    Contestant { name, address: gate.address(), processes: vec![process], cookies, _parts: vec![Box::new(gate)] }
}

fn pinned(core: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program);
    command
}

impl Contestant {
    fn of(name: &'static str, proxy: Tool, others: Vec<Tool>) -> Self {
        let processes = [proxy.pid()].into_iter().chain(others.iter().map(Tool::pid)).collect();
        // As long as sekisho's, and of no use to anybody.
        let cookies = (0..SESSIONS).map(|number| format!("sekisho={number:043}")).collect();
        let address = proxy.address();
        let mut parts: Vec<Box<dyn std::any::Any>> = vec![Box::new(proxy)];
        parts.extend(others.into_iter().map(|other| Box::new(other) as Box<dyn std::any::Any>));
        Self { name, address, processes, cookies, _parts: parts }
    }

    /// wrk's script: the thousand requests, and a line of figures at the end.
    pub fn script(&self) -> String {
        let mut text = String::from("local requests = {}\nfunction init()\n");
        for (number, cookies) in self.cookies.iter().enumerate() {
            let _ = writeln!(
                text,
                "  requests[{}] = wrk.format(\"GET\", \"/orders/{number}\", {{[\"Cookie\"] = \"{cookies}\", [\"Remote-User\"] = \
                 \"forged\", [\"Accept\"] = \"text/html\", [\"User-Agent\"] = \"Mozilla/5.0\"}})",
                number + 1
            );
        }
        text.push_str(
            "end\nlocal at = 0\nfunction request()\n  at = at % #requests + 1\n  return requests[at]\nend\n\
             function done(summary, latency)\n  local errors = summary.errors\n\
             \x20 print(string.format(\"figures %d %d %d %d %d %d %d\", summary.requests, summary.duration, summary.bytes,\n\
             \x20   errors.connect + errors.read + errors.write + errors.timeout, errors.status, latency:percentile(50), \
             latency:percentile(99)))\nend\n",
        );
        text
    }
}
