//! Mail: messages, and the outbox that delivers them over SMTP off every request's path.
//!
//! A page hands a message to the [`Outbox`] and goes on at once; whether it was delivered is told by its [`Ticket`] when
//! it is known. What a mail says belongs to `service`, when one is sent too.

mod message;
mod outbox;
mod transport;

pub use message::{Message, MessageError};
pub use outbox::{Delivery, Outbox, OutboxFull, Ticket};
pub use transport::TransportError;
