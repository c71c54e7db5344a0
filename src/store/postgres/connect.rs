//! Connections, and the pool of them. Whatever is waited for has a limit, so that a dead database keeps nobody waiting for long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Pool, PoolError, RecycleError, RecycleResult, Timeouts};
use futures_util::future::{poll_fn, try_join_all};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Connection as Driver, Error, Row, Socket, Statement};

use super::statements::{self, Which};
use super::tls::{Stream, Tls};
use crate::config::Database;
use crate::store::engine::StoreError;

/// How many connections a node has at most, beside the one that listens.
const CONNECTIONS: usize = 16;
/// How long one of several hosts may take to let somebody in.
const HOST: Duration = Duration::from_secs(3);
/// How long a request waits for a free connection.
const FREE: Duration = Duration::from_secs(3);
/// How long a statement may take, on the server as well.
const STATEMENT: Duration = Duration::from_secs(5);

/// The same where no request waits; and how often a connection is tried then.
const LEISURE: Duration = Duration::from_secs(65);
const TRIES: u32 = 5;

/// What every session of ours begins with. An operator's settings of the role must not weaken what a commit promises; a stronger one
/// (remote_apply) stays. Keys are looked up by the index alone, whatever the planner knows of a table that has just been filled.
const SESSION: &str = "SET statement_timeout = 5000; \
    SET idle_in_transaction_session_timeout = 10000; \
    SET default_transaction_isolation = 'read committed'; \
    SET search_path = pg_catalog; \
    SET enable_seqscan = off; \
    SET enable_bitmapscan = off; \
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local')";

/// The hosts of a database, and which of them let us in last.
#[derive(Clone)]
pub(super) struct Hosts {
    database: Database,
    good: Arc<AtomicUsize>,
}

/// A connection that has not been given to the pool: with its driver, which somebody must run.
pub(super) type Bare = (Client, Driver<Socket, Stream<Socket>>);

impl Hosts {
    pub(super) fn new(database: Database) -> Self {
        Self { database, good: Arc::default() }
    }

    pub(super) fn shown(&self) -> &str {
        self.database.shown()
    }

    /// A connection to the first host that can be written to, beginning with the one that was it last.
    pub(super) async fn connect(&self) -> Result<Bare, Trouble> {
        let hosts = self.database.hosts();
        let first = self.good.load(Ordering::Relaxed);
        let mut trouble = Trouble::Late;
        for index in (first..hosts.len()).chain(0..first.min(hosts.len())) {
            let Some(host) = hosts.get(index) else { continue };
            match timeout(HOST, host.connect(Tls(Arc::clone(self.database.tls())))).await {
                Ok(Ok(bare)) => {
                    self.good.store(index, Ordering::Relaxed);
                    return Ok(bare);
                }
                Ok(Err(error)) => trouble = Trouble::Driver(error),
                Err(_) => trouble = Trouble::Late,
            }
        }
        Err(trouble)
    }

    /// How long [`Hosts::connect`] takes at most.
    fn patience(&self) -> Duration {
        HOST * u32::try_from(self.database.hosts().len()).unwrap_or(1)
    }
}

/// Runs a connection until it ends; whoever drops the guard ends it.
pub(super) struct Guard {
    driving: AbortHandle,
    /// The server has warned of something since this was last asked.
    warned: Arc<AtomicBool>,
}

impl Guard {
    pub(super) fn run(mut driver: Driver<Socket, Stream<Socket>>) -> Self {
        let warned = Arc::<AtomicBool>::default();
        let warning = Arc::clone(&warned);
        let driving = tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| driver.poll_message(cx)).await {
                if let AsyncMessage::Notice(notice) = message
                    && notice.parsed_severity() == Some(Severity::Warning)
                {
                    tracing::warn!(reason = notice.message(), "the database warns");
                    warning.store(true, Ordering::SeqCst);
                }
            }
        });
        Self { driving: driving.abort_handle(), warned }
    }

    fn was_warned(&self) -> bool {
        self.warned.swap(false, Ordering::SeqCst)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.driving.abort();
    }
}

