//! Password hashing on threads of its own: as many as there are cores, a queue of bounded length and time, a lower priority than
//! the requests of people who are signed in.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::ServiceError;
use crate::authn::password::{self, Cost, HashError, Matches, Memory, Scheme};
use crate::authn::recovery_code::HASH_BYTES;
use crate::metrics::{Hashing, Held};
use crate::secret::{ExposeSecret, SecretString, random_bytes};

/// How many passwords may wait: about two seconds' worth for two cores at the default cost.
const QUEUE: usize = 64;
/// For how long one may wait. On a machine that has no time for this priority a queue would stand for minutes, and be computed
/// for people who have long gone.
const PATIENCE: Duration = Duration::from_secs(20);
/// When to come again where more than that wait: in so many seconds, or up to so many more, one after the other. Told the same, all who came
/// at once would come at once again, and everybody else would feel it.
const RETRY_AFTER: u64 = 2;
const RETRY_SPREAD: u64 = 7;
/// How often the log says that logins are turned away. The metrics have each.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// Added to the threads' niceness (0 is normal, 19 the lowest priority).
const NICENESS: i32 = 10;
/// No password takes a thread as long as this, at the highest cost that the configuration takes.
const STUCK: Duration = Duration::from_secs(60);

/// The threads, and the way to them. They end when the last handle is gone.
#[derive(Clone)]
pub struct Hasher {
    jobs: SyncSender<(Instant, Job)>,
    hashing: Hashing,
    threads: Arc<Vec<Thread>>,
    /// When the log last said that logins are turned away.
    said: Arc<Mutex<Option<Instant>>>,
    /// How many were computed: whether two requests cost the same is asked of this number.
    #[cfg(test)]
    done: Arc<Done>,
}

/// Since when a thread has been at its job, in milliseconds since it was started and one more; 0: it waits for one.
struct Thread {
    started: Instant,
    busy_since: AtomicU64,
}

/// What was computed so far.
#[cfg(test)]
#[derive(Default)]
struct Done {
    hashes: AtomicU64,
    /// As [`Cost::work`] counts it.
    work: AtomicU64,
}

#[cfg(test)]
impl Done {
    fn count(&self, work: u64) {
        self.hashes.fetch_add(1, Ordering::SeqCst);
        self.work.fetch_add(work, Ordering::SeqCst);
    }
}

enum Job {
    Verify {
        /// `None`: nobody's.
        stored: Option<String>,
        /// Decoys to be checked as well.
        beside: Vec<String>,
        password: SecretString,
        answer: oneshot::Sender<Result<Option<Matches>, HashError>>,
    },
    Hash {
        salt: [u8; 16],
        password: SecretString,
        cost: Cost,
        answer: oneshot::Sender<Result<String, HashError>>,
    },
    Derive {
        code: SecretString,
        salt: [u8; 16],
        cost: Cost,
        answer: oneshot::Sender<Result<[u8; HASH_BYTES], HashError>>,
    },
}

impl Hasher {
    /// Starts the threads; what they do is counted.
    pub fn start(hashing: &Hashing) -> Self {
        Self::start_with(hashing, PATIENCE)
    }

