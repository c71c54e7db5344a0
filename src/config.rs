//! The configuration: what the YAML says (`schema`), every problem with its place ([`diagnostic`]), and a [`Config`]
//! that is valid by construction.
//!
//! ```text
//! text ─▶ yaml (+ places) ─▶ tree ─▶ surroundings (${NAME}) ─▶ schema ─▶ Draft ─▶ validate ─▶ Config
//!                                          reader, values, address, database, template, files
//! ```
//!
//! Whoever holds a `Config` need not check it again: files were read, addresses parsed, routes proved unambiguous.
//! Nothing here stops at the first problem, and no message repeats a secret.

mod address;
mod agreement;
mod anchors;
mod database;
pub mod diagnostic;
mod files;
mod fixed;
pub mod header_name;
mod load;
mod places;
mod reach;
mod reader;
mod schema;
mod surroundings;
mod template;
pub mod theme;
mod upstream;
mod upstream_auth;
mod validate;
mod values;
pub(crate) mod yaml;

#[cfg(test)]
mod tests;

pub use agreement::Agreement;
pub use anchors::Anchors;
pub use database::Database;
#[cfg(test)]
pub use database::testing;
pub use diagnostic::{Diagnostic, Severity};
pub use files::read_keys;
pub use fixed::{Unusable, load_beside};
pub use header_name::Stripped;
pub use load::{Loaded, load, parse};
pub use reach::admin_socket;
pub use surroundings::{Variables, process_variables};
pub use theme::Theme;
pub use upstream::{
    ClientCertificate, HeaderNames, HealthCheck, Protocol, RouteUpstream, Timeouts, Upstream, UpstreamTls,
    WeightedUpstream,
};
pub use upstream_auth::{LoginForm, SignedIn, SignedOut, ToolCookies, UpstreamAuth, Way, Whose};

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderName;
use ipnet::IpNet;
use rustls_pki_types::CertificateDer;

use crate::authn::user::Method;
use crate::authz::{Host, Place, RouteId, RouteTable, SecondFactorDemand};
use crate::secret::{Keys, SecretString};

/// A duration as the configuration spells one, for the command line's options.
///
/// # Errors
/// In words, where it is none or out of `range`.
pub fn parse_duration(text: &str, range: std::ops::RangeInclusive<Duration>) -> Result<Duration, String> {
    values::duration(text, range).map_err(|bad| match bad.hint {
        Some(hint) => format!("{}: {hint}", bad.rule),
        None => bad.rule,
    })
}

/// The configuration in force; a reload swaps it as a whole.
pub type Current = Arc<ArcSwap<Config>>;

/// A whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it was read from, and will be read from again.
    pub file: PathBuf,
    pub server: Server,
    pub log: Log,
    pub store: Store,
    pub keys: Arc<Keys>,
    /// The file of the keys, beside which the store's id is kept. For `credential:NAME` the file NAME in the configuration's folder:
    /// it need not exist, but it is where the id stood before the key became a credential, and it is not lost with the store.
    pub key_file: PathBuf,
    /// Where the keys were read from: for `credential:NAME` that credential, which is systemd's to change.
    pub keys_from: PathBuf,
    pub session: Session,
    pub second_factor: SecondFactor,
    pub password: Password,
    pub lockout: Lockout,
    pub mail: Option<Mail>,
    pub portal: Portal,
    pub identity: Identity,
    pub held: Held,
    pub audit: Audit,
    pub routes: RouteTable,
    /// One for each route, in the table's order.
    pub upstreams: Vec<RouteUpstream>,
    /// What the file says that nodes on one database must have in common.
    pub agreed: Agreement,
}

impl Config {
    /// What nodes on one database must have in common: a digest for each section.
    #[must_use]
    pub fn agreement(&self) -> Agreement {
        agreement::with_keys(self.agreed.clone(), &self.keys)
    }
}

#[derive(Debug, Clone)]
pub struct Server {
    pub listen: Vec<Listen>,
    pub tls: Option<Tls>,
    pub trusted_proxies: Vec<IpNet>,
    pub metrics: Option<SocketAddr>,
    pub admin_socket: PathBuf,
    pub shutdown_grace: Duration,
    pub upgrade_grace: Duration,
    /// Never zero: 0 in the file has become the number of cores.
    pub workers: usize,
    pub proxy_protocol: bool,
}

/// Where a listening socket comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    Address(SocketAddr),
    /// A socket passed by systemd under this name.
    Systemd(String),
}

impl std::fmt::Display for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Systemd(name) => write!(f, "systemd:{name}"),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Tls {
    pub listen: Vec<Listen>,
    /// The first one serves clients that name no host that any of them is for.
    pub certificates: Vec<Certificate>,
    pub redirect_http: bool,
    /// Verifies clients' certificates, where clients may show some; none has to.
    pub client_certificates: Option<Arc<dyn rustls::server::danger::ClientCertVerifier>>,
}

/// A certificate chain and its key, read and proved to belong together.
#[derive(Debug, Clone)]
pub struct Certificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub certified: Arc<rustls::sign::CertifiedKey>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessLog {
    Off,
    Json,
    Combined,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Json,
    Text,
}

#[derive(Debug, Clone, Copy)]
pub struct Log {
    pub access: AccessLog,
    pub format: LogFormat,
}

#[derive(Debug, Clone)]
pub enum Store {
    Sled {
        path: PathBuf,
    },
    Postgres {
        database: Database,
        /// The file of the authorities that sign the servers' certificates; none: the machine's own.
        ca: Option<PathBuf>,
        /// How long what is known already is trusted while the database is out of reach.
        stale_for: Duration,
    },
}

#[derive(Debug, Clone, Copy)]
pub struct Session {
    pub idle_timeout: Duration,
    pub max_lifetime: Duration,
    pub max_per_user: usize,
}

