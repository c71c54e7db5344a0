//! How many requests of one address that nobody is signed in to go to a tool at once: so many until the tool begins to answer, and the
//! others when their turn comes.
//!
//! What a tool answers is read ahead before its length is known, a little of each answer, and a connection is made for each: a thousand
//! requests in one breath would be a thousand of both. A tool that takes its time holds nobody up: who has waited for it for a second
//! is followed by the next, for it has cost nothing but its place so far. Those who wait cost memory: they are bounded too, and whoever
//! takes a request back (HTTP/2's RST_STREAM) waits no longer, as nobody's streams count any more once they are reset. What is taken back after
//! the tool was asked has cost a connection for nothing: its place counts for the whole second, or there could be thousands of those in it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use super::context::Context;
use super::shares::Source;

/// So many of one address at once.
const AT_ONCE: usize = 32;
/// So many of one address wait for that.
const WAITING: usize = 256;
/// For so long at most does one stand in the others' way.
const COUNTS_FOR: Duration = Duration::from_secs(1);
/// Nobody waits longer for a place.
const PATIENCE: Duration = Duration::from_secs(10);

/// The queues, one for each address that asks.
pub struct Queues {
    queues: Mutex<HashMap<Source, Arc<Queue>>>,
    counts_for: Duration,
    patience: Duration,
}

/// One address's requests.
#[derive(Default)]
struct Queue {
    asked: Mutex<Asked>,
    left: Notify,
}

#[derive(Default)]
struct Asked {
    next: u64,
    /// Those that count, the oldest first: their numbers, and since when.
    places: Vec<(u64, Instant)>,
    waiting: usize,
}

/// Among the requests of its address, until it is dropped.
pub struct Place {
    queues: Arc<Queues>,
    source: Source,
    queue: Arc<Queue>,
    stage: Stage,
    /// Nobody has taken the request back.
    in_order: bool,
}

#[derive(Clone, Copy)]
enum Stage {
    Waiting,
    /// Under this number.
    Asking(u64),
    Answered,
}

impl Context {
    /// Waits for a place where one is needed. False: there is none to be had.
    ///
    /// # Errors
    /// Where the client has taken the request back.
    pub async fn wait_to_ask(&mut self, session: &mut Session) -> Result<bool> {
        let Some((request, passage)) = self.passage() else { return Ok(true) };
        if passage.permit.whose().is_some() {
            return Ok(true);
        }
        let client = request.arrival.client;
        let place = self.state.queues.place(client);
        self.place = match session.watch_h2_stream_close() {
            Some(closed) => tokio::select! {
                biased;
                _ = closed => return Err(Error::new(ErrorType::H2Error).into_down()),
                place = place => place,
            },
            None => place.await,
        };
        if self.place.is_none() {
            tracing::debug!(%client, "as many requests to a tool as one address may have");
        }
        Ok(self.place.is_some())
    }
}

impl Default for Queues {
    fn default() -> Self {
        Self { queues: Mutex::default(), counts_for: COUNTS_FOR, patience: PATIENCE }
    }
}

impl Queues {
    /// A place for this address, when there is one.
    async fn place(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let source = Source::of(address);
        let queue = Arc::clone(self.queues().entry(source).or_default());
        let until = Instant::now() + self.patience;
        // Leaves the queue behind in order, whatever ends the waiting.
        let mut place = Place { queues: Arc::clone(self), source, queue, stage: Stage::Waiting, in_order: false };
        if !place.queue.wait() {
            return None;
        }
        loop {
            let (queue, now) = (Arc::clone(&place.queue), Instant::now());
            let mut left = pin!(queue.left.notified());
            // From now on, so that nobody leaves unnoticed before this one waits.
            left.as_mut().enable();
            match queue.enter(now, self.counts_for) {
                Ok(number) => {
                    place.stage = Stage::Asking(number);
                    return Some(place);
                }
                Err(_) if now >= until => return None,
                Err(oldest) => _ = timeout_at((oldest + self.counts_for).min(until), left).await,
            }
        }
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<Source, Arc<Queue>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more waits. False: those are too many.
    fn wait(&self) -> bool {
        let mut asked = self.asked();
        asked.waiting += 1;
        asked.waiting <= WAITING
    }

    /// A place's number, or since when the oldest of those counts that have one.
    fn enter(&self, now: Instant, counts_for: Duration) -> Result<u64, Instant> {
        let mut asked = self.asked();
        asked.places.retain(|(_, since)| now.saturating_duration_since(*since) < counts_for);
        match asked.places.first() {
            Some((_, oldest)) if asked.places.len() >= AT_ONCE => Err(*oldest),
            _ => {
                asked.waiting -= 1;
                Ok(asked.enter(now))
            }
        }
    }

    fn leave(&self, number: u64) {
        self.asked().places.retain(|(other, _)| *other != number);
        self.left.notify_one();
    }
}

impl Asked {
    fn enter(&mut self, now: Instant) -> u64 {
        self.next += 1;
        self.places.push((self.next, now));
        self.next
    }
}

impl Place {
    /// The tool has begun to answer: the next one may ask.
    pub fn answered(&mut self) {
        if let Stage::Asking(number) = std::mem::replace(&mut self.stage, Stage::Answered) {
            self.queue.leave(number);
        }
    }

