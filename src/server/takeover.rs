//! A gateway hands over to a new process, and no connection is refused: `sekisho upgrade`.
//!
//! The gateway that runs starts its successor itself, so that this one has its user, its capabilities, its environment, its place
//! among systemd's services; the program is whatever stands at the path that the gateway was started by. Between the two there is a
//! link, a pair of sockets of which the successor has one as its standard input.
//!
//! ```text
//!  predecessor                                                          successor
//!      │ ──starts it──────────────────────────────────────────────────▶ │ reads its configuration
//!      │ ◀─Hello (which program, which process), or Unfit────────────── │
//!      │ ──Inheritance: the listening sockets, the control socket─────▶ │ binds what is new
//!      │ ◀─Prepared──────────────────────────────────────────────────── │
//!      │ pauses the store, closes it                                    │
//!      │ ──Store──────────────────────────────────────────────────────▶ │ opens it, accepts
//!      │ ◀─Serving───────────────────────────────────────────────────── │
//!      │ accepts no more; uses the store of its successor (`store::relay`), over the same link
//!      │ ends what is in flight, for up to `server.upgrade_grace`       │
//!      ▼                                                                ▼
//! ```
//!
//! Until `Serving` the predecessor can take everything back: the sockets were never closed, and the store is opened again when the
//! successor has let go of it, killed if it must be. From `Serving` on it tells its clients to come again over another connection, and
//! whatever ends a session in the new process ends in the old one what is open on its strength. Where the link breaks, the old one cannot know
//! what has ended any more: it cuts everything.
//!
//! A successor can be followed by another one before its predecessor has ended: what the first asks the second for, the second asks the
//! third for. A process does not end before those that ask it have.

mod launch;
mod link;
mod message;
mod predecessor;
mod successor;

pub use self::launch::{Launch, launch};
pub use self::predecessor::{End, HandedOver, NotHandedOver, Predecessor, Reopen};
pub use self::successor::{Inheritance, Knock, Successor};
