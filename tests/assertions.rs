//! What a tool is told in a way that it can check (`identity.assertion`), judged by OpenSSL, which knows nothing of us.

use std::process::Command;
use std::time::Duration;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::{Value, json};

use crate::harness::{Builder, Client, Recorder, Sekisho};

fn gate(upstream: &Recorder) -> Builder {
    Sekisho::builder()
        .cheap_hashes()
        .set("identity.assertion", "true")
        .route("{name: shop, upstream: UPSTREAM}", &upstream.url())
        .route("{name: stock, path: /stock, upstream: UPSTREAM}", &upstream.url())
        .route("{name: open, path: /open, access: public, upstream: UPSTREAM}", &upstream.url())
        .user("alice", &["--group", "ops", "--email", "alice@example.com", "--name", "山田 アリス"])
        .clock()
}

/// What the tool was sent with a request for `path`.
#[track_caller]
fn sent(client: &mut Client, upstream: &Recorder, path: &str) -> Option<String> {
    assert_eq!(
        client.request("GET", path, "X-Sekisho-Assertion: forged\r\nX_Sekisho_Assertion: forged\r\n", b"").status,
        200
    );
    upstream.last().header("x-sekisho-assertion").map(str::to_owned)
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).expect("three parts");
    serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
}

/// The published keys, as anybody may read them.
#[track_caller]
fn published(gate: &Sekisho) -> Vec<Value> {
    let answer = Client::new(gate).get("/.sekisho/jwks.json");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/jwk-set+json")));
    let set: Value = serde_json::from_slice(&answer.body).unwrap();
    set["keys"].as_array().unwrap().clone()
}

/// Whether OpenSSL verifies the token by the published key that it names.
#[track_caller]
fn is_genuine(token: &str, keys: &[Value]) -> bool {
    let header = part(token, 0);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("EdDSA"), &json!("JWT")));
    let Some(key) = keys.iter().find(|key| key["kid"] == header["kid"]) else { return false };
    assert_eq!(
        (&key["kty"], &key["crv"], &key["alg"], &key["use"]),
        (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA"), &json!("sig"))
    );
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // SubjectPublicKeyInfo of an Ed25519 key (RFC 8410 §4).
    let mut der = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    der.extend(BASE64URL_NOPAD.decode(key["x"].as_str().unwrap().as_bytes()).unwrap());
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64.encode(&der));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    std::fs::write(path("key.pem"), pem).unwrap();
    std::fs::write(path("signed"), signed).unwrap();
    std::fs::write(path("signature"), BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap()).unwrap();
    let mut openssl = Command::new("openssl");
    openssl.args(["pkeyutl", "-verify", "-pubin", "-rawin", "-inkey"]).arg(path("key.pem"));
    openssl.arg("-in").arg(path("signed")).arg("-sigfile").arg(path("signature"));
    openssl.output().expect("openssl runs").status.success()
}

#[test]
fn a_tool_can_check_who_is_there() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).start();
    let mut alice = Client::new(&gate);
    let before = gate.unix_now();
    alice.sign_in_and_enrol(&gate, "alice");
    let token = sent(&mut alice, &upstream, "/orders").expect("an assertion");
    let keys = published(&gate);
    assert_eq!(keys.len(), 1);
    assert!(is_genuine(&token, &keys));

    let claims = part(&token, 1);
    let id = gate.cli_json(&["user", "show", "alice"])["id"].clone();
    assert_eq!(claims["sub"], id);
    assert_eq!(claims["aud"], "shop");
    assert_eq!(
        (&claims["login"], &claims["email"], &claims["name"]),
        (&json!("alice"), &json!("alice@example.com"), &json!("山田 アリス"))
    );
    assert_eq!((&claims["groups"], &claims["amr"]), (&json!(["ops"]), &json!(["pwd", "otp", "mfa"])));
    let number = |name: &str| claims[name].as_u64().unwrap();
    assert_eq!(number("exp") - number("iat"), 300);
    assert!(before <= number("auth_time") && number("auth_time") <= number("iat"), "{claims}");

    // Others' words do not pass for it.
    let (head, rest) = token.split_once('.').unwrap();
    let (_, signature) = rest.split_once('.').unwrap();
    let claims = BASE64URL_NOPAD.encode(claims.to_string().replace("alice", "admin").as_bytes());
    assert!(!is_genuine(&format!("{head}.{claims}.{signature}"), &keys));

    let stock = sent(&mut alice, &upstream, "/stock/1").expect("an assertion");
    assert_eq!(part(&stock, 1)["aud"], "stock", "what one tool was told is no use at another");
    assert!(is_genuine(&stock, &keys));
    assert_eq!(sent(&mut Client::new(&gate), &upstream, "/open"), None, "nobody is nobody");
}

#[test]
fn an_assertion_is_kept_for_a_while_and_no_longer_than_what_it_says() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).start();
    let mut alice = Client::new(&gate);
    alice.sign_in_and_enrol(&gate, "alice");
    let first = sent(&mut alice, &upstream, "/");
    assert!(first.is_some());
    assert_eq!(sent(&mut alice, &upstream, "/"), first, "signed once");
    gate.advance(Duration::from_secs(250));
    let later = sent(&mut alice, &upstream, "/").expect("an assertion");
    assert!(part(&later, 1)["exp"].as_u64().unwrap() >= gate.unix_now() + 60, "it would be over in a moment");
    assert!(gate.cli(&["user", "set", "alice", "--group", "stock"]).status.success());
    let changed = sent(&mut alice, &upstream, "/").expect("an assertion");
    assert_eq!(part(&changed, 1)["groups"], json!(["stock"]), "of now, not of four minutes ago");
}

#[test]
fn another_key_signs_from_the_rotation_on_and_the_older_ones_word_is_good_still() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).start();
    let mut alice = Client::new(&gate);
    alice.sign_in_and_enrol(&gate, "alice");
    let old = sent(&mut alice, &upstream, "/").expect("an assertion");
    assert!(gate.cli(&["key", "rotate"]).status.success());
    let keys = published(&gate);
    let new = sent(&mut alice, &upstream, "/").expect("an assertion");
    assert_eq!(keys.len(), 2);
    assert_ne!(part(&old, 0)["kid"], part(&new, 0)["kid"]);
    assert!(is_genuine(&old, &keys) && is_genuine(&new, &keys));
    let file = std::fs::read_to_string(gate.path("secret.key")).unwrap();
    assert!(
        keys.iter().all(|key| !file.contains(key["x"].as_str().unwrap())),
        "the key file's secrets are no public keys"
    );
}

#[test]
fn without_the_setting_nothing_is_signed_and_no_key_is_shown() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).set("identity.assertion", "false").start();
    let mut alice = Client::new(&gate);
    alice.sign_in_and_enrol(&gate, "alice");
    assert_eq!(sent(&mut alice, &upstream, "/"), None);
    assert_eq!(Client::new(&gate).get("/.sekisho/jwks.json").status, 404);
}
