//! One HTTP/1 connection: each head is read whole, within its time and size, and judged before Pingora sees a byte of it.

use std::pin::{Pin, pin};
use std::time::Duration;

use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout, timeout_at};

use super::head::{self, Framing, Refusal, Scanner};
use super::stream::Connection;
use super::stream::lease::{Home, Lease, take_home};
use crate::gateway::access_log::End;
use crate::gateway::app::App;
use crate::gateway::bridge::plain_answer;
use crate::metrics::Outcome as Counted;

/// How long a connection may be silent between requests.
const IDLE: Duration = Duration::from_secs(75);
/// How long a connection that has just come is waited for when the gateway stops: its request may be on its way.
const FIRST: Duration = Duration::from_secs(1);
/// How long a head may take from its first byte (A23).
pub const HEAD: Duration = Duration::from_secs(10);
/// How long, and how much, a client may go on sending what nobody reads, so that it gets to read its answer.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1024 * 1024;
/// How long a client may take to read that its WebSocket is closed, and to say so in turn.
const LAST_WORDS: Duration = Duration::from_millis(500);
const LAST_ANSWER: Duration = Duration::from_secs(1);
/// Empty lines that old clients send after a body (RFC 9112 §2.2).
const STRAY_LINES: usize = 2;

/// How the wait for a request ended.
enum Arrival {
    Request {
        head: usize,
        framing: Framing,
    },
    Refused(Refusal),
    /// The client went away, was silent for too long, or the gateway stops.
    Over,
}

/// What ends the wait for a request. Both are asked for once and not for each request, which would cost as much as to read its head.
struct Patience<'a, L> {
    leaving: Pin<&'a mut L>,
    /// The gateway is leaving.
    left: bool,
    idle: Pin<&'a mut Sleep>,
}

impl<L: Future> Patience<'_, L> {
    /// Returns at the deadline, or when the gateway has been leaving for so long.
    async fn ends(&mut self, deadline: Instant, farewell: Duration) {
        if !self.left {
            tokio::select! {
                biased;
                () = reach(self.idle.as_mut(), deadline) => return,
                _ = self.leaving.as_mut() => self.left = true,
            }
        }
        sleep(farewell.min(deadline - Instant::now())).await;
    }
}

/// Waits for the deadline with an alarm that may be set for an earlier one.
async fn reach(mut alarm: Pin<&mut Sleep>, deadline: Instant) {
    while alarm.deadline() < deadline {
        alarm.as_mut().await;
        alarm.as_mut().reset(deadline);
    }
    alarm.await;
}

/// Serves one connection until it ends. From `shutdown` on the next answer is its last; from `leaving` on it does not wait for
/// another request.
pub async fn serve(
    app: &std::sync::Arc<App>,
    mut connection: Box<Connection>,
    shutdown: &ShutdownWatch,
    leaving: &ShutdownWatch,
) {
    let home = Home::default();
    let mut farewell = FIRST;
    let mut leaving = leaving.clone();
    let leaving = pin!(leaving.wait_for(|leaving| *leaving));
    let idle = pin!(sleep_until(Instant::now() + IDLE));
    let mut patience = Patience { leaving, left: false, idle };
    loop {
        let (head, framing) = match next(&mut connection, &mut patience, farewell).await {
            Arrival::Request { head, framing } => (head, framing),
            Arrival::Refused(refusal) => {
                tracing::debug!(client = %connection.endpoints().peer, %refusal, "request refused");
                app.metrics().requests.nowhere().refused(Counted::refused(refusal.status()));
                let end = End { status: refusal.status(), bytes: None };
                app.gateway().state().log_refusal(connection.endpoints(), end);
                let answer = plain_answer(refusal.status(), connection.endpoints().tls);
                if let Ok(Ok(())) = timeout(LINGER, connection.write_all(&answer)).await {
                    linger(&mut connection).await;
                }
                return;
            }
            Arrival::Over => return,
        };
        farewell = Duration::ZERO;
        connection.begin_request(head, framing);
        let session = ServerSession::new_http1(Box::new(Lease::new(connection, Home::clone(&home))));
        let reusable = app.serve(session, shutdown).await.is_some();
        // The session has ended and so has the lease: the connection is home.
        let Some(back) = take_home(&home) else { return };
        connection = back;
        if app.was_cut() {
            if let Some(status) = app.was_late() {
                let answer = plain_answer(status, connection.endpoints().tls);
                let _ = timeout(LINGER, connection.write_all(&answer)).await;
                let _ = timeout(LINGER, connection.finish_writing()).await;
            } else if let Some(words) = connection.last_words() {
                take_leave(connection, &words).await;
            } else {
                connection.reset();
            }
            return;
        }
        if !reusable || connection.signals().is_tunnel() {
            if connection.has_unread() {
                linger(&mut connection).await;
            } else {
                let _ = timeout(LINGER, connection.finish_writing()).await;
            }
            return;
        }
        if connection.has_unsent() && !matches!(timeout(LINGER, connection.send_rest()).await, Ok(Ok(()))) {
            return;
        }
    }
}

async fn next<L: Future>(connection: &mut Connection, patience: &mut Patience<'_, L>, farewell: Duration) -> Arrival {
    if !first_byte(connection, patience, farewell).await {
        return Arrival::Over;
    }
    let mut scanner = Scanner::default();
    let mut deadline = None;
    loop {
        match scanner.advance(connection.buffered()) {
            Ok(None) => {}
            Ok(Some(end)) => {
                return match head::check(connection.buffered().get(..end).unwrap_or_default()) {
                    Ok(framing) => Arrival::Request { head: connection.respell_target(end), framing },
                    Err(refusal) => Arrival::Refused(refusal),
                };
            }
            Err(refusal) => return Arrival::Refused(refusal),
        }
        let deadline = *deadline.get_or_insert_with(|| Instant::now() + HEAD);
        match timeout_at(deadline, connection.fill()).await {
            Ok(Ok(1..)) => {}
            Ok(Ok(0) | Err(_)) => return Arrival::Over,
            Err(_) => return Arrival::Refused(Refusal::Timeout),
        }
    }
}

/// Waits until a request begins; when the gateway leaves, for so long and no longer.
async fn first_byte<L: Future>(
    connection: &mut Connection,
    patience: &mut Patience<'_, L>,
    farewell: Duration,
) -> bool {
    let deadline = Instant::now() + IDLE;
    for _ in 0..=STRAY_LINES {
        while connection.buffered().is_empty() || connection.buffered() == b"\r" {
            tokio::select! {
                biased;
                came = connection.fill() => match came {
                    Ok(1..) => {}
                    _ => return false,
                },
                () = patience.ends(deadline, farewell) => return false,
            }
        }
        if !connection.buffered().starts_with(b"\r\n") {
            break;
        }
        connection.skip(2);
    }
    true
}

/// The end of a tunnel, as RFC 6455 §7.1.1 has it: this end closes first, and reads what the client still sends, its answer among it.
async fn take_leave(mut connection: Box<Connection>, words: &[u8]) {
    match timeout(LAST_WORDS, connection.write_all(words)).await {
        Ok(Ok(())) => {
            let _ = timeout(LAST_ANSWER, linger(&mut connection)).await;
        }
        _ => connection.reset(),
    }
}

/// Closing while the client still sends would reset the connection, and it might never read its answer.
async fn linger(connection: &mut Connection) {
    let mut left = LINGER_BYTES;
    let _ = timeout(LINGER, async {
        connection.finish_writing().await;
        while let Ok(n @ 1..) = connection.discard().await {
            let Some(rest) = left.checked_sub(n) else { break };
            left = rest;
        }
    })
    .await;
}