    /// The request is over, and nobody has taken it back.
    pub fn ended_in_order(&mut self) {
        self.in_order = true;
    }

    /// Its place counts for the whole second; one that was given back is taken again.
    fn linger(&self, number: Option<u64>) {
        let number = number.unwrap_or_else(|| self.queue.asked().enter(Instant::now()));
        let (queues, queue) = (Arc::clone(&self.queues), Arc::clone(&self.queue));
        let mut place = Self { queues, source: self.source, queue, stage: Stage::Asking(number), in_order: true };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                sleep(place.queues.counts_for).await;
                place.answered();
            });
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        match self.stage {
            Stage::Waiting => {
                self.queue.asked().waiting -= 1;
                // It may have been told that a place is free.
                self.queue.left.notify_one();
            }
            Stage::Asking(number) if self.in_order => self.queue.leave(number),
            Stage::Asking(number) => self.linger(Some(number)),
            Stage::Answered if self.in_order => {}
            Stage::Answered => self.linger(None),
        }
        let mut queues = self.queues.queues();
        // The map's, this one's: nobody else stands here.
        if Arc::strong_count(&self.queue) == 2 {
            queues.remove(&self.source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// Places that count until they are given back, or for so long.
    fn queues(counts_for: Duration, patience: Duration) -> Arc<Queues> {
        Arc::new(Queues { counts_for, patience, ..Queues::default() })
    }

    const LONG: Duration = Duration::from_secs(3600);
    const SHORT: Duration = Duration::from_millis(20);

    /// All that are to be had at once.
    async fn fill(queues: &Arc<Queues>) -> Vec<Place> {
        let mut places = Vec::new();
        for _ in 0..AT_ONCE {
            places.push(queues.place(ADDRESS).await.unwrap());
        }
        places
    }

    fn end(places: impl IntoIterator<Item = Place>) {
        places.into_iter().for_each(|mut place| place.ended_in_order());
    }

    #[tokio::test]
    async fn so_many_at_once_and_the_next_when_one_is_answered() {
        let queues = queues(LONG, LONG);
        let mut places = fill(&queues).await;
        end(Some(queues.place("192.0.2.1".parse().unwrap()).await.expect("another address has its own")));
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(queues.place(ADDRESS))).collect();
        for one in &mut waiting {
            assert!(futures_util::poll!(one).is_pending());
        }
        // Two leave in one breath, by an answer and by an end: two come in.
        places.first_mut().unwrap().answered();
        end(places.pop());
        let mut third = waiting.pop().unwrap();
        for one in waiting {
            places.push(one.await.unwrap());
        }
        assert!(futures_util::poll!(&mut third).is_pending());
        drop(third);
        end(places);
        assert!(queues.queues().is_empty(), "an address that asks for nothing is forgotten");
    }

    #[tokio::test]
    async fn what_is_taken_back_counts_for_a_whole_second() {
        let queues = queues(LONG, LONG);
        let mut places = fill(&queues).await;
        // One before the tool has answered, one after that.
        places.last_mut().unwrap().answered();
        places.truncate(AT_ONCE - 2);
        let mut next = Box::pin(queues.place(ADDRESS));
        assert!(futures_util::poll!(&mut next).is_pending());
        end(places.pop());
        end(next.await);
        end(places);
        assert_eq!(queues.queues().len(), 1, "nor is its address forgotten before that");

        let queues = self::queues(SHORT, LONG);
        drop(fill(&queues).await);
        end(queues.place(ADDRESS).await);
        while !queues.queues().is_empty() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_tool_that_takes_its_time_holds_nobody_up_for_longer_than_a_place_counts() {
        let queues = queues(SHORT, LONG);
        let began = Instant::now();
        let mut places = Vec::new();
        for _ in 0..3 * AT_ONCE {
            places.push(queues.place(ADDRESS).await.unwrap());
        }
        assert!(began.elapsed() >= SHORT * 2);
        end(places);
        assert!(queues.queues().is_empty());
    }

    #[tokio::test]
    async fn no_more_than_so_many_wait_and_the_next_is_told_at_once() {
        let queues = queues(LONG, LONG);
        let places = fill(&queues).await;
        let mut all: Vec<_> = (0..WAITING).map(|_| Box::pin(queues.place(ADDRESS))).collect();
        for one in &mut all {
            assert!(futures_util::poll!(one).is_pending());
        }
        assert!(queues.place(ADDRESS).await.is_none());
        // Who gives up makes room for another one.
        all.pop();
        assert!(futures_util::poll!(&mut Box::pin(queues.place(ADDRESS))).is_pending());
        drop(all);
        end(places);
        assert!(queues.queues().is_empty());
    }

    #[tokio::test]
    async fn who_has_waited_too_long_is_told_so_and_leaves_nothing_behind() {
        let queues = queues(LONG, SHORT);
        let all = futures_util::future::join_all((0..AT_ONCE + 5).map(|_| queues.place(ADDRESS))).await;
        assert_eq!(all.iter().filter(|place| place.is_some()).count(), AT_ONCE);
        end(all.into_iter().flatten());
        assert!(queues.queues().is_empty());
    }
}
