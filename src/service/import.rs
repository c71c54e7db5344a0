//! Accounts from a list: uploaded, looked at, and only then imported.
//!
//! | step | what happens | what changes |
//! | --- | --- | --- |
//! | [`Imports::upload`] | the file is read into rows, and kept | no account |
//! | [`Imports::preview`] | every row is judged by the accounts as they are now | nothing |
//! | [`Imports::confirm`] | judged again; where all is as it was shown, spent, and each row carried out | an account a row |
//!
//! A list never has passwords: nobody chooses one for somebody else. Lists of other gates, which bring hashes along, are read and
//! taken over on the command line alone ([`foreign`]).

mod columns;
pub mod foreign;
mod kept;
mod plan;
mod row;
mod run;
mod table;
mod text;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::columns::Column;
pub use self::plan::{Judged, Verdict};
pub use self::row::{FORMULA, Fault, Reason, Row};
pub use self::run::{Outcome, Report, ReportRow};
pub use self::table::{MAX_ROWS, Separator};
pub use self::text::Encoding;

pub(super) use self::kept::{Kept, sealed};

use self::kept::Stage;
use self::table::Table;
use super::ServiceError;
use super::actor::{Actor, Person};
use super::context::Context;
use super::reset::Resets;
use super::users::Users;
use super::visit::Visit;
use crate::authz::permission::Task;
use crate::authz::requirement::Due;
use crate::clock::{Clock, Timestamp};
use crate::id::ImportId;
use crate::secret::random_bytes;
use crate::store::record::{Change, Slot};

/// The page that takes uploads, below the portal's path.
pub const PAGE: &str = "/admin/users/import";
/// The largest file, in bytes.
pub const MAX_FILE: usize = 4 * 1024 * 1024;
/// The largest body of the upload form: the file, and what a browser writes around it.
const MAX_UPLOAD: usize = MAX_FILE + 64 * 1024;

/// How much a visitor may send to the page of uploads; `None`: no more than to any other page. Asked before anything is read, so
/// that nobody else can have sekisho take in so much.
#[must_use]
pub fn may_upload(visit: &Visit) -> Option<usize> {
    let below = visit.target.matching_path().strip_prefix(visit.config.portal.path.as_str())?;
    let live = visit.session.as_ref().filter(|live| live.is_alive(visit.now))?;
    let account = live.account();
    let due = visit.config.portal_demand().due(account.second_factor, live.second_factor_at(), visit.now);
    let networks = &visit.config.portal.admin_networks;
    let client = visit.client.to_canonical();
    let from_here = networks.is_empty() || networks.iter().any(|network| network.contains(&client));
    let may =
        below == PAGE && account.role >= Task::Import.least() && due == Due::Nothing && from_here && visit.may_sign_in;
    may.then_some(MAX_UPLOAD)
}

/// What was uploaded.
#[derive(Debug)]
pub struct Upload {
    pub bytes: Vec<u8>,
    /// Accounts that exist are changed; else their rows are refused.
    pub update: bool,
}

/// Why a file as a whole cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// No rows in it.
    Empty,
    TooLarge,
    TooManyRows,
    TooManyColumns,
    /// Neither UTF-8 nor Shift_JIS.
    UnknownEncoding,
    /// A workbook, say.
    NoText,
    /// The first row names no column for the login.
    NoLogin,
    ColumnTwice {
        name: String,
    },
    Misspelt {
        name: String,
        meant: String,
    },
    Password {
        name: String,
    },
}

/// What the person who uploaded a list is shown before anything is done.
#[derive(Debug)]
pub struct Preview {
    pub id: ImportId,
    /// Stands for every row's verdict: a confirmation names it, and is good while it stays the same.
    pub seen: String,
    pub encoding: Encoding,
    pub separator: Separator,
    pub header: Vec<String>,
    /// Those that are read, in the file's order.
    pub columns: Vec<Column>,
    /// The names of the others.
    pub unread: Vec<String>,
    pub update: bool,
    pub rows: Vec<Judged>,
    pub expires_at: Timestamp,
}

/// What became of a confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// Every row was tried: [`Imports::report`] has the results.
    Done,
    /// Somebody changed accounts meanwhile: what would happen is not what was shown.
    Changed,
    /// It was confirmed before.
    Already,
    /// Its time is over, or another list took its place.
    Gone,
}

/// How an import went, as far as it is.
#[derive(Debug)]
pub enum Progress {
    /// Rows are being tried; or were, when sekisho was stopped.
    Running,
    Done(Report),
}

/// What is kept of an upload.
#[derive(Serialize, Deserialize)]
struct Uploaded {
    table: Table,
    update: bool,
}

/// The actor may not import, or not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forbidden;

/// All imports.
pub struct Imports {
    context: Arc<Context>,
    users: Arc<Users>,
    resets: Arc<Resets>,
    clock: Arc<dyn Clock>,
}

impl Imports {
    pub(super) const fn new(
        context: Arc<Context>,
        users: Arc<Users>,
        resets: Arc<Resets>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { context, users, resets, clock }
    }

