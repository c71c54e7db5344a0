//! How many connections there may be: in all, and of one address. An address that has its share finds the door closed before
//! anything is read or computed for it.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::gateway::shares::{Full, Share, Shares};

/// An address has one of so many parts of all places.
const SHARES: usize = 4;

/// The places of one gateway.
pub struct Places {
    all: Arc<Semaphore>,
    shares: Arc<Shares>,
}

impl Places {
    /// So many in all.
    #[must_use]
    pub fn new(all: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), shares: Arc::new(Shares::new(all / SHARES)) }
    }

    /// Waits until there is room for one more; `None`: there never will be.
    pub async fn any(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).acquire_owned().await.ok()
    }

    /// One of this address's share.
    ///
    /// # Errors
    /// Where it has all of it.
    pub fn of(&self, address: IpAddr) -> Result<Share, Full> {
        self.shares.of(address)
    }
}
