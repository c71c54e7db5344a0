//! `store.url`: which databases, as whom, and over what kind of connection. Nothing that is said of a URL repeats any part of it that could
//! be its password.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config as Host;
use tokio_postgres::config::{Host as Address, SslMode, SslNegotiation, TargetSessionAttrs};

use super::values::Bad;
use crate::secret::SecretString;

/// How long a host may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(2);
/// What was sent and is not acknowledged for so long has met a dead connection.
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);
/// A connection that is silent for so long is asked whether it is alive.
const SILENT: Duration = Duration::from_secs(10);

const SHAPE: &str = "postgresql://USER:PASSWORD@HOST:5432/DATABASE, with %-encoding for : / ? # @ & in user and password; several hosts \
                     with commas between them; sslmode, application_name, options behind a `?`";

/// A database that can be connected to.
#[derive(Clone)]
pub struct Database {
    url: SecretString,
    hosts: Vec<Host>,
    tls: Arc<ClientConfig>,
    shown: String,
}

/// Hosts and database, never a user or a password.
impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Database").field(&self.shown).finish()
    }
}

impl Database {
    /// Reads a URL; `authorities` sign the servers' certificates, where it asks for TLS.
    pub(super) fn parse(text: &str, authorities: impl FnOnce() -> Arc<[CertificateDer<'static>]>) -> Result<Self, Bad> {
        let rest = text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"));
        let Some(rest) = rest.filter(|_| !text.chars().any(|c| c.is_control() || c == ' ')) else {
            return Err(Bad::new("must be a URL like postgresql://user@host/database"));
        };
        let parameters = Parameters::read(rest)?;
        let read = parameters.url.parse::<Host>();
        let base = read.map_err(|_| Bad::new("cannot be read as a URL of PostgreSQL").hint(SHAPE))?;
        if !matches!(base.get_target_session_attrs(), TargetSessionAttrs::Any | TargetSessionAttrs::ReadWrite) {
            return Err(Bad::new("asks for a server that cannot be written to"));
        }
        let name = base.get_dbname().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| Bad::new("names no database").hint(SHAPE))?.to_owned();
        let (addresses, ports) = (base.get_hosts(), base.get_ports());
        if addresses.is_empty() || !base.get_hostaddrs().is_empty() {
            return Err(Bad::new("names no host").hint(SHAPE));
        }
        if ports.len() > 1 && ports.len() != addresses.len() {
            return Err(Bad::new("has not as many ports as hosts").hint(SHAPE));
        }
        let (mut hosts, mut shown) = (Vec::new(), Vec::new());
        for (index, address) in addresses.iter().enumerate() {
            let port = ports.get(index).or_else(|| ports.first()).copied().unwrap_or(5432);
            shown.push(show(address, port)?);
            hosts.push(one(&base, address, port, parameters.wants_tls(address)));
        }
        let needs_tls = hosts.iter().any(|host| host.get_ssl_mode() != SslMode::Disable);
        let tls = tls(&if needs_tls { authorities() } else { Arc::default() })?;
        Ok(Self { url: text.into(), hosts, tls, shown: format!("postgresql://{}/{name}", shown.join(",")) })
    }

