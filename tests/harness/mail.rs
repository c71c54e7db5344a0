//! A real mail server: `aiosmtpd`, run by `tests/mail_server/server.py` on a free port, with modes in which it misbehaves.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use serde::Deserialize;
use tempfile::TempDir;

use super::tls::Authority;
use super::{Process, Sekisho, wait_until};

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    None,
    StartTls,
    Tls,
}

/// What the server does with mails and connections from now on; each is described in `server.py`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    Accept,
    Refuse,
    Defer,
    Stall,
    StallAtEnd,
    Down,
}

/// How a server is set up.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    pub security: Security,
    /// The host that the certificate is for; clients come to `localhost`.
    pub certificate_for: &'static str,
    /// `LOGIN:PASSWORD`, without which no mail is taken.
    pub auth: Option<&'static str>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { security: Security::None, certificate_for: "localhost", auth: None }
    }
}

/// A running server with its folder of mails.
pub struct MailServer {
    _process: Process,
    folder: TempDir,
    port: u16,
    setup: Setup,
    control: Mutex<BufReader<TcpStream>>,
    /// How many mails to each address were taken out of the box.
    read: Mutex<BTreeMap<String, usize>>,
}

/// A mail as it arrived.
#[derive(Debug, Clone, Deserialize)]
pub struct Mail {
    /// The envelope's.
    pub from: String,
    pub to: Vec<String>,
    /// Whether the connection was, when it came.
    pub encrypted: bool,
    pub authenticated: bool,
    /// Unfolded and decoded, by Python's mail parser.
    pub headers: Vec<(String, String)>,
    /// The addresses in `To`, by the same parser.
    pub addressees: Vec<String>,
    /// What that parser found wrong.
    pub defects: Vec<String>,
    pub text: String,
    pub html: String,
    /// The bytes between `DATA` and the final dot.
    #[serde(skip)]
    pub raw: Vec<u8>,
}

impl Mail {
    /// A header's value; fails where it stands twice.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "`{name}` stands twice: {:?}", self.headers);
        value
    }

    /// The code that it brings: the only number of six digits in its text.
    #[track_caller]
    pub fn code(&self) -> String {
        let numbers: Vec<&str> =
            self.text.split(|c: char| !c.is_ascii_digit()).filter(|word| word.len() == 6).collect();
        let [code] = numbers.as_slice() else { panic!("not one code but {numbers:?} in: {}", self.text) };
        (*code).to_owned()
    }
}

impl MailServer {
    /// Takes mails in clear, from anybody.
    #[track_caller]
    pub fn start() -> Self {
        Self::with(Setup::default(), &Authority::new())
    }

    /// As told; its certificate is signed by `authority`.
    #[track_caller]
    pub fn with(setup: Setup, authority: &Authority) -> Self {
        let folder = TempDir::with_prefix("sekisho-mails-").unwrap();
        let certificates = TempDir::with_prefix("sekisho-mail-server-").unwrap();
        let mut command = Command::new(interpreter());
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mail_server/server.py")).arg(folder.path());
        command.args(["--security", setup.security.name()]);
        if setup.security != Security::None {
            let files = authority.issue(certificates.path(), &[setup.certificate_for]);
            command.arg("--certificate").arg(files.certificate).arg("--key").arg(files.key);
        }
        if let Some(auth) = setup.auth {
            command.args(["--auth", auth]);
        }
        let mut process = Process::start("mail server", &mut command);
        let (port, control) = process.wait_for("the mail server listens", |lines| {
            let ports = lines.iter().find_map(|line| line.strip_prefix("listening "))?;
            let (port, control) = ports.split_once(' ')?;
            Some((port.parse().unwrap(), control.parse::<u16>().unwrap()))
        });
        let control = Mutex::new(BufReader::new(TcpStream::connect(("127.0.0.1", control)).unwrap()));
        Self { _process: process, folder, port, setup, control, read: Mutex::default() }
    }

