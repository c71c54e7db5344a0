//! The gateway's end of the control socket: few clients, small frames, no waiting for the slow.

use std::future::Future;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::codec::{Framed, LengthDelimitedCodec};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zeroize::Zeroize;

use super::protocol::{Command, Malformed, Reply, Request, Response};
use super::socket::{ControlSocket, SocketFile};
use super::{MAX_FRAME, Operations, Pieces, execute};
use crate::service::Services;

/// What one client may cost the others.
#[derive(Clone, Copy)]
struct Limits {
    /// Clients at the same time; the next ones wait to be accepted.
    clients: usize,
    /// How long a client may take to send a request or to take a reply.
    idle: Duration,
}

const LIMITS: Limits = Limits { clients: 32, idle: Duration::from_secs(10) };

/// The control socket of a gateway that runs.
pub struct Control {
    listener: Arc<UnixListener>,
    path: PathBuf,
    file_is_shared: Arc<AtomicBool>,
    leave: CancellationToken,
    conversations: TaskTracker,
}

impl Control {
    /// The socket itself, for another process, and where its file is.
    ///
    /// # Errors
    /// Where there are no descriptors left.
    pub fn descriptor(&self) -> io::Result<(OwnedFd, PathBuf)> {
        Ok((self.listener.as_fd().try_clone_to_owned()?, self.path.clone()))
    }

    /// Where its file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Another gateway answers from now on: what was asked is answered, and nothing more. `shared`: at the same socket, whose file
    /// stays.
    pub fn retire(&self, shared: bool) {
        self.file_is_shared.store(shared, Ordering::Release);
        self.leave.cancel();
        self.conversations.close();
    }

    /// Returns when everybody has their answer, after [`Control::retire`].
    pub async fn retired(&self) {
        self.conversations.wait().await;
    }
}

/// Answers at this socket until `stop` fires; then takes its file away.
///
/// # Errors
/// Where the runtime cannot take the socket.
pub fn serve(
    services: Services,
    operations: Arc<dyn Operations>,
    socket: ControlSocket,
    stop: CancellationToken,
) -> io::Result<(Control, JoinHandle<()>)> {
    let handler: Handler = Arc::new(move |command, pieces| {
        let (services, operations) = (services.clone(), Arc::clone(&operations));
        Box::pin(async move {
            match command {
                Command::Operate(operation) => operations.operate(operation).await,
                command => execute(&services, command, &pieces).await,
            }
        })
    });
    tracing::debug!(path = %socket.file.path().display(), "opening the control socket");
    let (control, file) = begin(socket)?;
    let accepting = accept(Arc::clone(&control.listener), file, handler, LIMITS, Ends::of(&control, stop));
    Ok((control, tokio::spawn(accepting)))
}

fn begin(socket: ControlSocket) -> io::Result<(Control, SocketFile)> {
    let ControlSocket { listener, file } = socket;
    let control = Control {
        listener: Arc::new(UnixListener::from_std(listener)?),
        path: file.path().to_owned(),
        file_is_shared: file.shared(),
        leave: CancellationToken::new(),
        conversations: TaskTracker::new(),
    };
    Ok((control, file))
}

/// How it ends: at once, or with what is under way.
struct Ends {
    stop: CancellationToken,
    leave: CancellationToken,
    conversations: TaskTracker,
}

impl Ends {
    fn of(control: &Control, stop: CancellationToken) -> Self {
        Self { stop, leave: control.leave.clone(), conversations: control.conversations.clone() }
    }
}

type Answer = Pin<Box<dyn Future<Output = Reply> + Send>>;
type Handler = Arc<dyn Fn(Command, Pieces) -> Answer + Send + Sync>;

/// How many pieces of an answer wait for a client that is slower than the gateway.
const PIECES: usize = 4;

