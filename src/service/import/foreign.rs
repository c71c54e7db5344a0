//! Accounts of another gate, with the hashes of their passwords: read from its list on the command line ([`read`]), judged and
//! added ([`Imports::take_over`]) by the rules that add one account.
//!
//! Where an account exists, it is left as it is: nobody's password is replaced by an old one.

mod authelia;
mod htpasswd;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::str::FromStr;

use futures_util::{StreamExt, stream};

use super::run::AT_ONCE;
use super::{Imports, Unreadable, row, text};
use crate::authn::password::{ForeignHash, MOST_SCHEMES, Scheme};
use crate::authn::user::{Group, InvalidField, LoginName, Method, Role};
use crate::clock::Timestamp;
use crate::service::ServiceError;
use crate::service::actor::Actor;
use crate::service::users::{NewUser, Rejection};

/// How many accounts one list may have.
pub const MAX_ACCOUNTS: usize = 100_000;

/// Whose list it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Apache's and nginx's: `login:hash` on each line.
    Htpasswd,
    /// The YAML of Authelia's file backend.
    Authelia,
}

/// One account of the list.
#[derive(Debug)]
pub struct Entry {
    /// Where it begins, from 1.
    pub line: u64,
    /// As it stands there, fit to be shown.
    pub login: String,
    /// What it says, or everything that is wrong with it.
    pub account: Result<NewUser, Vec<String>>,
}

/// What the list does not say, and every account gets.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// Beside those that the list says.
    pub groups: BTreeSet<Group>,
    pub role: Role,
    pub method: Option<Method>,
}

/// Why there is nothing to be taken over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoList {
    #[error("it is no text file")]
    NoText,
    #[error("no account stands in it")]
    Empty,
    #[error("more than {MAX_ACCOUNTS} accounts stand in it")]
    TooMany,
    #[error("it is no YAML, line {line}: {message}")]
    NoYaml { line: usize, message: String },
    #[error("it has no mapping `users`, which every list of Authelia's has")]
    NoUsers,
}

/// What became of an account, or would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    Added,
    /// There is one with this login, which stays as it is.
    Exists,
    Refused(String),
}

/// Reads a list. `format`: as its content looks, where it is not given.
///
/// # Errors
/// Where it is none.
pub fn read(bytes: &[u8], format: Option<Format>, given: &Given) -> Result<(Format, Vec<Entry>), NoList> {
    let (text, _) = text::decode(bytes).map_err(|unreadable| match unreadable {
        Unreadable::Empty => NoList::Empty,
        _ => NoList::NoText,
    })?;
    let format = format.unwrap_or_else(|| guess(&text));
    let mut entries = match format {
        Format::Htpasswd => htpasswd::read(&text, given),
        Format::Authelia => authelia::read(&text, given)?,
    };
    match entries.len() {
        0 => Err(NoList::Empty),
        1..=MAX_ACCOUNTS => {
            refuse_repeated(&mut entries);
            Ok((format, entries))
        }
        _ => Err(NoList::TooMany),
    }
}

/// Authelia's lists have the key `users` at the beginning of a line, and nothing but a comment behind it.
fn guess(text: &str) -> Format {
    let is_key = |line: &str| {
        let rest = line.strip_prefix("users").or_else(|| line.strip_prefix("\"users\""));
        let rest = rest.and_then(|rest| rest.trim_start().strip_prefix(':')).map(str::trim_start);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#') || rest.starts_with('{'))
    };
    if text.lines().any(is_key) { Format::Authelia } else { Format::Htpasswd }
}

/// A login on more than one line is refused on all: which of them is meant, nobody knows. Capital letters make no other login.
fn refuse_repeated(entries: &mut [Entry]) {
    let mut lines: HashMap<LoginName, Vec<u64>> = HashMap::new();
    for entry in &*entries {
        if let Ok(login) = entry.login.parse() {
            lines.entry(login).or_default().push(entry.line);
        }
    }
    for entry in entries {
        let others = entry.login.parse::<LoginName>().ok().and_then(|login| lines.get(&login));
        let other = others.and_then(|lines| lines.iter().find(|line| **line != entry.line));
        if let Some(other) = other {
            let reason = format!("the login stands on line {other} too");
            match &mut entry.account {
                Ok(_) => entry.account = Err(vec![reason]),
                Err(reasons) => reasons.push(reason),
            }
        }
    }
}

