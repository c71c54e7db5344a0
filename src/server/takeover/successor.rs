//! The new process's side: what it says, and what it is given.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;
use std::time::Duration;

use rustix::net::AddressFamily;
use rustix::net::sockopt::socket_domain;
use tokio::net::UnixStream;

use super::link::{Link, LinkError, frame};
use super::message::{FromPredecessor, FromSuccessor, Hello, Protocol};
use crate::config::{Config, Diagnostic, Store};
use crate::server::sockets::{Given, Purpose};

/// How long the predecessor may take to answer; it closes its store within this.
const PATIENCE: Duration = Duration::from_secs(60);

/// The link, before there is a runtime.
pub struct Knock {
    stream: StdUnixStream,
}

impl Knock {
    /// Says hello to the predecessor, at the other end of the standard input.
    ///
    /// # Errors
    /// Where nobody is there: nobody starts a successor by hand.
    pub fn on_stdin() -> io::Result<Self> {
        let stdin = rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3)?;
        if socket_domain(&stdin)? != AddressFamily::UNIX {
            return Err(io::ErrorKind::NotConnected.into());
        }
        // Nothing that is read by mistake is taken from the link, and it breaks when this process lets go of it.
        rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
        let mut knock = Self { stream: StdUnixStream::from(stdin) };
        let hello =
            Hello { protocol: Protocol::OURS, pid: std::process::id(), version: env!("CARGO_PKG_VERSION").to_owned() };
        knock.say(&FromSuccessor::Hello(hello))?;
        Ok(knock)
    }

    /// The configuration is not valid.
    pub fn invalid(mut self, problems: Vec<Diagnostic>) {
        let _ = self.say(&FromSuccessor::Invalid { problems });
    }

    /// The same link, within a runtime.
    ///
    /// # Errors
    /// As the system's.
    pub fn enter(self) -> io::Result<Successor> {
        Ok(Successor { link: Link::over(self.stream)? })
    }

    fn say(&mut self, message: &FromSuccessor) -> io::Result<()> {
        self.stream.write_all(&frame(message).map_err(io::Error::other)?)
    }
}

/// A process that is about to take over.
pub struct Successor {
    link: Link,
}

/// What it was given.
pub struct Inheritance {
    pub sockets: Given,
    /// The socket of metrics, and how the predecessor's configuration named it.
    pub metrics: Option<(SocketAddr, TcpListener)>,
    /// The control socket, and where its file is.
    pub control: Option<(OwnedFd, PathBuf)>,
}

/// Why it cannot take over.
#[derive(Debug, thiserror::Error)]
pub enum SuccessorError {
    #[error("the gateway that was to be followed cannot be understood: {0}")]
    Link(#[from] LinkError),
    #[error("the gateway that was to be followed said something out of turn")]
    OutOfTurn,
    #[error("the store is another one than the gateway has that runs")]
    OtherStore,
    #[error("a socket that was passed cannot be used: {0}")]
    Socket(#[from] io::Error),
}

impl SuccessorError {
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::OtherStore => Some("`store` changes with a restart alone"),
            _ => None,
        }
    }
}

impl Successor {
    /// Takes the sockets.
    ///
    /// # Errors
    /// Where they do not come, or belong to a gateway with another store.
    pub async fn inherit(&mut self, config: &Config) -> Result<Inheritance, SuccessorError> {
        let (message, mut descriptors) = self.link.receive_with::<FromPredecessor>(PATIENCE).await?;
        let FromPredecessor::Inheritance { sockets, control, metrics, store } = message else {
            return Err(SuccessorError::OutOfTurn);
        };
        if descriptors.len() != sockets.len() + usize::from(metrics.is_some()) + usize::from(control.is_some()) {
            return Err(SuccessorError::OutOfTurn);
        }
        if store.as_ref() != store_path(config) {
            return Err(SuccessorError::OtherStore);
        }
        let control = control.and_then(|path| Some((descriptors.pop()?, path)));
        let metrics = metrics.and_then(|address| Some((address, TcpListener::from(descriptors.pop()?))));
        let sockets = sockets.into_iter().zip(descriptors);
        let sockets = sockets.map(|(passed, descriptor)| (Purpose::from(passed), TcpListener::from(descriptor)));
        Ok(Inheritance { sockets: Given::new(sockets.collect()), metrics, control })
    }

    /// All is there but the store: returns when that may be opened.
    ///
    /// # Errors
    /// Where the predecessor has taken everything back, or is gone.
    pub async fn prepared(&mut self) -> Result<(), SuccessorError> {
        self.link.send(&FromSuccessor::Prepared).await?;
        match self.link.receive(PATIENCE).await? {
            FromPredecessor::Store => Ok(()),
            FromPredecessor::Inheritance { .. } => Err(SuccessorError::OutOfTurn),
        }
    }

    /// It serves. The stream is what the predecessor asks for its records over, from now on.
    ///
    /// # Errors
    /// Where the predecessor is gone.
    pub async fn serving(mut self, control: bool) -> Result<UnixStream, SuccessorError> {
        self.link.send(&FromSuccessor::Serving { control }).await?;
        Ok(self.link.into_stream())
    }

    /// It cannot, and says why: the predecessor goes on.
    pub async fn refuse(mut self, reason: String, hint: Option<String>) {
        let _ = self.link.send(&FromSuccessor::Unfit { reason, hint }).await;
    }
}

pub fn store_path(config: &Config) -> Option<&PathBuf> {
    match &config.store {
        Store::Sled { path } => Some(path),
        Store::Postgres { .. } => None,
    }
}
