//! The product under test: the real binary, with a folder, a key, a store and ports of its own.
//!
//! What it is started with is put together in `builder`.

mod builder;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use serde_yaml::Value;
use tempfile::TempDir;

pub use self::builder::Builder;
use self::builder::set;
use super::clock::Clock;
use super::postgres::Server;
use super::secrets::Secrets;
use super::tls::Authority;
use super::{Conn, Process, poll, totp, unix_now, wait_until};

/// A gateway with its folder; running after [`Builder::start`] or [`Sekisho::serve`].
pub struct Sekisho {
    /// Before the folder, so that it is stopped before its files go.
    process: Option<Process>,
    /// Processes that followed it by `sekisho upgrade`, the newest last; nobody's children.
    successors: Vec<Pid>,
    folder: TempDir,
    /// What processes of this gateway said before the one that runs now.
    earlier: Vec<String>,
    plain: Vec<SocketAddr>,
    tls: Vec<SocketAddr>,
    authority: Option<Authority>,
    clock: Option<Arc<Clock>>,
    environment: Vec<(String, String)>,
    wrapper: Vec<String>,
    secrets: Secrets,
}

impl Sekisho {
    /// Another node on the same database, which has copies of the key file and of what stands beside it, and shows the same time; it does not
    /// run yet.
    #[track_caller]
    pub fn beside(&self) -> Self {
        let folder = TempDir::with_prefix("sekisho-test-").unwrap();
        for name in ["secret.key", "secret.key.store-id"] {
            std::fs::copy(self.path(name), folder.path().join(name)).unwrap();
        }
        let mut yaml: Value = serde_yaml::from_str(&std::fs::read_to_string(self.config()).unwrap()).unwrap();
        for (key, name) in
            [("server.admin_socket", "admin.sock"), ("secrets.key_file", "secret.key"), ("audit.file", "audit.jsonl")]
        {
            set(&mut yaml, key, folder.path().join(name).to_str().unwrap());
        }
        let mut node = Self::written(folder, &yaml);
        node.clock = self.clock.clone();
        node.environment = self.environment.clone();
        node.wrapper = self.wrapper.clone();
        node.secrets = self.secrets.clone();
        node
    }

    /// One that does not run yet, with this configuration in its folder.
    fn written(folder: TempDir, yaml: &Value) -> Self {
        let gate = Self {
            process: None,
            successors: Vec::new(),
            folder,
            earlier: Vec::new(),
            plain: Vec::new(),
            tls: Vec::new(),
            authority: None,
            clock: None,
            environment: Vec::new(),
            wrapper: Vec::new(),
            secrets: Secrets::default(),
        };
        std::fs::write(gate.config(), serde_yaml::to_string(yaml).unwrap()).unwrap();
        gate
    }

    /// From now on commands have this variable in their environment.
    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Sets a key of its configuration file, by its dotted path; the gateway that runs is told of it by [`Sekisho::reload`].
    #[track_caller]
    pub fn change(&self, path: &str, value: &str) {
        let text = std::fs::read_to_string(self.config()).unwrap();
        let mut yaml: Value = serde_yaml::from_str(&text).unwrap();
        set(&mut yaml, path, value);
        std::fs::write(self.config(), serde_yaml::to_string(&yaml).unwrap()).unwrap();
    }

    /// `sekisho reload`, which must succeed.
    #[track_caller]
    pub fn reload(&self) {
        let output = self.cli(&["reload"]);
        assert!(output.status.success(), "reload: {output:?}");
    }

    /// On which line of its configuration file these words come first.
    #[track_caller]
    pub fn line_of(&self, words: &str) -> usize {
        let text = std::fs::read_to_string(self.config()).unwrap();
        text.lines().position(|line| line.contains(words)).unwrap_or_else(|| panic!("no `{words}` in:\n{text}")) + 1
    }

    /// Where its files are.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// The sockets that the log says were opened, in that order; of the process that runs.
    pub fn sockets(&self) -> Vec<(SocketAddr, bool)> {
        self.process.iter().flat_map(Process::lines).filter_map(|line| listening(&line)).collect()
    }

    /// Serves from now on at the addresses that it has had so far, whoever is started again.
    #[track_caller]
    pub fn keep_its_address(&self) {
        self.change("server.listen", &format!("[{:?}]", self.address().to_string()));
    }

