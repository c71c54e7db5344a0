//! The index itself: an entry for each account, small, because there may be a hundred thousand.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::query::{Column, Query, Sort, SortKey, State, Wanted};
use super::text::{self, Texts};
use super::{Counts, Page, Row};
use crate::authn::lockout::{AccountThrottle, Limits};
use crate::authn::password::Scheme;
use crate::authn::user::{Group, Method, Role, User};
use crate::clock::Timestamp;
use crate::id::UserId;

/// How long nobody has signed in as an account that counts as unused.
const UNUSED: Duration = Duration::from_secs(90 * 24 * 3600);

/// All accounts, by ID.
#[derive(Default)]
pub struct Index {
    accounts: BTreeMap<UserId, Entry>,
    /// Failures counted. Few accounts have any.
    throttles: HashMap<UserId, AccountThrottle>,
    /// Each set of groups once: many accounts are in the same ones.
    groups: HashSet<Arc<BTreeSet<Group>>>,
    /// By what schemes passwords are hashed, and of how many accounts.
    schemes: BTreeMap<Scheme, usize>,
}

pub struct Entry {
    shown: Texts,
    /// Only where it is not the same.
    folded: Option<Texts>,
    pub groups: Arc<BTreeSet<Group>>,
    pub registered_at: Timestamp,
    pub last_login: Option<Timestamp>,
    pub role: Role,
    pub method: Method,
    pub switched_on: bool,
    app_enrolled: bool,
    pub disabled: bool,
    password_set: bool,
    scheme: Option<Scheme>,
    must_change_password: bool,
}

impl Entry {
    /// What it is searched and sorted by.
    pub fn folded(&self) -> &Texts {
        self.folded.as_ref().unwrap_or(&self.shown)
    }

    /// It has what its method needs.
    pub fn is_enrolled(&self) -> bool {
        match self.method {
            Method::Totp => self.app_enrolled,
            Method::Mail => !self.shown.email().is_empty(),
        }
    }

    /// Nobody has signed in as it for so long, and it is neither new nor disabled.
    pub fn is_unused(&self, now: Timestamp) -> bool {
        !self.disabled && now.since(self.last_login.unwrap_or(self.registered_at).max(self.registered_at)) > UNUSED
    }

    pub const fn state(&self, locked: bool) -> State {
        match (self.disabled, locked) {
            (true, _) => State::Disabled,
            (false, true) => State::Locked,
            (false, false) => State::Active,
        }
    }

    fn row(&self, id: UserId, locked_until: Option<Timestamp>) -> Row {
        let email = self.shown.email();
        Row {
            id,
            login: self.shown.login().to_owned(),
            name: self.shown.name().to_owned(),
            email: (!email.is_empty()).then(|| email.to_owned()),
            role: self.role,
            groups: Arc::clone(&self.groups),
            switched_on: self.switched_on,
            method: self.method,
            app_enrolled: self.app_enrolled,
            password_set: self.password_set,
            must_change_password: self.must_change_password,
            last_login: self.last_login,
            registered_at: self.registered_at,
            disabled: self.disabled,
            locked_until,
        }
    }
}

/// An account that matches, with what it is sorted by.
struct Match<'a> {
    key: SortKey<'a>,
    id: UserId,
    entry: &'a Entry,
}

impl Match<'_> {
    /// A whole order: no two accounts are equal, so that each stands on one page only.
    fn order(&self, other: &Self, sort: Sort) -> Ordering {
        let by_key = || {
            let order = self.key.cmp(&other.key);
            if sort.descending { order.reverse() } else { order }
        };
        match sort.column {
            Column::Id if sort.descending => other.id.cmp(&self.id),
            Column::Id => self.id.cmp(&other.id),
            _ => by_key()
                .then_with(|| self.entry.folded().login().cmp(other.entry.folded().login()))
                .then_with(|| self.id.cmp(&other.id)),
        }
    }
}

impl Index {
    /// Takes over what the store says of an account.
    pub fn set(&mut self, id: UserId, user: Option<&User>, throttle: Option<AccountThrottle>) {
        self.put_throttle(id, throttle.filter(|_| user.is_some()));
        match user {
            Some(user) => self.put(user),
            None => self.remove(id),
        }
    }

    /// Everybody at once, which takes less room than one by one.
    pub fn fill(&mut self, accounts: Vec<(UserId, Entry)>) {
        self.schemes.clear();
        for scheme in accounts.iter().filter_map(|(_, entry)| entry.scheme) {
            *self.schemes.entry(scheme).or_default() += 1;
        }
        self.accounts = accounts.into_iter().collect();
    }

    pub fn entry(&mut self, user: &User) -> Entry {
        let shown = Texts::shown(user);
        Entry {
            folded: Some(Texts::folded(user)).filter(|folded| *folded != shown),
            shown,
            groups: self.shared(&user.groups),
            registered_at: user.registered_at,
            last_login: user.last_login,
            role: user.role,
            method: user.second_factor.method,
            switched_on: user.second_factor.switched_on,
            app_enrolled: user.second_factor.totp.is_some(),
            disabled: user.disabled,
            password_set: user.password.is_some(),
            scheme: user.password.as_ref().and_then(|password| Scheme::of(&password.hash).ok()),
            must_change_password: user.password.as_ref().is_some_and(|password| password.must_change),
        }
    }

