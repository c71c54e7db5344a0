//! What would become of each row, by the accounts as they are at this moment.

use std::collections::HashMap;

use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Imports;
use super::columns::Column;
use super::row::{self, Fault, Reason, Row};
use super::table::{Record, Table};
use crate::authn::user::{LoginName, User};
use crate::clock::Timestamp;
use crate::id::ImportId;
use crate::service::ServiceError;
use crate::service::actor::Actor;
use crate::service::users::{NewUser, Rejection, UserChange};

/// A row and what would become of it.
#[derive(Debug)]
pub struct Judged {
    pub line: u64,
    /// As it stands in the file, fit to be shown.
    pub login: String,
    /// The row's cells as they stand in the file.
    pub cells: Vec<String>,
    /// `None`: it cannot be read.
    pub row: Option<Row>,
    pub verdict: Verdict,
}

/// What would become of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Verdict {
    Add,
    /// The account exists, and these fields of it differ.
    Change(Vec<Column>),
    /// The account exists, and is just so.
    Same,
    Refused(Vec<Fault>),
}

impl Imports {
    /// Judges every row.
    pub(super) async fn plan(
        &self,
        table: Table,
        update: bool,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Vec<Judged>, ServiceError> {
        let read: Vec<_> = table.records.iter().map(|record| row::read(&table, record)).collect();
        let repeated = Repeated::of(&table);
        let mut rows = Vec::with_capacity(read.len());
        for (read, record) in read.into_iter().zip(&table.records) {
            let other = repeated.other(&table, record);
            let (row, verdict) = match (read, other) {
                (Err(mut faults), other) => {
                    faults.extend(other);
                    (None, Verdict::Refused(faults))
                }
                (Ok(row), Some(fault)) => (Some(row), Verdict::Refused(vec![fault])),
                (Ok(row), None) => {
                    let verdict = self.judge(&row, update, actor, now).await?;
                    (Some(row), verdict)
                }
            };
            let login = row::shown(row::login_cell(&table, record).unwrap_or_default());
            rows.push(Judged { line: record.line, login, cells: Vec::new(), row, verdict });
        }
        for (judged, record) in rows.iter_mut().zip(table.records) {
            judged.cells = record.cells;
        }
        Ok(rows)
    }

    async fn judge(&self, row: &Row, update: bool, actor: &Actor, now: Timestamp) -> Result<Verdict, ServiceError> {
        let judged = match self.context.user_by_login(&row.login, now).await? {
            None => self.users.would_add(&new_user(row), actor, now).await?.map(|()| Verdict::Add),
            Some(_) if !update => return Ok(refused(Reason::Exists)),
            Some(found) => match change(row, &found.user) {
                (columns, _) if columns.is_empty() => return Ok(Verdict::Same),
                (columns, change) => {
                    let judged = self.users.would_set(&found.user, &change, actor, now).await?;
                    judged.map(|()| Verdict::Change(columns))
                }
            },
        };
        Ok(judged.unwrap_or_else(|rejection| Verdict::Refused(vec![fault(&rejection)])))
    }
}

fn refused(reason: Reason) -> Verdict {
    Verdict::Refused(vec![Fault::new(Column::Login, reason, "")])
}

/// The logins that stand on more than one line: which of them is meant, nobody knows.
struct Repeated(HashMap<LoginName, Vec<u64>>);

impl Repeated {
    fn of(table: &Table) -> Self {
        let mut lines: HashMap<LoginName, Vec<u64>> = HashMap::new();
        for record in &table.records {
            if let Some(login) = row::login(table, record) {
                lines.entry(login).or_default().push(record.line);
            }
        }
        Self(lines)
    }

    fn other(&self, table: &Table, record: &Record) -> Option<Fault> {
        let lines = self.0.get(&row::login(table, record)?)?;
        let other = lines.iter().copied().find(|line| *line != record.line)?;
        Some(Fault { other, ..Fault::new(Column::Login, Reason::Repeated, "") })
    }
}

/// The account that a row asks for. Never with a password.
pub(super) fn new_user(row: &Row) -> NewUser {
    NewUser {
        login: row.login.clone(),
        name: row.name.clone().unwrap_or_default(),
        email: row.email.clone(),
        groups: row.groups.clone().unwrap_or_default(),
        role: row.role.unwrap_or_default(),
        method: row.method,
        second_factor: row.second_factor,
        password: None,
        must_change: false,
        hash: None,
        disabled: false,
    }
}

/// What a row changes about an account that exists: what differs, and nothing else. An empty cell says nothing.
pub(super) fn change(row: &Row, user: &User) -> (Vec<Column>, UserChange) {
    let mut columns = Vec::new();
    let mut differs = |column: Column, differs: bool| {
        if differs {
            columns.push(column);
        }
        differs
    };
    let change = UserChange {
        name: row.name.clone().filter(|name| differs(Column::Name, *name != user.name)),
        email: row.email.clone().map(Some).filter(|email| differs(Column::Email, *email != user.email)),
        groups: row.groups.clone().filter(|groups| differs(Column::Groups, *groups != user.groups)),
        role: row.role.filter(|role| differs(Column::Role, *role != user.role)),
        method: row.method.filter(|method| differs(Column::Method, *method != user.second_factor.method)),
        second_factor: row
            .second_factor
            .filter(|on| differs(Column::SecondFactor, *on != user.second_factor.switched_on)),
        ..UserChange::default()
    };
    (columns, change)
}

/// A refusal of the accounts' rules, as a fault of a row.
pub(super) fn fault(rejection: &Rejection) -> Fault {
    match rejection {
        Rejection::LoginTaken(_) => Fault::new(Column::Login, Reason::Exists, ""),
        Rejection::MailWithoutAddress => Fault::new(Column::Email, Reason::MailWithoutAddress, ""),
        Rejection::MailNotConfigured => Fault::new(Column::Method, Reason::MailNotConfigured, ""),
        Rejection::OwnerSwitchesOn => Fault::new(Column::SecondFactor, Reason::OwnerSwitchesOn, ""),
        Rejection::GroupNotHeld(group) => Fault::new(Column::Groups, Reason::GroupNotHeld, group.as_str()),
        Rejection::LoginNamedByRoute(_) => Fault::new(Column::Login, Reason::LoginNamedByRoute, ""),
        Rejection::Forbidden | Rejection::AddressOutOfReach => Fault::of_row(Reason::Forbidden),
        Rejection::Oneself => Fault::of_row(Reason::Oneself),
        Rejection::LastAdmin(_) => Fault::of_row(Reason::LastAdmin),
        _ => Fault::of_row(Reason::Refused),
    }
}

/// What every row's verdict comes to. Whoever confirms says by it what they have seen.
pub(super) fn digest(id: ImportId, rows: &[Judged]) -> String {
    let mut digest = Sha256::new();
    digest.update(id.to_string());
    for row in rows {
        // Our own types of words and numbers: nothing in them that JSON could not say.
        digest.update(serde_json::to_vec(&(row.line, &row.verdict)).unwrap_or_default());
    }
    let mut text = HEXLOWER.encode(&digest.finalize());
    text.truncate(32);
    text
}
