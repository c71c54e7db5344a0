//! Hears what other nodes commit, over a connection of its own, and says how far what was read may be believed ([`Trust`]).
//!
//! ```text
//!  hearing ──lost──▶ the database answers over another connection ──▶ 2 s after the last sign of life: nothing is believed
//!     ▲        └────▶ it does not ──▶ believed for `stale_for` since the last sign of life
//!     └──connected again: another turn, watchers are told that they have missed something
//! ```
//!
//! [`Trust`]: crate::store::trust::Trust

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::{join, poll_fn};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_postgres::{AsyncMessage, Client};

use super::Shared;
use super::connect::{Hosts, Trouble, begin, within};
use super::news::{self, CHANNEL};
use super::statements::Which;
use crate::clock::monotonic_micros;
use crate::store::trust::UNHEARD;
use crate::store::watch::Told;

/// How often the connection is asked for a sign of life, and how long it may take.
const EVERY: Duration = Duration::from_millis(500);
const ALIVE: Duration = Duration::from_secs(1);
/// Between two tries to listen again: at first, and at most.
const SOON: Duration = Duration::from_millis(100);
const LATEST: Duration = Duration::from_secs(2);

/// A connection that hears.
pub(super) struct Ear {
    client: Client,
    heard: mpsc::UnboundedReceiver<String>,
    driving: JoinHandle<()>,
    /// Everything that is committed from here on will be heard.
    since: u64,
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.driving.abort();
    }
}

impl Ear {
    /// For a store that is being opened: a slow server is waited for.
    pub(super) async fn open_at_leisure(hosts: &Hosts) -> Result<Self, Trouble> {
        match Self::open(hosts).await {
            Err(Trouble::Late) => Self::open(hosts).await,
            ear => ear,
        }
    }

    pub(super) async fn open(hosts: &Hosts) -> Result<Self, Trouble> {
        let (client, mut driver) = hosts.connect().await?;
        let (tell, heard) = mpsc::unbounded_channel();
        let driving = tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| driver.poll_message(cx)).await {
                if let AsyncMessage::Notification(notification) = message
                    && tell.send(notification.payload().to_owned()).is_err()
                {
                    return;
                }
            }
        });
        let mut ear = Self { client, heard, driving, since: 0 };
        begin(&ear.client).await?;
        within(ear.client.batch_execute(&format!("LISTEN {CHANNEL}"))).await?;
        ear.since = monotonic_micros();
        Ok(ear)
    }

    pub(super) const fn since(&self) -> u64 {
        self.since
    }
}

/// Listens until the engine is dropped, which aborts it.
pub(super) async fn run(shared: Arc<Shared>, hosts: Hosts, stale_for: Duration, first: Ear) {
    let mut ear = first;
    loop {
        let mut last = ear.since();
        listen(&shared, &mut ear, &mut last).await;
        drop(ear);
        tracing::warn!(database = hosts.shown(), "the thread of changes is lost; it is taken up again");
        ear = again(&shared, &hosts, stale_for, last).await;
        // Those that were there before may lead elsewhere. Until now they served whoever asked, where they did: new ones may not be let in.
        shared.sessions.renew();
        shared.trust.begin_turn();
        shared.trust.extend(ear.since(), UNHEARD);
        let _ = shared.changes.send(Told::Missed);
        tracing::info!(database = hosts.shown(), "changes are heard again");
    }
}

/// Passes on what is heard, until nothing is heard any more. `last`: up to when everything was.
async fn listen(shared: &Shared, ear: &mut Ear, last: &mut u64) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            heard = ear.heard.recv() => match heard {
                Some(payload) => tell(shared, &payload),
                None => return,
            },
            _ = ticks.tick() => {
                let asked = monotonic_micros();
                match timeout(ALIVE, ear.client.batch_execute("SELECT 1")).await {
                    Ok(Ok(())) => {}
                    _ => return,
                }
                // What was notified before the answer has come before it.
                while let Ok(payload) = ear.heard.try_recv() {
                    tell(shared, &payload);
                }
                *last = asked;
                if shared.doubt.swap(false, Ordering::SeqCst) {
                    shared.trust.begin_turn();
                    let _ = shared.changes.send(Told::Missed);
                }
                shared.trust.extend(asked, UNHEARD);
                shared.seen();
            }
        }
    }
}

fn tell(shared: &Shared, payload: &str) {
    if let Some(told) = news::read(&shared.voice(), payload) {
        let _ = shared.changes.send(told);
    }
}

/// Tries until changes are heard again.
async fn again(shared: &Shared, hosts: &Hosts, stale_for: Duration, last: u64) -> Ear {
    let mut pause = SOON;
    loop {
        let asking = async {
            let is_there = matches!(timeout(ALIVE, shared.sessions.ask(Which::Alive, &[])).await, Ok(Ok(_)));
            match is_there {
                true => shared.seen(),
                false => shared.unseen(),
            }
            // Whoever can ask must: only what nobody can ask is believed for longer.
            shared.trust.extend(last, if is_there { UNHEARD } else { stale_for });
            is_there
        };
        // Side by side: to be let in may take longer than anything is believed, and those who are signed in would stand there meanwhile.
        let (opened, is_there) = join(Ear::open(hosts), asking).await;
        let trouble = match opened {
            Ok(ear) => return ear,
            Err(trouble) => trouble,
        };
        tracing::debug!(reason = trouble.told(), is_there, "the thread of changes could not be taken up");
        sleep(pause).await;
        pause = (pause * 2).min(LATEST);
    }
}