/// Begins a session.
pub(super) async fn begin(client: &Client) -> Result<(), Trouble> {
    within(client.batch_execute(SESSION)).await
}

/// A connection of the pool, with every statement prepared, so that none costs a round trip of its own.
pub(super) struct Session {
    client: Client,
    statements: Vec<Statement>,
    guard: Guard,
    era: u64,
}

/// Makes them, and takes them back.
pub(super) struct Manager {
    hosts: Hosts,
    /// Connections of an earlier era may lead to a server that is no longer the one: hung, or replaced by its standby.
    era: Arc<AtomicU64>,
}

impl managed::Manager for Manager {
    type Type = Session;
    type Error = Trouble;

    async fn create(&self) -> Result<Session, Trouble> {
        let era = self.era.load(Ordering::SeqCst);
        let (client, driver) = self.hosts.connect().await?;
        let guard = Guard::run(driver);
        begin(&client).await?;
        // Sent in one breath.
        let statements = within(try_join_all(statements::ALL.iter().map(|sql| client.prepare(sql)))).await?;
        Ok(Session { client, statements, guard, era })
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<Trouble> {
        match session.client.is_closed() || session.era != self.era.load(Ordering::SeqCst) {
            true => Err(RecycleError::message("of no more use")),
            false => Ok(()),
        }
    }
}

/// What a statement is asked with.
pub(super) type Value<'v> = &'v (dyn ToSql + Sync);

/// The pool.
#[derive(Clone)]
pub(super) struct Sessions {
    pool: Pool<Manager>,
    era: Arc<AtomicU64>,
}

impl Sessions {
    pub(super) fn new(hosts: &Hosts) -> Result<Self, StoreError> {
        let limits = Timeouts {
            wait: Some(FREE),
            create: Some(hosts.patience() + STATEMENT),
            recycle: Some(Duration::from_secs(1)),
        };
        let era = Arc::<AtomicU64>::default();
        let pool = Pool::builder(Manager { hosts: hosts.clone(), era: Arc::clone(&era) })
            .max_size(CONNECTIONS)
            .timeouts(limits)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { pool, era })
    }

