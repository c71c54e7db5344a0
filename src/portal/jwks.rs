//! `GET /jwks.json`: the keys by which a tool checks the assertions that it is sent (RFC 7517), where there are any.

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde::Serialize;

use super::answers;
use super::error::PortalError;
use super::exchange::Exchange;
use super::message::{self, Kind};
use crate::secret::Signer;

#[derive(Serialize)]
struct KeySet<'a> {
    keys: Vec<Key<'a>>,
}

#[derive(Serialize)]
struct Key<'a> {
    kty: &'static str,
    crv: &'static str,
    #[serde(rename = "use")]
    used_for: &'static str,
    alg: &'static str,
    kid: &'a str,
    x: &'a str,
}

/// `GET /jwks.json`
pub async fn show(exchange: Exchange) -> Result<Response, PortalError> {
    // Over an open line anybody on the way could put keys of their own in their place.
    if !exchange.visit.may_sign_in {
        let audience = exchange.audience();
        return Ok(answers::refuse(exchange, audience, Kind::PlainHttp));
    }
    if !exchange.visit.config.identity.assertion {
        return Ok(message::not_found(exchange).await);
    }
    let signer = Signer::new(&exchange.visit.config.keys)?;
    let keys = signer.public_keys().map(|public| Key {
        kty: "OKP",
        crv: "Ed25519",
        used_for: "sig",
        alg: "EdDSA",
        kid: public.id,
        x: public.x,
    });
    let body = serde_json::to_vec(&KeySet { keys: keys.collect() }).unwrap_or_default();
    Ok(exchange.finish(([(CONTENT_TYPE, "application/jwk-set+json")], body).into_response()))
}
