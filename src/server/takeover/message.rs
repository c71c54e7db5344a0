//! What the two processes say to each other before the store changes hands. JSON, so that a field can be added.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::{Diagnostic, Listen};
use crate::server::sockets::Purpose;
use crate::store::relay;

/// Raised when the messages change so that programs before and after would misunderstand each other.
const VERSION: u32 = 1;

/// What the successor says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromSuccessor {
    Hello(Hello),
    /// Its configuration is not valid.
    Invalid {
        problems: Vec<Diagnostic>,
    },
    /// It cannot serve.
    Unfit {
        reason: String,
        hint: Option<String>,
    },
    /// All is there but the store.
    Prepared,
    /// It accepts. `control`: at the control socket that it was given, too.
    Serving {
        control: bool,
    },
}

/// The first message.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hello {
    pub protocol: Protocol,
    pub pid: u32,
    /// The program's.
    pub version: String,
}

/// What must be equal on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protocol {
    pub messages: u32,
    pub relay: u32,
}

impl Protocol {
    pub const OURS: Self = Self { messages: VERSION, relay: relay::VERSION };
}

/// What the predecessor says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromPredecessor {
    /// As many descriptors follow, in this order: the listening sockets, that of metrics, the control socket.
    Inheritance {
        sockets: Vec<Passed>,
        control: Option<PathBuf>,
        /// `server.metrics` of the predecessor.
        metrics: Option<SocketAddr>,
        /// Where the store is, which must be the same for both.
        store: Option<PathBuf>,
    },
    /// The store is closed.
    Store,
}

/// A listening socket's purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    pub listen: PassedListen,
    pub tls: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PassedListen {
    Address(SocketAddr),
    Systemd(String),
}

impl From<&Purpose> for Passed {
    fn from(purpose: &Purpose) -> Self {
        let listen = match &purpose.listen {
            Listen::Address(address) => PassedListen::Address(*address),
            Listen::Systemd(name) => PassedListen::Systemd(name.clone()),
        };
        Self { listen, tls: purpose.tls }
    }
}

impl From<Passed> for Purpose {
    fn from(passed: Passed) -> Self {
        let listen = match passed.listen {
            PassedListen::Address(address) => Listen::Address(address),
            PassedListen::Systemd(name) => Listen::Systemd(name),
        };
        Self { listen, tls: passed.tls }
    }
}