/// The fields of an account, while it is read; everything wrong with them is kept.
struct Draft {
    line: u64,
    login: String,
    reasons: Vec<String>,
}

impl Draft {
    fn of(line: u64, login: &str) -> Self {
        Self { line, login: row::shown(login), reasons: Vec::new() }
    }

    fn field<T: FromStr<Err = InvalidField>>(&mut self, what: &str, text: &str) -> Option<T> {
        text.parse().map_err(|rule| self.refuse(format!("{what} {rule}"))).ok()
    }

    fn hash(&mut self, text: &str) -> Option<ForeignHash> {
        ForeignHash::parse(text).map_err(|reason| self.refuse(reason.to_string())).ok()
    }

    fn refuse(&mut self, reason: impl Into<String>) {
        self.reasons.push(reason.into());
    }

    /// The entry, where nothing is missing and nothing wrong.
    fn finish(self, account: Option<NewUser>) -> Entry {
        let Self { line, login, reasons } = self;
        let account = match account {
            Some(account) if reasons.is_empty() => Ok(account),
            _ => Err(reasons),
        };
        Entry { line, login, account }
    }
}

/// An account that has no more than a login and a hash.
fn bare(login: LoginName, hash: ForeignHash, given: &Given) -> NewUser {
    NewUser {
        login,
        name: crate::authn::user::DisplayName::default(),
        email: None,
        groups: given.groups.clone(),
        role: given.role,
        method: given.method,
        second_factor: None,
        password: None,
        hash: Some(hash),
        must_change: false,
        disabled: false,
    }
}

impl Imports {
    /// Adds those of these accounts that are not there yet, each in a commit of its own; in a `rehearsal`, only says what would
    /// become of each.
    ///
    /// # Errors
    /// Where the store cannot tell who is there. An account that it cannot take is refused alone.
    pub async fn take_over(
        &self,
        accounts: Vec<NewUser>,
        rehearsal: bool,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Vec<Taken>, ServiceError> {
        let mut schemes: BTreeSet<Scheme> = self.context.directory.password_schemes(now).await?.into_iter().collect();
        let mut verdicts = BTreeMap::new();
        let mut welcome = Vec::new();
        for (place, account) in accounts.into_iter().enumerate() {
            let verdict = self.verdict(&account, &schemes, actor, now).await?;
            if verdict == Taken::Added {
                schemes.extend(account.hash.as_ref().map(ForeignHash::scheme));
                welcome.push((place, account));
            }
            verdicts.insert(place, verdict);
        }
        if !rehearsal {
            let add = |(place, account)| async move { (place, self.add(account, actor, now).await) };
            let added: Vec<_> = stream::iter(welcome).map(add).buffer_unordered(AT_ONCE).collect().await;
            verdicts.extend(added);
        }
        Ok(verdicts.into_values().collect())
    }

    /// What would become of an account, by those that there are.
    async fn verdict(
        &self,
        account: &NewUser,
        schemes: &BTreeSet<Scheme>,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Taken, ServiceError> {
        if self.context.user_by_login(&account.login, now).await?.is_some() {
            return Ok(Taken::Exists);
        }
        let scheme = account.hash.as_ref().map(ForeignHash::scheme);
        if scheme.is_some_and(|scheme| !schemes.contains(&scheme)) && schemes.len() >= MOST_SCHEMES {
            return Ok(Taken::Refused(format!(
                "its password is hashed at yet another cost; accounts have {MOST_SCHEMES} already, and each makes every login slower"
            )));
        }
        Ok(match self.users.would_add(account, actor, now).await? {
            Ok(()) => Taken::Added,
            Err(rejection) => taken(&rejection),
        })
    }

    async fn add(&self, account: NewUser, actor: &Actor, now: Timestamp) -> Taken {
        match self.users.add(account, actor, now).await {
            Ok(Ok(_)) => Taken::Added,
            Ok(Err(rejection)) => taken(&rejection),
            Err(error) => {
                tracing::warn!(%error, "an account of a list could not be added");
                Taken::Refused("the store could not take it".to_owned())
            }
        }
    }
}

fn taken(rejection: &Rejection) -> Taken {
    match rejection {
        Rejection::LoginTaken(_) => Taken::Exists,
        other => Taken::Refused(other.to_string()),
    }
}