    /// Whatever its store holds, as it stands there, be it in files or in its database on the shared server.
    pub fn stored(&self) -> Vec<u8> {
        if let Ok(url) = std::fs::read_to_string(self.path("database-url")) {
            let all = "SELECT key || ' ' || encode(value, 'escape') FROM sekisho.record";
            return Server::shared().sql(url.rsplit('/').next().unwrap(), all).into_bytes();
        }
        fn read(folder: &Path, all: &mut Vec<u8>) {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                match entry.file_type().unwrap().is_dir() {
                    true => read(&entry.path(), all),
                    false => all.extend(std::fs::read(entry.path()).unwrap()),
                }
            }
        }
        let mut all = Vec::new();
        read(&self.path("store"), &mut all);
        all
    }

    /// A file in the gateway's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.path("sekisho.yaml")
    }

    /// `sekisho key generate`, for the configuration's key.
    #[track_caller]
    pub fn make_key(&self) {
        let file = self.path("secret.key");
        let output = self.run(&["key", "generate", file.to_str().unwrap()], "");
        assert!(output.status.success(), "key generate: {output:?}");
        for line in std::fs::read_to_string(file).unwrap().lines() {
            self.secrets.add(line.rsplit(':').next().unwrap_or(line));
        }
    }

    /// `sekisho user add`.
    #[track_caller]
    pub fn add_user(&self, login: &str, password: &str, args: &[&str]) {
        self.secrets.add(password);
        let all: Vec<&str> =
            ["user", "add", login, "--password-stdin"].into_iter().chain(args.iter().copied()).collect();
        let output = self.cli_with_input(&all, &format!("{password}\n"));
        assert!(output.status.success(), "user add {login}: {output:?}");
    }

    /// Runs a command on this gateway's configuration and waits for its end.
    #[track_caller]
    pub fn cli(&self, args: &[&str]) -> Output {
        self.cli_with_input(args, "")
    }

    /// The same with something on standard input.
    #[track_caller]
    pub fn cli_with_input(&self, args: &[&str], input: &str) -> Output {
        let config = self.config();
        let all: Vec<&str> = args.iter().copied().chain(["--config", config.to_str().unwrap()]).collect();
        self.run(&all, input)
    }

    /// Runs a command with `--json`, which must succeed, and reads what it says.
    #[track_caller]
    pub fn cli_json(&self, args: &[&str]) -> Json {
        let all: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let output = self.cli(&all);
        assert!(output.status.success(), "{args:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {output:?}"))
    }

    /// Runs the binary with exactly these arguments.
    #[track_caller]
    pub fn run(&self, args: &[&str], input: &str) -> Output {
        let mut command = self.command();
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may end without having read everything.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn command(&self) -> Command {
        self.command_by(&[])
    }

    fn command_by(&self, wrapper: &[String]) -> Command {
        let binary = env!("CARGO_BIN_EXE_sekisho");
        let mut command = match wrapper.split_first() {
            None => Command::new(binary),
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(binary);
                command
            }
        };
        command.current_dir(self.folder.path()).env_remove("RUST_LOG");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(clock) = &self.clock {
            clock.apply(&mut command);
        }
        command
    }

    /// Starts `sekisho serve` and waits until every socket listens.
    #[track_caller]
    pub fn serve(&mut self) {
        let mut process = self.spawn_serve();
        let (plain, tls) = self.sockets_expected();
        let listening = process.wait_for("every socket listens", |lines| {
            let found: Vec<(SocketAddr, bool)> = lines.iter().filter_map(|line| listening(line)).collect();
            (found.len() >= plain + tls).then_some(found)
        });
        self.plain = listening.iter().filter(|(_, tls)| !tls).map(|(address, _)| *address).collect();
        self.tls = listening.iter().filter(|(_, tls)| *tls).map(|(address, _)| *address).collect();
        self.process = Some(process);
    }

    /// Starts `sekisho serve` without waiting for anything, for starts that must fail.
    pub fn spawn_serve(&self) -> Process {
        let mut command = self.command_by(&self.wrapper);
        command.arg("serve").arg("--config").arg(self.config());
        Process::start("sekisho", &mut command)
    }

    fn sockets_expected(&self) -> (usize, usize) {
        let yaml: Value = serde_yaml::from_str(&std::fs::read_to_string(self.config()).unwrap()).unwrap();
        let count = |value: Option<&Value>| value.and_then(Value::as_sequence).map_or(0, Vec::len);
        let server = yaml.get("server");
        (
            count(server.and_then(|server| server.get("listen"))),
            count(server.and_then(|server| server.get("tls")).and_then(|tls| tls.get("listen"))),
        )
    }

    /// Its first plain socket.
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        *self.plain.first().expect("the gateway has a plain listener and runs")
    }

    /// Its first TLS socket.
    #[track_caller]
    pub fn tls_address(&self) -> SocketAddr {
        *self.tls.first().expect("the gateway has a TLS listener and runs")
    }

    /// Where its metrics are served.
    #[track_caller]
    pub fn metrics_address(&self) -> SocketAddr {
        let lines = self.process.iter().flat_map(Process::lines);
        let address = |line: String| {
            let line: Json = serde_json::from_str(&line).ok()?;
            let fields = line.get("fields").unwrap_or(&line);
            (fields.get("message")?.as_str()? == "metrics are served").then_some(())?;
            fields.get("address")?.as_str()?.parse().ok()
        };
        // The newest: a reload may have moved it.
        lines.filter_map(address).next_back().expect("the gateway was given server.metrics and runs")
    }

    /// What is served there: the status, and the text.
    #[track_caller]
    pub fn scraped(&self, path: &str) -> (u16, String) {
        let mut conn = Conn::plain(self.metrics_address());
        conn.send(format!("GET {path} HTTP/1.1\r\nHost: metrics\r\nConnection: close\r\n\r\n"));
        let answer = conn.response();
        (answer.status, answer.text())
    }

    /// One of its metrics, by its name and labels.
    #[track_caller]
    pub fn sample(&self, name: &str) -> f64 {
        let text = self.scraped("/metrics").1;
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        let value = line.and_then(|line| line.rsplit(' ').next()).and_then(|value| value.parse().ok());
        value.unwrap_or_else(|| panic!("no {name} in:\n{text}"))
    }

    /// The authority that signed its certificates.
    #[track_caller]
    pub fn authority(&self) -> &Authority {
        self.authority.as_ref().expect("the gateway was built with .tls(…)")
    }

    /// The address of a page, over the plain listener.
    #[track_caller]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// The process that serves.
    #[track_caller]
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the gateway runs")
    }

    /// Asks it to end, waits for it, and hands back how it ended.
    #[track_caller]
    pub fn stop(&mut self) -> std::process::ExitStatus {
        self.end_successors();
        let status = self.process().stop(Duration::from_secs(20)).expect("the gateway ends when it is asked to");
        self.retire();
        status
    }

    /// Sends a signal to the process that serves.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("the gateway runs").signal(signal);
    }

    /// `kill -9`.
    #[track_caller]
    pub fn kill(&mut self) {
        self.process().signal(Signal::KILL);
        self.process().wait();
        self.retire();
    }

    /// Ends it and serves again, on new ports.
    #[track_caller]
    pub fn restart(&mut self) {
        self.stop();
        self.serve();
    }

    /// `sekisho upgrade`, which must succeed: the pid of the process that serves from now on.
    #[track_caller]
    pub fn upgrade(&mut self) -> Pid {
        let told = self.cli_json(&["upgrade"]);
        let pid = told["pid"].as_i64().and_then(|pid| Pid::from_raw(i32::try_from(pid).unwrap())).unwrap();
        self.successors.push(pid);
        pid
    }

    /// Waits until every process but the newest has ended by itself.
    #[track_caller]
    pub fn wait_for_predecessors(&mut self) {
        let process = self.process.as_mut().expect("the gateway ran");
        wait_until("the first process ends", || (!process.is_running()).then_some(()));
        if let Some((_, former)) = self.successors.split_last() {
            wait_until("the processes in between end", || former.iter().all(|pid| is_gone(*pid)).then_some(()));
        }
    }

    /// Ends all that followed the process that was started.
    fn end_successors(&mut self) {
        let successors = std::mem::take(&mut self.successors);
        let all = |signal| {
            for pid in &successors {
                let _ = kill_process(*pid, signal);
            }
        };
        all(Signal::TERM);
        if poll(Duration::from_secs(20), || successors.iter().all(|pid| is_gone(*pid)).then_some(())).is_none() {
            all(Signal::KILL);
        }
    }

    fn retire(&mut self) {
        if let Some(process) = self.process.take() {
            self.earlier.extend(process.lines());
        }
    }

    /// Every line that it has logged, earlier processes included.
    pub fn logs(&self) -> Vec<String> {
        self.earlier.iter().cloned().chain(self.process.iter().flat_map(Process::lines)).collect()
    }

    /// The lines of its access log, once there are `count` of them.
    #[track_caller]
    pub fn access_log(&self, count: usize) -> Vec<String> {
        let process = self.process.as_ref().expect("the gateway runs");
        super::wait_until("lines of the access log", || Some(process.printed()).filter(|lines| lines.len() >= count))
    }

    /// The product's time, in seconds since 1970.
    pub fn unix_now(&self) -> u64 {
        unix_now().saturating_add_signed(self.clock.as_deref().map_or(0, Clock::offset))
    }

    /// Moves the product's wall clock forward.
    #[track_caller]
    pub fn advance(&self, by: Duration) {
        self.turn_clock(i64::try_from(by.as_secs()).unwrap());
    }

    /// Sets the product's wall clock back.
    #[track_caller]
    pub fn set_back(&self, by: Duration) {
        self.turn_clock(-i64::try_from(by.as_secs()).unwrap());
    }

    #[track_caller]
    fn turn_clock(&self, seconds: i64) {
        let clock = self.clock.as_ref().expect("the gateway was built with .clock()");
        clock.turn(seconds);
    }

    /// The code that an app with this key shows at the product's present moment.
    #[track_caller]
    pub fn code(&self, key: &str) -> String {
        let code = totp::code_at(key, self.unix_now());
        self.secrets.add(&code);
        code
    }

    /// A code of a later step than every one before: the clock is moved by a step, or, where it is not ours to move, the
    /// next step's code is taken, which the accepted skew allows once.
    #[track_caller]
    pub fn fresh_code(&self, key: &str) -> String {
        if self.clock.is_some() {
            self.advance(Duration::from_secs(30));
            return self.code(key);
        }
        let code = totp::code_at(key, self.unix_now() + 30);
        self.secrets.add(&code);
        code
    }

    /// Where a test that handles a secret says so.
    pub fn secrets(&self) -> Secrets {
        self.secrets.clone()
    }

    /// What must not be in the logs and in the file of events: panics, and anything that the test knows to be secret.
    fn faults_in_logs(&self) -> Vec<String> {
        let events = std::fs::read_to_string(self.path("audit.jsonl")).unwrap_or_default();
        self.secrets.faults_in(self.logs().into_iter().chain(events.lines().map(str::to_owned)))
    }
}

