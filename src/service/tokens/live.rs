//! A token that was found good, kept until it ends.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;

use super::lock;
use crate::authn::machine_token::MachineToken;
use crate::authz::{Machine, MachineId};
use crate::clock::Timestamp;
use crate::secret::TokenDigest;
use crate::store::trust::Turn;

/// See the module.
pub struct LiveToken {
    pub(super) digest: TokenDigest,
    machine: Arc<Machine>,
    ended: CancellationToken,
    last_used: AtomicU64,
    last_address: Mutex<Option<IpAddr>>,
    /// In the list of what is to be written behind.
    pub(super) dirty: AtomicBool,
    pub(super) written_at: AtomicU64,
    read_in: Mutex<Turn>,
}

impl std::fmt::Debug for LiveToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveToken").field("machine", &self.machine).finish_non_exhaustive()
    }
}

impl LiveToken {
    pub(super) fn new(record: &MachineToken, digest: TokenDigest, read_in: Turn) -> Self {
        let machine = Machine {
            id: MachineId::Token(record.id),
            name: record.name.as_str().to_owned(),
            routes: record.routes.clone(),
            since: record.created_at,
            expires_at: record.expires_at,
        };
        let last_used = record.last_used.map_or(0, Timestamp::millis);
        Self {
            digest,
            machine: Arc::new(machine),
            ended: CancellationToken::new(),
            last_used: AtomicU64::new(last_used),
            last_address: Mutex::new(record.last_address.as_deref().and_then(|address| address.parse().ok())),
            dirty: AtomicBool::new(false),
            written_at: AtomicU64::new(last_used),
            read_in: Mutex::new(read_in),
        }
    }

    /// When it was last read.
    pub(super) fn read_in(&self) -> Turn {
        *lock(&self.read_in)
    }

    pub(super) fn set_read_in(&self, read_in: Turn) {
        *lock(&self.read_in) = read_in;
    }

    /// Who shows it.
    #[must_use]
    pub const fn machine(&self) -> &Arc<Machine> {
        &self.machine
    }

    /// Whether it is good at this moment.
    #[must_use]
    pub fn stands(&self, now: Timestamp) -> bool {
        !self.ended.is_cancelled() && now < self.machine.expires_at
    }

    /// Fires when it is revoked, or its time is over, so that whatever is open on its strength can be closed.
    #[must_use]
    pub fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }

    pub(super) fn end(&self) {
        self.ended.cancel();
    }

    /// True: it has yet to be put into the list of what is written behind.
    pub(super) fn used(&self, client: IpAddr, now: Timestamp) -> bool {
        self.last_used.fetch_max(now.millis(), Ordering::Relaxed);
        let mut address = lock(&self.last_address);
        if *address != Some(client) {
            *address = Some(client);
        }
        drop(address);
        !self.dirty.load(Ordering::Relaxed) && !self.dirty.swap(true, Ordering::AcqRel)
    }

    /// Writes what is known into the record; false: it says so already.
    pub(super) fn write_into(&self, record: &mut MachineToken) -> bool {
        let used = Timestamp::from_millis(self.last_used.load(Ordering::Relaxed));
        if used.millis() == 0 || record.last_used.is_some_and(|known| known >= used) {
            return false;
        }
        record.last_used = Some(used);
        record.last_address = lock(&self.last_address).map(|address| address.to_string());
        true
    }
}