/// Whether a browser that passed the second factor is spared it (F13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RememberDevice {
    Ask,
    Always,
    Never,
}

/// Who may switch an account's second factor on (F5). Off and reset is a manager's too, either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwitchedOnBy {
    Owner,
    /// And the owner.
    Managers,
}

#[derive(Debug, Clone)]
pub struct SecondFactor {
    /// The gateway's word; a route's own stands over it.
    pub demand: SecondFactorDemand,
    pub default_method: Method,
    pub switched_on_by: SwitchedOnBy,
    pub remember_device: RememberDevice,
    pub totp: Totp,
    pub mail_code: MailCode,
    pub recovery_codes: RecoveryCodes,
}

#[derive(Debug, Clone)]
pub struct Totp {
    pub issuer: String,
    pub period: Duration,
    pub digits: u8,
    /// Accepted clock skew, in steps either way (RFC 6238 §5.2).
    pub skew: u8,
}

#[derive(Debug, Clone, Copy)]
pub struct MailCode {
    pub lifetime: Duration,
    pub max_attempts: u32,
    pub resend_after: Duration,
}

#[derive(Debug, Clone, Copy)]
pub struct RecoveryCodes {
    pub count: u8,
    pub digits: u8,
    pub low_water: u8,
}

#[derive(Debug, Clone, Copy)]
pub struct Password {
    /// In characters.
    pub min_length: usize,
    /// Of the four: lower case, upper case, digits, others.
    pub min_classes: u8,
    pub max_age: Option<Duration>,
    pub argon2: Argon2,
}

/// Cost of a password hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2 {
    /// In KiB.
    pub memory_kib: u32,
    pub iterations: u32,
    pub parallelism: u32,
}

#[derive(Debug, Clone, Copy)]
pub struct Lockout {
    pub max_failures: u32,
    pub window: Duration,
    pub duration: Duration,
    /// Wrong ones in a row, for an account, after which time alone does not help.
    pub max_in_row: u32,
    pub per_address: AddressThrottle,
}

#[derive(Debug, Clone, Copy)]
pub struct AddressThrottle {
    pub max_failures: u32,
    pub window: Duration,
}

#[derive(Debug, Clone)]
pub struct Mail {
    pub from: String,
    /// With `{subject}` and `{title}` to be filled in.
    pub subject: String,
    pub smtp: Smtp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    StartTls,
    Tls,
    None,
}

#[derive(Debug, Clone)]
pub struct Smtp {
    pub host: String,
    pub port: u16,
    pub security: SmtpSecurity,
    pub credentials: Option<(String, SecretString)>,
    /// Certificates of an authority that is trusted beside the system's.
    pub authorities: Vec<CertificateDer<'static>>,
}

#[derive(Debug, Clone)]
pub struct Portal {
    /// `/.sekisho`: begins with `/`, ends without one.
    pub path: String,
    pub url: Option<String>,
    pub host: Option<Host>,
    pub admin_networks: Vec<IpNet>,
    /// Never empty; the first is the default.
    pub languages: Vec<Language>,
    pub title: String,
    pub theme: Option<Arc<Theme>>,
}

/// A language that the pages speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    Ja,
    En,
}

#[derive(Debug, Clone)]
pub struct Identity {
    pub headers: HeaderTemplates,
    pub encoding: HeaderEncoding,
    /// Further names to strip.
    pub strip: Vec<Stripped>,
    pub assertion: bool,
}

/// How what is not ASCII stands in an identity header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderEncoding {
    Percent,
    Utf8,
    Rfc2047,
}

/// Names and what they carry, in the file's order; no name twice.
pub type HeaderTemplates = Vec<(HeaderName, HeaderTemplate)>;

/// A template over the account: text and placeholders, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderTemplate(pub Vec<TemplatePart>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplatePart {
    Text(String),
    Id,
    Login,
    Name,
    Email,
    /// Comma-separated.
    Groups,
    Role,
}

/// Forms that are kept over a login. Sizes in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    pub max_size: usize,
    pub lifetime: Duration,
    pub per_session: usize,
    pub total: u64,
}

#[derive(Debug, Clone)]
pub struct Audit {
    pub file: Option<PathBuf>,
    pub retain: Duration,
}

impl Server {
    /// What verifies clients' certificates; `None`: clients are asked for none.
    #[must_use]
    pub fn client_verifier(&self) -> Option<&Arc<dyn rustls::server::danger::ClientCertVerifier>> {
        self.tls.as_ref()?.client_certificates.as_ref()
    }

    /// The certificates of the TLS listeners; none, where there are none.
    #[must_use]
    pub fn certificates(&self) -> &[Certificate] {
        self.tls.as_ref().map_or(&[], |tls| tls.certificates.as_slice())
    }
}

impl Config {
    /// Where this route leads.
    #[must_use]
    pub fn upstream(&self, id: RouteId) -> Option<&RouteUpstream> {
        self.upstreams.get(id.0)
    }

    /// Whether `address` is a proxy whose word is believed.
    #[must_use]
    pub fn trusts(&self, address: std::net::IpAddr) -> bool {
        // A socket that takes both families shows an IPv4 peer as `::ffff:…`.
        let address = address.to_canonical();
        self.server.trusted_proxies.iter().any(|network| network.contains(&address))
    }

    /// Where this host stands with the sign-on.
    #[must_use]
    pub fn place(&self, host: &Host) -> Place {
        Place::of(self.portal.host.as_ref(), &self.routes, host)
    }

    /// What a page of sekisho's own asks for: the gateway's policy, or the account's where that is stricter.
    #[must_use]
    pub const fn portal_demand(&self) -> SecondFactorDemand {
        self.second_factor.demand.for_own_pages()
    }
}