    /// Reads a list and keeps it for this session, in the place of an earlier one.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn upload(
        &self,
        upload: Upload,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<Result<ImportId, Unreadable>, Forbidden>, ServiceError> {
        let Some(person) = self.allowed(actor, now).await? else { return Ok(Err(Forbidden)) };
        if upload.bytes.len() > MAX_FILE {
            return Ok(Ok(Err(Unreadable::TooLarge)));
        }
        let Upload { bytes, update } = upload;
        // Some megabytes take some hundredths of a second, which other requests should not wait for.
        let read = tokio::task::spawn_blocking(move || Table::read(&bytes)).await;
        let table = match read {
            Ok(Ok(table)) => table,
            Ok(Err(unreadable)) => return Ok(Ok(Err(unreadable))),
            Err(_) => return Ok(Ok(Err(Unreadable::NoText))),
        };
        let id = ImportId::from_bytes(random_bytes()?);
        let config = self.context.config.load_full();
        let content = Uploaded { table, update };
        let kept = Kept::new(&config.keys, person.session, id, Stage::Uploaded, &content, now)?;
        self.context.commit(Change::new().put(&person.session.to_string(), &kept), &[]).await?;
        Ok(Ok(Ok(id)))
    }

    /// What would happen if the list of this session were imported now; `None`: there is none to be confirmed.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn preview(
        &self,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<Option<Preview>, Forbidden>, ServiceError> {
        let Some(person) = self.allowed(actor, now).await? else { return Ok(Err(Forbidden)) };
        match self.kept(person, now).await?.record.filter(|kept| kept.stage() == Stage::Uploaded) {
            Some(kept) => Ok(Ok(Some(self.judged(&kept, person, actor, now).await?))),
            None => Ok(Ok(None)),
        }
    }

    /// Throws the list of this session away, unless it is being imported.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn discard(&self, actor: &Actor, now: Timestamp) -> Result<(), ServiceError> {
        let Actor::Person(person) = actor else { return Ok(()) };
        let Slot { record, seen } = self.kept(person, now).await?;
        if record.is_some_and(|kept| kept.stage() != Stage::Begun) {
            let name = person.session.to_string();
            self.context.commit(Change::new().unchanged::<Kept>(&name, seen).delete::<Kept>(&name), &[]).await?;
        }
        Ok(())
    }

    /// Imports the list `id`, if everything is as `seen` in its preview, and nobody else confirms it. Where `links` is set, those
    /// who were added and have a mail address are sent a link to choose a password by. Goes on to its end even where nobody waits
    /// for the answer any more.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn confirm(
        self: &Arc<Self>,
        id: ImportId,
        seen: &str,
        links: bool,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Result<Confirmed, Forbidden>, ServiceError> {
        let Some(person) = self.allowed(actor, now).await? else { return Ok(Err(Forbidden)) };
        let slot = self.kept(person, now).await?;
        let Some(kept) = slot.record.filter(|kept| kept.id == id) else { return Ok(Ok(Confirmed::Gone)) };
        if kept.stage() != Stage::Uploaded {
            return Ok(Ok(Confirmed::Already));
        }
        let preview = self.judged(&kept, person, actor, now).await?;
        if preview.seen != seen {
            return Ok(Ok(Confirmed::Changed));
        }
        let keys = &self.context.config.load_full().keys;
        let begun = Kept::new(keys, person.session, id, Stage::Begun, &(), now)?;
        let Some(version) = self.context.commit(kept::replace(person.session, slot.seen, &begun), &[]).await? else {
            return Ok(Ok(Confirmed::Already));
        };
        let (imports, person, actor) = (Arc::clone(self), person.clone(), actor.clone());
        let run =
            self.context.errands.spawn(async move { imports.run(preview, version, links, &person, &actor, now).await });
        match run.await {
            Ok(done) => done.map(|()| Ok(Confirmed::Done)),
            // What was done before it broke off stands; the page says that it was begun.
            Err(_) => Ok(Ok(Confirmed::Already)),
        }
    }

    /// How the import of this session went; `None`: there was none.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn report(&self, actor: &Actor, now: Timestamp) -> Result<Option<Progress>, ServiceError> {
        let Actor::Person(person) = actor else { return Ok(None) };
        let Some(kept) = self.kept(person, now).await?.record else { return Ok(None) };
        Ok(match kept.stage() {
            Stage::Uploaded => None,
            Stage::Begun => Some(Progress::Running),
            Stage::Done => Some(Progress::Done(kept.open(&self.context.config.load_full().keys, person.session)?)),
        })
    }

    async fn kept(&self, person: &Person, now: Timestamp) -> Result<Slot<Kept>, ServiceError> {
        Ok(self.context.store.get::<Kept>(&person.session.to_string(), now).await?)
    }

    async fn judged(
        &self,
        kept: &Kept,
        person: &Person,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Preview, ServiceError> {
        let Uploaded { table, update } = kept.open(&self.context.config.load_full().keys, person.session)?;
        let Table { encoding, separator, header, columns, unread, .. } = &table;
        let (encoding, separator, header, unread) = (*encoding, *separator, header.clone(), unread.clone());
        let columns = columns.iter().flatten().copied().collect();
        let rows = self.plan(table, update, actor, now).await?;
        let seen = plan::digest(kept.id, &rows);
        let (id, expires_at) = (kept.id, kept.expires_at);
        Ok(Preview { id, seen, encoding, separator, header, columns, unread, update, rows, expires_at })
    }

    /// Whoever may import, by their account as it is in the store now.
    async fn allowed<'a>(&self, actor: &'a Actor, now: Timestamp) -> Result<Option<&'a Person>, ServiceError> {
        let Actor::Person(person) = actor else { return Ok(None) };
        let found = self.context.user(person.user, now).await?;
        let may = found.is_some_and(|found| found.user.role >= Task::Import.least() && !found.user.disabled);
        Ok(may.then_some(person))
    }
}
