//! `sekisho demo`, as somebody runs it who has never seen it: all that is known of it is what it prints.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::{Conn, Process, html};

/// A demo that runs, with a temporary folder of its own around it.
pub struct Demo {
    process: Process,
    pub url: String,
    pub codes_url: String,
    /// Its `TMPDIR`.
    folder: TempDir,
}

impl Demo {
    /// On a free port.
    #[track_caller]
    pub fn start(language: &str) -> Self {
        let folder = TempDir::with_prefix("sekisho-demo-test-").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho"));
        command.args(["demo", "--listen", "127.0.0.1:0", "--lang", language]).env("TMPDIR", folder.path());
        let mut process = Process::start("sekisho demo", command.current_dir(folder.path()));
        let urls = process.wait_for("the demo says where it is", |lines| {
            let urls: Vec<String> = lines
                .iter()
                .flat_map(|line| line.split_whitespace())
                .filter(|word| word.starts_with("http://"))
                .map(|word| word.trim_end_matches('/').to_owned())
                .collect();
            (urls.len() >= 2).then_some(urls)
        });
        Self { process, url: urls[0].clone(), codes_url: urls[1].clone(), folder }
    }

    /// The password that it printed for this account.
    #[track_caller]
    pub fn password(&mut self, login: &str) -> String {
        self.process.wait_for("the demo prints accounts", |lines| {
            lines.iter().find_map(|line| {
                let mut words = line.split_whitespace().skip_while(|word| *word != login);
                words.next()?;
                words.next().map(str::to_owned)
            })
        })
    }

    /// The code that its page shows for this account now.
    #[track_caller]
    pub fn code(&self, login: &str) -> String {
        let address = self.codes_url.trim_start_matches("http://");
        let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        let page = Conn::plain(address.parse().unwrap()).send(request).response().text();
        let (_, after) = page.split_once(&format!("{login}\"")).unwrap_or_else(|| panic!("no code of {login}: {page}"));
        let shown = html::text(after.split_once("<output").unwrap().1.split_once("</output>").unwrap().0);
        shown.chars().filter(char::is_ascii_digit).collect()
    }

    /// Ends it as Ctrl-C does.
    #[track_caller]
    pub fn interrupt(&mut self) -> std::process::ExitStatus {
        self.process.signal(rustix::process::Signal::INT);
        self.process.wait()
    }

    /// What it said.
    pub fn lines(&self) -> Vec<String> {
        self.process.lines()
    }

    /// The temporary folder that it was given.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
