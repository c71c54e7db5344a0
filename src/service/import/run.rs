//! Carrying out a plan: each row its own commit, several at a time so that they become durable together, and one result a row.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::kept::{self, Kept, Stage};
use super::plan::{self, Judged, Verdict};
use super::row::{Fault, Reason};
use super::{Imports, Preview};
use crate::clock::Timestamp;
use crate::id::UserId;
use crate::service::ServiceError;
use crate::service::actor::{Actor, Person};
use crate::store::engine::{Expect, Version};

/// How many rows are under way at once: one sync of the disk makes all of them durable.
pub(super) const AT_ONCE: usize = 32;
/// How long links wait before they look again whether the outbox has room.
const PAUSE: Duration = Duration::from_millis(250);

/// How an import went.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// The header row of the file.
    pub header: Vec<String>,
    pub rows: Vec<ReportRow>,
    /// How many links are on their way, one after another; `None`: none were asked for.
    pub links: Option<usize>,
}

/// What became of a row.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReportRow {
    pub line: u64,
    pub login: String,
    pub outcome: Outcome,
    /// Only of rows that were refused, to be written into a list of them.
    pub cells: Vec<String>,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Added,
    Changed,
    /// It was so already.
    Same,
    Refused(Vec<Fault>),
}

impl Imports {
    /// Tries every row, and keeps the report in the place of what was confirmed.
    pub(super) async fn run(
        self: Arc<Self>,
        preview: Preview,
        begun: Version,
        links: bool,
        person: &Person,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(), ServiceError> {
        let Preview { id, header, rows, .. } = preview;
        let tried: Vec<_> =
            stream::iter(rows).map(|judged| self.carry_out(judged, actor, now)).buffered(AT_ONCE).collect().await;
        let (rows, added): (Vec<_>, Vec<_>) = tried.into_iter().unzip();
        let mailable: Vec<UserId> = added.into_iter().flatten().collect();
        let report = Report { header, rows, links: links.then_some(mailable.len()) };
        let keys = &self.context.config.load_full().keys;
        let done = Kept::new(keys, person.session, id, Stage::Done, &report, now)?;
        // Where the next upload has taken its place, the report of this one is not asked for any more.
        self.context.commit(kept::replace(person.session, Expect::At(begun), &done), &[]).await?;
        if links && !mailable.is_empty() {
            let actor = actor.clone();
            let errands = self.context.errands.clone();
            errands.spawn(async move { self.send_links(mailable, &actor).await });
        }
        Ok(())
    }

    /// What becomes of a row; and who was added with a mail address.
    async fn carry_out(&self, judged: Judged, actor: &Actor, now: Timestamp) -> (ReportRow, Option<UserId>) {
        let Judged { line, login, cells, row, verdict } = judged;
        let mut mailable = None;
        let outcome = match (verdict, row) {
            (Verdict::Add, Some(row)) => match self.users.add(plan::new_user(&row), actor, now).await {
                Ok(Ok(view)) => {
                    mailable = view.user.email.is_some().then_some(view.user.id);
                    Outcome::Added
                }
                Ok(Err(rejection)) => Outcome::Refused(vec![plan::fault(&rejection)]),
                Err(error) => not_stored(line, &error),
            },
            (Verdict::Change(_), Some(row)) => self.change(&row, line, actor, now).await,
            (Verdict::Same, _) => Outcome::Same,
            (Verdict::Refused(faults), _) => Outcome::Refused(faults),
            (Verdict::Add | Verdict::Change(_), None) => Outcome::Refused(vec![Fault::of_row(Reason::Refused)]),
        };
        let cells = if matches!(outcome, Outcome::Refused(_)) { cells } else { Vec::new() };
        (ReportRow { line, login, outcome, cells }, mailable)
    }

    async fn change(&self, row: &super::Row, line: u64, actor: &Actor, now: Timestamp) -> Outcome {
        // The account as it is now: what was made so meanwhile is not made so again.
        let user = match self.context.user_by_login(&row.login, now).await {
            Ok(Some(found)) => found.user,
            Ok(None) => return Outcome::Refused(vec![Fault::of_row(Reason::Refused)]),
            Err(error) => return not_stored(line, &error),
        };
        let (_, change) = plan::change(row, &user);
        match self.users.set(&user.id.to_string(), change, actor, now).await {
            Ok(Ok(_)) => Outcome::Changed,
            Ok(Err(rejection)) => Outcome::Refused(vec![plan::fault(&rejection)]),
            Err(error) => not_stored(line, &error),
        }
    }

    /// Sends the links one after another, never filling more than half of the outbox: codes for those who sign in go the same way,
    /// and must not be turned away for these. What is left at a stop is not sent; a manager sends it from the account's page.
    async fn send_links(&self, users: Vec<UserId>, actor: &Actor) {
        let (mut sent, of) = (0_usize, users.len());
        for user in users {
            while !self.context.mailer.has_room() {
                tokio::time::sleep(PAUSE).await;
            }
            match self.resets.send(user, actor, self.clock.now()).await {
                Ok(Ok(())) => sent += 1,
                Ok(Err(reason)) => tracing::warn!(%user, %reason, "no link was sent to somebody who was imported"),
                Err(error) => tracing::warn!(%user, %error, "no link was sent to somebody who was imported"),
            }
        }
        tracing::info!(sent, of, "links were sent to those who were imported");
    }
}

fn not_stored(line: u64, error: &ServiceError) -> Outcome {
    tracing::warn!(line, %error, "a row of a list could not be imported");
    Outcome::Refused(vec![Fault::of_row(Reason::NotStored)])
}
