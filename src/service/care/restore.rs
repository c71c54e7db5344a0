//! An export, taken into a new store. First the whole file is examined, and nothing is written: whether it is complete and as it was
//! made, whether each record is understood and what is sealed in it opens. Only then is it read again, into the store.
//!
//! What is bound to the old store does not come along: whoever was signed in signs in anew, on every browser, with the second factor.
//! Accounts rise by an epoch, so that nothing older could count even if it were there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, BufRead};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::format::{End, FORM, Head, Sum};
use super::kinds::{self, KINDS};
use crate::audit::Event;
use crate::authn::lockout::AccountThrottle;
use crate::authn::machine_token::MachineToken;
use crate::authn::mail_limit::MailThrottle;
use crate::authn::user::{LoginName, User};
use crate::id::UserId;
use crate::secret::Keys;
use crate::service::records::{LoginIndex, login_name};
use crate::service::{events, tool_logins};
use crate::store::engine::{Key, StoreError};
use crate::store::record::{Change, Raw, Record, Store};

/// The longest line; far more than any record of an export has.
const LONGEST: u64 = 16 * 1024 * 1024;

/// How many records go in one commit.
const AT_ONCE: usize = 16;

/// An export that can be taken in.
#[derive(Debug)]
pub struct Examined {
    pub made_at: String,
    pub made_by: String,
    pub lines: u64,
    /// How many records of each kind it has.
    pub records: BTreeMap<String, u64>,
    sha256: String,
    logins: HashMap<UserId, LoginName>,
}

/// Why an export is not taken in. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error("it is no export of sekisho's")]
    NoExport,
    #[error("it was made by a newer sekisho ({0})")]
    Newer(String),
    #[error("it is not complete: its last line is missing")]
    Incomplete,
    #[error("it is not as it was made: its checksum does not match")]
    Changed,
    #[error("its records are not those that it says it has")]
    Counts,
    #[error("line {line}: {what}")]
    Line { line: u64, what: String },
    #[error("two accounts in it have the login {0}")]
    LoginTwice(LoginName),
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
}

/// Why an export was not taken in as a whole. The store says that it is not finished.
#[derive(Debug, thiserror::Error)]
pub enum NotRestored {
    #[error("the file was changed while it was read")]
    Changed,
    #[error("what stands in the store is not what was read: {0}")]
    Counts(String),
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads the whole of `file`; `so_far` hears how many lines were read.
///
/// # Errors
/// [`Unusable`].
pub fn examine(file: impl BufRead, keys: &Keys, mut so_far: impl FnMut(u64)) -> Result<Examined, Unusable> {
    let mut lines = Lines::new(file);
    let first = lines.next()?.ok_or(Unusable::NoExport)?;
    let head: Head = serde_json::from_slice(&first).map_err(|_| Unusable::NoExport)?;
    if head.sekisho_export > FORM {
        return Err(Unusable::Newer(head.made_by));
    }
    let mut tally = Tally::default();
    let mut wrong = None;
    let mut end = None;
    while let Some(line) = lines.next()? {
        if end.is_some() {
            return Err(Unusable::Changed);
        }
        if lines.read.is_multiple_of(256) {
            so_far(lines.read);
        }
        let number = lines.read;
        match parse(&line) {
            Ok(Parsed::End(last)) => {
                if last.sha256 != lines.sum_before_last() {
                    return Err(Unusable::Changed);
                }
                end = Some(last);
            }
            // Told once it is known that the file is as it was made: what is wrong with a damaged one means nothing.
            Ok(line) if wrong.is_none() => {
                wrong = tally.add(line, keys).err().map(|what| Unusable::Line { line: number, what });
            }
            Ok(_) => {}
            Err(what) => wrong = wrong.or(Some(Unusable::Line { line: number, what })),
        }
    }
    let Some(End { records, sha256 }) = end else { return Err(Unusable::Incomplete) };
    if let Some(wrong) = wrong {
        return Err(wrong);
    }
    let (counted, logins) = tally.finish()?;
    if counted != records {
        return Err(Unusable::Counts);
    }
    let (made_at, made_by) = (head.made_at, head.made_by);
    Ok(Examined { made_at, made_by, lines: lines.read, records, sha256, logins })
}

/// Writes what was examined into `store`, which is new; returns how many records of each kind stand in it then.
///
/// # Errors
/// [`NotRestored`].
pub async fn write(
    store: &Store,
    file: impl BufRead,
    examined: &Examined,
    mut so_far: impl FnMut(u64),
) -> Result<BTreeMap<String, u64>, NotRestored> {
    let mut lines = Lines::new(file);
    lines.next()?;
    let (mut change, mut waiting, mut complete) = (Change::new(), 0, false);
    while let Some(line) = lines.next()? {
        change = match parse(&line).map_err(|_| NotRestored::Changed)? {
            Parsed::Record(raw) => with(change, &raw)?,
            Parsed::Gone(key) => match key.as_str().strip_prefix("user/") {
                Some(name) => change.delete::<User>(name),
                None => change,
            },
            Parsed::End(_) => {
                complete = lines.sum_before_last() == examined.sha256;
                break;
            }
        };
        waiting += 1;
        // Two lines of one account must not be in one commit: which of them counts would be open.
        if waiting >= AT_ONCE || line.starts_with(b"{\"key\":\"user/") {
            store.commit(std::mem::take(&mut change).lazy()).await?;
            waiting = 0;
            so_far(lines.read);
        }
    }
    store.commit(change.lazy()).await?;
    if !complete {
        return Err(NotRestored::Changed);
    }
    let logins: Vec<_> = examined.logins.iter().collect();
    for some in logins.chunks(AT_ONCE) {
        let change = some
            .iter()
            .fold(Change::new(), |change, (user, login)| change.put(&login_name(login), &LoginIndex { user: **user }));
        store.commit(change.lazy()).await?;
    }
    store.durable().await?;
    let present = count(store, examined).await?;
    if present != examined.records {
        return Err(NotRestored::Counts(shown(&present)));
    }
    Ok(present)
}

/// A line that was understood.
enum Parsed {
    Record(Raw),
    Gone(Key),
    End(End),
}

fn parse(line: &[u8]) -> Result<Parsed, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line<'l> {
        key: Option<String>,
        format: Option<u8>,
        #[serde(borrow)]
        record: Option<&'l RawValue>,
        gone: Option<bool>,
        end: Option<End>,
    }
    let line: Line<'_> = serde_json::from_slice(line).map_err(|_| "it is not understood".to_owned())?;
    match line {
        Line { end: Some(end), key: None, .. } => Ok(Parsed::End(end)),
        Line { key: Some(key), gone: Some(true), record: None, .. } => Ok(Parsed::Gone(Key::new(key))),
        Line { key: Some(key), format: Some(format), record: Some(record), gone: None, end: None } => {
            Ok(Parsed::Record(Raw::assembled(Key::new(key), format, record.get().as_bytes())))
        }
        _ => Err("it is not understood".into()),
    }
}

