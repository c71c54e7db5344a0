//! What stands around the pages of somebody signed in: where they are, where else they can go, and the way out.

use serde::Serialize;

use super::csrf::Form;
use super::error::PortalError;
use super::exchange::Exchange;
use super::person::Person;
use crate::authn::user::Role;

/// The rooms of these pages. The name is the link's text: `nav-account`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Room {
    Account,
    Overview,
    Users,
    Sessions,
    Audit,
}

/// The rooms, from which role on, and their paths below the portal's.
const ROOMS: &[(Room, Role, &str)] = &[
    (Room::Account, Role::User, "/account"),
    (Room::Overview, Role::Viewer, "/admin"),
    (Room::Users, Role::Viewer, "/admin/users"),
    (Room::Sessions, Role::Viewer, "/admin/sessions"),
    (Room::Audit, Role::Viewer, "/admin/audit"),
];

/// The first room of administration that is open to this role.
#[must_use]
pub fn administration(role: Role) -> Option<&'static str> {
    let mut rooms = ROOMS.iter().filter(|(_, least, _)| *least > Role::User && role >= *least);
    rooms.next().map(|(_, _, below)| *below)
}

/// A link to a room.
#[derive(Debug, Clone, Serialize)]
struct Link {
    room: Room,
    href: String,
    current: bool,
}

/// The bar at the head of the page.
#[derive(Debug, Clone, Serialize)]
pub struct Nav {
    login: String,
    /// Empty where the account has no name.
    name: String,
    links: Vec<Link>,
    /// Back to the tool.
    home: String,
    logout: String,
    csrf: String,
}

impl Nav {
    /// The bar for `person`, who is in `room`.
    ///
    /// # Errors
    /// As [`Exchange::form_token`].
    pub fn new(exchange: &mut Exchange, person: &Person, room: Room) -> Result<Self, PortalError> {
        let csrf = exchange.form_token(Form::Logout { session: &person.token })?;
        Ok(Self::build(
            person.account.login.to_string(),
            person.account.name.to_string(),
            person.account.role,
            room,
            csrf,
            |below| exchange.page_path(below),
        ))
    }

    fn build(login: String, name: String, role: Role, room: Room, csrf: String, path: impl Fn(&str) -> String) -> Self {
        let open = ROOMS.iter().filter(|(_, least, _)| role >= *least);
        let links = open.map(|(to, _, below)| Link { room: *to, href: path(below), current: *to == room }).collect();
        Self { login, name, links, home: "/".to_owned(), logout: path("/logout"), csrf }
    }
}

#[cfg(test)]
impl Nav {
    /// The bar as somebody with `role` sees it.
    pub fn sample(role: Role, room: Room) -> Self {
        let (login, name) = ("hanako.yamada".to_owned(), "山田 花子".to_owned());
        Self::build(login, name, role, room, "x".repeat(43), |below| format!("/.sekisho{below}"))
    }
}
