//! The stream between the two processes: messages, and descriptors beside one of them.
//!
//! Nothing is read ahead, so that the stream can be used for something else behind any message.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// Longer than any message.
const MAX_MESSAGE: u32 = 4 * 1024 * 1024;

/// The most descriptors that one message of the kernel's carries (`SCM_MAX_FD`).
const MOST_DESCRIPTORS: usize = 253;

/// One end of the link.
pub struct Link {
    stream: UnixStream,
}

/// Why no message came, or went.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("it ended without a word")]
    Closed,
    #[error("it said nothing for {} s", .0.as_secs())]
    Late(Duration),
    #[error("it said something that is not understood")]
    NotUnderstood,
    #[error("there are more than {MOST_DESCRIPTORS} listening sockets")]
    TooMany,
    #[error("the link to it broke: {0}")]
    Broken(#[source] io::Error),
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Broken(error),
        }
    }
}

impl Link {
    /// Both ends; the second is for a child.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = StdUnixStream::pair()?;
        Ok((Self::over(ours)?, theirs.into()))
    }

    pub fn over(stream: StdUnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream: UnixStream::from_std(stream)? })
    }

    /// The stream, for what comes behind the messages.
    pub fn into_stream(self) -> UnixStream {
        self.stream
    }

    pub async fn send(&mut self, message: &impl Serialize) -> Result<(), LinkError> {
        Ok(self.stream.write_all(&frame(message)?).await?)
    }

    /// The message, and the descriptors beside the byte behind it.
    pub async fn send_with(
        &mut self,
        message: &impl Serialize,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), LinkError> {
        if descriptors.len() > MOST_DESCRIPTORS {
            return Err(LinkError::TooMany);
        }
        self.send(message).await?;
        let stream = &self.stream;
        let sending = stream.async_io(Interest::WRITABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
            let mut beside = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty() {
                beside.push(SendAncillaryMessage::ScmRights(descriptors));
            }
            Ok(sendmsg(stream, &[IoSlice::new(&[0])], &mut beside, SendFlags::NOSIGNAL)?)
        });
        sending.await?;
        Ok(())
    }

    pub async fn receive<T: DeserializeOwned>(&mut self, within: Duration) -> Result<T, LinkError> {
        timeout(within, self.next()).await.map_err(|_| LinkError::Late(within))?
    }

    /// A message of the kind that [`Link::send_with`] sends.
    pub async fn receive_with<T: DeserializeOwned>(
        &mut self,
        within: Duration,
    ) -> Result<(T, Vec<OwnedFd>), LinkError> {
        let both = async {
            let message = self.next().await?;
            Ok((message, self.descriptors().await?))
        };
        timeout(within, both).await.map_err(|_| LinkError::Late(within))?
    }

    async fn next<T: DeserializeOwned>(&mut self) -> Result<T, LinkError> {
        let length = self.stream.read_u32().await?;
        if length > MAX_MESSAGE {
            return Err(LinkError::NotUnderstood);
        }
        let mut body = vec![0; length as usize];
        self.stream.read_exact(&mut body).await?;
        serde_json::from_slice(&body).map_err(|_| LinkError::NotUnderstood)
    }

    async fn descriptors(&self) -> Result<Vec<OwnedFd>, LinkError> {
        let stream = &self.stream;
        let receiving = stream.async_io(Interest::READABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
            let mut beside = RecvAncillaryBuffer::new(&mut space);
            let mut byte = [0];
            let got = recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut beside, RecvFlags::CMSG_CLOEXEC)?;
            let mut descriptors = Vec::new();
            for message in beside.drain() {
                if let RecvAncillaryMessage::ScmRights(passed) = message {
                    descriptors.extend(passed);
                }
            }
            Ok((got.bytes, descriptors))
        });
        match receiving.await? {
            (1, descriptors) => Ok(descriptors),
            _ => Err(LinkError::Closed),
        }
    }
}

/// A message as it stands on the stream: four bytes of length (big endian), and that much JSON.
pub fn frame(message: &impl Serialize) -> Result<Vec<u8>, LinkError> {
    let body = serde_json::to_vec(message).map_err(|_| LinkError::NotUnderstood)?;
    let length =
        u32::try_from(body.len()).ok().filter(|length| *length <= MAX_MESSAGE).ok_or(LinkError::NotUnderstood)?;
    Ok([length.to_be_bytes().as_slice(), &body].concat())
}