    fn start_with(hashing: &Hashing, patience: Duration) -> Self {
        let (jobs, queue) = sync_channel(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        #[cfg(test)]
        let done = Arc::new(Done::default());
        let wanted = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads: Arc<Vec<_>> = Arc::new((0..wanted).map(|_| Thread::new()).collect());
        for place in 0..wanted {
            let queue = Arc::clone(&queue);
            let (threads, counted) = (Arc::clone(&threads), hashing.clone());
            #[cfg(test)]
            let after_each = {
                let done = Arc::clone(&done);
                move |work| done.count(work)
            };
            #[cfg(not(test))]
            let after_each = |_| {};
            let spawned = std::thread::Builder::new().name("password".to_owned()).spawn(move || {
                let _alive = Held::new(&counted.threads);
                if let Some(thread) = threads.get(place) {
                    work(&queue, patience, thread, &counted, after_each);
                }
            });
            if let Err(error) = spawned {
                // With none at all the queue's far end is gone, and every login is told to come again.
                tracing::error!(%error, "a thread for password hashing could not be started");
            }
        }
        Self {
            jobs,
            hashing: hashing.clone(),
            threads,
            said: Arc::default(),
            #[cfg(test)]
            done,
        }
    }

    /// Whether `password` is the one behind `stored`.
    ///
    /// # Errors
    /// [`ServiceError::Busy`]; [`ServiceError::Hash`] where `stored` is no hash.
    pub async fn verify(&self, stored: String, password: SecretString) -> Result<Option<Matches>, ServiceError> {
        self.check(Some(stored), Vec::new(), password).await
    }

    /// The same, as much work as for anybody else's, by the schemes that accounts have; `None`: nobody's, which nothing matches.
    ///
    /// # Errors
    /// As [`Hasher::verify`].
    pub async fn verify_like_any(
        &self,
        stored: Option<&str>,
        password: SecretString,
        in_use: &[Scheme],
        cost: Cost,
    ) -> Result<Option<Matches>, ServiceError> {
        let mut beside = Vec::new();
        for scheme in password::beside(stored, in_use, cost) {
            beside.push(password::decoy_of(scheme, &random_bytes()?, &random_bytes()?)?);
        }
        self.check(stored.map(str::to_owned), beside, password).await
    }

    async fn check(
        &self,
        stored: Option<String>,
        beside: Vec<String>,
        password: SecretString,
    ) -> Result<Option<Matches>, ServiceError> {
        let (answer, waiting) = oneshot::channel();
        self.send(Job::Verify { stored, beside, password, answer })?;
        Ok(waiting.await.map_err(|_| self.turned_away())??)
    }

    /// The hash of a new password.
    ///
    /// # Errors
    /// [`ServiceError::Busy`].
    pub async fn hash(&self, password: SecretString, cost: Cost) -> Result<String, ServiceError> {
        let (answer, waiting) = oneshot::channel();
        self.send(Job::Hash { salt: random_bytes()?, password, cost, answer })?;
        Ok(waiting.await.map_err(|_| self.turned_away())??)
    }

    /// The hash of a recovery code.
    ///
    /// # Errors
    /// [`ServiceError::Busy`].
    pub async fn derive(
        &self,
        code: SecretString,
        salt: [u8; 16],
        cost: Cost,
    ) -> Result<[u8; HASH_BYTES], ServiceError> {
        let (answer, waiting) = oneshot::channel();
        self.send(Job::Derive { code, salt, cost, answer })?;
        Ok(waiting.await.map_err(|_| self.turned_away())??)
    }

    /// Whether every thread has been at one password for far too long.
    pub fn is_stuck(&self) -> bool {
        self.threads.iter().all(|thread| thread.busy_for().is_some_and(|busy| busy >= STUCK))
    }

    /// How many hashes were computed so far.
    #[cfg(test)]
    pub fn computed(&self) -> u64 {
        self.done.hashes.load(Ordering::SeqCst)
    }

    /// How much work that was.
    #[cfg(test)]
    pub fn work(&self) -> u64 {
        self.done.work.load(Ordering::SeqCst)
    }

    /// Whoever was counted last as rejected is told when to come again; the log has a line now and then.
    fn turned_away(&self) -> ServiceError {
        let so_far = self.hashing.rejected.get();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
            *said = Some(Instant::now());
            tracing::warn!(so_far, "logins are turned away for now: too many passwords wait to be checked");
        }
        ServiceError::Busy { retry_after: Duration::from_secs(RETRY_AFTER + so_far % RETRY_SPREAD) }
    }

    fn send(&self, job: Job) -> Result<(), ServiceError> {
        // Before it is sent, so that whoever takes it finds it counted.
        self.hashing.waiting.inc();
        self.jobs.try_send((Instant::now(), job)).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => {
                self.hashing.waiting.dec();
                self.hashing.rejected.inc();
                self.turned_away()
            }
        })
    }
}

impl Thread {
    fn new() -> Self {
        Self { started: Instant::now(), busy_since: AtomicU64::new(0) }
    }

    fn begin(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.busy_since.store(now.saturating_add(1), Ordering::Relaxed);
    }

    fn end(&self) {
        self.busy_since.store(0, Ordering::Relaxed);
    }

    fn busy_for(&self) -> Option<Duration> {
        let since = self.busy_since.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.started.elapsed().saturating_sub(Duration::from_millis(since)))
    }
}