/// How many records of each kind there are, and the accounts' logins.
type Tallied = (BTreeMap<String, u64>, HashMap<UserId, LoginName>);

/// What is in the file, as far as it was read.
#[derive(Default)]
struct Tally {
    records: BTreeMap<String, u64>,
    logins: HashMap<UserId, LoginName>,
}

impl Tally {
    fn add(&mut self, line: Parsed, keys: &Keys) -> Result<(), String> {
        let raw = match line {
            Parsed::Record(raw) => raw,
            Parsed::Gone(key) => {
                let user = key.as_str().strip_prefix("user/").and_then(|id| id.parse::<UserId>().ok());
                let user = user.ok_or("only accounts are removed while an export is made")?;
                self.logins.remove(&user);
                return Ok(());
            }
            Parsed::End(_) => return Ok(()),
        };
        let kind = kinds::of(&raw.key).filter(|kind| kind.exported);
        let kind = kind.ok_or("this sekisho takes in no records of this kind; a newer one may")?;
        let seals = (kind.read)(&raw, keys).map_err(|error| error.to_string())?;
        if let Some(fault) = seals.faults.into_iter().next() {
            return Err(fault);
        }
        match raw.name::<User>() {
            Some(name) => {
                let user: User = raw.decode().map_err(|error| error.to_string())?;
                if user.id.to_string() != name {
                    return Err("an account has another one's id".into());
                }
                self.logins.insert(user.id, user.login);
            }
            None => *self.records.entry(kind.name.to_owned()).or_default() += 1,
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Tallied, Unusable> {
        let mut seen = BTreeSet::new();
        if let Some(login) = self.logins.values().find(|login| !seen.insert(*login)) {
            return Err(Unusable::LoginTwice(login.clone()));
        }
        self.records.insert(User::KIND.into(), self.logins.len() as u64);
        Ok((self.records, self.logins))
    }
}

fn with(change: Change, raw: &Raw) -> Result<Change, StoreError> {
    let unknown =
        || StoreError::Record { key: raw.key.as_str().into(), detail: "it is of no kind that is taken in".into() };
    if let Some(name) = raw.name::<User>() {
        let mut user: User = raw.decode()?;
        user.epoch = user.epoch.saturating_add(1);
        return Ok(change.put(name, &user));
    }
    if raw.name::<Event>().is_some() {
        return Ok(events::with(change, &[raw.decode::<Event>()?]));
    }
    if let Some(name) = raw.name::<AccountThrottle>() {
        return Ok(change.put(name, &raw.decode::<AccountThrottle>()?));
    }
    if let Some(name) = raw.name::<MailThrottle>() {
        return Ok(change.put(name, &raw.decode::<MailThrottle>()?));
    }
    if let Some(name) = raw.name::<MachineToken>() {
        return Ok(change.put(name, &raw.decode::<MachineToken>()?));
    }
    if let Some(name) = raw.name::<tool_logins::Kept>() {
        return Ok(change.put(name, &raw.decode::<tool_logins::Kept>()?));
    }
    Err(unknown())
}

async fn count(store: &Store, examined: &Examined) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut present = BTreeMap::new();
    for kind in KINDS.iter().filter(|kind| kind.exported && examined.records.contains_key(kind.name)) {
        let (mut number, mut after) = (0, None::<Key>);
        loop {
            let page = store.raw_page(&kind.prefix(), after.as_ref(), super::PAGE).await?;
            let Some(last) = page.last() else { break };
            number += page.len() as u64;
            after = Some(last.key.clone());
        }
        present.insert(kind.name.to_owned(), number);
    }
    Ok(present)
}

/// `user 3, audit 17`
fn shown(records: &BTreeMap<String, u64>) -> String {
    records.iter().map(|(kind, number)| format!("{kind} {number}")).collect::<Vec<_>>().join(", ")
}

/// The lines of a file, none of which may be endless, and the digest of those before the last.
struct Lines<F> {
    file: F,
    read: u64,
    sum: Sum,
    before_last: Sum,
}

impl<F: BufRead> Lines<F> {
    fn new(file: F) -> Self {
        Self { file, read: 0, sum: Sum::default(), before_last: Sum::default() }
    }

    /// Without its end; one that has none was cut off, and does not count.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        io::Read::take(&mut self.file, LONGEST).read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Ok(None);
        }
        self.read += 1;
        self.before_last = self.sum.clone();
        self.sum.add(&line);
        Ok(Some(line))
    }

    fn sum_before_last(&self) -> String {
        self.before_last.text()
    }
}