    /// Asks one thing. What reads is asked once more where a connection of the pool turns out to be dead: after the database was restarted,
    /// all of them are.
    pub(super) async fn read(&self, which: Which, values: &[Value<'_>]) -> Result<Vec<Row>, Trouble> {
        match self.ask(which, values).await {
            Err(trouble) if trouble.has_cut() => self.ask(which, values).await,
            answer => answer,
        }
    }

    /// The same, and never again. A connection that has met trouble does not go back to the others.
    pub(super) async fn ask(&self, which: Which, values: &[Value<'_>]) -> Result<Vec<Row>, Trouble> {
        let session = match self.pool.get().await {
            Ok(session) => session,
            Err(PoolError::Backend(trouble)) => return Err(trouble),
            Err(_) => return Err(Trouble::Late),
        };
        let Some(statement) = session.statements.get(which.place()) else { return Err(Trouble::Late) };
        session.guard.was_warned();
        let mut answer = within(session.client.query(statement, values)).await;
        if answer.is_ok() && which.must_last() && session.guard.was_warned() {
            answer = Err(Trouble::Warned);
        }
        if answer.as_ref().is_err_and(Trouble::is_shut_down) {
            // Those that were made with this one hear the same, if they have not yet; what was made since does not.
            let _ = self.era.compare_exchange(session.era, session.era + 1, Ordering::SeqCst, Ordering::SeqCst);
        }
        if answer.as_ref().is_err_and(Trouble::spoils) {
            drop(managed::Object::take(session));
        }
        answer
    }

    /// From now on every connection is a new one.
    pub(super) fn renew(&self) {
        self.era.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn close(&self) {
        self.pool.close();
    }
}

/// A connection for what nobody waits for in a request: opening a store, making its schema. It is tried for longer, and its statements may take
/// longer.
pub(super) async fn at_leisure(hosts: &Hosts) -> Result<Bare, Trouble> {
    let mut left = TRIES;
    loop {
        left -= 1;
        match hosts.connect().await {
            Err(Trouble::Late) if left > 0 => {}
            bare => return bare,
        }
    }
}

/// Begins a session on such a connection, which somebody runs by now.
pub(super) async fn begin_at_leisure(client: &Client) -> Result<(), Trouble> {
    leisurely(client.batch_execute(SESSION)).await?;
    leisurely(client.batch_execute("SET statement_timeout = 60000; SET idle_in_transaction_session_timeout = 60000"))
        .await
}

/// An answer on such a connection.
pub(super) async fn leisurely<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, Trouble> {
    match timeout(LEISURE, answer).await {
        Ok(answer) => answer.map_err(Trouble::Driver),
        Err(_) => Err(Trouble::Late),
    }
}

/// An answer in time, or none.
pub(super) async fn within<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, Trouble> {
    // The server gives up a little earlier, and says so.
    match timeout(STATEMENT + Duration::from_millis(500), answer).await {
        Ok(answer) => answer.map_err(Trouble::Driver),
        Err(_) => Err(Trouble::Late),
    }
}

/// Why the database gave no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    Driver(Error),
    /// Nothing came in time.
    Late,
    /// It has committed, with a warning: so does a server whose wait for its standby somebody has cancelled, and the commit may be lost with it.
    Warned,
}

impl Trouble {
    /// Whether the server has said that nothing was done, and is there still.
    pub(super) fn is_refusal(&self) -> bool {
        let said = match self {
            Self::Driver(error) => error.as_db_error(),
            Self::Late | Self::Warned => None,
        };
        said.is_some_and(|said| said.parsed_severity() == Some(Severity::Error))
    }

    /// Whether somebody else came in between, so that it may be tried again.
    pub(super) fn is_collision(&self) -> bool {
        let state = match self {
            Self::Driver(error) if self.is_refusal() => error.code(),
            _ => None,
        };
        matches!(state, Some(state) if *state == SqlState::T_R_SERIALIZATION_FAILURE || *state == SqlState::T_R_DEADLOCK_DETECTED)
    }

    /// Whether the connection is gone, with or without a word of the server's, and the next one may be better.
    fn has_cut(&self) -> bool {
        match self {
            Self::Driver(error) => {
                error.code().is_none_or(|code| *code == SqlState::IDLE_SESSION_TIMEOUT) || self.is_shut_down()
            }
            Self::Late | Self::Warned => false,
        }
    }

    /// Whether the server has said that it ends this connection because it goes down itself, or because somebody wants it to.
    fn is_shut_down(&self) -> bool {
        match self {
            Self::Driver(error) => {
                matches!(error.code(), Some(&SqlState::ADMIN_SHUTDOWN) | Some(&SqlState::CRASH_SHUTDOWN))
            }
            Self::Late | Self::Warned => false,
        }
    }

    /// Whether the connection is of no more use: dead, or to a server that takes no writes any more.
    fn spoils(&self) -> bool {
        let read_only = match self {
            Self::Driver(error) => error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION),
            Self::Late | Self::Warned => false,
        };
        !self.is_refusal() || read_only
    }

    /// What is told of it: the server's own sentence, which names a role or a database at most, or the system's.
    pub(super) fn told(&self) -> String {
        let error = match self {
            Self::Driver(error) => error,
            Self::Late => return "no answer in time".into(),
            Self::Warned => return "the server warns that the commit may not last".into(),
        };
        if let Some(said) = error.as_db_error() {
            return format!("{} ({})", said.message(), said.code().code());
        }
        let source = std::error::Error::source(error).map(ToString::to_string);
        source.unwrap_or_else(|| error.to_string())
    }

    pub(super) fn into_store(self, database: &str) -> StoreError {
        StoreError::Unavailable(format!("{database}: {}", self.told()))
    }
}
