use std::net::SocketAddr;

use super::*;
use crate::gateway::context::Endpoints;
use crate::gateway::headers::tests::plan;
use crate::gateway::target::settle;

const PROXY: &str = "10.9.0.1";

fn ask(peer: &str, query: &str, fields: &[(&'static str, &str)]) -> Result<Asked, Misuse> {
    let plan = plan("identity: {headers: {X-Shop-Login: '{login}', Remote-User: '{login}'}}");
    let target = format!("/.sekisho/auth{query}");
    let mut head = RequestHeader::build("GET", target.as_bytes(), None).unwrap();
    for (name, value) in [("Host", "sekisho.internal")].iter().chain(fields) {
        head.append_header(*name, *value).unwrap();
    }
    let endpoints = Endpoints::new(SocketAddr::new(peer.parse().unwrap(), 4711), "10.0.0.1:80".parse().unwrap());
    let arrival = settle(&head, endpoints, &plan.config).unwrap();
    assert!(is_question(&arrival.target, &plan.config));
    question(&head, &arrival, &plan)
}

const HTTPS: (&str, &str) = ("X-Forwarded-Proto", "https");
const METHOD: (&str, &str) = ("X-Forwarded-Method", "POST");
const HOST: (&str, &str) = ("X-Forwarded-Host", "tool.example.com");
const URI: (&str, &str) = ("X-Forwarded-Uri", "/a/b?c=d");

#[test]
fn whoever_says_what_the_request_is_is_understood() {
    for fields in [
        &[HTTPS, METHOD, HOST, URI][..],
        &[
            HTTPS,
            ("X-Original-Method", "POST"),
            ("X-Original-Host", "TOOL.example.com"),
            ("X-Original-URI", "/a/b?c=d"),
        ],
        &[HTTPS, METHOD, ("X-Original-URL", "https://tool.example.com/a/b?c=d")],
        &[HTTPS, METHOD, HOST, URI, ("X-Original-URL", "HTTPS://tool.example.com:443/a/b?c=d")],
        &[HTTPS, METHOD, HOST, URI, ("X-Original-Method", "POST"), ("X-Original-Host", "tool.example.com:443")],
        // What the proxy replaces by what it is told.
        &[HTTPS, METHOD, HOST, URI, ("X-Shop-Login", "root"), ("Remote-User", "root")],
    ] {
        let asked = ask(PROXY, "", fields).unwrap_or_else(|misuse| panic!("{fields:?}: {misuse}"));
        assert_eq!((asked.method.as_str(), asked.target.host().as_str()), ("POST", "tool.example.com"));
        assert_eq!((asked.target.path_and_query(), asked.redirect), ("/a/b?c=d", false));
    }
}

#[test]
fn whatever_leaves_a_doubt_is_refused() {
    let refused = |fields: &[(&'static str, &str)]| ask(PROXY, "", fields).expect_err("refused").to_string();
    for (fields, words) in [
        (&[HTTPS, HOST, URI][..], "no method"),
        (&[HTTPS, METHOD, URI], "no host"),
        (&[HTTPS, METHOD, HOST], "no URI"),
        (&[HTTPS, METHOD, HOST, ("X-Forwarded-Uri", "")], "no URI"),
        (&[METHOD, HOST, URI], "https"),
        (&[("X-Forwarded-Proto", "http"), METHOD, HOST, URI], "https"),
        (&[HTTPS, METHOD, HOST, URI, ("X-Original-Method", "GET")], "different things for the method"),
        (&[HTTPS, METHOD, HOST, URI, ("X-Original-Method", "post")], "different things for the method"),
        (&[HTTPS, METHOD, HOST, URI, ("X-Original-Host", "other.example.com")], "different things for the host"),
        (&[HTTPS, METHOD, HOST, URI, ("X-Original-Host", "tool.example.com:8443")], "different things for the host"),
        (&[HTTPS, METHOD, HOST, URI, ("X-Original-URI", "/a/b")], "different things for the URI"),
        (&[HTTPS, METHOD, HOST, URI, ("X-Original-URL", "https://tool.example.com/x")], "different things for the URI"),
        (&[HTTPS, METHOD, HOST, URI, ("X-Original-URL", "http://tool.example.com/a/b?c=d")], "for the scheme"),
        (&[HTTPS, METHOD, HOST, URI, ("X-Original-URL", "/a/b?c=d")], "for the scheme"),
        (&[HTTPS, METHOD, HOST, URI, ("X-Original-URL", "https://tool.example.com")], "origin-form"),
        (&[HTTPS, METHOD, METHOD, HOST, URI], "twice"),
        (&[HTTPS, METHOD, HOST, HOST, URI], "twice"),
        (&[HTTPS, METHOD, HOST, URI, URI], "twice"),
        (&[HTTPS, METHOD, ("X-Forwarded-Host", "tool.example.com, evil.test"), URI], "host name"),
        (&[HTTPS, METHOD, ("X-Forwarded-Host", "tool.example.com/x"), URI], "host name"),
        (&[HTTPS, METHOD, HOST, ("X-Forwarded-Uri", "a/b")], "origin-form"),
        (&[HTTPS, METHOD, HOST, ("X-Forwarded-Uri", "https://tool.example.com/a/b")], "origin-form"),
        (&[HTTPS, METHOD, HOST, ("X-Forwarded-Uri", "/public/../admin")], "normal form"),
        (&[HTTPS, METHOD, HOST, ("X-Forwarded-Uri", "/public/%2e%2e/admin")], "normal form"),
        (&[HTTPS, METHOD, HOST, ("X-Forwarded-Uri", "//admin")], "normal form"),
        (&[HTTPS, METHOD, HOST, ("X-Forwarded-Uri", "/a/./b")], "normal form"),
        (&[HTTPS, METHOD, HOST, ("X-Forwarded-Uri", "/a%5cb")], "read differently"),
        (&[HTTPS, METHOD, HOST, ("X-Forwarded-Uri", "/../x")], "climbs"),
        (&[HTTPS, METHOD, HOST, ("X-Forwarded-Uri", "/.sekisho/account")], "own"),
        (&[HTTPS, METHOD, HOST, ("X-Forwarded-Uri", "/%2esekisho/account")], "normal form"),
        (&[HTTPS, ("X-Forwarded-Method", "TRACE"), HOST, URI], "method"),
        (&[HTTPS, ("X-Forwarded-Method", "get"), HOST, URI], "method"),
        (&[HTTPS, ("X-Forwarded-Method", "GET POST"), HOST, URI], "method"),
        (&[HTTPS, METHOD, HOST, URI, ("Remote_User", "root")], "remote_user"),
        (&[HTTPS, METHOD, HOST, URI, ("Remote.User", "root")], "remote.user"),
        (&[HTTPS, METHOD, HOST, URI, ("X_Shop_Login", "root")], "x_shop_login"),
        (&[HTTPS, METHOD, HOST, URI, ("X-WEBAUTH-USER", "root")], "x-webauth-user"),
        (&[HTTPS, METHOD, HOST, URI, ("X_Forwarded_For", "127.0.0.1")], "x_forwarded_for"),
        (&[HTTPS, METHOD, HOST, URI, ("X-Sekisho-Assertion", "forged")], "x-sekisho-assertion"),
    ] {
        let said = refused(fields);
        assert!(said.contains(words), "{fields:?}: {said}");
    }
    assert_eq!(ask("192.0.2.2", "", &[HTTPS, METHOD, HOST, URI]).unwrap_err(), Misuse::Stranger);
}

#[test]
fn only_what_a_person_could_come_back_to_leads_to_the_login() {
    let leads = |query: &str, method: &'static str| {
        ask(PROXY, query, &[HTTPS, ("X-Forwarded-Method", method), HOST, URI]).unwrap().redirect
    };
    assert!(leads("?redirect=1", "GET") && leads("?x=y&redirect=1", "HEAD"));
    assert!(
        !leads("?redirect=1", "POST")
            && !leads("", "GET")
            && !leads("?redirect=10", "GET")
            && !leads("?redirect", "GET")
    );
}
