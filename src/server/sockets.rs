//! Listening sockets, bound before anything else is built, so that a busy port is found at once and port 0 can be read back.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

use super::StartError;
use crate::config::{Listen, Server};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A bound socket.
pub struct Bound {
    pub listener: TcpListener,
    pub address: SocketAddr,
    pub tls: bool,
}

/// All of the configuration's sockets, plain HTTP first.
pub fn bind(server: &Server) -> Result<Vec<Bound>, StartError> {
    let plain = server.listen.iter().map(|listen| (listen, false));
    let tls = server.tls.iter().flat_map(|tls| &tls.listen).map(|listen| (listen, true));
    plain.chain(tls).map(|(listen, tls)| bind_one(listen, tls)).collect()
}

fn bind_one(listen: &Listen, tls: bool) -> Result<Bound, StartError> {
    let address = match listen {
        Listen::Address(address) => *address,
        Listen::Systemd(name) => return Err(StartError::Systemd { name: name.clone() }),
    };
    let bound = listen_on(address).and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (address, listener) = bound.map_err(|source| StartError::Bind { address: address.to_string(), source })?;
    Ok(Bound { listener, address, tls })
}

fn listen_on(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart must not wait for the connections of its predecessor to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
