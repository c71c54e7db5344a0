//! One account as the list shows it.

use serde::Serialize;

use super::listing::{ROLES, STATES};
use crate::authn::lockout::INDEFINITELY;
use crate::authn::user::Method;
use crate::portal::moment::Moment;
use crate::service::directory::{Row, State};

/// An account in the list (F24). Words are the ends of their texts' keys.
#[derive(Debug, Serialize)]
pub struct RowView {
    id: String,
    href: String,
    login: String,
    /// Empty where there is none.
    name: String,
    email: String,
    role: &'static str,
    groups: String,
    switched_on: bool,
    method: &'static str,
    /// It has what its method needs.
    enrolled: bool,
    last_login: Option<Moment>,
    registered: Moment,
    state: &'static str,
    /// For how long it is locked; absent where a manager has to unlock it.
    locked_until: Option<Moment>,
}

impl RowView {
    /// `base`: the address of the list.
    pub fn new(row: &Row, base: &str) -> Self {
        let until = row.locked_until.filter(|until| !row.disabled && *until < INDEFINITELY);
        Self {
            id: row.id.to_string(),
            href: format!("{base}/{}", row.id),
            login: row.login.clone(),
            name: row.name.clone(),
            email: row.email.clone().unwrap_or_default(),
            role: ROLES.iter().find(|(role, _)| *role == row.role).map_or("user", |(_, name)| name),
            groups: row.groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            switched_on: row.switched_on,
            method: if row.method == Method::Mail { "mail" } else { "totp" },
            enrolled: row.is_enrolled(),
            last_login: row.last_login.map(Moment::of),
            registered: Moment::of(row.registered_at),
            state: state(row),
            locked_until: until.map(Moment::of),
        }
    }
}

/// The name of an account's state.
pub fn state(row: &Row) -> &'static str {
    let state = match (row.disabled, row.locked_until) {
        (true, _) => State::Disabled,
        (false, Some(_)) => State::Locked,
        (false, None) => State::Active,
    };
    STATES.iter().find(|(known, _)| *known == state).map_or("active", |(_, name)| name)
}
