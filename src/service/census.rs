//! How many sessions, devices and accounts there are, for the metrics.
//!
//! Counting sessions takes a look at each, so whoever asks for the metrics gets the last count instead. It is made anew soon
//! after something was kept that may change it, at least every half a minute, and at leisure (`super::pace`): with a million sessions a
//! count takes minutes.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::ServiceError;
use super::context::Context;
use super::pace::Pace;
use super::records::DeviceIndex;
use crate::clock::{Clock, Timestamp};

/// The shortest and the longest time between two counts.
const SOONEST: Duration = Duration::from_millis(500);
const LATEST: Duration = Duration::from_secs(30);

/// Counts for as long as it is polled.
pub async fn run(context: &Context, clock: &dyn Clock) {
    loop {
        let place = context.journal.place();
        if let Err(error) = count(context, clock.now()).await {
            tracing::warn!(%error, "sessions, devices and accounts could not be counted; it is tried again");
        }
        sleep(SOONEST).await;
        let _ = timeout(LATEST, context.journal.grown(place)).await;
    }
}

pub(super) async fn count(context: &Context, now: Timestamp) -> Result<(), ServiceError> {
    let sessions = context.sessions.count(now).await?;
    let pace = Pace::begin();
    let devices = context.store.count::<DeviceIndex>(now).await?;
    let accounts = context.directory.counts(now).await?;
    pace.rest().await;
    let population = &context.metrics.population;
    population.sessions.set(shown(sessions));
    population.devices.set(shown(devices));
    population.accounts.set(shown(accounts.accounts as u64));
    population.locked.set(shown(accounts.locked as u64));
    population.disabled.set(shown(accounts.disabled as u64));
    population.enrolled.set(shown(accounts.enrolled as u64));
    population.unused.set(shown(accounts.unused as u64));
    population.admins.set(shown(accounts.admins as u64));
    population.counted_at.set(shown(now.millis() / 1000));
    Ok(())
}

fn shown(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
