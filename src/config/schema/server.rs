//! `server`, `log`, `store`: sockets, certificates, what the process itself needs.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use rustls::server::danger::ClientCertVerifier;

use crate::config::reader::{Field, Section};
use crate::config::values::{self, days, hours, seconds};
use crate::config::{
    AccessLog, Certificate, Database, Listen, Log, LogFormat, Server, Store, Tls, address, files, reach,
};

pub(super) fn server(section: &mut Section<'_>) -> Server {
    let listen_field = section.field("listen");
    let listen = listen_field.list(|item| item.parse(values::listen)).unwrap_or_default();
    let has_tls = section.field("tls").given();
    let tls = section.optional("tls", tls);
    if !listen_field.given() && !has_tls {
        let hint = "`listen: [\"127.0.0.1:8080\"]`, say, or `tls` with certificates".to_owned();
        section.context().error(section.place(), "`server.listen` or `server.tls` is missing", Some(hint));
    } else if listen_field.is_empty_list() && !has_tls {
        listen_field.error("names no address", None);
    }
    report_repeated(&listen_field, &listen, tls.as_ref());

    let trusted_proxies = trusted_proxies(section);
    if !has_tls && trusted_proxies.is_empty() && listen.iter().any(|listen| !is_loopback(listen)) {
        let hint = "add `server.tls`, or name the proxy that ends TLS in `server.trusted_proxies`";
        listen_field.warn("nobody can sign in over plain HTTP from another machine", Some(hint.to_owned()));
    }
    let proxy_protocol = section.boolean("proxy_protocol", false);
    if proxy_protocol && trusted_proxies.is_empty() {
        let hint = "name the load balancers' addresses there; without them nobody's PROXY header is read";
        section.field("proxy_protocol").error("needs `server.trusted_proxies`", Some(hint.to_owned()));
    }
    let metrics = metrics(section, &listen, tls.as_ref());
    let admin_socket = admin_socket(section);
    let workers = match section.integer("workers", 0, 0..=1024) {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    Server {
        listen,
        tls,
        trusted_proxies,
        metrics,
        admin_socket,
        shutdown_grace: section.duration("shutdown_grace", seconds(30), seconds(0)..=hours(1)),
        upgrade_grace: section.duration("upgrade_grace", hours(1), seconds(0)..=days(7)),
        workers,
        proxy_protocol,
    }
}

fn tls(section: &mut Section<'_>) -> Tls {
    let listen_field = section.field("listen").required("like [\"0.0.0.0:443\"]");
    let listen = listen_field.list(|item| item.parse(values::listen)).unwrap_or_default();
    if listen_field.is_empty_list() {
        listen_field.error("names no address", None);
    }
    let field = section.field("certificates").required("like [{certificate: cert.pem, key: key.pem}]");
    let certificates = field.list(|item| item.read_section(certificate).flatten()).unwrap_or_default();
    if field.is_empty_list() {
        field.error("names no certificate", None);
    }
    let redirect_http = section.boolean("redirect_http", true);
    let client_certificates = section.optional("client_certificates", client_certificates).flatten();
    Tls { listen, certificates, redirect_http, client_certificates }
}

/// Whose certificates clients may show.
fn client_certificates(section: &mut Section<'_>) -> Option<Arc<dyn ClientCertVerifier>> {
    let ca = section.field("ca").required("a PEM file of the authorities that sign clients' certificates");
    let authorities = ca.path().and_then(|path| reported(&ca, files::authorities(&path)));
    let crl = section.field("crl");
    let revoked = crl.path().and_then(|path| reported(&crl, files::revoked(&path)));
    // A list that is named and cannot be read is an error, and never as if there were none.
    let (authorities, at) = (authorities?, if crl.given() { &crl } else { &ca });
    if crl.given() && revoked.is_none() {
        return None;
    }
    reported(at, files::client_verifier(&authorities, revoked))
}

/// A certificate and its key, read and proved to match; for a server, or for a client of an upstream.
pub(super) fn certificate(section: &mut Section<'_>) -> Option<Certificate> {
    let certificate = section.field("certificate").required("the PEM file of the chain, the host's own one first");
    let key = section.field("key").required("the PEM file of the private key");
    let (certificate_path, key_path) = (certificate.path(), key.path());
    let chain = certificate_path.as_deref().and_then(|path| reported(&certificate, files::chain(path)));
    let private = key_path.as_deref().and_then(|path| reported(&key, files::private_key(path)));
    let (chain, private) = (chain?, private?);
    if private.world_readable {
        key.warn("every account of this machine can read the key", Some(files::chmod_hint(key_path.as_deref()?)));
    }
    let certified = reported(&key, files::certified(chain, private.key))?;
    Some(Certificate { certificate: certificate_path?, key: key_path?, certified })
}

/// What was read, or the report that it could not be.
pub(super) fn reported<T>(field: &Field<'_>, result: Result<T, values::Bad>) -> Option<T> {
    result.map_err(|bad| field.error(bad.rule, bad.hint)).ok()
}

fn report_repeated(field: &Field<'_>, plain: &[Listen], tls: Option<&Tls>) {
    let all: Vec<&Listen> = plain.iter().chain(tls.iter().flat_map(|tls| &tls.listen)).collect();
    for (index, listen) in all.iter().enumerate() {
        // Port 0 asks for any free port: twice means two.
        let wants_any = matches!(listen, Listen::Address(address) if address.port() == 0);
        if !wants_any && all.iter().take(index).any(|earlier| earlier == listen) {
            let what = match listen {
                Listen::Address(address) => address.to_string(),
                Listen::Systemd(name) => format!("systemd:{name}"),
            };
            field.error(format!("{what} is listened on twice"), None);
        }
    }
}

/// Whoever reaches it reads how the gateway fares, without a login.
fn metrics(section: &mut Section<'_>, plain: &[Listen], tls: Option<&Tls>) -> Option<SocketAddr> {
    let field = section.field("metrics");
    let address = field.parse(values::socket_address)?;
    let taken = plain.iter().chain(tls.iter().flat_map(|tls| &tls.listen));
    if address.port() != 0 && taken.into_iter().any(|listen| *listen == Listen::Address(address)) {
        field.error(format!("{address} is listened on twice"), Some("give it a port of its own".to_owned()));
    } else if is_public(address.ip().to_canonical()) {
        let hint = "name 127.0.0.1, or the address of a network that only your own machines are in".to_owned();
        field.warn("everybody who reaches this address can read the metrics, without a login", Some(hint));
    }
    Some(address)
}

/// Every address of the machine, or one that is routed on the Internet (RFC 1918, RFC 4193, RFC 6598 have the others).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let shared = matches!(v4.octets(), [100, 64..=127, ..]);
            !(v4.is_loopback() || v4.is_private() || v4.is_link_local() || shared)
        }
        IpAddr::V6(v6) => !(v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()),
    }
}