    /// A host that is reached over the network without TLS, if there is one.
    pub(super) fn in_clear(&self) -> Option<&str> {
        let in_clear = |host: &&Host| host.get_ssl_mode() == SslMode::Disable;
        self.hosts.iter().filter(in_clear).flat_map(Host::get_hosts).find_map(|address| match address {
            Address::Tcp(name) if !is_here(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The whole URL, to be compared.
    pub(super) const fn url(&self) -> &SecretString {
        &self.url
    }

    /// Each of the hosts, in the order in which they are tried.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// How servers are proved to be those that are named.
    #[must_use]
    pub const fn tls(&self) -> &Arc<ClientConfig> {
        &self.tls
    }

    /// Its name for people: without user and password.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

/// What stands behind the `?`, as far as it is ours to judge.
struct Parameters {
    /// The URL in the driver's own words.
    url: String,
    sslmode: Option<SslMode>,
}

impl Parameters {
    fn read(rest: &str) -> Result<Self, Bad> {
        // A password may have a `?` of its own.
        let behind = rest.split_once('@').map_or(rest, |(_, behind)| behind);
        let (user, (place, query)) =
            (rest.strip_suffix(behind).unwrap_or_default(), behind.split_once('?').unwrap_or((behind, "")));
        let (mut kept, mut sslmode) = (Vec::new(), None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (key, value) {
                ("sslmode", "disable") => sslmode = Some(SslMode::Disable),
                // Whoever asks for TLS gets the certificate checked, by whatever word it is asked for.
                ("sslmode", "require" | "verify-ca" | "verify-full") => sslmode = Some(SslMode::Require),
                ("sslmode", _) => {
                    return Err(Bad::new("has a sslmode that leaves it to others whether there is TLS")
                        .hint("sslmode=verify-full, or sslmode=disable"));
                }
                ("sslrootcert" | "sslcert" | "sslkey" | "sslcrl", _) => {
                    return Err(Bad::new("names files of TLS").hint("`store.ca` names the file of the authorities"));
                }
                _ => kept.push(pair),
            }
        }
        let question = if kept.is_empty() { "" } else { "?" };
        Ok(Self { url: format!("postgresql://{user}{place}{question}{}", kept.join("&")), sslmode })
    }

    /// Over the network always, unless the URL says otherwise; a socket of this machine needs none.
    fn wants_tls(&self, address: &Address) -> bool {
        match (address, self.sslmode) {
            (Address::Unix(_), _) => false,
            (Address::Tcp(_), Some(mode)) => mode != SslMode::Disable,
            (Address::Tcp(name), None) => !is_here(name),
        }
    }
}

fn is_here(name: &str) -> bool {
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Its name, where it is one: of a password with an `@` of its own, a part would stand here.
fn show(address: &Address, port: u16) -> Result<String, Bad> {
    match address {
        Address::Tcp(name) if name.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6()) => {
            Ok(format!("[{name}]:{port}"))
        }
        Address::Tcp(name)
            if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c)) =>
        {
            Ok(format!("{name}:{port}"))
        }
        Address::Unix(path) => Ok(format!("{}:{port}", path.display())),
        Address::Tcp(_) => Err(Bad::new("names a host that can be none").hint(SHAPE)),
    }
}

/// The settings of one host, with limits to whatever is waited for.
fn one(base: &Host, address: &Address, port: u16, tls: bool) -> Host {
    let mut host = Host::new();
    match address {
        Address::Tcp(name) => host.host(name),
        Address::Unix(path) => host.host_path(path),
    };
    host.port(port)
        .ssl_mode(if tls { SslMode::Require } else { SslMode::Disable })
        .ssl_negotiation(if tls { base.get_ssl_negotiation() } else { SslNegotiation::Postgres })
        .channel_binding(base.get_channel_binding())
        .target_session_attrs(TargetSessionAttrs::ReadWrite)
        .application_name(base.get_application_name().unwrap_or("sekisho"))
        .connect_timeout(CONNECT)
        .tcp_user_timeout(UNACKNOWLEDGED)
        .keepalives_idle(SILENT);
    if let Some(user) = base.get_user() {
        host.user(user);
    }
    if let Some(password) = base.get_password() {
        host.password(password);
    }
    if let Some(name) = base.get_dbname() {
        host.dbname(name);
    }
    if let Some(options) = base.get_options() {
        host.options(options);
    }
    host
}

fn tls(authorities: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, Bad> {
    let mut roots = RootCertStore::empty();
    let _ = roots.add_parsable_certificates(authorities.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.map_err(|error| Bad::new(format!("cannot be reached over TLS: {error}")))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

#[cfg(test)]
pub mod testing {
    use super::*;

    /// The database of this URL.
    pub fn database(url: &str) -> Database {
        Database::parse(url, Arc::default).unwrap_or_else(|bad| panic!("{bad:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Database, Bad> {
        Database::parse(text, Arc::default)
    }

    fn modes(text: &str) -> Vec<SslMode> {
        parse(text).unwrap().hosts().iter().map(Host::get_ssl_mode).collect()
    }

    #[test]
    fn what_is_shown_has_hosts_and_database_alone() {
        let database =
            parse("postgresql://u:hunter2@db1.example.com,[2001:db8::1]:5433/accounts?options=-chunter2").unwrap();
        assert_eq!(database.shown(), "postgresql://db1.example.com:5432,[2001:db8::1]:5433/accounts");
        assert!(!format!("{database:?} {:?}", database.hosts()).contains("hunter2@"));
        let odd = parse("postgresql://u:a?hunter2&sslmode=disable@h/d?sslmode=verify-full").unwrap();
        assert_eq!((odd.shown(), odd.in_clear()), ("postgresql://h:5432/d", None));
        let socket = parse("postgresql://u@%2Fvar%2Frun%2Fpostgresql/accounts").unwrap();
        assert_eq!(socket.shown(), "postgresql:///var/run/postgresql:5432/accounts");
    }

    #[test]
    fn over_the_network_there_is_tls_unless_the_url_says_otherwise() {
        use SslMode::{Disable, Require};
        assert_eq!(modes("postgresql://u@db.example.com/d"), [Require]);
        assert_eq!(modes("postgresql://u@db.example.com/d?sslmode=verify-full&application_name=x"), [Require]);
        assert_eq!(modes("postgresql://u@localhost/d?sslmode=require"), [Require]);
        assert_eq!(
            modes("postgresql://u@localhost,127.0.0.2,[::1],%2Frun,db/d"),
            [Disable, Disable, Disable, Disable, Require]
        );
        let clear = parse("postgresql://u@localhost,db/d?sslmode=disable").unwrap();
        assert_eq!((clear.hosts().len(), clear.in_clear()), (2, Some("db")));
        assert_eq!(parse("postgresql://u@localhost,db/d").unwrap().in_clear(), None);
    }

    #[test]
    fn every_host_must_be_one_that_can_be_written_to() {
        for host in parse("postgresql://u@a,b/d").unwrap().hosts() {
            assert_eq!(host.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
            assert_eq!((host.get_hosts().len(), host.get_connect_timeout()), (1, Some(&CONNECT)));
        }
        assert!(parse("postgresql://u@a,b/d?target_session_attrs=read-write").is_ok());
        assert!(parse("postgresql://u@a,b/d?target_session_attrs=read-only").is_err());
    }

    #[test]
    fn no_refusal_repeats_what_might_be_a_password() {
        for text in [
            "mysql://u:hunter2@h/d",
            "postgresql://u:hunter2@h",
            "postgresql://u:hunter2/d",
            "postgresql://u:hunter2@hunter2@h/d",
            "postgresql://u:a&hunter2@h/d?hunter2=1",
            "postgresql://u:hunter2@h/d?sslmode=hunter2",
            "postgresql://u:hunter2@h/d?sslmode=prefer",
            "postgresql://u:hunter2@h/d?sslrootcert=hunter2",
            "postgresql://u:hunter2@h:hunter2/d",
            "postgresql://u:hunter2@h/d?hostaddr=192.0.2.1",
            "postgresql://u:hunter 2@h/d",
        ] {
            let Err(bad) = parse(text) else { panic!("{text} was taken") };
            assert!(!format!("{bad:?}").contains("hunter"), "{bad:?}");
        }
    }
}
