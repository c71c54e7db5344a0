//! The outbox: a bounded queue, a few letters under way at once, a few tries each, an end to it after a while.
//!
//! ```text
//! Waiting ──taken──▶ (try, pause, try …) ─┬─▶ Delivered
//!                                          └─▶ Failed      refused for good, or the time is up
//! ```

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::message::Message;
use super::transport::{Transport, TransportError};
use crate::clock::Clock;
use crate::config::Mail;

/// Letters that may wait. More than that means that the server is down; a person is then told at once.
const QUEUE: usize = 256;
/// Letters under way at the same time.
const AT_ONCE: usize = 4;
/// A code that comes later than this is of no use to anybody.
const TIME_LIMIT: Duration = Duration::from_secs(90);
/// Pauses between tries.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(20)];

/// What is known of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// In the queue, or being tried.
    Waiting,
    /// The server has taken it.
    Delivered,
    /// It will not arrive.
    Failed,
}

/// Tells what became of one letter.
#[derive(Debug, Clone)]
pub struct Ticket(watch::Receiver<Delivery>);

impl Ticket {
    /// What is known now.
    #[must_use]
    pub fn state(&self) -> Delivery {
        *self.0.borrow()
    }

    /// Waits until it is known how it ended.
    pub async fn settled(&mut self) -> Delivery {
        match self.0.wait_for(|state| *state != Delivery::Waiting).await {
            Ok(state) => *state,
            Err(_) => Delivery::Failed,
        }
    }
}

/// The queue is full: the mail server must have been out of reach for a while.
#[derive(Debug, thiserror::Error)]
#[error("too many mails are waiting for the mail server")]
pub struct OutboxFull;

/// Takes messages and returns at once.
#[derive(Clone)]
pub struct Outbox {
    queue: mpsc::Sender<Posted>,
    under_way: TaskTracker,
}

struct Posted {
    message: Message,
    state: watch::Sender<Delivery>,
    /// Until it is known how it ended.
    under_way: TaskTrackerToken,
}

impl Outbox {
    /// Opens the outbox; its work runs on the current tokio runtime until `stop`.
    ///
    /// # Errors
    /// Where the TLS settings cannot be used.
    pub fn open(mail: &Mail, clock: Arc<dyn Clock>, stop: CancellationToken) -> Result<Self, TransportError> {
        let carrier = Carrier { transport: Transport::new(&mail.smtp)?, sender: mail.from.clone(), clock };
        let (queue, posted) = mpsc::channel(QUEUE);
        tokio::spawn(deliver_all(Arc::new(carrier), posted, stop));
        Ok(Self { queue, under_way: TaskTracker::new() })
    }

    /// Whether at least half of the queue is free: what can wait, waits until then.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.queue.capacity() >= QUEUE / 2
    }

    /// Posts a message; never waits for the server.
    ///
    /// # Errors
    /// [`OutboxFull`]: it was not taken.
    pub fn post(&self, message: Message) -> Result<Ticket, OutboxFull> {
        let (state, ticket) = watch::channel(Delivery::Waiting);
        let under_way = self.under_way.token();
        self.queue.try_send(Posted { message, state, under_way }).map_err(|_| OutboxFull)?;
        Ok(Ticket(ticket))
    }

    /// Returns when it is known of every letter how it ended.
    pub async fn settled(&self) {
        self.under_way.close();
        self.under_way.wait().await;
    }
}

struct Carrier {
    transport: Transport,
    sender: String,
    clock: Arc<dyn Clock>,
}

async fn deliver_all(carrier: Arc<Carrier>, mut posted: mpsc::Receiver<Posted>, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let next = tokio::select! {
            next = posted.recv() => next,
            () = stop.cancelled() => None,
        };
        let Some(Posted { message, state, under_way }) = next else { return };
        let carrier = Arc::clone(&carrier);
        let stop = stop.clone();
        tokio::spawn(async move {
            let outcome = tokio::select! {
                outcome = tokio::time::timeout(TIME_LIMIT, carrier.deliver(&message)) => outcome,
                () = stop.cancelled() => return,
            };
            let ended = match outcome {
                Ok(Ok(())) => Delivery::Delivered,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "a mail was not delivered");
                    Delivery::Failed
                }
                Err(_) => {
                    tracing::warn!(limit_s = TIME_LIMIT.as_secs(), "a mail was not delivered in time");
                    Delivery::Failed
                }
            };
            // Nobody may be waiting for the answer any more.
            let _ = state.send(ended);
            drop((place, under_way));
        });
    }
}

impl Carrier {
    async fn deliver(&self, message: &Message) -> Result<(), TransportError> {
        let letter = message
            .letter(&self.sender, self.clock.now())
            .map_err(|error| TransportError::Permanent(error.to_string()))?;
        let mut pauses = PAUSES.iter();
        loop {
            match self.transport.send(&letter).await {
                Err(TransportError::Temporary(reason)) => match pauses.next() {
                    Some(pause) => {
                        tracing::info!(%reason, "the mail server could not take a mail; it is tried again");
                        tokio::time::sleep(*pause).await;
                    }
                    None => return Err(TransportError::Temporary(reason)),
                },
                ended => return ended,
            }
        }
    }
}
