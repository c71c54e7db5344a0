//! What Pingora runs for each request of one connection: the proxy, raced against the end of the session that the request
//! passed on, and of its right to go on.
//!
//! No filter of Pingora's fires while a WebSocket or a stream of events is silent (F35), so the end of a session has to cut
//! the call from outside. Dropping the call closes both sides. A WebSocket is given a moment before that, so that it ends between two
//! frames: the lease lets out the rest of the frame that is under way, and nothing more, and tells the tool; the client is told when
//! the connection has come home (`listener::http1`).

use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::H2Options;
use pingora::server::ShutdownWatch;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::Gateway;
use super::certificate::Certificate;
use super::context::{CALL, Call, Endpoints};
use super::listener::stream::{Connection, Signals};
use super::listener::websocket::Farewell;
use crate::metrics::Metrics;

/// How long a WebSocket may take, once it is to be closed, to get to the end of the frame that is under way, and to tell the tool.
const LEAVE: Duration = Duration::from_millis(1500);

/// The application of one connection.
pub struct App {
    gateway: Arc<Gateway>,
    endpoints: Endpoints,
    signals: Arc<Signals>,
    certificate: Option<Arc<Certificate>>,
    /// For HTTP/2, whose streams run in tasks of Pingora's own; over HTTP/1 the connection's task is cut as a whole.
    abort: Option<CancellationToken>,
    cut: AtomicBool,
    /// The status that is still to be said of a call that was cut; 0: nothing is.
    late: AtomicU16,
    /// The gateway has not stopped while a stream is left.
    _running: TaskTrackerToken,
}

impl App {
    pub fn new(gateway: Arc<Gateway>, connection: &Connection, abort: CancellationToken, tasks: &TaskTracker) -> Self {
        Self {
            gateway,
            endpoints: connection.endpoints(),
            signals: Arc::clone(connection.signals()),
            certificate: connection.certificate().cloned(),
            abort: connection.is_http2().then_some(abort),
            cut: AtomicBool::new(false),
            late: AtomicU16::new(0),
            _running: tasks.token(),
        }
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        self.gateway.metrics()
    }

    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Whether a call on this connection was cut short, so that the connection can serve nothing more.
    pub fn was_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// The status to say of a call that was cut because something did not come in time, where no answer has begun.
    pub fn was_late(&self) -> Option<u16> {
        Some(self.late.load(Ordering::Acquire)).filter(|status| *status != 0)
    }

    /// Serves one request.
    pub async fn serve(&self, session: ServerSession, shutdown: &ShutdownWatch) -> Option<ReusedHttpStream> {
        let call = Call::new(self.endpoints, Arc::clone(&self.signals), self.gateway.state().naming.next());
        let call = Arc::new(call.by(self.certificate.clone()));
        let work = pin!(CALL.scope(Arc::clone(&call), self.gateway.proxy().process_new_http(session, shutdown)));
        let race = Race {
            work,
            call: &call,
            ended: pin!(async {
                if let Some(end) = call.ended() {
                    end.cancelled().await;
                }
            }),
            closed: pin!(async {
                if let Some(passed) = call.passed() {
                    passed.cut().cancelled().await;
                }
            }),
            aborted: pin!(async {
                match &self.abort {
                    Some(abort) => abort.cancelled().await,
                    None => pending().await,
                }
            }),
            late: None,
            slow: None,
            leave: None,
        };
        match race.await {
            Outcome::Done(reusable) => reusable,
            Outcome::Cut => {
                self.cut.store(true, Ordering::Release);
                tracing::debug!(client = %self.endpoints.peer, "closed with its session, or by a new configuration");
                None
            }
            Outcome::Late => {
                self.late.store(504, Ordering::Release);
                self.cut.store(true, Ordering::Release);
                tracing::warn!(client = %self.endpoints.peer, "the upstream did not answer a handshake in time");
                None
            }
            Outcome::Slow => {
                self.late.store(if call.is_answered() { 0 } else { 408 }, Ordering::Release);
                self.cut.store(true, Ordering::Release);
                tracing::debug!(client = %self.endpoints.peer, "a request's body came too slowly");
                None
            }
        }
    }
}

#[async_trait]
impl HttpServerApp for App {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        self.serve(session, shutdown).await
    }

    fn h2_options(&self) -> Option<H2Options> {
        Some(self.gateway.stream_options().clone())
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(self.gateway.http2_options())
    }
}

enum Outcome {
    Done(Option<ReusedHttpStream>),
    Cut,
    Late,
    Slow,
}

/// The work, and what ends it early. Nothing is waited for until the work itself has to wait.
struct Race<'a, W, E, C, A> {
    work: Pin<&'a mut W>,
    call: &'a Call,
    /// Asked only when it is known what may end the call, and what may cut it.
    ended: Pin<&'a mut E>,
    closed: Pin<&'a mut C>,
    aborted: Pin<&'a mut A>,
    late: Option<Pin<Box<Sleep>>>,
    slow: Option<Pin<Box<Sleep>>>,
    /// Until when a tunnel may take that is being closed.
    leave: Option<Pin<Box<Sleep>>>,
}

impl<W, E, C, A> Future for Race<'_, W, E, C, A>
where
    W: Future<Output = Option<ReusedHttpStream>>,
    E: Future<Output = ()>,
    C: Future<Output = ()>,
    A: Future<Output = ()>,
{
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Outcome> {
        let this = self.get_mut();
        if let Poll::Ready(reusable) = this.work.as_mut().poll(cx) {
            return Poll::Ready(if this.leave.is_some() { Outcome::Cut } else { Outcome::Done(reusable) });
        }
        if let Some(leave) = &mut this.leave {
            return leave.as_mut().poll(cx).map(|()| Outcome::Cut);
        }
        if this.aborted.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Outcome::Cut);
        }
        match this.call.answer_by() {
            Some(deadline) => {
                let late = this.late.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
                if late.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Outcome::Late);
                }
            }
            None => this.late = None,
        }
        while let Some(deadline) = this.call.body_by() {
            let slow = this.slow.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            if slow.as_mut().poll(cx).is_pending() {
                break;
            }
            // More may have come since the alarm was set; then it is set anew.
            if slow.deadline() >= deadline {
                return Poll::Ready(Outcome::Slow);
            }
            slow.as_mut().reset(deadline);
        }
        // The gate names the session within its own poll, so it is known here before anything is waited for.
        let ended = this.call.ended().is_some() && this.ended.as_mut().poll(cx).is_ready();
        let closed = this.call.passed().is_some() && this.closed.as_mut().poll(cx).is_ready();
        let why = match (ended, closed) {
            (true, _) => Farewell::SessionEnded,
            (false, true) => Farewell::NotAllowed,
            (false, false) => return Poll::Pending,
        };
        if !this.call.signals.is_tunnel() {
            return Poll::Ready(Outcome::Cut);
        }
        this.call.signals.end_tunnel(why);
        let mut leave = Box::pin(sleep_until(Instant::now() + LEAVE));
        if this.work.as_mut().poll(cx).is_ready() || leave.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Outcome::Cut);
        }
        this.leave = Some(leave);
        Poll::Pending
    }
}
