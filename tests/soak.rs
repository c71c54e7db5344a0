//! Many requests of two people over shared connections (A60): the upstream takes each for its own sender's, and each client gets the
//! answer to its own request, however requests and answers end, and whatever an upstream sends that it should not.

mod clients;
mod upstream;

use std::sync::atomic::Ordering;

use self::clients::{Share, http1, http2};
use self::upstream::Marking;
use crate::harness::{Client, PASSWORD, Sekisho};

const HOST: &str = "app.test";

fn gate(upstream: &Marking) -> (Sekisho, Client, Client) {
    let gate = Sekisho::builder()
        .cheap_hashes()
        .set("second_factor.policy", "off")
        .set("log.access", "off")
        .route("{name: all, upstream: UPSTREAM}", &upstream.url())
        .tls(&[HOST])
        .user("alice", &[])
        .user("bob", &[])
        .start();
    let signed_in = |login: &str| {
        let mut client = Client::tls(&gate, HOST);
        client.open("/.sekisho/login");
        let page = client.open("/.sekisho/login");
        client.fill_password(&page, login, PASSWORD);
        assert!(client.cookie("session").is_some());
        client
    };
    let (alice, bob) = (signed_in("alice"), signed_in("bob"));
    (gate, alice, bob)
}

/// How many requests in all: ten thousand, or more in the long run.
fn requests() -> usize {
    if std::env::var_os("SEKISHO_LONG_TESTS").is_some() { 50_000 } else { 10_000 }
}

#[test]
fn a60_two_people_over_shared_connections_are_never_taken_for_each_other() {
    let upstream = Marking::start();
    let (gate, alice, bob) = gate(&upstream);
    // Seven clients: two kept HTTP/1.1 connections of each, an HTTP/2 connection of each, and one that both share.
    // Some are given up before they get anywhere.
    let each = requests() * 16 / 15 / 7 + 1;
    std::thread::scope(|scope| {
        for (index, (who, client)) in
            [("alice", &alice), ("bob", &bob), ("alice", &alice), ("bob", &bob)].into_iter().enumerate()
        {
            scope.spawn(move || http1(client, who, index, each));
        }
        let people = [("alice", &alice), ("bob", &bob)];
        for (index, share) in [Share::First, Share::Second, Share::Both].into_iter().enumerate() {
            let gate = &gate;
            scope.spawn(move || http2(gate, people, share, index, each));
        }
    });
    let faults = upstream.faults();
    assert!(faults.is_empty(), "{} of them: {:?}", faults.len(), &faults[..faults.len().min(5)]);
    let seen = upstream.seen.load(Ordering::SeqCst);
    assert!(seen >= requests(), "only {seen} requests reached the upstream");
}

/// One request under way at a time: everybody's go over the same connection to the upstream, one after the other.
#[test]
fn a60_over_one_connection_to_the_upstream_each_request_is_its_own_senders() {
    let upstream = Marking::start();
    let (_gate, alice, bob) = gate(&upstream);
    let count = requests() / 10;
    let mut conns = [("alice", &alice), ("bob", &bob), ("bob", &bob), ("alice", &alice)]
        .map(|(who, client)| (who, client, client.connect()));
    let before = upstream.connections.load(Ordering::SeqCst);
    for number in 0..count {
        // Neither in turn nor at random: each follows each.
        let (who, client, conn) = &mut conns[(number * number + number / 7) % 4];
        // Cookies of the other person's on the same client connection, now and then.
        let (who, client) = if number % 5 == 4 {
            if *who == "alice" { ("bob", &bob) } else { ("alice", &alice) }
        } else {
            (*who, *client)
        };
        let marker = format!("{who}-one-{number}");
        conn.send(format!("GET /plain/{marker} HTTP/1.1\r\nHost: {HOST}\r\n{}\r\n", client.cookie_header()));
        assert_eq!(conn.response().header("x-saw"), Some(format!("{who} {marker}").as_str()));
    }
    assert!(upstream.faults().is_empty(), "{:?}", upstream.faults());
    let used = upstream.connections.load(Ordering::SeqCst) - before;
    assert!(used * 10 <= count, "{used} connections for {count} requests");
}
