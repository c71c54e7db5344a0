//! How many connections fit into what the system grants.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Most connections at once, whatever the system grants.
const MOST: u64 = 16_384;
/// Descriptors that are not connections: the store, logs, the control socket, listeners.
const OTHERS: u64 = 256;

/// Raises the process's limit of open files as far as it may, and tells how many clients fit: each needs a socket of its
/// own, and one to an upstream.
pub fn connections() -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let granted = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let fitting = (granted.saturating_sub(OTHERS) / 2).clamp(16, MOST);
    usize::try_from(fitting).unwrap_or(16)
}
