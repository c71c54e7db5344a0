//! What a reload does to a route's upstreams: what is open goes on, what is new goes where the new configuration says.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::PATIENCE;
use super::bench::{Answer, Gate, OK, Upstream, read_until};

const HANDSHAKE: &[u8] = b"GET /public/ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
const GET: &[u8] = b"GET /public/x HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_upstream_and_one_that_is_gone_keep_what_is_open_and_get_nothing_new() {
    let (old, new) = (Upstream::start(Answer::Switch).await, Upstream::start(Answer::Bytes(OK)).await);
    let gate = Gate::start(&old, "").await;
    let mut open = gate.connect().await;
    open.write_all(HANDSHAKE).await.unwrap();
    assert!(read_until(&mut open, b"\r\n\r\n").await.starts_with(b"HTTP/1.1 101 "));
    let seen = old.seen();
    let (old_url, new_url) = (format!("http://{}", old.address), format!("http://{}", new.address));
    for upstreams in [
        format!("upstreams: [{{url: '{old_url}', weight: 0}}, {{url: '{new_url}'}}]"),
        format!("upstream: '{new_url}'"),
    ] {
        gate.reload(&upstreams);
        for _ in 0..10 {
            assert!(gate.ask(GET).await.starts_with("HTTP/1.1 200 "));
        }
        open.write_all(b"still there").await.unwrap();
        let mut echo = [0; 11];
        timeout(PATIENCE, open.read_exact(&mut echo)).await.unwrap().unwrap();
        assert_eq!(&echo, b"still there");
        assert_eq!(old.seen(), seen, "nothing new");
    }
    assert_eq!(new.seen().matches("GET /public/x").count(), 20);
}
