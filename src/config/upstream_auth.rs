//! How sekisho signs in to a route's tool for those whom the route lets through (F37).

use crate::secret::SecretString;

/// What the tool is shown. Its `Debug` shows no secret.
#[derive(Debug, Clone)]
pub enum UpstreamAuth {
    /// HTTP Basic (RFC 7617), the same for everybody.
    Basic { username: String, password: SecretString },
    /// A bearer token (RFC 6750), the same for everybody.
    Bearer { token: SecretString },
}
