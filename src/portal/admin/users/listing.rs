//! What the address of the list says: who is meant, in which order, which page. What it says wrongly, it does not say.

use std::str::FromStr;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::authn::user::{Group, Method, Role};
use crate::clock::Timestamp;
use crate::portal::form::Fields;
use crate::portal::return_to;
use crate::service::directory::{Column, Filter, LastLogin, Query, Sort, State};

/// How many accounts are shown at once.
pub const PER_PAGE: usize = 50;

/// The longest search that counts, in characters.
const LONGEST_TEXT: usize = 200;

/// The fields of the address; each is also the name of its field in the form.
const TEXT: &str = "q";
const ROLE: &str = "role";
const GROUP: &str = "group";
const SWITCHED_ON: &str = "second-factor";
const ENROLLED: &str = "enrolled";
const METHOD: &str = "method";
const STATE: &str = "state";
const LAST_LOGIN: &str = "last-login";
const FROM: &str = "from";
const TO: &str = "to";
const SORT: &str = "sort";
const PAGE: &str = "page";

/// The order of the list's columns (F24: the user ID first), with their names in addresses and texts.
pub const COLUMNS: &[(Column, &str)] = &[
    (Column::Id, "id"),
    (Column::Login, "login"),
    (Column::Name, "name"),
    (Column::Email, "email"),
    (Column::Role, "role"),
    (Column::Groups, "groups"),
    (Column::SecondFactor, "second-factor"),
    (Column::LastLogin, "last-login"),
    (Column::Registered, "registered"),
    (Column::State, "state"),
];

pub const ROLES: &[(Role, &str)] =
    &[(Role::User, "user"), (Role::Viewer, "viewer"), (Role::Manager, "manager"), (Role::Admin, "admin")];
const SWITCHES: &[(bool, &str)] = &[(true, "on"), (false, "off")];
const ANSWERS: &[(bool, &str)] = &[(true, "yes"), (false, "no")];
const METHODS: &[(Method, &str)] = &[(Method::Totp, "totp"), (Method::Mail, "mail")];
pub const STATES: &[(State, &str)] =
    &[(State::Active, "active"), (State::Locked, "locked"), (State::Disabled, "disabled")];
const LAST_LOGINS: &[(LastLogin, &str)] = &[(LastLogin::Never, "never"), (LastLogin::Unused, "unused")];

/// Which part of the list is shown, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    text: String,
    role: Option<Role>,
    group: Option<Group>,
    switched_on: Option<bool>,
    enrolled: Option<bool>,
    method: Option<Method>,
    state: Option<State>,
    /// One that has a name of its own; else a range of dates.
    last_login: Option<LastLogin>,
    from: Option<Date>,
    to: Option<Date>,
    sort: Sort,
    /// From 0; in the address from 1.
    page: usize,
}

/// A choice of a `select`. The value is also the end of its text's key.
#[derive(Debug, Serialize)]
pub struct Choice {
    value: String,
    chosen: bool,
}

/// The form that narrows the list, filled in.
#[derive(Debug, Serialize)]
pub struct FilterView {
    text: String,
    roles: Vec<Choice>,
    /// Empty where no account is in a group.
    groups: Vec<Choice>,
    switches: Vec<Choice>,
    enrolled: Vec<Choice>,
    methods: Vec<Choice>,
    states: Vec<Choice>,
    last_login: Vec<Choice>,
    from: String,
    to: String,
    /// Kept over a new search; empty where it is the usual one.
    sort: String,
    /// Something is asked for beside the text and the state.
    more: bool,
    /// Something is asked for at all.
    narrowed: bool,
}

impl Listing {
    /// What an address says.
    pub fn of(query: &Fields) -> Self {
        let get = |name| query.get(name).unwrap_or_default();
        Self {
            text: get(TEXT).trim().chars().filter(|character| !character.is_control()).take(LONGEST_TEXT).collect(),
            role: by_name(ROLES, get(ROLE)),
            group: parsed(get(GROUP)),
            switched_on: by_name(SWITCHES, get(SWITCHED_ON)),
            enrolled: by_name(ANSWERS, get(ENROLLED)),
            method: by_name(METHODS, get(METHOD)),
            state: by_name(STATES, get(STATE)),
            last_login: by_name(LAST_LOGINS, get(LAST_LOGIN)),
            from: parsed(get(FROM)),
            to: parsed(get(TO)),
            sort: sort(get(SORT)).unwrap_or_default(),
            page: parsed::<usize>(get(PAGE)).unwrap_or_default().saturating_sub(1),
        }
    }