async fn accept(listener: Arc<UnixListener>, file: SocketFile, handler: Handler, limits: Limits, ends: Ends) {
    let seats = Arc::new(Semaphore::new(limits.clients));
    loop {
        let turn = async {
            let seat = Arc::clone(&seats).acquire_owned().await;
            (seat, listener.accept().await)
        };
        let (seat, accepted) = tokio::select! {
            () = ends.stop.cancelled() => return,
            () = ends.leave.cancelled() => return,
            taken = turn => taken,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // No file descriptors, say: the next try may do better, but not at once.
                tracing::warn!(%error, "the control socket cannot accept");
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        if !may_speak(&stream, &file) {
            continue;
        }
        let (handler, stop, leave) = (Arc::clone(&handler), ends.stop.clone(), ends.leave.clone());
        ends.conversations.spawn(async move {
            let _seat = seat;
            tokio::select! {
                () = stop.cancelled() => (),
                () = converse(stream, &handler, limits.idle, &leave) => (),
            }
        });
    }
}

/// Root, the service itself, or whom the file's mode lets in.
fn may_speak(stream: &UnixStream, file: &SocketFile) -> bool {
    let Ok(peer) = stream.peer_cred() else {
        tracing::warn!("a client of the control socket has no credentials; turned away");
        return false;
    };
    let ours = rustix::process::geteuid().as_raw();
    let allowed = peer.uid() == 0 || peer.uid() == ours || file.keeps_others_out();
    if !allowed {
        tracing::warn!(uid = peer.uid(), "turned away from the control socket, whose file is open to others");
    }
    allowed
}

async fn converse(stream: UnixStream, handler: &Handler, idle: Duration, leave: &CancellationToken) {
    let mut frames = Framed::new(stream, codec());
    let mut answered = false;
    loop {
        // Whoever has just come has not been told to go to another gateway, and is heard once.
        let next = tokio::select! {
            biased;
            next = tokio::time::timeout(idle, frames.next()) => next,
            () = leave.cancelled(), if answered => return,
        };
        let Ok(Some(Ok(frame))) = next else { return };
        answered = true;
        let mut frame = Vec::from(frame);
        let command = Request::decode(&frame);
        frame.zeroize();
        let understood = command.is_ok();
        let reply = match command {
            Ok(command) => answer(&mut frames, handler, command, idle).await,
            Err(malformed) => Some(not_understood(malformed)),
        };
        let Some(reply) = reply else { return };
        if !send(&mut frames, reply, false, idle).await || !understood {
            return;
        }
    }
}

/// Has the command carried out, and sends on what comes before its reply. `None`: the client has gone, and nothing goes on for
/// it.
async fn answer(frames: &mut Frames, handler: &Handler, command: Command, idle: Duration) -> Option<Reply> {
    let (pieces, mut coming) = mpsc::channel(PIECES);
    let mut answer = handler(command, pieces);
    let reply = loop {
        tokio::select! {
            biased;
            Some(piece) = coming.recv() => if !send(frames, piece, true, idle).await { return None },
            reply = &mut answer => break reply,
        }
    };
    while let Ok(piece) = coming.try_recv() {
        if !send(frames, piece, true, idle).await {
            return None;
        }
    }
    Some(reply)
}

type Frames = Framed<UnixStream, LengthDelimitedCodec>;

/// `more`: this is a piece of an answer that goes on.
async fn send(frames: &mut Frames, reply: Reply, more: bool, idle: Duration) -> bool {
    let parts = Response::encode(reply, more).or_else(|malformed| Response::encode(not_understood(malformed), false));
    for part in parts.unwrap_or_default() {
        match tokio::time::timeout(idle, frames.send(Bytes::from(part))).await {
            Ok(Ok(())) => (),
            _ => return false,
        }
    }
    true
}

fn not_understood(malformed: Malformed) -> Reply {
    Reply::Failed { reason: malformed.to_string() }
}

/// Frames of both directions.
pub fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().length_field_length(4).max_frame_length(MAX_FRAME).new_codec()
}

#[cfg(test)]
mod tests;