    fn put(&mut self, user: &User) {
        let entry = self.entry(user);
        if let Some(scheme) = entry.scheme {
            *self.schemes.entry(scheme).or_default() += 1;
        }
        let before = self.accounts.insert(user.id, entry);
        self.let_go(before);
    }

    fn remove(&mut self, id: UserId) {
        let before = self.accounts.remove(&id);
        self.let_go(before);
    }

    /// An account without failures needs no place here, whatever the limits are.
    pub fn put_throttle(&mut self, id: UserId, throttle: Option<AccountThrottle>) {
        match throttle.filter(|throttle| *throttle != AccountThrottle::default()) {
            Some(throttle) => drop(self.throttles.insert(id, throttle)),
            None => drop(self.throttles.remove(&id)),
        }
    }

    fn shared(&mut self, groups: &BTreeSet<Group>) -> Arc<BTreeSet<Group>> {
        if let Some(known) = self.groups.get(groups) {
            return Arc::clone(known);
        }
        let new = Arc::new(groups.clone());
        self.groups.insert(Arc::clone(&new));
        new
    }

    /// A set of groups that nobody is in any more goes, and so does a scheme that nobody's password has.
    fn let_go(&mut self, entry: Option<Entry>) {
        let Some(Entry { groups, scheme, .. }) = entry else { return };
        if let Some(scheme) = scheme
            && let Some(count) = self.schemes.get_mut(&scheme)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.schemes.remove(&scheme);
            }
        }
        // The pool's own and this one.
        if Arc::strong_count(&groups) <= 2 {
            self.groups.remove(&groups);
        }
    }

    fn locked_until(&self, id: UserId, limits: Limits, now: Timestamp) -> Option<Timestamp> {
        self.throttles.get(&id).and_then(|throttle| throttle.locked_until(limits, now))
    }

    /// Those who match, in no order.
    fn matches<'a>(&'a self, query: &Query, limits: Limits, now: Timestamp) -> Vec<Match<'a>> {
        let wanted = Wanted::new(&query.filter);
        let mut found = Vec::new();
        for (id, entry) in &self.accounts {
            let locked_until = self.locked_until(*id, limits, now);
            if wanted.matches(*id, entry, locked_until.is_some(), now) {
                let key = SortKey::new(query.sort.column, entry, locked_until);
                found.push(Match { key, id: *id, entry });
            }
        }
        found
    }

    /// Everybody who matches, in order.
    pub fn ids(&self, query: &Query, limits: Limits, now: Timestamp) -> Vec<UserId> {
        let mut found = self.matches(query, limits, now);
        found.sort_unstable_by(|a, b| a.order(b, query.sort));
        found.iter().map(|found| found.id).collect()
    }

    /// Whose mail address this is.
    pub fn with_address(&self, address: &str, most: usize) -> Vec<UserId> {
        let folded = text::fold(address);
        let is_theirs = |entry: &Entry| entry.folded().email() == folded;
        self.accounts.iter().filter(|(_, entry)| is_theirs(entry)).map(|(id, _)| *id).take(most).collect()
    }

    /// One page. Only its own rows are put in order, the others just before or behind them.
    pub fn page(&self, query: &Query, limits: Limits, now: Timestamp) -> Page {
        let mut found = self.matches(query, limits, now);
        let (total, per_page) = (found.len(), query.per_page.max(1));
        let pages = total.div_ceil(per_page).max(1);
        let page = query.page.min(pages - 1);
        let (start, end) = (page * per_page, page.saturating_add(1).saturating_mul(per_page).min(total));
        if end < total {
            found.select_nth_unstable_by(end, |a, b| a.order(b, query.sort));
            found.truncate(end);
        }
        if 0 < start && start < found.len() {
            found.select_nth_unstable_by(start, |a, b| a.order(b, query.sort));
            found.drain(..start);
        }
        found.sort_unstable_by(|a, b| a.order(b, query.sort));
        let row = |found: &Match<'_>| found.entry.row(found.id, self.locked_until(found.id, limits, now));
        let groups = self.groups.iter().flat_map(|groups| groups.iter().cloned()).collect();
        Page { rows: found.iter().map(row).collect(), total, page, pages, groups }
    }

    pub fn row(&self, id: UserId, limits: Limits, now: Timestamp) -> Option<Row> {
        self.accounts.get(&id).map(|entry| entry.row(id, self.locked_until(id, limits, now)))
    }

    pub fn admins(&self) -> Vec<UserId> {
        let admins = self.accounts.iter().filter(|(_, entry)| entry.role == Role::Admin && !entry.disabled);
        admins.map(|(id, _)| *id).collect()
    }

    pub fn schemes(&self) -> Vec<Scheme> {
        self.schemes.keys().copied().collect()
    }

    pub fn counts(&self, limits: Limits, now: Timestamp) -> Counts {
        let mut counts = Counts { accounts: self.accounts.len(), ..Counts::default() };
        for (id, entry) in &self.accounts {
            let locked = self.locked_until(*id, limits, now).is_some();
            let count = |counter: &mut usize, counts: bool| *counter += usize::from(counts);
            count(&mut counts.switched_on, entry.switched_on);
            count(&mut counts.enrolled, entry.is_enrolled());
            count(&mut counts.locked, entry.state(locked) == State::Locked);
            count(&mut counts.disabled, entry.disabled);
            count(&mut counts.unused, entry.is_unused(now));
            count(&mut counts.admins, entry.role == Role::Admin && !entry.disabled && entry.password_set);
        }
        counts
    }
}