    /// The same, as a form carries it in one field.
    pub fn of_text(query: &str) -> Self {
        Self::of(&Fields::of_query(Some(query)))
    }

    /// What the directory is asked.
    pub fn query(&self) -> Query {
        let range = self.from.is_some() || self.to.is_some();
        let within = LastLogin::Within { from: self.from.and_then(begin), before: self.to.and_then(end) };
        let filter = Filter {
            text: self.text.clone(),
            role: self.role,
            group: self.group.clone(),
            switched_on: self.switched_on,
            enrolled: self.enrolled,
            method: self.method,
            state: self.state,
            last_login: self.last_login.or(range.then_some(within)),
        };
        Query { filter, sort: self.sort, page: self.page, per_page: PER_PAGE }
    }

    /// As an address has it, without the question mark; empty where it says nothing.
    pub fn search(&self) -> String {
        let name = |found: Option<&'static str>| found.unwrap_or_default().to_owned();
        let date = |date: Option<Date>| date.map(|date| date.to_string()).unwrap_or_default();
        let page = if self.page == 0 { String::new() } else { self.page.saturating_add(1).to_string() };
        let fields = [
            (TEXT, self.text.clone()),
            (ROLE, name(name_of(ROLES, self.role))),
            (GROUP, self.group.as_ref().map(ToString::to_string).unwrap_or_default()),
            (SWITCHED_ON, name(name_of(SWITCHES, self.switched_on))),
            (ENROLLED, name(name_of(ANSWERS, self.enrolled))),
            (METHOD, name(name_of(METHODS, self.method))),
            (STATE, name(name_of(STATES, self.state))),
            (LAST_LOGIN, name(name_of(LAST_LOGINS, self.last_login))),
            (FROM, date(self.from)),
            (TO, date(self.to)),
            (SORT, sort_name(self.sort)),
            (PAGE, page),
        ];
        let given = fields.iter().filter(|(_, value)| !value.is_empty());
        given.map(|(name, value)| format!("{name}={}", return_to::encoded(value))).collect::<Vec<_>>().join("&")
    }

    /// The same list from `page` on, from 0.
    pub fn at(&self, page: usize) -> Self {
        Self { page, ..self.clone() }
    }

    /// The same accounts from the first one on, by this column; the other way round where they stand by it already.
    pub fn by(&self, column: Column) -> Self {
        let descending = self.sort.column == column && !self.sort.descending;
        Self { sort: Sort { column, descending }, page: 0, ..self.clone() }
    }

    /// How this column is sorted, as `aria-sort` says it.
    pub fn sorted(&self, column: Column) -> Option<&'static str> {
        let direction = if self.sort.descending { "descending" } else { "ascending" };
        (self.sort.column == column).then_some(direction)
    }

    /// The form that made this; `groups` are there to choose from.
    pub fn form<'g>(&self, groups: impl Iterator<Item = &'g Group>) -> FilterView {
        let mut groups: Vec<Choice> = groups
            .map(|group| Choice { value: group.to_string(), chosen: self.group.as_ref() == Some(group) })
            .collect();
        // One that nobody is in (any more) is asked for all the same: the form shows what the list shows.
        if let Some(group) = self.group.as_ref().filter(|_| groups.iter().all(|choice| !choice.chosen)) {
            groups.push(Choice { value: group.to_string(), chosen: true });
        }
        let date = |date: Option<Date>| date.map(|date| date.to_string()).unwrap_or_default();
        let unnarrowed = Self { sort: self.sort, page: self.page, ..Self::default() };
        let simple = Self { text: self.text.clone(), state: self.state, ..unnarrowed.clone() };
        FilterView {
            text: self.text.clone(),
            roles: choices(ROLES, self.role),
            groups,
            switches: choices(SWITCHES, self.switched_on),
            enrolled: choices(ANSWERS, self.enrolled),
            methods: choices(METHODS, self.method),
            states: choices(STATES, self.state),
            last_login: choices(LAST_LOGINS, self.last_login),
            from: date(self.from),
            to: date(self.to),
            sort: sort_name(self.sort),
            more: *self != simple,
            narrowed: *self != unnarrowed,
        }
    }
}