impl Drop for Sekisho {
    fn drop(&mut self) {
        self.end_successors();
        if std::thread::panicking() {
            return;
        }
        if let Some(process) = &mut self.process {
            process.stop(Duration::from_secs(10));
        }
        self.retire();
        let faults = self.faults_in_logs();
        assert!(faults.is_empty(), "the logs hold what they must not:\n{}", faults.join("\n"));
    }
}

/// Whether there is no such process, or nothing is left of it but its number.
pub fn is_gone(pid: Pid) -> bool {
    match std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())) {
        // The state stands behind the name, which may hold anything.
        Ok(stat) => stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z')),
        Err(_) => true,
    }
}

/// The address and kind of socket that a log line says is listening.
fn listening(line: &str) -> Option<(SocketAddr, bool)> {
    // As `log.format: text` has it.
    if let Some((_, rest)) = line.split_once("sekisho::server::listeners: listening address=") {
        let (address, tls) = rest.split_once(" tls=")?;
        return Some((address.parse().ok()?, tls.starts_with("true")));
    }
    let line: Json = serde_json::from_str(line).ok()?;
    let fields = line.get("fields").unwrap_or(&line);
    if fields.get("message")?.as_str()? != "listening" {
        return None;
    }
    let tls = fields.get("tls").is_some_and(|tls| tls.as_bool().unwrap_or_else(|| tls.as_str() == Some("true")));
    Some((fields.get("address")?.as_str()?.parse().ok()?, tls))
}
