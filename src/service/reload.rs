//! What the services have to do with a configuration that is taken while they run: whether the store can be read with its
//! keys, the moment of the change, and the event that tells of it.

use std::ops::Bound;
use std::sync::Arc;

use super::actor::Actor;
use super::events::{self, By};
use super::{ServiceError, Services};
use crate::audit::{AuditFile, Kind};
use crate::authn::login::Flow;
use crate::authn::user::User;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::mail::Outbox;
use crate::secret::{Keys, Sealed};
use crate::store::record::{Change, Record};

/// How many records are read at once where all have to be looked at.
const PAGE: usize = 500;

/// What belongs to a configuration beside its words: made before, so that nothing of the change itself can fail.
pub struct Belongings {
    pub config: Config,
    /// `None`: no mail is sent.
    pub outbox: Option<Outbox>,
    /// `None`: the file of events is the one before, or there is none.
    pub events_file: Option<AuditFile>,
}

/// The configuration in force is another one than before the new one was read: somebody took newer keys, say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overtaken;

/// On whose word the configuration was read anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedBy {
    /// `sekisho reload`.
    CommandLine,
    /// SIGHUP, as `systemctl reload` sends it.
    Signal,
}

impl Services {
    /// Whether everything sealed in the store can be opened with these keys. Costs nothing where no key is left out.
    ///
    /// # Errors
    /// Where the store cannot tell.
    pub async fn can_do_with(&self, keys: &Keys) -> Result<bool, ServiceError> {
        if self.config.load().keys.all_in(keys) {
            return Ok(true);
        }
        let now = self.clock.now();
        let needs = |sealed: Option<&Sealed>| sealed.is_some_and(|sealed| !keys.know(sealed));
        let account = |user: &User| {
            let factor = &user.second_factor;
            needs(factor.totp.as_ref().map(|app| &app.key)) || needs(factor.recovery.as_ref().map(|set| &set.hashes))
        };
        Ok(!self.is_there::<User>(account, now).await?
            && !self.is_there::<Flow>(|flow| needs(Some(&flow.return_to)), now).await?)
    }

    async fn is_there<R: Record>(&self, wanted: impl Fn(&R) -> bool, now: Timestamp) -> Result<bool, ServiceError> {
        let mut after: Option<String> = None;
        loop {
            let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let page = self.context.store.list::<R>("", from, PAGE, now).await?;
            if page.iter().any(|entry| wanted(&entry.record)) {
                return Ok(true);
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.name.clone()),
                _ => return Ok(false),
            }
        }
    }

    /// From now on this configuration is in force. What is under way goes on with the one that it began with. The file of events
    /// that is no longer written comes back: to let go of it is to wait for its disk.
    ///
    /// # Errors
    /// [`Overtaken`]: nothing was changed.
    pub fn take(&self, before: &Arc<Config>, belongings: Belongings) -> Result<Option<Arc<AuditFile>>, Overtaken> {
        let Belongings { config, outbox, events_file } = belongings;
        let changed_file = config.audit.file != before.audit.file;
        let found = self.config.compare_and_swap(before, Arc::new(config));
        if !Arc::ptr_eq(&found, before) {
            return Err(Overtaken);
        }
        self.context.mailer.post_by(outbox);
        Ok(if changed_file { self.context.journal.write_to(events_file) } else { None })
    }

    /// Keeps that the configuration was read anew, or why it was not taken. It is as it is, whether that can be kept or not.
    pub async fn note_reload(&self, asked_by: AskedBy, outcome: Result<(), &str>) {
        let now = self.clock.now();
        let (actor, way) = match asked_by {
            AskedBy::CommandLine => (Actor::CommandLine, ""),
            AskedBy::Signal => (Actor::Sekisho, "SIGHUP"),
        };
        let by = By::Actor(&actor);
        let event = match outcome {
            Ok(()) => {
                events::success(Kind::ConfigReloaded, now, None, "", by).map(|event| events::detailed(event, way))
            }
            Err(reason) => events::failure(Kind::ConfigReloaded, now, None, "", by).map(|event| {
                events::detailed(event, format!("{way}{}{reason}", if way.is_empty() { "" } else { ": " }))
            }),
        };
        let kept = match event {
            Ok(event) => self.context.commit(Change::new(), &[event]).await.map(drop),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = kept {
            tracing::error!(%error, "that the configuration was read anew could not be kept");
        }
    }
}
