//! What goes on beside the requests: last-seen times, sessions whose time is over, expired records, changes made elsewhere, other nodes.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, sleep};
use tokio_util::sync::CancellationToken;

use super::ServiceError;
use super::census;
use super::clock_watch::ClockWatch;
use super::context::Context;
use super::events;
use super::nodes;
use super::pace::Pace;
use super::session::SELDOMEST;
use crate::audit::Event;
use crate::authn::machine_token::MachineToken;
use crate::authn::session::Session;
use crate::authn::sign_on::HostSession;
use crate::authn::user::User;
use crate::clock::{self, Clock, Timestamp};
use crate::store::engine::Change as Seen;
use crate::store::record::Change;

/// How often there is something to look after, and after how many times the slower work comes.
const TICK: Duration = Duration::from_secs(1);
const OVERDUE_EVERY: u64 = 2;
/// Between two walks through the store.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// After an upgrade the new process sees what the old one does not, and writes it down a while later: so much later a session counts as
/// over for the old one.
const BESIDE_ANOTHER: Duration = SELDOMEST.saturating_add(Duration::from_secs(30));
/// How many audit events go in one commit.
const EVENTS: usize = 50;

/// Runs until `stop` fires or the store is closed; last-seen times are written on the way out.
pub async fn run(context: &Context, clock: &dyn Clock, stop: &CancellationToken) {
    let trusted = AtomicBool::new(false);
    tokio::select! {
        () = stop.cancelled() => {}
        () = upkeep(context, clock, &trusted) => {}
        () = sweeping(context, clock, &trusted) => {}
        () = follow_users(context, clock) => {}
        () = follow_sessions(context, clock) => {}
        () = follow_tokens(context, clock) => {}
        () = follow_host_sessions(context) => {}
        () = follow_directory(context, clock) => {}
        () = census::run(context, clock) => {}
        () = nodes::run(context, clock) => {}
    }
    context.sessions.write_behind(clock.now(), true).await;
    context.tokens.write_behind(clock.now(), true).await;
    nodes::leave(context).await;
}

/// Notes in `trusted` whether the clock is.
async fn upkeep(context: &Context, clock: &dyn Clock, trusted: &AtomicBool) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let monotonic = || Duration::from_micros(clock::monotonic_micros());
    let mut watch = ClockWatch::new(clock.now(), monotonic());
    for count in 1_u64.. {
        ticks.tick().await;
        let now = clock.now();
        if let Some(jump) = watch.look(now, monotonic()) {
            jump.tell();
        }
        trusted.store(watch.is_trusted(), Ordering::Relaxed);
        if context.store.trust().is_over() {
            context.sessions.look_anew(now).await;
            context.tokens.look_anew(now).await;
        }
        context.sessions.write_behind(now, false).await;
        context.tokens.write_behind(now, false).await;
        if count % OVERDUE_EVERY == 0 {
            let slack = if context.is_retired() { BESIDE_ANOTHER } else { Duration::ZERO };
            context.sessions.end_overdue(now, slack).await;
            context.sessions.tidy();
            context.tokens.end_overdue(now);
        }
    }
}

async fn sweeping(context: &Context, clock: &dyn Clock, trusted: &AtomicBool) {
    loop {
        sleep(SWEEP_EVERY).await;
        if !context.is_retired()
            && let Err(error) = sweep(context, clock.now(), trusted).await
        {
            tracing::warn!(%error, "expired records could not be removed; it is tried again");
        }
    }
}

/// Goes through the whole store at leisure: whatever has expired counts as absent already.
async fn sweep(context: &Context, now: Timestamp, trusted: &AtomicBool) -> Result<(), ServiceError> {
    context.sessions.remember_expired(now).await?;
    let (mut swept, mut after) = (BTreeMap::new(), None);
    loop {
        let pace = Pace::begin();
        after = context.store.sweep_piece(after, now, &mut swept).await?;
        if after.is_none() {
            break;
        }
        pace.rest().await;
    }
    let forgotten = if trusted.load(Ordering::Relaxed) { forget_events(context, now).await? } else { 0 };
    tracing::debug!(swept = swept.values().sum::<u64>(), forgotten, "expired records were removed");
    Ok(())
}

/// Audit events older than `audit.retain` go, the oldest first.
pub(super) async fn forget_events(context: &Context, now: Timestamp) -> Result<usize, ServiceError> {
    let retain = context.config.load().audit.retain;
    let mut forgotten = 0;
    loop {
        let oldest = context.store.list::<Event>("", Bound::Unbounded, EVENTS, now).await?;
        let old: Vec<_> = oldest.iter().filter(|event| now.since(event.record.at) > retain).collect();
        if old.is_empty() {
            return Ok(forgotten);
        }
        let change = old.iter().fold(Change::new(), |change, event| events::without(change, &event.record)).lazy();
        context.store.commit(change).await?;
        forgotten += old.len();
    }
}

async fn follow_users(context: &Context, clock: &dyn Clock) {
    let mut changes = context.store.watch::<User>();
    // What happened before there was a watch is not known.
    context.sessions.user_changed(Seen::Lagged, clock.now()).await;
    while let Some(seen) = changes.next().await {
        context.sessions.user_changed(seen, clock.now()).await;
    }
}

async fn follow_sessions(context: &Context, clock: &dyn Clock) {
    let mut changes = context.store.watch::<Session>();
    context.sessions.session_changed(Seen::Lagged, clock.now()).await;
    while let Some(seen) = changes.next().await {
        context.sessions.session_changed(seen, clock.now()).await;
    }
}

async fn follow_tokens(context: &Context, clock: &dyn Clock) {
    let mut changes = context.store.watch::<MachineToken>();
    context.tokens.changed(Seen::Lagged, clock.now()).await;
    while let Some(seen) = changes.next().await {
        context.tokens.changed(seen, clock.now()).await;
    }
}

async fn follow_host_sessions(context: &Context) {
    let mut changes = context.store.watch::<HostSession>();
    context.sessions.host_session_changed(&Seen::Lagged);
    while let Some(seen) = changes.next().await {
        context.sessions.host_session_changed(&seen);
    }
}

/// The index of accounts is whole before anybody asks for it, and never so far behind that it has to be read anew.
async fn follow_directory(context: &Context, clock: &dyn Clock) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if context.is_retired() {
            // Whoever asks here for the last time catches up then.
            continue;
        }
        if let Err(error) = context.directory.catch_up(clock.now()).await {
            tracing::warn!(%error, "the index of accounts could not follow a change; it is tried again");
        }
    }
}
