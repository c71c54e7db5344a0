//! Clients' certificates as an identity (`server.tls.client_certificates`): a programme that shows one may use the routes that list its name, and
//! nothing else; and nobody else may by it.

use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType, SerialNumber,
    date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::harness::tls::{self, Authority, CertificateFiles};
use crate::harness::{Builder, Client, Conn, Recorder, Response, Sekisho, h2, tcp_from, wait_until};

const HOST: &str = "app.test";
const NAME: &str = "backup.example.com";
const URI: &str = "spiffe://example.com/deploy";
/// Midnight of 1 January 2030, UTC.
const IN_2030: u64 = 1_893_456_000;

/// Those who sign clients' certificates, and a place for these.
struct Clients {
    authority: Authority,
    folder: TempDir,
}

impl Clients {
    fn new() -> Self {
        let clients = Self { authority: Authority::new(), folder: TempDir::with_prefix("sekisho-clients-").unwrap() };
        clients.trust(&clients.authority.pem());
        clients
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// From the next reload on the gateway takes what these have signed.
    fn trust(&self, authorities: &str) {
        std::fs::write(self.file("clients.pem"), authorities).unwrap();
    }

    /// A gateway that takes their certificates.
    fn gate(&self, upstream: &str) -> Builder {
        Sekisho::builder()
            .cheap_hashes()
            .set("second_factor.policy", "off")
            .set("identity.assertion", "true")
            .tls(&[HOST, "other.test"])
            .set("server.tls.client_certificates", &format!("{{ca: {:?}}}", self.file("clients.pem")))
            .route(
                &format!("{{name: backup, path: /backup, client_certificates: [{NAME}, '{URI}'], upstream: UPSTREAM}}"),
                upstream,
            )
            .route("{name: all, upstream: UPSTREAM}", upstream)
            .route("{name: open, path: /open, access: public, upstream: UPSTREAM}", upstream)
            .route(&format!("{{name: shut, path: /shut, access: deny, client_certificates: [{NAME}], upstream: UPSTREAM}}"), upstream)
            .route(
                &format!(
                    "{{name: far, path: /far, allow: {{networks: [10.0.0.0/8]}}, client_certificates: [{NAME}], upstream: UPSTREAM}}"
                ),
                upstream,
            )
            .user("alice", &[])
    }

    /// How a client connects that shows a certificate for these names.
    fn shows(&self, gate: &Sekisho, names: &[&str]) -> Arc<ClientConfig> {
        shows(gate, &self.authority.issue(self.folder.path(), names), &["http/1.1"])
    }

    /// The same with a certificate that says what it is told to.
    fn says(&self, gate: &Sekisho, change: impl FnOnce(&mut CertificateParams)) -> Arc<ClientConfig> {
        let mut params = named(NAME);
        change(&mut params);
        shows(gate, &self.authority.sign(self.folder.path(), "odd", &params), &["http/1.1"])
    }
}

fn named(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

fn uri(text: &str) -> SanType {
    SanType::URI(Ia5String::try_from(text).unwrap())
}

fn shows(gate: &Sekisho, files: &CertificateFiles, alpn: &[&str]) -> Arc<ClientConfig> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(&files.certificate).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(gate.authority().pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_client_auth_cert(chain, key).unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

fn ask(gate: &Sekisho, config: &Arc<ClientConfig>, path: &str, lines: &str) -> Response {
    let mut conn = tls::connect(config, gate.tls_address(), HOST);
    conn.send(format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{lines}Connection: close\r\n\r\n"));
    conn.response()
}

/// Whether the handshake comes to nothing: in TLS 1.3 the client learns of it when it reads.
fn is_refused(gate: &Sekisho, config: &Arc<ClientConfig>) -> bool {
    let tcp = std::net::TcpStream::connect(gate.tls_address()).unwrap();
    let Some(mut conn) = tls::try_connect_over(config, tcp, HOST) else { return true };
    let _ = conn.try_send(format!("GET /backup HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes());
    conn.read_response(false).is_none()
}

#[track_caller]
fn claims(assertion: &str) -> Json {
    let part = assertion.split('.').nth(1).expect("a JWT");
    serde_json::from_slice(&data_encoding::BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
}

#[test]
fn a_programme_may_use_the_routes_that_list_its_certificate_and_nothing_else() {
    let (clients, upstream) = (Clients::new(), Recorder::ok());
    let gate = clients.gate(&upstream.url()).set("log.access", "json").start();
    let backup = clients.shows(&gate, &[NAME]);
    let says = "Remote-User: root\r\nX-SSL-Client-S-DN: CN=root\r\nX-SSL-Client-Verify: SUCCESS\r\n";
    let answer = ask(&gate, &backup, "/backup/1", says);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = upstream.last();
    assert_eq!(seen.header("remote-user"), Some("certificate:backup.example.com"));
    assert_eq!((seen.header("remote-groups"), seen.header("x-ssl-client-verify")), (None, None));
    assert!(!String::from_utf8_lossy(&seen.head).contains("root"));
    let told = claims(seen.header("x-sekisho-assertion").expect("an assertion"));
    assert_eq!((&told["sub"], &told["aud"]), (&"certificate:backup.example.com".into(), &"backup".into()));
    assert_eq!((&told["amr"], &told["groups"]), (&serde_json::json!(["pop"]), &serde_json::json!([])));
    assert!(gate.access_log(1).iter().any(|line| line.contains("\"login\":\"certificate:backup.example.com\"")));

    let asked = upstream.requests().len();
    for (path, status) in
        [("/", 401), ("/.sekisho/api/session", 401), ("/backup/../x", 401), ("/shut", 403), ("/far", 403)]
    {
        assert_eq!(ask(&gate, &backup, path, "").status, status, "{path}");
    }
    assert!(matches!(ask(&gate, &backup, "/.sekisho/account", "").status, 303 | 401));
    for names in [&["other.example.com"][..], &["*.example.com"], &["backup.example.com.evil.test"]] {
        assert_eq!(ask(&gate, &clients.shows(&gate, names), "/backup", "").status, 401, "{names:?}");
    }
    // Without one, people come as ever.
    let navigates = "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
    assert_eq!(Client::tls(&gate, HOST).request("GET", "/backup", navigates, b"").status, 303);
    // A header is no handshake.
    let says = format!("X-SSL-Client-Cert: {NAME}\r\nX-Client-Cert: {NAME}\r\nX-Forwarded-Client-Cert: DNS={NAME}\r\n");
    assert_eq!(Client::tls(&gate, HOST).request("GET", "/backup", &says, b"").status, 401);
    assert_eq!(upstream.requests().len(), asked);
    assert_eq!(ask(&gate, &backup, "/open", "").status, 200);
    assert_eq!(upstream.last().header("remote-user"), None, "on a route that does not list it, it is nobody");
    let denied = gate.cli_json(&["audit", "search", "--event", "access_denied"]);
    let denied: Vec<_> = denied.as_array().unwrap().iter().map(|event| (&event["login"], &event["route"])).collect();
    let login: &Json = &"certificate:backup.example.com".into();
    assert_eq!(denied.len(), 2, "{denied:?}");
    assert!(["shut", "far"].iter().all(|route| denied.contains(&(login, &(*route).into()))), "{denied:?}");
}

#[test]
fn a_name_is_one_of_its_alternative_names_of_the_kind_that_it_is_spelt_as() {
    let (clients, upstream) = (Clients::new(), Recorder::ok());
    let gate = clients.gate(&upstream.url()).start();
    let as_host = |text: &str| SanType::DnsName(Ia5String::try_from(text).unwrap());
    for (sans, login) in [
        (vec![uri(URI)], Some("certificate:spiffe://example.com/deploy")),
        (vec![as_host("BACKUP.example.com")], Some("certificate:backup.example.com")),
        (vec![as_host("x.test"), uri("spiffe://example.com/x"), as_host(NAME)], Some("certificate:backup.example.com")),
        (vec![as_host(URI)], None),
        (vec![uri(NAME)], None),
        (vec![uri("spiffe://example.com/Deploy")], None),
        (vec![uri("spiffe://example.com/deploy/x")], None),
        (vec![], None),
    ] {
        let shown = clients.says(&gate, |params| {
            params.distinguished_name.push(DnType::CommonName, NAME);
            params.subject_alt_names.clone_from(&sans);
        });
        let status = ask(&gate, &shown, "/backup", "").status;
        match login {
            Some(login) => {
                assert_eq!(status, 200, "{sans:?}");
                assert_eq!(upstream.last().header("remote-user"), Some(login), "{sans:?}");
            }
            None => assert_eq!(status, 401, "{sans:?}"),
        }
    }
}

#[test]
fn what_the_authorities_did_not_sign_for_a_client_in_force_gets_no_connection() {
    let (clients, upstream) = (Clients::new(), Recorder::ok());
    let gate = clients.gate(&upstream.url()).start();
    for stranger in [&Authority::new(), gate.authority()] {
        let files = stranger.issue(clients.folder.path(), &[NAME]);
        assert!(is_refused(&gate, &shows(&gate, &files, &["http/1.1"])), "of another authority");
    }
    let key = KeyPair::generate().unwrap();
    let signed = named(NAME).self_signed(&key).unwrap();
    let files = CertificateFiles { certificate: clients.file("own.pem"), key: clients.file("own.key") };
    std::fs::write(&files.certificate, signed.pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    assert!(is_refused(&gate, &shows(&gate, &files, &["http/1.1"])), "self-signed");
    type Change = fn(&mut CertificateParams);
    let odd: [(&str, Change); 4] = [
        ("expired", |params| params.not_after = date_time_ymd(2026, 1, 1)),
        ("not yet in force", |params| params.not_before = date_time_ymd(2090, 1, 1)),
        ("a server's", |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        ("an authority's", |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
    ];
    for (what, change) in odd {
        assert!(is_refused(&gate, &clients.says(&gate, change)), "{what}");
    }
    assert!(upstream.requests().is_empty());

    let of_a_client = clients.says(&gate, |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2080, 1, 1);
    });
    assert_eq!(ask(&gate, &of_a_client, "/backup", "").status, 200);
    // Through an authority in between, where the client sends that one's certificate along.
    let between = clients.authority.under();
    let files = between.issue(clients.folder.path(), &[NAME]);
    assert!(is_refused(&gate, &shows(&gate, &files, &["http/1.1"])), "a chain with a gap");
    let own = std::fs::read_to_string(&files.certificate).unwrap();
    std::fs::write(&files.certificate, own + &between.pem()).unwrap();
    assert_eq!(ask(&gate, &shows(&gate, &files, &["http/1.1"]), "/backup", "").status, 200);
}

#[test]
fn over_one_connection_each_request_is_judged_by_its_own_route_and_host() {
    let (clients, upstream) = (Clients::new(), Recorder::ok());
    let gate = clients
        .gate(&upstream.url())
        .route("{name: others, host: other.test, path: /backup, upstream: UPSTREAM}", &upstream.url())
        .start();
    let files = clients.authority.issue(clients.folder.path(), &[NAME]);
    let over_http2 = shows(&gate, &files, &["h2"]);
    let mut alice = Client::tls(&gate, HOST);
    alice.sign_in_by_password_alone(&gate);
    let cookie = alice.cookie_header().trim().strip_prefix("Cookie: ").unwrap().to_owned();
    let request = |host: &str, path: &str, cookie: Option<&str>| {
        let request = Request::builder().uri(format!("https://{host}{path}"));
        let request = cookie.into_iter().fold(request, |request, cookie| request.header("cookie", cookie));
        request.body(Bytes::new()).unwrap()
    };
    let asked = vec![
        request(HOST, "/backup/1", None),
        request("other.test", "/backup/2", None),
        request(HOST, "/3", None),
        request(HOST, "/backup/4", Some(&cookie)),
        request(HOST, "/5", Some(&cookie)),
        request(HOST, "/open/6", None),
        request(HOST, "/backup/7", None),
    ];
    let answers = h2::exchange_as(&over_http2, &gate, HOST, asked);
    let statuses: Vec<u16> = answers.into_iter().map(|answer| answer.unwrap().status).collect();
    assert_eq!(statuses, [200, 401, 401, 200, 200, 200, 200]);
    let (machine, alice) = (Some("certificate:backup.example.com"), Some("alice"));
    for (target, user) in
        [("/backup/1", machine), ("/backup/4", alice), ("/5", alice), ("/open/6", None), ("/backup/7", machine)]
    {
        let seen = upstream.requests().into_iter().find(|seen| seen.target() == target).expect(target);
        assert_eq!(seen.header("remote-user"), user, "{target}");
    }
}

#[test]
fn who_shows_a_certificate_logs_in_like_anybody() {
    let (clients, upstream) = (Clients::new(), Recorder::ok());
    let gate = clients.gate(&upstream.url()).start();
    let backup = clients.shows(&gate, &[NAME]);
    let page = ask(&gate, &backup, "/.sekisho/login", "Accept: text/html\r\n");
    assert!(page.status == 200 && page.text().contains("name=\"password\""), "{}", page.status);
    let mut conn = tls::connect(&backup, gate.tls_address(), HOST);
    let body = format!("{{\"login\":\"alice\",\"password\":\"{}\"}}", crate::harness::PASSWORD);
    conn.send(format!(
        "POST /.sekisho/api/login HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let answer = conn.response();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let value = answer.cookie("__Host-sekisho-session").expect("a session");
    gate.secrets().add(&value);
    conn.send(format!("GET /backup HTTP/1.1\r\nHost: {HOST}\r\nCookie: __Host-sekisho-session={value}\r\n\r\n"));
    assert_eq!(conn.response().status, 200);
    assert_eq!(upstream.last().header("remote-user"), Some("alice"));
}

#[test]
fn what_was_said_on_purpose_goes_before_the_certificate() {
    let (clients, upstream) = (Clients::new(), Recorder::ok());
    let gate = clients.gate(&upstream.url()).start();
    let backup = clients.shows(&gate, &[NAME]);
    let mut alice = Client::tls(&gate, HOST);
    alice.sign_in_by_password_alone(&gate);
    assert_eq!(ask(&gate, &backup, "/backup", &alice.cookie_header()).status, 200);
    assert_eq!(upstream.last().header("remote-user"), Some("alice"));
    assert!(gate.cli(&["session", "end", "--user", "alice"]).status.success());
    assert_eq!(ask(&gate, &backup, "/backup", &alice.cookie_header()).status, 401, "an ended session is no machine");
    assert_eq!(ask(&gate, &backup, "/backup", "Cookie: __Host-sekisho-session=x\r\n").status, 401);
    assert_eq!(ask(&gate, &backup, "/backup", "Authorization: Bearer skt_x\r\n").status, 401);
    let row = gate.cli_json(&["token", "add", "deploy", "--route", "all", "--expires", "90d"]);
    let token = row["token"].as_str().unwrap().to_owned();
    gate.secrets().add(&token);
    let shows = format!("Authorization: Bearer {token}\r\n");
    assert_eq!(ask(&gate, &backup, "/backup", &shows).status, 403, "the token is not for it");
    assert_eq!(ask(&gate, &backup, "/", &shows).status, 200);
    assert_eq!(upstream.last().header("remote-user"), Some("token:deploy"));
}

#[test]
fn a_page_of_another_site_gets_nothing_by_a_browsers_certificate() {
    let (clients, upstream) = (Clients::new(), Recorder::ok());
    let gate = clients.gate(&upstream.url()).start();
    let backup = clients.shows(&gate, &[NAME]);
    for (lines, status) in [
        ("Sec-Fetch-Site: none\r\n", 200),
        ("Sec-Fetch-Site: same-origin\r\nOrigin: https://app.test\r\n", 200),
        ("Sec-Fetch-Site: cross-site\r\n", 401),
        ("Sec-Fetch-Site: same-site\r\n", 401),
        ("Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n", 401),
        ("Origin: https://evil.test\r\n", 401),
        ("Origin: null\r\n", 401),
        ("Origin: http://app.test\r\n", 401),
    ] {
        assert_eq!(ask(&gate, &backup, "/backup", lines).status, status, "{lines}");
    }
    assert_eq!(upstream.requests().len(), 2);
}

#[test]
fn a_proxys_certificate_says_nothing_of_its_clients() {
    let (clients, upstream) = (Clients::new(), Recorder::ok());
    let gate = clients.gate(&upstream.url()).set("server.trusted_proxies", "[127.0.0.1]").start();
    let backup = clients.shows(&gate, &[NAME]);
    assert_eq!(ask(&gate, &backup, "/backup", "X-Forwarded-For: 203.0.113.9\r\n").status, 401);
    assert_eq!(ask(&gate, &backup, "/backup", "").status, 401);

    // One that passes bytes on, and says whose they are, has no part in the handshake.
    let gate = clients
        .gate(&upstream.url())
        .set("server.trusted_proxies", "[127.0.0.2]")
        .set("server.proxy_protocol", "true")
        .start();
    let through = |header: &str| {
        let mut tcp = tcp_from(Ipv4Addr::new(127, 0, 0, 2), gate.tls_address()).unwrap();
        tcp.write_all(header.as_bytes()).unwrap();
        let mut conn = tls::connect_over(&clients.shows(&gate, &[NAME]), tcp, HOST);
        conn.send(format!("GET /backup HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"));
        conn.response().status
    };
    assert_eq!(through("PROXY TCP4 203.0.113.7 192.0.2.1 4660 443\r\n"), 200);
    assert_eq!(upstream.last().header("x-real-ip"), Some("203.0.113.7"));
    assert_eq!(through("PROXY TCP4 127.0.0.2 192.0.2.1 4660 443\r\n"), 401, "the proxy's own");
}

#[test]
fn a_resumed_session_brings_nobodys_certificate_along() {
    let (clients, upstream) = (Clients::new(), Recorder::ok());
    let gate = clients.gate(&upstream.url()).start();
    let backup = clients.shows(&gate, &[NAME]);
    assert_eq!(ask(&gate, &backup, "/backup", "").status, 200);
    // The same memory of sessions, and nothing to show.
    let mut bare = ClientConfig::clone(&backup);
    bare.client_auth_cert_resolver = gate.authority().client(&[]).client_auth_cert_resolver.clone();
    let bare = Arc::new(bare);
    for _ in 0..3 {
        assert_eq!(ask(&gate, &bare, "/backup", "").status, 401);
    }
}

fn feed() -> Recorder {
    Recorder::raw(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n6\r\ndata: \r\n",
    )
}

fn open_stream(gate: &Sekisho, config: &Arc<ClientConfig>) -> Conn {
    let mut conn = tls::connect(config, gate.tls_address(), HOST);
    conn.send(format!("GET /backup/feed HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    let came = wait_until("the stream begins", || conn.came(Duration::from_secs(5)));
    assert!(came.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&came));
    conn
}

#[track_caller]
fn ends(conn: &mut Conn, why: &str) {
    wait_until(why, || conn.came(Duration::from_millis(200)).is_none().then_some(()));
}

#[test]
fn another_configuration_closes_what_a_certificate_may_not_do_any_more() {
    let (clients, upstream) = (Clients::new(), feed());
    let gate = clients.gate(&upstream.url()).start();
    let backup = clients.shows(&gate, &[NAME]);
    let mut open = open_stream(&gate, &backup);
    gate.reload();
    assert!(open.came(Duration::from_millis(300)).is_some(), "the same configuration changes nothing");
    clients.trust(&Authority::new().pem());
    gate.reload();
    ends(&mut open, "its authority is gone");
    assert!(is_refused(&gate, &backup));

    // Both authorities, as when one is changed for the other.
    clients.trust(&(Authority::new().pem() + &clients.authority.pem()));
    gate.reload();
    let mut open = open_stream(&gate, &backup);
    let text = std::fs::read_to_string(gate.config()).unwrap();
    std::fs::write(gate.config(), text.replace(NAME, "other.example.com")).unwrap();
    gate.reload();
    ends(&mut open, "its name is gone");
    assert_eq!(ask(&gate, &backup, "/backup", "").status, 401);

    // It is known by one of its names, and another one is another programme.
    let two = clients.shows(&gate, &["two.example.com", "other.example.com"]);
    let mut open = open_stream(&gate, &two);
    assert_eq!(upstream.last().header("remote-user"), Some("certificate:other.example.com"));
    let text = std::fs::read_to_string(gate.config()).unwrap();
    std::fs::write(gate.config(), text.replace("other.example.com", "two.example.com")).unwrap();
    gate.reload();
    ends(&mut open, "it goes by another name");
    drop(open_stream(&gate, &two));
    assert_eq!(upstream.last().header("remote-user"), Some("certificate:two.example.com"));
}

#[test]
fn its_own_end_closes_what_is_open_by_it_and_its_connection() {
    let (clients, upstream) = (
        Clients::new(),
        Recorder::with(|request, stream| {
            let body = match request.target() {
                "/backup/feed" => {
                    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n6\r\ndata: \r\n"
                }
                _ => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            };
            stream.write_all(body.as_bytes()).is_ok()
        }),
    );
    let gate = clients.gate(&upstream.url()).clock().start();
    let brief = clients.says(&gate, |params| params.not_after = date_time_ymd(2030, 1, 1));
    let mut open = open_stream(&gate, &brief);
    let mut idle = tls::connect(&brief, gate.tls_address(), HOST);
    idle.send(format!("GET /backup HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    assert_eq!(idle.response().status, 200);
    gate.advance(Duration::from_secs(IN_2030 - gate.unix_now() + 1));
    idle.send(format!("GET /backup HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    assert_eq!(idle.response().status, 401, "at once");
    ends(&mut open, "its time is over");
    assert!(idle.closes_within(Duration::from_secs(10)), "so that its client comes with another one");
    assert!(is_refused(&gate, &brief));
}

#[test]
fn a_list_of_revoked_ones_is_heeded_and_must_be_in_force() {
    let (clients, upstream) = (Clients::new(), feed());
    let (list, serial) = (clients.file("revoked.pem"), SerialNumber::from(vec![7, 7, 7]));
    std::fs::write(&list, clients.authority.revokes(&[SerialNumber::from(vec![1])], 2030)).unwrap();
    let both = format!("{{ca: {:?}, crl: {list:?}}}", clients.file("clients.pem"));
    let gate = clients.gate(&upstream.url()).set("server.tls.client_certificates", &both).clock().start();
    let backup = clients.says(&gate, |params| params.serial_number = Some(serial.clone()));
    let mut open = open_stream(&gate, &backup);
    std::fs::write(&list, clients.authority.revokes(&[serial], 2030)).unwrap();
    gate.reload();
    ends(&mut open, "it was revoked");
    assert!(is_refused(&gate, &backup));

    let other = clients.shows(&gate, &[NAME]);
    let mut open = open_stream(&gate, &other);
    gate.advance(Duration::from_secs(IN_2030 - gate.unix_now() + 1));
    assert!(is_refused(&gate, &other), "nobody knows what an old list does not say");
    ends(&mut open, "the list is old");
    // Of another authority's certificates it says nothing.
    std::fs::write(&list, Authority::new().revokes(&[], 2080)).unwrap();
    gate.reload();
    assert!(is_refused(&gate, &other));
    std::fs::write(&list, clients.authority.revokes(&[], 2080)).unwrap();
    gate.reload();
    drop(open_stream(&gate, &other));
}

#[test]
fn a_configuration_that_names_nobody_is_told() {
    let clients = Clients::new();
    let told = |change: &dyn Fn(Builder) -> Builder| {
        let gate = change(clients.gate("http://127.0.0.1:9")).write_only();
        gate.make_key();
        let output = gate.cli(&["check"]);
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout),
        )
    };
    let ca = clients.file("clients.pem");
    let (code, said) = told(&|gate| gate);
    assert_eq!(code, Some(0), "{said}");
    std::fs::write(clients.file("empty.pem"), "").unwrap();
    for (value, words) in [
        ("{ca: /nowhere/ca.pem}".to_owned(), "/nowhere/ca.pem"),
        (format!("{{ca: {:?}}}", clients.file("empty.pem")), "holds no certificate"),
        (format!("{{ca: {ca:?}, crl: {ca:?}}}"), "holds no list"),
        (format!("{{ca: {ca:?}, crl: /nowhere/crl.pem}}"), "/nowhere/crl.pem"),
    ] {
        let (code, said) = told(&|gate| gate.set("server.tls.client_certificates", &value));
        assert!(code == Some(78) && said.contains(words), "{value}: {code:?} {said}");
    }
    for name in ["10.0.0.1", "'*.example.com'", "CN=backup", "'spiffe://example.com/a b'", "'[::1]'"] {
        let route = format!("{{name: odd, path: /odd, client_certificates: [{name}], upstream: 'http://127.0.0.1:9'}}");
        let (code, said) = told(&|gate| gate.route(&route, "http://127.0.0.1:9"));
        assert!(code == Some(78) && said.contains("is no name of a certificate's"), "{name}: {said}");
    }
    let gate = Sekisho::builder()
        .tls(&[HOST])
        .route(&format!("{{name: backup, client_certificates: [{NAME}], upstream: UPSTREAM}}"), "http://127.0.0.1:9")
        .write_only();
    gate.make_key();
    let output = gate.cli(&["check"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.code() == Some(78) && said.contains("no client can show a certificate"), "{said}");
}
