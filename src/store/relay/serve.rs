//! The owner's end.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::task::unconstrained;
use tokio_util::codec::Framed;

use super::{Answer, Asked, Question, Said, codec, decode, encode};
use crate::store::engine::{Change, Engine, StoreError, Watch};

/// How many answers may wait to be sent.
const WAITING: usize = 64;
/// How many changes go in one frame.
const CHANGES: usize = 1024;

/// Serves `engine` until the other end is closed, or the engine is.
pub async fn serve(engine: Arc<dyn Engine>, stream: impl AsyncRead + AsyncWrite + Unpin + Send) {
    let mut frames = Framed::new(stream, codec());
    let mut changes = engine.watch("");
    let (answers, mut answered) = mpsc::channel(WAITING);
    // What is still being looked up when the other end is gone is given up, not what is being committed: the engine has it.
    let mut under_way = JoinSet::new();
    loop {
        let frame = tokio::select! {
            asked = frames.next() => {
                let Some(Ok(frame)) = asked else { return };
                let Some(Question { id, asked }) = decode(&frame) else {
                    tracing::error!("what asks for the store is not understood; it is cut off");
                    return;
                };
                let (engine, answers) = (Arc::clone(&engine), answers.clone());
                under_way.spawn(async move {
                    let answer = answer(&*engine, asked).await;
                    let _ = answers.send(Said::Answer { id, answer }).await;
                });
                continue;
            }
            change = changes.next() => {
                let Some(first) = change else { return };
                Said::Changes(gather(Some(first), &mut *changes))
            }
            Some(answer) = answered.recv() => {
                // What a commit changed is known here before its outcome is, and is told before it.
                let changes = gather(None, &mut *changes);
                if !changes.is_empty() && !send(&mut frames, &Said::Changes(changes)).await {
                    return;
                }
                answer
            }
            Some(_) = under_way.join_next() => continue,
        };
        if !send(&mut frames, &frame).await {
            return;
        }
    }
}

async fn answer(engine: &dyn Engine, asked: Asked) -> Result<Answer, StoreError> {
    Ok(match asked {
        Asked::Get(key) => Answer::Found(engine.get(&key).await?),
        Asked::Scan { prefix, from, limit } => Answer::Records(engine.scan(&prefix, from, limit).await?),
        Asked::ScanBack { prefix, before, limit } => Answer::Records(engine.scan_back(&prefix, before, limit).await?),
        Asked::Commit(commit) => Answer::Outcome(engine.commit(commit).await?),
        Asked::Durable => {
            engine.durable().await?;
            Answer::Done
        }
    })
}

/// Everything that was told so far.
fn gather(first: Option<Change>, changes: &mut dyn Watch) -> Vec<Change> {
    let mut gathered: Vec<Change> = first.into_iter().collect();
    while let Some(Some(change)) = unconstrained(changes.next()).now_or_never() {
        if gathered.len() == CHANGES {
            // Nothing that comes later is less than this.
            gathered = vec![Change::Lagged];
        }
        gathered.push(change);
    }
    gathered
}

async fn send<S: AsyncRead + AsyncWrite + Unpin>(
    frames: &mut Framed<S, tokio_util::codec::LengthDelimitedCodec>,
    said: &Said,
) -> bool {
    let Ok(frame) = encode(said) else { return false };
    frames.send(Bytes::from(frame)).await.is_ok()
}
