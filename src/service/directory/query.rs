//! What can be asked of the list of accounts, and what matches it.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::index::Entry;
use super::text::fold;
use crate::authn::user::{Group, Method, Role};
use crate::clock::Timestamp;
use crate::id::UserId;

/// The beginning of a user ID counts as one from this length on: shorter ones are the beginnings of words too.
const SHORTEST_ID: usize = 4;
/// The length of a user ID.
const ID: usize = 16;
/// How many words of a search count. Each is looked for in every account.
const WORDS: usize = 8;

/// A page of those who match, in an order.
#[derive(Debug, Clone)]
pub struct Query {
    pub filter: Filter,
    pub sort: Sort,
    /// From 0.
    pub page: usize,
    pub per_page: usize,
}

/// Who is meant: whoever matches each that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// A user ID or its beginning, or words that all stand in login, name or mail address.
    pub text: String,
    pub role: Option<Role>,
    pub group: Option<Group>,
    /// The account's own switch of its second factor.
    pub switched_on: Option<bool>,
    /// It has what its method needs: an app, or a mail address.
    pub enrolled: Option<bool>,
    pub method: Option<Method>,
    pub state: Option<State>,
    pub last_login: Option<LastLogin>,
}

/// Whether one can sign in as an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Active,
    /// For a while, or until a manager unlocks it.
    Locked,
    Disabled,
}

/// When somebody last signed in as an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastLogin {
    Never,
    /// As [`super::Counts::unused`] counts them.
    Unused,
    /// At `from` or later, and before `before`.
    Within {
        from: Option<Timestamp>,
        before: Option<Timestamp>,
    },
}

/// By what the list is sorted. Equal ones stand by login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    pub column: Column,
    pub descending: bool,
}

/// The columns of F24.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Id,
    Login,
    Name,
    Email,
    Role,
    Groups,
    SecondFactor,
    LastLogin,
    Registered,
    State,
}

impl Default for Sort {
    fn default() -> Self {
        Self { column: Column::Login, descending: false }
    }
}

/// A filter made ready to be held against many accounts.
pub(super) struct Wanted<'a> {
    filter: &'a Filter,
    ids: Option<RangeInclusive<UserId>>,
    words: Vec<String>,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(filter: &'a Filter) -> Self {
        let text = fold(&filter.text);
        let words = text.split_whitespace().take(WORDS).map(str::to_owned).collect();
        Self { filter, ids: ids(text.trim()), words }
    }

    pub(super) fn matches(&self, id: UserId, entry: &Entry, locked: bool, now: Timestamp) -> bool {
        let Filter { role, group, switched_on, enrolled, method, state, last_login, .. } = self.filter;
        is(*role, entry.role)
            && is(*switched_on, entry.switched_on)
            && is(*enrolled, entry.is_enrolled())
            && is(*method, entry.method)
            && is(*state, entry.state(locked))
            && group.as_ref().is_none_or(|group| entry.groups.contains(group))
            && last_login.is_none_or(|range| range.holds(entry, now))
            && self.text_matches(id, entry)
    }

    fn text_matches(&self, id: UserId, entry: &Entry) -> bool {
        let folded = entry.folded();
        self.words.iter().all(|word| folded.contains(word)) || self.ids.as_ref().is_some_and(|ids| ids.contains(&id))
    }
}

fn is<T: Copy + PartialEq>(wanted: Option<T>, value: T) -> bool {
    wanted.is_none_or(|wanted| wanted == value)
}

/// The IDs that begin with `text`.
fn ids(text: &str) -> Option<RangeInclusive<UserId>> {
    if !(SHORTEST_ID..=ID).contains(&text.len()) {
        return None;
    }
    let lowest = format!("{text:0<ID$}").parse().ok()?;
    let highest = format!("{text:z<ID$}").parse().ok()?;
    Some(lowest..=highest)
}

impl LastLogin {
    fn holds(self, entry: &Entry, now: Timestamp) -> bool {
        match (self, entry.last_login) {
            (Self::Never, last_login) => last_login.is_none(),
            (Self::Unused, _) => entry.is_unused(now),
            (Self::Within { from, before }, Some(at)) => {
                from.is_none_or(|from| from <= at) && before.is_none_or(|before| at < before)
            }
            (Self::Within { .. }, None) => false,
        }
    }
}

/// What a row is sorted by; nothing comes before something.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SortKey<'a> {
    Text(&'a str),
    Groups(&'a BTreeSet<Group>),
    /// The larger thing first.
    Numbers(u64, u64),
}

impl<'a> SortKey<'a> {
    pub(super) fn new(column: Column, entry: &'a Entry, locked_until: Option<Timestamp>) -> Self {
        match column {
            // IDs are what the index stands by: all are equal here, and the order is kept.
            Column::Id => Self::Numbers(0, 0),
            Column::Login => Self::Text(entry.folded().login()),
            Column::Name => Self::Text(entry.folded().name()),
            Column::Email => Self::Text(entry.folded().email()),
            Column::Role => Self::Numbers(entry.role as u64, 0),
            Column::Groups => Self::Groups(&entry.groups),
            Column::SecondFactor => {
                let method = if entry.method == Method::Mail { 1 } else { 0 };
                Self::Numbers(u64::from(entry.switched_on), u64::from(entry.is_enrolled()) * 2 + method)
            }
            Column::LastLogin => Self::Numbers(entry.last_login.map_or(0, |at| at.millis().saturating_add(1)), 0),
            Column::Registered => Self::Numbers(entry.registered_at.millis(), 0),
            Column::State => {
                let until = locked_until.filter(|_| !entry.disabled).map_or(0, Timestamp::millis);
                Self::Numbers(entry.state(locked_until.is_some()) as u64, until)
            }
        }
    }
}
