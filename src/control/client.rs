//! The command line's end of the control socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::net::UnixStream;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use super::protocol::{Command, Malformed, Reply, Request, Response};
use super::server::codec;

/// How long the gateway may take for an answer; a queue of password hashes is before some of them.
const PATIENCE: Duration = Duration::from_secs(60);
/// How soon it is tried again where so many wait already that there is no room for another one.
const AGAIN: Duration = Duration::from_millis(100);

/// A connection to a running gateway.
pub struct Client {
    frames: Framed<UnixStream, LengthDelimitedCodec>,
}

/// Why a running gateway could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No gateway runs with this configuration: whoever asked may open the store alone.
    #[error("no gateway listens at the control socket")]
    NobodyThere,
    #[error("this user may not speak to the gateway's control socket {0}")]
    NotAllowed(PathBuf),
    #[error("the gateway's control socket {path} cannot be reached")]
    Unreachable { path: PathBuf, source: io::Error },
    #[error("the gateway closed the control connection before it had answered")]
    Closed,
    #[error("the gateway did not answer within {} s", PATIENCE.as_secs())]
    NoAnswer,
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("the control connection broke")]
    Broken(#[from] io::Error),
}

impl Client {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// [`ClientError::NobodyThere`] where there is none, or a dead one; others where there may be a gateway after all.
    pub async fn connect(path: &Path) -> Result<Self, ClientError> {
        let mut left = PATIENCE;
        loop {
            let error = match UnixStream::connect(path).await {
                Ok(stream) => return Ok(Self { frames: Framed::new(stream, codec()) }),
                Err(error) => error,
            };
            return Err(match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NobodyThere,
                io::ErrorKind::PermissionDenied => ClientError::NotAllowed(path.to_owned()),
                // The silent ones among those who wait are sent away within seconds.
                io::ErrorKind::WouldBlock if !left.is_zero() => {
                    left = left.saturating_sub(AGAIN);
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
                _ => ClientError::Unreachable { path: path.to_owned(), source: error },
            });
        }
    }

    /// Sends a command and waits for the whole reply.
    ///
    /// # Errors
    /// Where the connection breaks or the answer is not understood; the command may have been carried out all the same.
    pub async fn ask(&mut self, command: &Command) -> Result<Reply, ClientError> {
        self.send(command).await?;
        let mut response = self.next().await?;
        let mut reply = response.reply;
        while response.more {
            response = self.next().await?;
            reply.append(std::mem::replace(&mut response.reply, Reply::Done))?;
        }
        Ok(reply)
    }

    /// Sends a command that is answered in pieces, of which the last is the reply: [`Client::next`] gives them.
    ///
    /// # Errors
    /// Where the connection breaks.
    pub async fn send(&mut self, command: &Command) -> Result<(), ClientError> {
        let frame = Request::encode(command)?;
        // The copy is in the connection's buffer, which the kernel takes at once.
        Ok(self.frames.send(Bytes::copy_from_slice(&frame)).await?)
    }

    /// The next frame of an answer.
    ///
    /// # Errors
    /// Where the connection breaks or the answer is not understood.
    pub async fn next(&mut self) -> Result<Response, ClientError> {
        match tokio::time::timeout(PATIENCE, self.frames.next()).await {
            Ok(Some(frame)) => Ok(Response::decode(&frame?)?),
            Ok(None) => Err(ClientError::Closed),
            Err(_) => Err(ClientError::NoAnswer),
        }
    }
}