fn choices<T: Copy + PartialEq>(names: &[(T, &str)], chosen: Option<T>) -> Vec<Choice> {
    names.iter().map(|(value, name)| Choice { value: (*name).to_owned(), chosen: chosen == Some(*value) }).collect()
}

fn by_name<T: Copy>(names: &[(T, &str)], wanted: &str) -> Option<T> {
    names.iter().find(|(_, name)| *name == wanted).map(|(value, _)| *value)
}

fn name_of<T: Copy + PartialEq>(names: &[(T, &'static str)], value: Option<T>) -> Option<&'static str> {
    names.iter().find(|(known, _)| Some(*known) == value).map(|(_, name)| *name)
}

fn parsed<T: FromStr>(text: &str) -> Option<T> {
    text.trim().parse().ok()
}

/// `login`, or `-login` for the other way round.
fn sort(text: &str) -> Option<Sort> {
    let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
    by_name(COLUMNS, name).map(|column| Sort { column, descending })
}

fn sort_name(sort: Sort) -> String {
    if sort == Sort::default() {
        return String::new();
    }
    let dash = if sort.descending { "-" } else { "" };
    format!("{dash}{}", name_of(COLUMNS, Some(sort.column)).unwrap_or_default())
}

/// When a day begins, in UTC, as all moments on pages are; `None`: before 1970.
fn begin(date: Date) -> Option<Timestamp> {
    let begin = date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
    u64::try_from(begin).ok().map(Timestamp::from_secs)
}

/// When it is over.
fn end(date: Date) -> Option<Timestamp> {
    begin(date).map(|begin| begin.plus(Duration::from_secs(24 * 3600)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_back_as_it_was() {
        for address in [
            "",
            "q=%E5%B1%B1%E7%94%B0%20a%26b&role=admin&group=ops&second%2Dx=1",
            "second-factor=off&enrolled=no&method=mail&state=locked",
            "last-login=never",
            "last-login=unused",
            "last-login=unused",
            "from=2026%2D11%2D01&to=2026%2D11%2D22&sort=%2Dlast%2Dlogin&page=3",
        ] {
            let listing = Listing::of_text(address);
            assert_eq!(Listing::of_text(&listing.search()), listing, "{address}");
        }
        let listing = Listing::of_text("q=a+b&role=admin&sort=-email&page=2");
        assert_eq!(listing.search(), "q=a%20b&role=admin&sort=%2Demail&page=2");
    }

    #[test]
    fn what_no_form_sends_says_nothing() {
        let odd = "role=root&group=a,b&second-factor=maybe&enrolled=&method=sms&state=gone&last-login=always\
             &from=yesterday&to=2026-02-30&sort=password&page=-1&x=y";
        assert_eq!(Listing::of_text(odd), Listing::default());
        // The same field twice: no address of ours.
        assert_eq!(Listing::of_text("role=admin&role=user"), Listing::default());
        assert_eq!(Listing::of_text("page=99999999999999999999").page, 0);
        assert_eq!(Listing::of_text(&format!("q={}", "x".repeat(1000))).text.len(), LONGEST_TEXT);
    }

    #[test]
    fn the_days_of_a_range_are_both_within_it() {
        let Some(LastLogin::Within { from: Some(from), before: Some(before) }) =
            Listing::of_text("from=2026-11-01&to=2026-11-02").query().filter.last_login
        else {
            panic!("no range")
        };
        assert_eq!(
            (from.to_string(), before.to_string()),
            ("2026-11-01T00:00:00Z".into(), "2026-11-03T00:00:00Z".into())
        );
        assert_eq!(
            Listing::of_text("last-login=never&from=2026-11-01").query().filter.last_login,
            Some(LastLogin::Never)
        );
    }

    #[test]
    fn a_column_is_turned_round_by_its_second_click_and_shows_the_first_page() {
        let listing = Listing::of_text("q=x&page=7");
        let once = listing.by(Column::Email);
        assert_eq!((once.search().as_str(), once.sorted(Column::Email)), ("q=x&sort=email", Some("ascending")));
        let twice = once.by(Column::Email);
        assert_eq!((twice.search().as_str(), twice.sorted(Column::Email)), ("q=x&sort=%2Demail", Some("descending")));
        assert_eq!(listing.by(Column::Login).sorted(Column::Login), Some("descending"));
        assert_eq!(once.sorted(Column::Login), None);
    }
}