    /// From now on it behaves so.
    #[track_caller]
    pub fn behave(&self, behaviour: Behaviour) {
        let word = match behaviour {
            Behaviour::Accept => "accept",
            Behaviour::Refuse => "refuse",
            Behaviour::Defer => "defer",
            Behaviour::Stall => "stall",
            Behaviour::StallAtEnd => "stall_at_end",
            Behaviour::Down => "down",
        };
        let mut control = self.control.lock().unwrap();
        writeln!(control.get_mut(), "{word}").unwrap();
        let mut answer = String::new();
        control.read_line(&mut answer).unwrap();
        assert_eq!(answer, "ok\n", "the mail server does as it is told");
    }

    /// The configuration's `mail`, for a server that is reached as it wants to be. `ca`: a file with the authority to trust.
    pub fn yaml(&self, ca: Option<&Path>) -> String {
        self.yaml_as(self.setup.security, ca)
    }

    /// The same with another idea of how the connection is encrypted.
    pub fn yaml_as(&self, security: Security, ca: Option<&Path>) -> String {
        let mut smtp = format!("host: localhost, port: {}, security: {}", self.port, security.name());
        if let Some((login, password)) = self.setup.auth.and_then(|auth| auth.split_once(':')) {
            smtp += &format!(", username: {login:?}, password: {password:?}");
        }
        if let Some(ca) = ca {
            smtp += &format!(", ca: {ca:?}");
        }
        format!("{{from: \"Shop admin <no-reply@example.com>\", smtp: {{{smtp}}}}}")
    }

    /// All mails so far, oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'))
            .collect();
        files.sort();
        let mail = |path: &PathBuf| {
            let facts = std::fs::read(path).unwrap();
            let mail: Mail = serde_json::from_slice(&facts)
                .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&facts)));
            Mail { raw: std::fs::read(path.with_extension("eml")).unwrap(), ..mail }
        };
        files.iter().map(mail).collect()
    }

    /// All mails to this address, oldest first.
    pub fn mails_to(&self, address: &str) -> Vec<Mail> {
        self.mails().into_iter().filter(|mail| mail.to.iter().any(|to| to == address)).collect()
    }

    /// The next mail to this address, waited for; each is handed out once.
    #[track_caller]
    pub fn next_to(&self, address: &str) -> Mail {
        let mut read = self.read.lock().unwrap();
        let seen = read.entry(address.to_owned()).or_default();
        let mail =
            wait_until(&format!("a mail to {address} arrives"), || self.mails_to(address).into_iter().nth(*seen));
        *seen += 1;
        mail
    }

    /// The next mail to this address that brings a code; others (notices) are passed over. The code must be in no log.
    #[track_caller]
    pub fn code_to(&self, gate: &Sekisho, address: &str) -> String {
        loop {
            let mail = self.next_to(address);
            if mail.text.split(|c: char| !c.is_ascii_digit()).any(|word| word.len() == 6) {
                let code = mail.code();
                gate.secrets().add(&code);
                return code;
            }
        }
    }

    /// Forgets every mail so far: there is none under way, and nobody waits for one.
    pub fn empty(&self) {
        let mut read = self.read.lock().unwrap();
        for entry in std::fs::read_dir(self.folder.path()).unwrap().map(Result::unwrap) {
            if entry.path().extension().is_some_and(|extension| extension == "json" || extension == "eml") {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
        read.clear();
    }

    /// Every byte that came to it unencrypted.
    pub fn clear(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.path().join("clear")).unwrap()).into_owned()
    }
}

impl Security {
    const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::StartTls => "starttls",
            Self::Tls => "tls",
        }
    }
}

/// The Python that has aiosmtpd; made at the first need.
fn interpreter() -> &'static Path {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    INTERPRETER.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mail_server/prepare");
        let output = Command::new(script).output().expect("tests/mail_server/prepare can be run");
        assert!(
            output.status.success(),
            "the mail server's environment cannot be made (Debian's package `python3-venv`, and PyPI): {}",
            String::from_utf8_lossy(&output.stderr)
        );
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    })
}
