//! The accounts behind the sessions that are in memory: each is there once, sees every change, and is read by one at a time.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use super::live::AccountCell;
use super::{STRIPES, ServiceError, Sessions, TRIES, lock};
use crate::authn::user::User;
use crate::clock::Timestamp;
use crate::id::UserId;
use crate::store::trust::Turn;

/// An account as it was read together with a session.
pub(super) struct Reading {
    pub user: Option<User>,
    pub read_in: Turn,
    /// How many changes of accounts there had been before.
    pub changes: u64,
}

impl Sessions {
    /// The account was changed: every session of it sees the new facts before this returns. Where they cannot be read,
    /// nobody passes as this account until they can.
    pub(in crate::service) async fn refresh(&self, user: UserId, now: Timestamp) {
        let _one_reader = self.loading(user).lock().await;
        self.changes.fetch_add(1, Ordering::AcqRel);
        let Some(cell) = lock(&self.cells).get(&user).and_then(Weak::upgrade) else { return };
        let read_in = self.store.trust().turn();
        match self.store.get::<User>(&user.to_string(), now).await {
            Ok(slot) => {
                let changed = cell.update(slot.record.as_ref(), read_in);
                if changed.standing {
                    self.cut(user, &cell, now).await;
                }
                if changed.facts
                    && let Some(judge) = self.judge_what_is_open.get()
                {
                    judge(user);
                }
            }
            Err(error) => {
                tracing::error!(%error, %user, "an account could not be read again; its sessions wait");
                let _ = cell.update(None, read_in);
                lock(&self.cells).remove(&user);
                let lines: Vec<_> = lock(&self.lines).of(user).cloned().collect();
                lines.iter().for_each(|line| drop(self.cache.remove(&line.digest())));
            }
        }
    }

    /// From now on this is called with every account whose facts have changed, before the change is answered.
    pub fn when_facts_change(&self, judge: impl Fn(UserId) + Send + Sync + 'static) {
        let _ = self.judge_what_is_open.set(Box::new(judge));
    }

    /// Ends the account's sessions that do not stand any more. One of them may have been carried over the rise by the very commit
    /// that brought it about: it lives on under its new value, and what is open stays open.
    async fn cut(&self, user: UserId, cell: &AccountCell, now: Timestamp) {
        let fallen: Vec<_> = lock(&self.lines).of(user).filter(|line| !cell.stands(line.epoch())).cloned().collect();
        if fallen.is_empty() {
            return;
        }
        // Where the store cannot tell, none was.
        let left = self.of_user(user, now).await.unwrap_or_default();
        for line in fallen {
            let carried = left.iter().find(|(_, session)| session.id == line.id && cell.stands(session.epoch));
            match carried {
                Some((digest, session)) => {
                    let old = line.digest();
                    if old != *digest {
                        self.rotated(&old, *digest, line.id);
                    }
                    line.merge(session);
                }
                None => self.forget(&line.digest(), Some(line.id)),
            }
        }
    }

    /// The account's cell; `None`: there is no such account.
    pub(super) async fn cell(
        &self,
        user: UserId,
        reading: Reading,
        now: Timestamp,
    ) -> Result<Option<Arc<AccountCell>>, ServiceError> {
        let known = || lock(&self.cells).get(&user).and_then(Weak::upgrade);
        if let Some(cell) = known() {
            if self.store.trust().holds(cell.read_in()) {
                return Ok(Some(cell));
            }
            self.refresh(user, now).await;
        }
        // Where it could not be read just now, it is not there any more.
        if let Some(cell) = known() {
            return Ok(Some(cell));
        }
        let _one_reader = self.loading(user).lock().await;
        if let Some(cell) = known() {
            return Ok(Some(cell));
        }
        if let Some(cell) = self.place(user, &reading, || self.changes.load(Ordering::Acquire) == reading.changes) {
            return Ok(cell);
        }
        for _ in 0..TRIES {
            let missed = self.missed.load(Ordering::Acquire);
            let (changes, read_in) = self.before_reading();
            let record = self.store.get::<User>(&user.to_string(), now).await?.record;
            let reading = Reading { user: record, read_in, changes };
            // Who knows whose account has changed waits for this reader: other accounts hold nobody up.
            if let Some(cell) = self.place(user, &reading, || self.missed.load(Ordering::Acquire) == missed) {
                return Ok(cell);
            }
        }
        Err(ServiceError::Contended)
    }

    /// Has everybody see the account as it was read, unless it may have been changed since; whoever changes it from here on finds it.
    #[expect(clippy::option_option, reason = "whether it can be told, and whether there is such an account")]
    fn place(
        &self,
        user: UserId,
        reading: &Reading,
        is_current: impl FnOnce() -> bool,
    ) -> Option<Option<Arc<AccountCell>>> {
        let mut cells = lock(&self.cells);
        is_current().then(|| {
            let cell = Arc::new(AccountCell::new(reading.user.as_ref()?, reading.read_in));
            cells.insert(user, Arc::downgrade(&cell));
            Some(cell)
        })
    }

    /// What a [`Reading`] is to hold of the moment before it.
    pub(super) fn before_reading(&self) -> (u64, Turn) {
        (self.changes.load(Ordering::Acquire), self.store.trust().turn())
    }

    #[expect(clippy::indexing_slicing, reason = "any number modulo STRIPES is within a list of STRIPES")]
    fn loading(&self, user: UserId) -> &tokio::sync::Mutex<()> {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        user.hash(&mut hasher);
        &self.loading[usize::try_from(hasher.finish() % STRIPES as u64).unwrap_or_default()]
    }
}
