//! Where it is served follows the configuration, and the socket is free for somebody else when it has been let go of.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::server::tests::bench::{Answer, Gate, OK, Upstream};

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

async fn live(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address).await else { return false };
    stream.write_all(b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer.starts_with(b"HTTP/1.1 200 ")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_moves_with_the_configuration_and_stays_where_the_new_place_cannot_be_had() {
    let gate = Gate::start(&Upstream::start(Answer::Bytes(OK)).await, "").await;
    let observation = gate.observation();
    assert_eq!(observation.address(), None);
    observation.replace(Some(ANY)).unwrap();
    let first = observation.address().unwrap();
    assert!(live(first).await);
    observation.replace(Some(ANY)).unwrap();
    assert_eq!(observation.address(), Some(first), "the same wish moves nothing");

    let taken = TcpListener::bind(ANY).await.unwrap();
    let busy = taken.local_addr().unwrap();
    assert!(observation.replace(Some(busy)).is_err());
    assert!(live(first).await);
    drop(taken);
    observation.replace(Some(busy)).unwrap();
    assert!(live(busy).await);

    observation.replace(None).unwrap();
    assert_eq!(observation.address(), None);
    // Until the task has gone that accepted there, the socket is taken.
    while observation.replace(Some(busy)).is_err() {
        tokio::task::yield_now().await;
    }
    observation.stop().await;
    assert!(!live(busy).await);
    TcpListener::bind(busy).await.unwrap();
}
