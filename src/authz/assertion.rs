//! What a tool is told in a way that it can check: a JSON Web Token (RFC 7519) signed with Ed25519 (RFC 8037), good for one
//! route and a few minutes. A tool that looks at the signature believes nobody who reaches it past sekisho.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;

use super::decision::Bearer;
use super::machine::Machine;
use crate::authn::user::{Email, Group, Method};
use crate::clock::Timestamp;
use crate::secret::Signer;

/// How long one is good.
pub const LIFETIME: Duration = Duration::from_secs(5 * 60);

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'static str,
    kid: &'a str,
}

#[derive(Serialize)]
struct Claims<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    sub: String,
    aud: &'a str,
    iat: u64,
    exp: u64,
    auth_time: u64,
    amr: &'static [&'static str],
    login: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    groups: Vec<&'a str>,
}

/// The assertion about this person for this route. `None`: it could not be written down.
#[must_use]
pub fn assertion(
    signer: &Signer,
    issuer: Option<&str>,
    route: &str,
    bearer: &Bearer,
    now: Timestamp,
) -> Option<String> {
    let account = &bearer.account;
    let claims = Claims {
        iss: issuer,
        sub: account.id.to_string(),
        aud: route,
        iat: now.secs(),
        exp: now.plus(LIFETIME).secs(),
        auth_time: bearer.begun_at.secs(),
        amr: means(bearer),
        login: account.login.as_str(),
        name: account.name.as_str(),
        email: account.email.as_ref().map(Email::as_str),
        groups: account.groups.iter().map(Group::as_str).collect(),
    };
    signed(signer, &claims)
}

/// The assertion about this machine for this route: nobody is there, so it has no person's claims.
#[must_use]
pub fn of_machine(
    signer: &Signer,
    issuer: Option<&str>,
    route: &str,
    machine: &Machine,
    now: Timestamp,
) -> Option<String> {
    let login = machine.login();
    let claims = Claims {
        iss: issuer,
        sub: machine.subject(),
        aud: route,
        iat: now.secs(),
        exp: now.plus(LIFETIME).min(machine.expires_at).secs(),
        auth_time: machine.since.secs(),
        amr: machine.means(),
        login: &login,
        name: &machine.name,
        email: None,
        groups: Vec::new(),
    };
    signed(signer, &claims)
}

fn signed(signer: &Signer, claims: &Claims<'_>) -> Option<String> {
    let header = Header { alg: "EdDSA", typ: "JWT", kid: signer.key_id() };
    let part = |json: Vec<u8>| BASE64URL_NOPAD.encode(&json);
    let signed = format!("{}.{}", part(serde_json::to_vec(&header).ok()?), part(serde_json::to_vec(claims).ok()?));
    let signature = signer.sign(signed.as_bytes());
    Some(format!("{signed}.{signature}"))
}

/// By the names of RFC 8176 §2. A code by mail has none of its own, and is no `otp` of RFC 6238's kind.
fn means(bearer: &Bearer) -> &'static [&'static str] {
    match (bearer.second_factor_at, bearer.account.second_factor.method) {
        (None, _) => &["pwd"],
        (Some(_), Method::Totp) => &["pwd", "otp", "mfa"],
        (Some(_), Method::Mail) => &["pwd", "mfa"],
    }
}
