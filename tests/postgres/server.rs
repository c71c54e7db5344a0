//! PostgreSQL for tests: one server for a test process, with a database for each test; or a server of a test's own, which it may stop.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

/// The superuser's password. Must be in no log.
pub const PASSWORD: &str = "correct-horse-of-the-database";

/// A server. Dropping it, or the end of the process, ends it.
pub struct Server {
    folder: PathBuf,
    port: u16,
    /// What it is told, and what it says; nothing when it ends.
    control: Mutex<Option<(ChildStdin, Box<dyn BufRead + Send>)>>,
    child: Mutex<Child>,
}

/// How a database is reached over TCP that one of these hosts has.
#[allow(dead_code, clippy::allow_attributes, reason = "each of the two crates uses some of it")]
pub fn url_of(hosts: &[SocketAddr], database: &str) -> String {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    format!("postgresql://tester:{PASSWORD}@{}/{database}", hosts.join(","))
}

#[allow(dead_code, clippy::allow_attributes, reason = "each of the two crates uses some of it")]
impl Server {
    /// The one that tests of this process share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// One of its own.
    pub fn start() -> Self {
        Self::begin(None, &[])
    }

    /// One of its own with these settings, as `name=value`, instead of those that all have.
    pub fn with(settings: &[&str]) -> Self {
        Self::begin(None, settings)
    }

    /// Its processes descend from this one.
    pub fn process(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    /// One that follows this one: it can be read, and takes writes when it is promoted.
    pub fn standby(&self) -> Self {
        Self::begin(Some(self), &[])
    }

    fn begin(primary: Option<&Self>, settings: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("sekisho-postgres-").tempdir().unwrap().keep();
        // A port that was free a moment ago; the socket in the folder has its number, too.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postgres/serve");
        let mut command = Command::new(script);
        command.arg(&folder).arg(port.to_string()).env("PGPASSWORD", PASSWORD);
        command.env("SETTINGS", settings.join(" "));
        if let Some(primary) = primary {
            command.arg(&primary.folder).arg(primary.port.to_string());
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("tests/postgres/serve");
        let output: Box<dyn BufRead + Send> = Box::new(BufReader::new(child.stdout.take().unwrap()));
        let control = Mutex::new(Some((child.stdin.take().unwrap(), output)));
        let server = Self { folder, port, control, child: Mutex::new(child) };
        server.hear("ready");
        server
    }

    fn hear(&self, expected: &str) {
        let mut line = String::new();
        self.control.lock().unwrap().as_mut().unwrap().1.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), expected, "tests/postgres/serve: is Debian's package postgresql installed?");
    }

    fn say(&self, command: &str) {
        writeln!(self.control.lock().unwrap().as_mut().unwrap().0, "{command}").unwrap();
        self.hear(command.split(' ').next().unwrap());
    }

    /// Stops it; its databases stay.
    pub fn stop(&self) {
        self.say("stop");
    }

    /// Starts it again.
    pub fn go_on(&self) {
        self.say("start");
    }

    /// Ends it as a lost machine does: whatever it was about to do or to answer is cut.
    pub fn crash(&self) {
        self.say("crash");
    }

    /// From now on it answers nothing, and its connections stay open.
    pub fn freeze(&self) {
        self.say("freeze");
    }

    /// It goes on where it was.
    pub fn thaw(&self) {
        self.say("thaw");
    }

    /// Starts it again with this certificate and key, for TLS; nobody is let in over the network without it.
    pub fn only_over_tls(&self, certificate: &Path, key: &Path) {
        self.say(&format!("tls {} {}", certificate.display(), key.display()));
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Where its socket is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A new, empty database: its name.
    pub fn database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// How it is reached over its socket.
    pub fn url(&self, database: &str) -> String {
        let folder = self.folder.to_str().unwrap().replace('/', "%2F");
        format!("postgresql://tester:{PASSWORD}@{folder}:{}/{database}", self.port)
    }

    /// Over TCP.
    pub fn tcp_url(&self, database: &str) -> String {
        url_of(&[self.address()], database)
    }

    /// Carries out a statement; what it says, a line for each row.
    #[track_caller]
    pub fn sql(&self, database: &str, statement: &str) -> String {
        let mut command = Command::new("psql");
        command.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "tester",
            "-d",
            database,
            "-c",
            statement,
        ]);
        command.env("PGHOST", &self.folder).env("PGPORT", self.port.to_string()).env("PGPASSWORD", PASSWORD);
        let output = command.output().expect("psql");
        assert!(output.status.success(), "{statement}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its standard input ends it.
        *self.control.get_mut().unwrap() = None;
        let _ = self.child.get_mut().unwrap().wait();
    }
}
