//! Who is compared: each passes everything on to a tool, alone on its core.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::bare;
use crate::harness::tls::Authority;
use crate::harness::tools::{Tool, prepared, start_on_free_port};
use crate::harness::{Builder, Client, PASSWORD, Sekisho};

/// Where contestants run, and where everything else does.
pub const THEIRS: &str = "1";
pub const OURS: &str = "0";
/// So many people are signed in.
pub const SESSIONS: usize = 1000;

pub type Start = fn(&'static str) -> Contestant;

/// One that runs.
pub struct Contestant {
    pub name: &'static str,
    pub address: SocketAddr,
    /// Its processes, whose children count as well.
    pub processes: Vec<u32>,
    /// What its thousand people show: the values of their `Cookie` fields.
    pub cookies: Vec<String>,
    /// What runs for as long as it does.
    _others: Vec<Tool>,
    _gate: Option<Sekisho>,
}

/// What requests are passed on to: 1 KiB whatever is asked.
fn tool() -> Tool {
    let answer = "x".repeat(1024);
    start_on_free_port("the tool", |address, folder| {
        nginx_on(OURS, folder, "", &format!("listen {address}; location / {{ return 200 \"{answer}\"; }}"))
    })
}

/// It says yes to whatever it is asked.
fn judge() -> Tool {
    start_on_free_port("the judge", |address, folder| {
        nginx_on(THEIRS, folder, "", &format!("listen {address}; location / {{ return 200; }}"))
    })
}

pub fn nginx(name: &'static str) -> Contestant {
    let tool = tool();
    let proxy = start_on_free_port(name, |address, folder| {
        let server = format!("listen {address}; location / {{ {PASS_ON} }}");
        nginx_on(THEIRS, folder, &pool("tool", tool.address()), &server)
    });
    Contestant::of(name, proxy, vec![], vec![tool])
}

pub fn nginx_asks(name: &'static str) -> Contestant {
    let (tool, judge) = (tool(), judge());
    let proxy = start_on_free_port(name, |address, folder| {
        let pools = pool("tool", tool.address()) + &pool("judge", judge.address());
        let server = format!(
            "listen {address}; location / {{ auth_request /judge; {PASS_ON} }} location = /judge {{ internal; \
             proxy_pass http://judge; proxy_http_version 1.1; proxy_set_header Connection \"\"; \
             proxy_pass_request_body off; proxy_set_header Content-Length \"\"; }}"
        );
        nginx_on(THEIRS, folder, &pools, &server)
    });
    Contestant::of(name, proxy, vec![judge], vec![tool])
}

pub fn caddy(name: &'static str) -> Contestant {
    caddy_with(name, vec![], "")
}

pub fn caddy_asks(name: &'static str) -> Contestant {
    let judge = judge();
    let asks = format!("forward_auth {} {{\n uri /judge\n }}\n", judge.address());
    caddy_with(name, vec![judge], &asks)
}

fn caddy_with(name: &'static str, others: Vec<Tool>, before: &str) -> Contestant {
    let (tool, program) = (tool(), prepared("caddy"));
    let proxy = start_on_free_port(name, |address, folder| {
        let text = format!(
            "{{\n admin off\n auto_https off\n persist_config off\n log {{\n level ERROR\n }}\n}}\nhttp://{address} {{\n{before}\
             reverse_proxy {} {{\n header_up -Remote-User\n }}\n}}\n",
            tool.address()
        );
        std::fs::write(folder.path().join("Caddyfile"), text).unwrap();
        let mut command = pinned(THEIRS, &program);
        command.args(["run", "--config"]).arg(folder.path().join("Caddyfile")).env("GOMAXPROCS", "1");
        command.env("XDG_DATA_HOME", folder.path()).env("XDG_CONFIG_HOME", folder.path());
        command
    });
    Contestant::of(name, proxy, others, vec![tool])
}

const PASS_ON: &str = "proxy_pass http://tool; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header Remote-User \"\";";

fn pool(name: &str, address: SocketAddr) -> String {
    format!("upstream {name} {{ server {address}; keepalive 64; }}\n")
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

pub fn pingora(name: &'static str, mode: &str) -> Contestant {
    let tool = tool();
    pingora_to(name, mode, tool.address()).beside(tool)
}

pub fn pingora_to(name: &'static str, mode: &str, tool: SocketAddr) -> Contestant {
    let own = std::env::current_exe().unwrap();
    let proxy = start_on_free_port(name, |address, folder| {
        let files = Authority::new().issue(folder.path(), &["localhost"]);
        let mut command = pinned(THEIRS, &own);
        command.args([bare::WORD, &address.to_string(), &tool.to_string(), mode]).args([files.certificate, files.key]);
        command
    });
    Contestant::of(name, proxy, vec![], vec![])
}

pub fn sekisho(name: &'static str, made: fn(Builder) -> Builder) -> Contestant {
    let tool = tool();
    sekisho_to(name, tool.address(), SESSIONS, made).beside(tool)
}

/// So many people are signed in.
pub fn sekisho_to(name: &'static str, tool: SocketAddr, people: usize, made: fn(Builder) -> Builder) -> Contestant {
    let builder = Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "off")
        .set("server.workers", "1")
        .set("session.max_per_user", "1000")
        .user("alice", &[]);
    let mut gate = made(builder).upstream(&format!("http://{tool}")).started_by(&["taskset", "-c", THEIRS]).start();
    let over_tls = gate.sockets().iter().any(|(_, tls)| *tls);
    let about = serde_json::json!({"login": "alice", "password": PASSWORD});
    let sign_in = |_| {
        let mut alice = if over_tls { Client::tls(&gate, "localhost") } else { Client::new(&gate) };
        assert_eq!(alice.post_json("/.sekisho/api/login", &about).status, 200);
        alice.cookie_header().trim().trim_start_matches("Cookie: ").to_owned()
    };
    let cookies = (0..people).map(sign_in).collect();
    let (process, address) = (gate.process().pid(), if over_tls { gate.tls_address() } else { gate.address() });
    Contestant { name, address, processes: vec![process], cookies, _others: vec![], _gate: Some(gate) }
}

fn pinned(core: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program);
    command
}

impl Contestant {
    fn of(name: &'static str, proxy: Tool, its_own: Vec<Tool>, others: Vec<Tool>) -> Self {
        let address = proxy.address();
        let its_own: Vec<Tool> = [proxy].into_iter().chain(its_own).collect();
        let processes = its_own.iter().map(Tool::pid).collect();
        // As long as sekisho's, and of no use to anybody.
        let cookies = (0..SESSIONS).map(|number| format!("sekisho={number:043}")).collect();
        Self { name, address, processes, cookies, _others: its_own.into_iter().chain(others).collect(), _gate: None }
    }

    /// It passes requests on to this one.
    fn beside(mut self, tool: Tool) -> Self {
        self._others.push(tool);
        self
    }

    /// wrk's script: the thousand requests.
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
        text.push_str("end\nlocal at = 0\nfunction request()\n  at = at % #requests + 1\n  return requests[at]\nend\n");
        text
    }
}
