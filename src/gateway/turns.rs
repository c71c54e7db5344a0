//! Taking turns: the work for people who are not signed in yet, TLS handshakes and sekisho's own pages, on half of the cores at
//! a time.
//!
//! Tasks are served in the order in which they come. Where hundreds come within a few milliseconds, to shake hands and to log in, the
//! requests of those who are signed in would stand in line behind all of them; so they stand in a line of their own. What takes its turn is
//! one piece of work between two waits: nobody holds a turn while a client is slow.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::Semaphore;
use tokio_util::sync::PollSemaphore;

/// The line.
#[derive(Clone)]
pub struct Turns(Arc<Semaphore>);

impl Turns {
    /// For so many threads that serve.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self(Arc::new(Semaphore::new((workers / 2).max(1))))
    }

    /// Does this work, each piece of it when its turn has come.
    pub fn take<F: Future>(&self, work: F) -> Taking<F> {
        Taking { line: PollSemaphore::new(Arc::clone(&self.0)), work: Box::pin(work) }
    }
}

/// Work that waits for its turns.
pub struct Taking<F> {
    line: PollSemaphore,
    work: Pin<Box<F>>,
}

impl<F: Future> Future for Taking<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        // The line is never closed: without a turn nothing would ever be done again.
        let _turn = ready!(this.line.poll_acquire(cx));
        this.work.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn half_of_the_threads_at_a_time_and_nobody_is_left_out() {
        let turns = Turns::new(4);
        let (working, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let all = (0..200).map(|_| {
            let (working, most) = (Arc::clone(&working), Arc::clone(&most));
            tokio::spawn(turns.take(async move {
                for _ in 0..5 {
                    most.fetch_max(working.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::hint::black_box((0..20_000_u64).sum::<u64>());
                    working.fetch_sub(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                }
            }))
        });
        for one in all.collect::<Vec<_>>() {
            one.await.unwrap();
        }
        assert!((1..=2).contains(&most.load(Ordering::SeqCst)), "{most:?}");
    }

    #[tokio::test]
    async fn who_waits_for_somebody_else_holds_no_turn_and_who_gives_up_leaves_the_line() {
        let turns = Turns::new(1);
        let mut silent = Box::pin(turns.take(std::future::pending::<()>()));
        assert!(futures_util::poll!(&mut silent).is_pending());
        assert_eq!(turns.take(async { 1 }).await, 1);

        let held = turns.0.try_acquire().unwrap();
        let mut waiting = turns.take(async { 2 });
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(waiting);
        let mut next = turns.take(async { 3 });
        assert!(futures_util::poll!(&mut next).is_pending());
        drop(held);
        assert_eq!(next.await, 3);
    }
}
