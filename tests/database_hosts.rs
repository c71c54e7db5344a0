//! How PostgreSQL is reached: over TLS, from the server that its certificate names and from nobody else; and, of several hosts, at the one
//! that takes writes.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;

use crate::harness::fronts::Unanswered;
use crate::harness::postgres::{Server, url_of};
use crate::harness::tls::Authority;
use crate::harness::{Builder, Client, Recorder, Sekisho, free_address, postgres};

fn builder(upstream: &Recorder) -> Builder {
    Sekisho::builder().cheap_hashes().set("second_factor.policy", "off").upstream(&upstream.url())
}

/// The file of this authority's certificate, in the gateway's folder.
fn file_of(authority: &Authority, builder: &Builder, name: &str) -> PathBuf {
    let file = builder.folder().join(name);
    std::fs::write(&file, authority.pem()).unwrap();
    file
}

/// What is said where the database must not be used: an error, and never the password.
#[track_caller]
fn refused(gate: &Sekisho) -> String {
    let output = gate.cli(&["user", "list"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!said.contains(postgres::PASSWORD), "{said}");
    said
}

#[test]
fn a_database_over_tls_is_the_one_that_its_certificate_names_or_it_is_not_used() {
    let (upstream, server, authority) = (Recorder::ok(), Server::start(), Authority::new());
    let (database, builder) = (server.database(), builder(&upstream));
    let right = authority.issue(builder.folder(), &["127.0.0.1"]);
    let another_name = authority.issue(builder.folder(), &["db.example.com"]);
    let ca = file_of(&authority, &builder, "database-ca.pem");
    let another_ca = file_of(&Authority::new(), &builder, "another-ca.pem");
    server.only_over_tls(&right.certificate, &right.key);
    let url = format!("{}?sslmode=verify-full", server.tcp_url(&database));
    let builder = builder.database(&url).set("store.ca", &format!("{ca:?}")).user("alice", &[]);
    let mut gate = builder.start();
    Client::new(&gate).sign_in(&gate, "alice", None);
    let secured = "SELECT count(*) > 1 AND bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
         WHERE application_name = 'sekisho'";
    assert_eq!(server.sql(&database, secured), "t");
    gate.stop();
    assert!(gate.cli(&["user", "list"]).status.success());

    gate.change("store.ca", &format!("{another_ca:?}"));
    assert!(refused(&gate).contains("certificate"), "signed by somebody else");
    gate.change("store.ca", &format!("{ca:?}"));
    server.only_over_tls(&another_name.certificate, &another_name.key);
    assert!(refused(&gate).contains("certificate"), "of another name");
    server.only_over_tls(&right.certificate, &right.key);
    assert!(gate.cli(&["user", "list"]).status.success());
}

#[test]
fn a_server_without_tls_is_sent_nothing_where_tls_is_asked_for() {
    let (upstream, server) = (Recorder::ok(), Server::start());
    let url = format!("{}?sslmode=verify-full", server.tcp_url(&server.database()));
    let gate = builder(&upstream).database(&url).write_only();
    gate.make_key();
    refused(&gate);

    // Somebody in between who says that there is none.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let between = listener.local_addr().unwrap();
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 8];
        stream.read_exact(&mut request).unwrap();
        stream.write_all(b"N").unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        (request, rest)
    });
    let gate = builder(&upstream).database(&format!("{}?sslmode=require", url_of(&[between], "d"))).write_only();
    gate.make_key();
    refused(&gate);
    let (request, rest) = heard.join().unwrap();
    assert_eq!(request, [0, 0, 0, 8, 4, 210, 22, 47], "SSLRequest");
    assert!(rest.is_empty(), "{rest:?}");
}

#[test]
fn of_several_hosts_the_one_that_takes_writes_is_found() {
    let (upstream, primary, mute) = (Recorder::ok(), Server::start(), Unanswered::start());
    let database = primary.database();
    let standby = primary.standby();
    let mute = mute.url().trim_start_matches("http://").parse().unwrap();
    let hosts = [mute, free_address(), standby.address(), primary.address()];
    let url = format!("{}?target_session_attrs=read-write", url_of(&hosts, &database));
    let gate = builder(&upstream).database(&url).user("alice", &[]).start();
    Client::new(&gate).sign_in(&gate, "alice", None);
    let ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sekisho'";
    assert_ne!(primary.sql(&database, ours), "0");
    assert_eq!(standby.sql(&database, ours), "0");
}
