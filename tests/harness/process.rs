//! A child process: its output kept line by line, stopped by its own pid.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::{poll, wait_until};

/// A running child. Drop ends it.
pub struct Process {
    name: String,
    child: Child,
    /// Whether it leads a process group of its own, to be ended as a whole.
    group: bool,
    lines: Arc<Mutex<Vec<String>>>,
    /// Those of them that came on standard output.
    printed: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts `command`; both of its outputs are kept.
    pub fn start(name: &str, command: &mut Command) -> Self {
        Self::spawn(name, command, false)
    }

    /// The same, for a program that starts others: the whole process group is ended with it.
    pub fn start_group(name: &str, command: &mut Command) -> Self {
        use std::os::unix::process::CommandExt;
        Self::spawn(name, command.process_group(0), true)
    }

    fn spawn(name: &str, command: &mut Command, group: bool) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {name} ({command:?}): {error}"));
        let (lines, printed) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let readers = vec![
            keep(child.stdout.take().unwrap(), vec![Arc::clone(&lines), Arc::clone(&printed)]),
            keep(child.stderr.take().unwrap(), vec![Arc::clone(&lines)]),
        ];
        Self { name: name.to_owned(), child, group, lines, printed, readers }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has said so far, both outputs in the order in which they came.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// What it has said on standard output.
    pub fn printed(&self) -> Vec<String> {
        self.printed.lock().unwrap().clone()
    }

    /// Waits until `pick` finds what it looks for in the output; fails the test if the process ends before.
    #[track_caller]
    pub fn wait_for<T>(&mut self, what: &str, mut pick: impl FnMut(&[String]) -> Option<T>) -> T {
        let found = poll(super::PATIENCE, || match pick(&self.lines.lock().unwrap()) {
            Some(found) => Some(Ok(found)),
            None => self.child.try_wait().unwrap().map(Err),
        });
        match found {
            Some(Ok(found)) => found,
            // It may have said it with its last breath.
            Some(Err(status)) => {
                self.join();
                pick(&self.lines()).unwrap_or_else(|| panic!("{} ended ({status}): {what}\n{}", self.name, self.text()))
            }
            None => panic!("{} keeps us waiting: {what}\n{}", self.name, self.text()),
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends a signal to it alone.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(self.as_pid(), signal);
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let status = wait_until("the process ends", || self.child.try_wait().unwrap());
        self.join();
        status
    }

    /// Asks it to end, and makes it end if it does not within `grace`. `None`: it had to be made.
    pub fn stop(&mut self, grace: Duration) -> Option<ExitStatus> {
        if self.is_running() {
            self.send(Signal::TERM);
        }
        let ended = poll(grace, || self.child.try_wait().unwrap());
        if ended.is_none() || self.group {
            self.send(Signal::KILL);
        }
        let _ = self.child.wait();
        self.join();
        ended
    }

    fn send(&self, signal: Signal) {
        let _ =
            if self.group { kill_process_group(self.as_pid(), signal) } else { kill_process(self.as_pid(), signal) };
    }

    fn as_pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }

    fn join(&mut self) {
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }

    fn text(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop(Duration::from_secs(5));
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{}\n---", self.name, self.text());
        }
    }
}

fn keep(output: impl Read + Send + 'static, kept: Vec<Arc<Mutex<Vec<String>>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            for lines in &kept {
                lines.lock().unwrap().push(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            line.clear();
        }
    })
}