fn work(
    queue: &Mutex<Receiver<(Instant, Job)>>,
    patience: Duration,
    thread: &Thread,
    counted: &Hashing,
    after_each: impl Fn(u64),
) {
    // On Linux niceness is each thread's own. Where it cannot be changed, hashing merely competes on equal terms.
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "password hashing keeps its normal priority");
    }
    let mut memory = Memory::default();
    loop {
        let Some((since, job)) = next(queue, &mut memory) else { return };
        counted.waiting.dec();
        if since.elapsed() > patience {
            // Without an answer it is told to come again.
            counted.rejected.inc();
            continue;
        }
        let _busy = Held::new(&counted.busy);
        let began = Instant::now();
        thread.begin();
        // Where the client has gone away meanwhile, nobody waits for the answer.
        let answered = match job {
            Job::Verify { answer, .. } if answer.is_closed() => false,
            Job::Hash { answer, .. } if answer.is_closed() => false,
            Job::Derive { answer, .. } if answer.is_closed() => false,
            Job::Verify { stored, beside, password, answer } => {
                let mut verify = |stored: &str| {
                    let verdict = password::verify(stored, password.expose_secret(), &mut memory);
                    after_each(password::work_of(stored).unwrap_or_default());
                    verdict
                };
                let verdict = stored.as_deref().map_or(Ok(None), &mut verify);
                // A decoy matches nothing, and its answer says nothing.
                beside.iter().for_each(|decoy| drop(verify(decoy)));
                let _ = answer.send(verdict);
                true
            }
            Job::Hash { salt, password, cost, answer } => {
                let hash = password::hash(password.expose_secret(), &salt, cost, &mut memory);
                after_each(cost.work());
                let _ = answer.send(hash);
                true
            }
            Job::Derive { code, salt, cost, answer } => {
                let hash = password::derive(code.expose_secret(), &salt, cost, &mut memory);
                after_each(cost.work());
                let _ = answer.send(hash);
                true
            }
        };
        thread.end();
        if answered {
            counted.duration.observe(began.elapsed().as_secs_f64());
        }
    }
}

/// The next job; `None`: there will be none. While nobody waits, no memory is held.
fn next(queue: &Mutex<Receiver<(Instant, Job)>>, memory: &mut Memory) -> Option<(Instant, Job)> {
    if let Ok(queue) = queue.try_lock()
        && let Ok(job) = queue.try_recv()
    {
        return Some(job);
    }
    memory.clear();
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

impl From<HashError> for ServiceError {
    fn from(error: HashError) -> Self {
        Self::Hash(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    const CHEAP: Cost = Cost { memory_kib: 16, iterations: 1, parallelism: 1 };

    #[tokio::test]
    async fn a_hash_verifies_its_password_and_no_other() {
        let hasher = Hasher::start(&Metrics::new().hashing);
        let stored = hasher.hash("right".into(), CHEAP).await.unwrap();
        assert!(hasher.verify(stored.clone(), "right".into()).await.unwrap().is_some());
        assert!(hasher.verify(stored, "wrong".into()).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_does_not_fit_the_queue_is_told_to_come_again_and_nothing_is_lost() {
        let hasher = Hasher::start(&Metrics::new().hashing);
        let slow = Cost { memory_kib: 8 * 1024, iterations: 1, parallelism: 1 };
        let all = futures_util::future::join_all((0..300).map(|_| hasher.hash("x".into(), slow))).await;
        let busy = all.iter().filter(|one| matches!(one, Err(ServiceError::Busy { .. }))).count();
        let made = all.iter().filter(|one| one.is_ok()).count();
        assert!(busy > 0 && made >= QUEUE, "{busy} refused, {made} made");
        assert_eq!(busy + made, 300);
        assert_eq!(hasher.computed(), made as u64);
        // Not all at once.
        let told = all.iter().filter_map(|one| match one {
            Err(ServiceError::Busy { retry_after }) => Some(retry_after.as_secs()),
            _ => None,
        });
        let times: std::collections::BTreeSet<u64> = told.collect();
        assert!(times.iter().eq(&(RETRY_AFTER..RETRY_AFTER + RETRY_SPREAD).collect::<Vec<_>>()), "{times:?}");
    }

    #[tokio::test]
    async fn what_has_waited_too_long_is_told_to_come_again_and_not_computed() {
        let metrics = Metrics::new();
        let hashing = &metrics.hashing;
        let hasher = Hasher::start_with(hashing, Duration::ZERO);
        let all = futures_util::future::join_all((0..20).map(|_| hasher.hash("x".into(), CHEAP))).await;
        assert!(all.iter().all(|one| matches!(one, Err(ServiceError::Busy { .. }))));
        assert_eq!((hasher.computed(), hashing.rejected.get(), hashing.waiting.get()), (0, 20, 0));
    }
}
