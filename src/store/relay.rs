//! An engine in another process: its owner serves it over a stream, and at the other end stands an [`Engine`] like any other.
//!
//! ```text
//!  Remote ──questions──▶ serve(engine)
//!         ◀──answers────
//!         ◀──changes────   each before the answer to the commit that made it
//! ```
//!
//! For the two processes of an upgrade: both are of one user on one machine and trust each other. Whether they speak the same
//! [`VERSION`] they settle before the first frame. A frame is four bytes of length and that much MessagePack.

mod remote;
mod serve;

#[cfg(test)]
mod tests;

use std::ops::Bound;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio_util::codec::LengthDelimitedCodec;

pub use self::remote::Remote;
pub use self::serve::serve;
use super::engine::{Change, Commit, Key, Outcome, StoreError, Versioned};

/// Raised when the frames change, so that two programs that would misunderstand each other do not begin.
pub const VERSION: u32 = 1;

/// Larger than any page of records.
const MAX_FRAME: usize = 512 * 1024 * 1024;

#[derive(Debug, Serialize, Deserialize)]
struct Question {
    /// Repeated in the answer.
    id: u64,
    asked: Asked,
}

#[derive(Debug, Serialize, Deserialize)]
enum Asked {
    Get(Key),
    Scan { prefix: String, from: Bound<Key>, limit: usize },
    ScanBack { prefix: String, before: Bound<Key>, limit: usize },
    Commit(Commit),
    Durable,
}

#[derive(Debug, Serialize, Deserialize)]
enum Said {
    Answer {
        id: u64,
        answer: Result<Answer, StoreError>,
    },
    /// What was committed, by whomever.
    Changes(Vec<Change>),
}

#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Found(Option<Versioned>),
    Records(Vec<(Key, Versioned)>),
    Outcome(Outcome),
    Done,
}

fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().length_field_length(4).max_frame_length(MAX_FRAME).new_codec()
}

fn encode<T: Serialize>(frame: &T) -> Result<Vec<u8>, StoreError> {
    rmp_serde::to_vec(frame).map_err(|_| StoreError::Unavailable("a message to its owner could not be written".into()))
}

/// Says nothing of what the bytes are.
fn decode<T: DeserializeOwned>(frame: &[u8]) -> Option<T> {
    rmp_serde::from_slice(frame).ok()
}

/// The other process is not there, or not any more.
fn gone() -> StoreError {
    StoreError::Unavailable("the process that has it is gone".into())
}
