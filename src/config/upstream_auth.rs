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
    /// A login page of the tool's own.
    Form(Box<LoginForm>),
}

/// With whose credentials.
#[derive(Debug, Clone)]
pub enum Whose {
    /// The configuration's.
    Everybody(Credentials),
    /// Each account's own.
    PerAccount,
}

impl UpstreamAuth {
    /// The tool's own login form.
    #[must_use]
    pub fn form(&self) -> Option<&LoginForm> {
        match &self.way {
            Way::Form(form) => Some(form),
            Way::Basic | Way::Bearer => None,
        }
    }
}

impl Way {
    /// What a tool takes that is signed in to in this way.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Basic => Kind::Basic,
            Self::Bearer => Kind::Bearer,
            Self::Form(_) => Kind::Form,
        }
    }
}

/// A tool's login page, and how it is seen what came of a login there. Paths are those of its addresses, as a browser asks for them.
#[derive(Clone)]
pub struct LoginForm {
    /// May have a query.
    pub page: String,
    pub username_field: String,
    pub password_field: String,
    /// Further fields, or other values for those of the page.
    pub fields: Vec<(String, String)>,
    /// `None`: where the page's form leads.
    pub submit_to: Option<String>,
    /// What is answered there is passed on as it is.
    pub logout: Option<String>,
    /// Never without a sign.
    pub success: SignedIn,
    pub ended: SignedOut,
    pub cookies: ToolCookies,
}

impl std::fmt::Debug for LoginForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What further fields hold may be secret, too.
        let fields: Vec<_> = self.fields.iter().map(|(name, _)| name).collect();
        f.debug_struct("LoginForm")
            .field("page", &self.page)
            .field("names", &[&self.username_field, &self.password_field])
            .field("fields", &fields)
            .field("submit_to", &self.submit_to)
            .field("logout", &self.logout)
            .field("success", &self.success)
            .field("ended", &self.ended)
            .field("cookies", &self.cookies)
            .finish()
    }
}

impl LoginForm {
    /// The path that a redirect leads to when the tool's session is over.
    #[must_use]
    pub fn leads_back_to(&self) -> &str {
        self.ended.redirect_to.as_deref().unwrap_or(self.page_path())
    }

    /// The login page's path, without its query.
    #[must_use]
    pub fn page_path(&self) -> &str {
        self.page.split('?').next().unwrap_or_default()
    }
}

/// How a login that was right is answered: by all that is named.
#[derive(Debug, Clone, Default)]
pub struct SignedIn {
    pub status: Option<u16>,
    pub redirect_to: Option<String>,
    pub cookie: Option<String>,
}

/// How the tool answers when its session is over: by any of these.
#[derive(Debug, Clone, Default)]
pub struct SignedOut {
    pub status: Option<u16>,
    /// `None`: the login page's.
    pub redirect_to: Option<String>,
}

/// Who keeps the tool's cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolCookies {
    /// sekisho: no browser sees one, and none of a browser's reaches the tool.
    Kept,
    Browser,
}
