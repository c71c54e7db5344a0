//! The Unix socket that the command line speaks to: frames, peers, commands.
//!
//! ```text
//! sekisho user list ──▶ client ──▶ admin.sock ──▶ server ──┐
//!                  └── no gateway runs: own Services ──────┴─▶ execute(&Services, Command) ─▶ Reply
//! ```
//!
//! One frame is four bytes of length (big endian) and that much JSON: `{"version":1,"command":…}` one way,
//! `{"version":1,"more":false,"reply":…}` back; a long list comes in several frames, all but the last with `"more":true`, and so
//! do progress and pieces of what takes long.
//! A connection carries any number of requests, one at a time. Who may connect is said by the socket's owner, group and
//! mode (0660); how a reply looks on a terminal belongs to `cli`.

mod client;
mod execute;
mod operations;
mod protocol;
mod server;
mod socket;

pub use client::{Client, ClientError};
pub use execute::{Pieces, execute};
pub use operations::{Operation, Operations};
pub use protocol::{
    AccountFilter, AccountRow, AccountState, Changes, Command, ForeignAccount, Malformed, NewAccount, PasswordText,
    ReloadOutcome, Reply, Request, Response, SecondFactorRow, SessionRow, Taken, TokenRow,
};
pub use server::{Control, serve};
pub use socket::{ControlSocket, adopt, bind};

/// For the fuzz targets (`fuzz/`) alone.
#[cfg(fuzzing)]
pub use server::codec;

pub use crate::service::care::{Problem, SealedAnew};

/// The protocol's version. A gateway and a command line of different versions refuse each other with clear words.
pub const VERSION: u32 = 1;

/// The most that one frame may hold, in bytes.
pub const MAX_FRAME: usize = 1024 * 1024;
