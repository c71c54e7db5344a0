//! The target: request line and Host (or `:authority`) become one [`NormalTarget`], or 400. What was matched is what is
//! forwarded.

use std::fmt;

/// A host name in canonical form: lower case, without trailing dot, without port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(String);

impl Host {
    /// Reads a host without port.
    ///
    /// # Errors
    /// [`BadTarget::Host`].
    pub fn parse(_text: &str) -> Result<Self, BadTarget> {
        todo!("authz helper")
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What came over the wire, unjudged.
#[derive(Debug, Clone, Copy)]
pub struct RawTarget<'a> {
    /// The request target as it stood in the request line, or `:path`.
    pub target: &'a [u8],
    /// The value of the one Host field, or `:authority`. None: there was no such field.
    pub authority: Option<&'a [u8]>,
    /// Whether the connection is TLS: an absolute-form target must have the matching scheme.
    pub secure: bool,
}

/// Where a request wants to go, in the one form that is matched and forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalTarget {
    host: Host,
    port: Option<u16>,
    /// What is forwarded: slashes merged, dot segments resolved, parameters included.
    path: String,
    /// What is matched: unreserved characters decoded, every segment's parameters removed.
    matching: String,
    query: Option<String>,
    has_encoded_slash: bool,
    has_parameters: bool,
}

impl NormalTarget {
    /// Settles a target.
    ///
    /// # Errors
    /// [`BadTarget`] for whatever two readers could understand differently.
    pub fn parse(_raw: RawTarget<'_>) -> Result<Self, BadTarget> {
        todo!("authz helper")
    }

    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The port as the client named it.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The path as it is forwarded.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path as it is matched against routes.
    #[must_use]
    pub fn matching_path(&self) -> &str {
        &self.matching
    }

    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Path and query, as they are forwarded.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// `host` or `host:port`, as the upstream sees it where the route preserves the host.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.to_string(),
        }
    }
}

/// Why a target is refused with 400. The text is for logs; the client is told no more than "bad request".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    #[error("no host, or one that is not a host name")]
    Host,
    #[error("the target is neither origin-form nor an absolute-form that matches the host")]
    Form,
    #[error("the path has bytes or escapes that servers read differently")]
    Path,
    #[error("the path climbs over the root")]
    Climbs,
    #[error("the path has an encoded slash, which this route does not admit")]
    EncodedSlash,
    #[error("the route differs with and without path parameters")]
    Parameters,
}
