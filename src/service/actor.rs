//! Who acts on accounts: the command line on the server, sekisho itself, or somebody signed in.

use super::visit::Visit;
use crate::authn::session::Origin;
use crate::authn::user::{LoginName, Role};
use crate::id::{SessionId, UserId};

/// Who does something to an account that may be another's.
#[derive(Debug, Clone)]
pub enum Actor {
    /// Whoever may write to the store's folder or to the admin socket; bound by no role.
    CommandLine,
    /// What happens by itself, as when a session's time is over.
    Sekisho,
    Person(Person),
}

/// Somebody signed in, as they were when the request came. What they may do is judged by their account as it is in the store at
/// the moment of the act.
#[derive(Debug, Clone)]
pub struct Person {
    pub user: UserId,
    pub login: LoginName,
    pub role: Role,
    pub session: SessionId,
    pub client: Origin,
}

impl Actor {
    /// Whoever is signed in at this visit.
    #[must_use]
    pub fn of(visit: &Visit, user_agent: Option<&str>) -> Option<Self> {
        let live = visit.session.as_ref().filter(|live| live.is_alive(visit.now))?;
        let account = live.account();
        Some(Self::Person(Person {
            user: account.id,
            login: account.login.clone(),
            role: account.role,
            session: live.id(),
            client: visit.origin(user_agent),
        }))
    }

    /// How events name them: a login, `cli`, or `sekisho`.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::CommandLine => "cli",
            Self::Sekisho => "sekisho",
            Self::Person(person) => person.login.as_str(),
        }
    }

    /// Their account.
    #[must_use]
    pub const fn user(&self) -> Option<UserId> {
        match self {
            Self::CommandLine | Self::Sekisho => None,
            Self::Person(person) => Some(person.user),
        }
    }

    /// The session in which they act.
    #[must_use]
    pub const fn session(&self) -> Option<SessionId> {
        match self {
            Self::CommandLine | Self::Sekisho => None,
            Self::Person(person) => Some(person.session),
        }
    }

    /// Where they are; nowhere for what is no browser.
    #[must_use]
    pub fn client(&self) -> Origin {
        match self {
            Self::CommandLine | Self::Sekisho => Origin::default(),
            Self::Person(person) => person.client.clone(),
        }
    }
}
