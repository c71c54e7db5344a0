//! Sockets that systemd holds and passes to whoever it starts (sd_listen_fds(3)): while nobody runs, connections wait in their
//! backlogs, so that a restart refuses none.

use std::net::TcpListener;

use listenfd::ListenFd;

use super::StartError;
use super::sockets::Given;

/// What a socket is called that systemd gave no name.
const NAMELESS: &str = "unknown";

/// The sockets that were passed to this process. To be called once, before anything else opens a file.
///
/// # Errors
/// Where one of them is not a listening socket for TCP.
pub fn passed() -> Result<Given, StartError> {
    let variable = |name| std::env::var(name).ok();
    // They are for another process where this one is not named: a child of the one that was meant.
    if variable("LISTEN_PID").and_then(|pid| pid.parse().ok()) != Some(std::process::id()) {
        return Ok(Given::default());
    }
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').filter(|name| !name.is_empty());
    let mut descriptors = ListenFd::from_env();
    let mut sockets = Vec::new();
    for index in 0..descriptors.len() {
        let name = names.next().unwrap_or(NAMELESS).to_owned();
        let taken = descriptors.take_tcp_listener(index).ok().flatten();
        match taken.filter(is_listening) {
            Some(listener) => sockets.push((name, listener)),
            None => return Err(StartError::NotListening { name }),
        }
    }
    Ok(Given::by_systemd(sockets))
}

/// Where a unit says `Accept=yes`, systemd passes a connection in place of the socket.
fn is_listening(socket: &TcpListener) -> bool {
    rustix::net::sockopt::socket_acceptconn(socket).unwrap_or(false)
}
