//! An export: a whole store as it was at one moment, while a gateway goes on with it.
//!
//! Records are read page by page. What changes meanwhile in the accounts is told by the store and read again at the end, until
//! nothing more has changed: the accounts in the file are those of one moment, so that no login is in it twice. Events only ever
//! come to those that there are; one more or less makes no difference.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;

use super::kinds::{self, KINDS, Kind};
use super::{Care, Listener, PAGE, Piece, format};
use crate::authn::user::User;
use crate::service::ServiceError;
use crate::store::engine::{Change, Key, StoreError, Watch};
use crate::store::record::{Raw, Record};

/// How many bytes of lines go in one piece.
const PIECE: usize = 64 * 1024;

/// How often changed accounts are read again before it is said that they change too fast.
const ROUNDS: usize = 500;

impl Care {
    /// Tells the lines of an export, the last of which says that it is complete; returns how many records of each kind there are.
    ///
    /// # Errors
    /// Where the store cannot, or a record in it cannot be read: no export is made of a damaged store.
    pub async fn export(&self, to: &dyn Listener) -> Result<BTreeMap<String, u64>, ServiceError> {
        let exported = || KINDS.iter().filter(|kind| kind.exported);
        let total = self.count(&exported().map(Kind::prefix).collect::<Vec<_>>(), to).await?;
        let mut lines = Lines { to, sum: format::Sum::default(), waiting: Vec::new(), size: 0, done: 0, total };
        let keys = self.context.config.load().keys.fingerprints();
        lines.add(format::head(keys, self.clock.now())).await;
        let mut records: BTreeMap<String, u64> = BTreeMap::new();
        let mut changes = self.context.store.watch::<User>();
        let mut accounts = BTreeSet::new();
        for kind in exported() {
            let is_account = kind.name == User::KIND;
            let mut after: Option<Key> = None;
            loop {
                let page = self.context.store.raw_page(&kind.prefix(), after.as_ref(), PAGE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.key.clone());
                lines.done += page.len() as u64;
                for raw in page {
                    if raw.expired(self.clock.now()) {
                        continue;
                    }
                    lines.add(self.line(kind, &raw)?).await;
                    if is_account {
                        accounts.insert(raw.key.as_str().to_owned());
                    } else {
                        *records.entry(kind.name.to_owned()).or_default() += 1;
                    }
                }
            }
        }
        self.settle(changes.as_mut(), &mut accounts, &mut lines).await?;
        records.insert(User::KIND.to_owned(), accounts.len() as u64);
        let end = format::end(records.clone(), &lines.sum);
        lines.add(end).await;
        lines.send().await;
        tracing::info!(accounts = accounts.len(), "the store was exported");
        Ok(records)
    }

    /// Reads accounts that were changed meanwhile again, until none was.
    async fn settle(
        &self,
        changes: &mut dyn Watch,
        accounts: &mut BTreeSet<String>,
        lines: &mut Lines<'_>,
    ) -> Result<(), ServiceError> {
        for _ in 0..ROUNDS {
            // Behind it, whatever had an effect on what was read has been told.
            self.context.store.durable().await?;
            let mut changed = BTreeSet::new();
            // Not as one step among others of this task, which might be told to wait although there is something.
            while let Some(Some(change)) = tokio::task::unconstrained(changes.next()).now_or_never() {
                match change {
                    Change::Put(key) | Change::Delete(key) => {
                        changed.insert(key);
                    }
                    Change::Lagged => changed.extend(self.all_accounts(accounts).await?),
                }
            }
            if changed.is_empty() {
                return Ok(());
            }
            for key in changed {
                match self.context.store.raw(&key).await? {
                    Some(raw) => {
                        let Some(kind) = kinds::of(&key) else { continue };
                        lines.add(self.line(kind, &raw)?).await;
                        accounts.insert(key.as_str().to_owned());
                    }
                    None if accounts.remove(key.as_str()) => lines.add(format::gone(key.as_str())).await,
                    None => {}
                }
            }
        }
        let detail = "its accounts change faster than they can be read; try again when there is less to do";
        Err(StoreError::Unavailable(detail.into()).into())
    }

    /// Those in the store, and those that the export has.
    async fn all_accounts(&self, exported: &BTreeSet<String>) -> Result<Vec<Key>, ServiceError> {
        let mut all: Vec<Key> = exported.iter().cloned().map(Key::new).collect();
        let mut after: Option<Key> = None;
        loop {
            let page = self.context.store.raw_page("user/", after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(all) };
            after = Some(last.key.clone());
            all.extend(page.into_iter().map(|raw| raw.key));
        }
    }

    /// Only of what can be read again: an export that could not be imported is none.
    fn line(&self, kind: &Kind, raw: &Raw) -> Result<String, ServiceError> {
        let unreadable = |detail: String| StoreError::Record { key: raw.key.as_str().to_owned(), detail };
        let seals = (kind.read)(raw, &self.context.config.load().keys)?;
        if let Some(fault) = seals.faults.into_iter().next() {
            return Err(unreadable(fault).into());
        }
        Ok(format::record(raw).ok_or_else(|| unreadable("it is no line of JSON".into()))?)
    }
}

/// Lines on their way, several at a time.
struct Lines<'l> {
    to: &'l dyn Listener,
    sum: format::Sum,
    waiting: Vec<String>,
    size: usize,
    done: u64,
    total: u64,
}

impl Lines<'_> {
    async fn add(&mut self, line: String) {
        self.sum.add(line.as_bytes());
        self.size += line.len();
        self.waiting.push(line);
        if self.size >= PIECE {
            self.send().await;
        }
    }

    async fn send(&mut self) {
        self.size = 0;
        self.to.hear(Piece::Lines(std::mem::take(&mut self.waiting))).await;
        self.to.hear(Piece::Progress { done: self.done, total: self.total.max(self.done) }).await;
    }
}