fn trusted_proxies(section: &mut Section<'_>) -> Vec<ipnet::IpNet> {
    let read = |item: Field<'_>| {
        let network = item.parse(values::network)?;
        if network.prefix_len() == 0 {
            let hint = "name the proxies' own addresses: whoever is believed can claim any address and https";
            item.warn("believes every client's X-Forwarded-*", Some(hint.to_owned()));
        }
        Some(network)
    };
    section.field("trusted_proxies").list(read).unwrap_or_default()
}

fn admin_socket(section: &mut Section<'_>) -> PathBuf {
    let field = section.field("admin_socket");
    let path = field.path().unwrap_or_else(|| PathBuf::from(reach::ADMIN_SOCKET));
    if path.as_os_str().len() > address::LONGEST_SOCKET_PATH {
        field.error("the path is longer than 107 bytes, the system's limit for a socket", None);
    }
    path
}

fn is_loopback(listen: &Listen) -> bool {
    match listen {
        Listen::Address(SocketAddr::V4(address)) => address.ip().is_loopback(),
        Listen::Address(SocketAddr::V6(address)) => IpAddr::V6(*address.ip()).to_canonical().is_loopback(),
        // What address the socket has is systemd's to say.
        Listen::Systemd(_) => true,
    }
}

pub(super) fn log(section: &mut Section<'_>) -> Log {
    let access = [("off", AccessLog::Off), ("json", AccessLog::Json), ("combined", AccessLog::Combined)];
    Log {
        access: section.choice("access", AccessLog::Off, &access),
        format: section.choice("format", LogFormat::Json, &[("json", LogFormat::Json), ("text", LogFormat::Text)]),
    }
}

pub(super) fn store(section: &mut Section<'_>) -> Option<Store> {
    let is_postgres = section.choice("engine", false, &[("sled", false), ("postgres", true)]);
    let path = section.field("path");
    let url = section.text_or_file("url", "url_file").secret();
    let ca = section.field("ca");
    let ca_path = ca.path();
    let stale_for = section.duration("stale_for", seconds(30), seconds(0)..=hours(1));
    if is_postgres {
        if path.given() {
            path.error("belongs to `engine: sled`", Some("remove it: the database is named by `url`".to_owned()));
        }
        let url = url.required("like postgresql://user@host/database, or url_file");
        let authorities = ca_path.as_deref().and_then(|path| reported(&ca, files::authorities(path)));
        if ca.given() && authorities.is_none() {
            return None;
        }
        let trusted = || authorities.unwrap_or_else(files::system_authorities);
        let database = url.parse(|text| Database::parse(text, trusted))?;
        if let Some(host) = database.in_clear() {
            let hint = "sslmode=verify-full, with `store.ca` where the certificate is of an authority of your own";
            url.warn(format!("everything crosses the network to {host} in clear"), Some(hint.to_owned()));
        }
        return Some(Store::Postgres { database, ca: ca_path, stale_for });
    }
    for (field, hint) in [(&url, "add `engine: postgres`, or remove it"), (&ca, "it is for the database's certificate")]
    {
        if field.given() {
            field.error("belongs to `engine: postgres`", Some(hint.to_owned()));
        }
    }
    // The contract shows a path for sled, and everything that it shows is a default.
    let path = if path.given() { path.path()? } else { PathBuf::from("/var/lib/sekisho") };
    Some(Store::Sled { path })
}
