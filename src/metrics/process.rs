//! The process itself, by the names that every exporter of Prometheus gives it. Read from `/proc/self`; what cannot be read is
//! left out.

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::Reading;

pub(super) fn readings() -> Vec<Reading> {
    [cpu(), open_files(), most_files(), threads()].into_iter().flatten().chain(memory()).collect()
}

fn cpu() -> Option<Reading> {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9;
    Some(Reading::counter("process_cpu_seconds_total", "CPU time spent, in user and system mode.", seconds))
}

fn open_files() -> Option<Reading> {
    // The one that reads the list is on it.
    let count = std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
    Some(Reading::gauge("process_open_fds", "Open file descriptors.", count as f64))
}

fn most_files() -> Option<Reading> {
    let most = getrlimit(Resource::Nofile).current?;
    Some(Reading::gauge("process_max_fds", "How many file descriptors may be open.", most as f64))
}

fn threads() -> Option<Reading> {
    let count = std::fs::read_dir("/proc/self/task").ok()?.count();
    Some(Reading::gauge("process_threads", "Threads.", count as f64))
}

/// The first two numbers of statm are sizes in pages (proc(5)).
fn memory() -> Vec<Reading> {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let page = rustix::param::page_size() as f64;
    let mut sizes = statm.split(' ').map_while(|pages| pages.parse::<f64>().ok()).map(|pages| pages * page);
    let virtual_size =
        sizes.next().map(|bytes| Reading::gauge("process_virtual_memory_bytes", "Size of the address space.", bytes));
    let resident = sizes.next().map(|bytes| Reading::gauge("process_resident_memory_bytes", "Memory in use.", bytes));
    virtual_size.into_iter().chain(resident).collect()
}
