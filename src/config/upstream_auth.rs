//! How sekisho signs in to a route's tool for those whom the route lets through (F37).

use crate::authn::tool_login::{Credentials, Kind};

/// What the tool is shown, and whose it is. Its `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct UpstreamAuth {
    pub way: Way,
    pub whose: Whose,
}

/// How it is shown.
#[derive(Debug, Clone)]
pub enum Way {
    Basic,
    Bearer,
}

/// With whose credentials.
#[derive(Debug, Clone)]
pub enum Whose {
    /// The configuration's.
    Everybody(Credentials),
    /// Each account's own.
    PerAccount,
}

impl Way {
    /// What a tool takes that is signed in to in this way.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Basic => Kind::Basic,
            Self::Bearer => Kind::Bearer,
        }
    }
}
