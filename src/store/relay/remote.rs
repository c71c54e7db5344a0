//! The other end: an engine whose records are in another process.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::codec::{FramedRead, FramedWrite};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Answer, Asked, Question, Said, codec, decode, encode, gone};
use crate::store::engine::{Change, Commit, Engine, Key, Outcome, StoreError, Versioned, Watch};
use crate::store::watch::{self, PrefixWatch, Told};

/// How many questions may wait to be sent.
const WAITING: usize = 256;

/// An engine at the other end of a stream. Dropping it closes the stream.
pub struct Remote {
    waiting: Arc<Waiting>,
    questions: mpsc::Sender<Bytes>,
    next: AtomicU64,
    changes: broadcast::Sender<Told>,
    broken: CancellationToken,
    _open: DropGuard,
}

impl Remote {
    /// Speaks to whoever [`serve`](super::serve())s at the other end. Its work runs on the current tokio runtime.
    #[must_use]
    pub fn new(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (reading, writing) = tokio::io::split(stream);
        let (questions, queue) = mpsc::channel(WAITING);
        let (waiting, changes) = (Arc::new(Waiting::default()), broadcast::Sender::new(watch::BACKLOG));
        let (open, broken) = (CancellationToken::new(), CancellationToken::new());
        tokio::spawn({
            let (waiting, told, open, broken) = (Arc::clone(&waiting), changes.clone(), open.clone(), broken.clone());
            async move {
                tokio::select! {
                    () = open.cancelled() => {}
                    () = listen(reading, &waiting, &told) => broken.cancel(),
                    () = ask(writing, queue) => broken.cancel(),
                }
                waiting.close();
            }
        });
        Self { waiting, questions, next: AtomicU64::new(0), changes, broken, _open: open.drop_guard() }
    }

    /// Fires when the other process is gone, or does not speak sense any more.
    #[must_use]
    pub fn broken(&self) -> CancellationToken {
        self.broken.clone()
    }

    async fn ask(&self, asked: Asked) -> Result<Answer, StoreError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let frame = encode(&Question { id, asked })?;
        let answer = self.waiting.enter(id).ok_or_else(gone)?;
        let given_up = LeaveOnDrop { waiting: &self.waiting, id };
        self.questions.send(Bytes::from(frame)).await.map_err(|_| gone())?;
        let answer = answer.await.map_err(|_| gone())?;
        drop(given_up);
        answer
    }
}

/// Takes in what the other end says, until it says no more.
async fn listen<S: AsyncRead>(reading: ReadHalf<S>, waiting: &Waiting, changes: &broadcast::Sender<Told>) {
    let mut frames = FramedRead::new(reading, codec());
    while let Some(Ok(frame)) = frames.next().await {
        match decode(&frame) {
            Some(Said::Changes(told)) => {
                for told in told.split_inclusive(|change| *change == Change::Lagged) {
                    let (changes_of, lagged) = match told.split_last() {
                        Some((Change::Lagged, before)) => (before, true),
                        _ => (told, false),
                    };
                    if !changes_of.is_empty() {
                        let _ = changes.send(Told::Changes(changes_of.into()));
                    }
                    if lagged {
                        let _ = changes.send(Told::Missed);
                    }
                }
            }
            Some(Said::Answer { id, answer }) => waiting.answer(id, answer),
            None => return tracing::error!("what the owner of the store says is not understood"),
        }
    }
}

async fn ask<S: AsyncWrite>(writing: WriteHalf<S>, mut queue: mpsc::Receiver<Bytes>) {
    let mut frames = FramedWrite::new(writing, codec());
    while let Some(question) = queue.recv().await {
        if frames.send(question).await.is_err() {
            return;
        }
    }
}

type Answered = Result<Answer, StoreError>;

/// Those who wait for an answer; `None`: none will come any more.
struct Waiting(Mutex<Option<HashMap<u64, oneshot::Sender<Answered>>>>);

impl Default for Waiting {
    fn default() -> Self {
        Self(Mutex::new(Some(HashMap::new())))
    }
}

impl Waiting {
    fn enter(&self, id: u64) -> Option<oneshot::Receiver<Answered>> {
        let (told, answer) = oneshot::channel();
        self.lock().as_mut()?.insert(id, told);
        Some(answer)
    }

    fn answer(&self, id: u64, answer: Answered) {
        if let Some(told) = self.leave(id) {
            let _ = told.send(answer);
        }
    }

    fn leave(&self, id: u64) -> Option<oneshot::Sender<Answered>> {
        self.lock().as_mut()?.remove(&id)
    }

    fn close(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<u64, oneshot::Sender<Answered>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever gave up waiting leaves nothing behind.
struct LeaveOnDrop<'a> {
    waiting: &'a Waiting,
    id: u64,
}

impl Drop for LeaveOnDrop<'_> {
    fn drop(&mut self) {
        self.waiting.leave(self.id);
    }
}

#[async_trait]
impl Engine for Remote {
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        match self.ask(Asked::Get(key.clone())).await? {
            Answer::Found(found) => Ok(found),
            _ => Err(nonsense()),
        }
    }

    async fn scan(&self, prefix: &str, from: Bound<Key>, limit: usize) -> Result<Vec<(Key, Versioned)>, StoreError> {
        records(self.ask(Asked::Scan { prefix: prefix.to_owned(), from, limit }).await?)
    }

    async fn scan_back(
        &self,
        prefix: &str,
        before: Bound<Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Versioned)>, StoreError> {
        records(self.ask(Asked::ScanBack { prefix: prefix.to_owned(), before, limit }).await?)
    }

    async fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        match self.ask(Asked::Commit(commit)).await? {
            Answer::Outcome(outcome) => Ok(outcome),
            _ => Err(nonsense()),
        }
    }

    fn watch(&self, prefix: &str) -> Box<dyn Watch> {
        Box::new(RemoteWatch {
            watch: PrefixWatch::new(self.changes.subscribe(), prefix),
            broken: self.broken.clone(),
            ended: false,
        })
    }

    async fn durable(&self) -> Result<(), StoreError> {
        match self.ask(Asked::Durable).await? {
            Answer::Done => Ok(()),
            _ => Err(nonsense()),
        }
    }
}

fn records(answer: Answer) -> Result<Vec<(Key, Versioned)>, StoreError> {
    match answer {
        Answer::Records(records) => Ok(records),
        _ => Err(nonsense()),
    }
}

fn nonsense() -> StoreError {
    StoreError::Unavailable("its owner gave the answer to another question".into())
}

/// Ends when the other process is gone, after the last change that it told.
struct RemoteWatch {
    watch: PrefixWatch,
    broken: CancellationToken,
    ended: bool,
}

#[async_trait]
impl Watch for RemoteWatch {
    async fn next(&mut self) -> Option<Change> {
        if self.ended {
            return None;
        }
        tokio::select! {
            biased;
            change = self.watch.next() => return change,
            () = self.broken.cancelled() => {}
        }
        self.ended = true;
        None
    }
}
