//! What a gateway under test is started with: its configuration, accounts, certificates and clock. How it runs is `sekisho`'s.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use serde_yaml::{Mapping, Value};
use tempfile::TempDir;

use super::Sekisho;
use crate::harness::PASSWORD;
use crate::harness::clock::Clock;
use crate::harness::postgres::{self, Server};
use crate::harness::tls::Authority;

/// What a gateway is started with; see [`Sekisho::builder`].
pub struct Builder {
    folder: TempDir,
    yaml: Value,
    users: Vec<(String, String, Vec<String>)>,
    authority: Option<Authority>,
    clock: bool,
    environment: Vec<(String, String)>,
    wrapper: Vec<String>,
}

impl Sekisho {
    /// A gateway on loopback, port 0, with everything of its own in a temporary folder.
    pub fn builder() -> Builder {
        let folder = TempDir::with_prefix("sekisho-test-").unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (socket, store, key) = (path("admin.sock"), path("store"), path("secret.key"));
        let events = path("audit.jsonl");
        let yaml = Value::Mapping(Mapping::new());
        let (environment, wrapper) = (Vec::new(), Vec::new());
        let builder = Builder { folder, yaml, users: Vec::new(), authority: None, clock: false, environment, wrapper };
        let builder = match std::env::var("SEKISHO_TEST_ENGINE").as_deref() {
            Ok("postgres") => builder.shared_database(),
            Ok(other) if other != "sled" => panic!("SEKISHO_TEST_ENGINE: {other}?"),
            _ => builder.set("store.path", &store),
        };
        builder
            .set("server.listen", "[\"127.0.0.1:0\"]")
            .set("server.admin_socket", &socket)
            .set("server.workers", "2")
            .set("server.shutdown_grace", "2s")
            .set("log", "{access: json, format: json}")
            .set("secrets.key_file", &key)
            .set("audit.file", &events)
            .set("portal.languages", "[en, ja]")
    }
}

impl Builder {
    /// Sets a key of the configuration, by its dotted path; the value is YAML.
    #[must_use]
    pub fn set(mut self, path: &str, value: &str) -> Self {
        set(&mut self.yaml, path, value);
        self
    }

    /// Adds a route; `UPSTREAM` in its YAML becomes `upstream`.
    #[must_use]
    pub fn route(mut self, yaml: &str, upstream: &str) -> Self {
        let route: Value = serde_yaml::from_str(&yaml.replace("UPSTREAM", upstream)).unwrap();
        let routes = self.yaml.as_mapping_mut().unwrap().entry("routes".into()).or_insert(Value::Sequence(Vec::new()));
        routes.as_sequence_mut().unwrap().push(route);
        self
    }

    /// One route for everything, to this upstream.
    #[must_use]
    pub fn upstream(self, upstream: &str) -> Self {
        self.route("{name: all, upstream: UPSTREAM}", upstream)
    }

    /// Adds an account with [`PASSWORD`]; `args` go to `user add`.
    #[must_use]
    pub fn user(self, login: &str, args: &[&str]) -> Self {
        self.user_with_password(login, PASSWORD, args)
    }

    /// Adds an account.
    #[must_use]
    pub fn user_with_password(mut self, login: &str, password: &str, args: &[&str]) -> Self {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        self.users.push((login.to_owned(), password.to_owned(), args));
        self
    }

    /// Adds a TLS listener with one certificate for each of these names (and `localhost` and `127.0.0.1`).
    #[must_use]
    pub fn tls(mut self, names: &[&str]) -> Self {
        let authority = Authority::new();
        let mut certificates = Vec::new();
        for names in names.iter().map(|name| vec![*name]).chain([vec!["localhost", "127.0.0.1"]]) {
            let files = authority.issue(self.folder.path(), &names);
            certificates.push(format!("{{certificate: {:?}, key: {:?}}}", files.certificate, files.key));
        }
        self.authority = Some(authority);
        self = self.set("server.tls.listen", "[\"127.0.0.1:0\"]");
        self.set("server.tls.certificates", &format!("[{}]", certificates.join(", ")))
    }

    /// No plain listener.
    #[must_use]
    pub fn without_plain(mut self) -> Self {
        let server = self.yaml.get_mut("server").and_then(Value::as_mapping_mut).unwrap();
        server.remove("listen");
        self
    }

    /// Keeps its records in this database.
    #[must_use]
    pub fn database(self, url: &str) -> Self {
        let file = self.folder.path().join("database-url");
        std::fs::write(&file, url).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        self.set("store", &format!("{{engine: postgres, url_file: {file:?}}}"))
    }

    /// In a database of its own, on the server that all tests share.
    #[must_use]
    pub fn shared_database(self) -> Self {
        let server = Server::shared();
        self.database(&server.url(&server.database()))
    }

    /// Runs it under libfaketime, so that [`Sekisho::advance`] moves its clock.
    #[must_use]
    pub fn clock(mut self) -> Self {
        self.clock = true;
        self
    }

    /// A variable in the environment of every command.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// `sekisho serve` is started by this command, which must become it: its own arguments are put behind.
    #[must_use]
    pub fn started_by(mut self, command: &[&str]) -> Self {
        self.wrapper = command.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// The gateway's folder, for files that the configuration names.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes the configuration, makes the key and the accounts, and serves.
    #[track_caller]
    pub fn start(self) -> Sekisho {
        let mut gate = self.prepare();
        gate.serve();
        gate
    }

    /// The same without serving.
    #[track_caller]
    pub fn prepare(mut self) -> Sekisho {
        let users = std::mem::take(&mut self.users);
        let gate = self.write_only();
        gate.make_key();
        for (login, password, args) in users {
            gate.add_user(&login, &password, &args.iter().map(String::as_str).collect::<Vec<_>>());
        }
        gate
    }

    /// Writes the configuration and nothing else: no key, no store.
    pub fn write_only(self) -> Sekisho {
        let clock = self.clock.then(|| Arc::new(Clock::new(self.folder.path().join("clock"))));
        let mut gate = Sekisho::written(self.folder, &self.yaml);
        gate.authority = self.authority;
        gate.clock = clock;
        gate.environment = self.environment;
        gate.wrapper = self.wrapper;
        gate.secrets.add(postgres::PASSWORD);
        gate
    }
}

/// Puts a value, as YAML, at a dotted path.
#[track_caller]
pub(super) fn set(yaml: &mut Value, path: &str, value: &str) {
    let value = serde_yaml::from_str(value).unwrap_or_else(|error| panic!("{path}: {value}: {error}"));
    let mut place = yaml;
    for key in path.split('.') {
        if !place.is_mapping() {
            *place = Value::Mapping(Mapping::new());
        }
        place = place.as_mapping_mut().unwrap().entry(Value::from(key)).or_insert(Value::Null);
    }
    *place = value;
}
