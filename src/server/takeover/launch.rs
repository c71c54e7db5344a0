//! Starting the successor.
//!
//! It is started by a process that ends at once, so that it belongs to whoever looks after orphans: under systemd that is systemd, which
//! then notices its end as it would have noticed ours.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::link::Link;

/// How long the process in between may take, which only starts another one.
const STARTING: Duration = Duration::from_secs(10);

/// What systemd told this process alone. Of the sockets the successor learns over the link.
const OURS_ALONE: [&str; 4] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"];

/// How this process was started, and its successor will be.
#[derive(Debug, Clone)]
pub struct Launch {
    program: PathBuf,
    config: PathBuf,
}

/// Why there is no successor.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error("{} cannot be started: {source}", program.display())]
    Start { program: PathBuf, source: io::Error },
    #[error("{} could not be started as a successor ({status})", program.display())]
    Ended { program: PathBuf, status: ExitStatus },
    #[error("{} takes too long to start", .0.display())]
    Late(PathBuf),
    #[error("there is no way to speak to it: {0}")]
    Link(#[source] io::Error),
}

impl Launch {
    /// As this process was, with the configuration at `config`.
    ///
    /// # Errors
    /// Where the working directory, or the program's own path, is not to be had.
    pub fn of_this_process(config: &Path) -> io::Result<Self> {
        Ok(Self { program: program()?, config: std::path::absolute(config)? })
    }

    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The configuration file, absolute.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Starts the successor; it has the other end of the link as its standard input.
    ///
    /// # Errors
    /// Where it cannot be started, or not in time.
    pub async fn start(&self) -> Result<Link, LaunchError> {
        let program = || self.program.clone();
        let (link, theirs) = Link::pair().map_err(LaunchError::Link)?;
        let mut child = self
            .command("launch", theirs)
            .spawn()
            .map_err(|source| LaunchError::Start { program: program(), source })?;
        match timeout(STARTING, child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(link),
            Ok(Ok(status)) => Err(LaunchError::Ended { program: program(), status }),
            Ok(Err(source)) => Err(LaunchError::Start { program: program(), source }),
            Err(_) => {
                let _ = child.kill().await;
                Err(LaunchError::Late(program()))
            }
        }
    }

    fn command(&self, stage: &str, stdin: impl Into<Stdio>) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("serve").arg("--config").arg(&self.config).arg("--successor").arg(stage).stdin(stdin);
        OURS_ALONE.iter().for_each(|name| {
            command.env_remove(name);
        });
        command
    }
}

/// The process in between: starts the successor, which has the link from it, and leaves it alone.
///
/// # Errors
/// Where it cannot be started.
pub fn launch(config: &Path) -> io::Result<()> {
    let launch = Launch::of_this_process(config)?;
    let stdin = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3)?;
    launch.command("take-over", stdin).into_std().spawn().map(drop)
}

/// The name by which this process was started, where it is a path: what stands there now may be newer. The link of a
/// package's `current` directory is not followed once and for all.
fn program() -> io::Result<PathBuf> {
    let name = std::env::args_os().next().map(PathBuf::from);
    match name.filter(|name| name.components().count() > 1) {
        Some(name) => std::path::absolute(name),
        None => std::env::current_exe(),
    }
}
