//! How fast work goes that nobody waits for: what looks at everything in the store takes a fiftieth of the time, however much that is, and
//! takes it evenly. All at once it would be felt by whoever sends a request meanwhile.

use tokio::time::{Instant, sleep};

/// How many times as long as a piece of the work the rest after it is.
const REST: u32 = 49;

/// A piece of such work.
pub(super) struct Pace(Instant);

impl Pace {
    pub(super) fn begin() -> Self {
        Self(Instant::now())
    }

    /// It is done, and the next one may begin.
    pub(super) async fn rest(self) {
        sleep(self.0.elapsed().saturating_mul(REST)).await;
    }
}
