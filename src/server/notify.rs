//! What systemd is told about this process (sd_notify(3)): a datagram of `NAME=value` lines to the socket that
//! `NOTIFY_SOCKET` names. Without that variable every function here does nothing.
//!
//! Own code, as the crate for it (sd-notify 0.5) knows no abstract sockets, which service managers within containers use.
//!
//! **The watchdog** is what ends a gateway that hangs: `WatchdogSec=` in the unit, and systemd kills and starts again what has given no sign of life for
//! that long. A sign is given only after the store has answered, so one is given neither where the runtime no longer takes its turn nor where the store
//! stands still. What the store answers does not matter: a full disk answers with an error, and a restart would not empty it.
//!
//! **At an upgrade** the process that was started by systemd names its successor ([`main_pid`]) and is silent from then on: systemd listens to
//! the main process alone (`NotifyAccess=main`).

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::clock;

/// How long systemd may take to make room for a datagram.
const SEND: Duration = Duration::from_secs(2);

/// What the service may need to stop beside the grace for what is in flight: cut what remains, close the store.
const BEYOND_GRACE: Duration = Duration::from_secs(30);

/// Whether another process speaks to systemd in place of this one. A fact about the process, as its environment is.
static SUCCEEDED: AtomicBool = AtomicBool::new(false);

/// The gateway serves: at the start, and again at the end of a reload.
pub fn ready() {
    send("READY=1\nSTATUS=Serving");
}

/// A reload begins; [`ready`] ends it, whether it was taken or not.
pub fn reloading() {
    let now = clock::monotonic_micros();
    send(&format!("RELOADING=1\nMONOTONIC_USEC={now}\nSTATUS=Reading the configuration"));
}

/// The gateway stops, and what is in flight may take `grace`. systemd waits for that long, whatever the unit's `TimeoutStopSec=` says.
pub fn stopping(grace: Duration) {
    let within = grace.saturating_add(BEYOND_GRACE).as_micros();
    send(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={within}\nSTATUS=Finishing what is in flight"));
}

/// One line for people, which `systemctl status` shows.
pub fn status(text: &str) {
    send(&format!("STATUS={}", text.replace(['\n', '\r'], " ")));
}

/// From now on the service is the process `pid`: this one's successor, or itself where it has taken everything back. Only a
/// process that systemd takes for the main one can say so.
pub fn main_pid(pid: u32) {
    SUCCEEDED.store(false, Ordering::SeqCst);
    send(&format!("MAINPID={pid}"));
    SUCCEEDED.store(pid != std::process::id(), Ordering::SeqCst);
}

/// Gives signs of life for as long as `answers` returns each time it is called. Ends at once where systemd asks for none.
pub async fn watchdog<F: Future<Output = ()>>(answers: impl Fn() -> F) {
    let Some(allowed) = watchdog_interval() else { return };
    let mut late = false;
    loop {
        let mut answer = pin!(answers());
        if tokio::time::timeout(allowed / 2, &mut answer).await.is_err() {
            tracing::error!(
                waited = ?(allowed / 2),
                "the store has not answered for a while: no sign of life is given to systemd, which will start anew"
            );
            late = true;
            answer.await;
        }
        if std::mem::take(&mut late) {
            tracing::warn!("the store answers again");
        }
        send("WATCHDOG=1");
        tokio::time::sleep(allowed / 3).await;
    }
}

/// Within what time systemd wants to hear from this process, if it does at all.
fn watchdog_interval() -> Option<Duration> {
    let variable = |name| std::env::var(name).ok();
    interval(variable("WATCHDOG_USEC").as_deref(), variable("WATCHDOG_PID").as_deref(), std::process::id())
}

/// As sd_watchdog_enabled(3): without a process named, it is whoever asks. So an upgrade takes that variable away.
fn interval(micros: Option<&str>, pid: Option<&str>, own: u32) -> Option<Duration> {
    let micros: u64 = micros?.parse().ok()?;
    let meant = pid.is_none_or(|pid| pid.parse() == Ok(own));
    (meant && micros > 0).then(|| Duration::from_micros(micros))
}

/// Says so in the log where it cannot be sent, and goes on: systemd draws its own conclusions.
fn send(message: &str) {
    if SUCCEEDED.load(Ordering::SeqCst) {
        return;
    }
    if let Some(socket) = std::env::var_os("NOTIFY_SOCKET")
        && let Err(error) = send_to(&socket, message)
    {
        tracing::warn!(%error, "systemd could not be told how things stand");
    }
}

fn send_to(socket: &OsStr, message: &str) -> io::Result<()> {
    let address = match socket.as_bytes().split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
        Some((b'/', _)) => SocketAddr::from_pathname(socket)?,
        _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "NOTIFY_SOCKET names no Unix socket")),
    };
    let sender = UnixDatagram::unbound()?;
    sender.set_write_timeout(Some(SEND))?;
    sender.send_to_addr(message.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watchdog_is_for_the_process_that_it_names_or_for_whoever_asks() {
        let second = Some(Duration::from_secs(1));
        assert_eq!(interval(Some("1000000"), Some("7"), 7), second);
        assert_eq!(interval(Some("1000000"), None, 7), second);
        for (micros, pid) in [(Some("1000000"), Some("8")), (Some("1000000"), Some("")), (Some("0"), None)] {
            assert_eq!(interval(micros, pid, 7), None, "{micros:?} {pid:?}");
        }
        for micros in [None, Some(""), Some("-1"), Some("soon")] {
            assert_eq!(interval(micros, Some("7"), 7), None, "{micros:?}");
        }
    }

    #[test]
    fn a_message_reaches_sockets_with_a_path_and_abstract_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("sekisho-notify-{}", std::process::id());
        let by_path = UnixDatagram::bind(&path).unwrap();
        let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        for (socket, address) in [(by_path, path.into_os_string()), (by_name, format!("@{name}").into())] {
            send_to(&address, "READY=1").unwrap();
            let mut buffer = [0; 64];
            let length = socket.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"READY=1");
        }
    }

    #[test]
    fn what_is_no_socket_or_has_nobody_behind_it_is_an_error_and_no_wait() {
        for socket in ["", "relative", "@", "/nobody/is/here", "vsock:2:1234"] {
            assert!(send_to(OsStr::new(socket), "READY=1").is_err(), "{socket}");
        }
    }
}
