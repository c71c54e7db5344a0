//! A certificate authority for one test, and TLS clients that trust it alone.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod, KeyPair,
    RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::PATIENCE;
use super::conn::{Conn, Stream};

/// An authority that signs whatever a test needs. Certificates are valid far beyond any moved clock.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

/// A certificate chain and key in PEM files.
#[derive(Clone)]
pub struct CertificateFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Where issuer and subject have one name, OpenSSL takes a certificate for a self-signed one.
        params.distinguished_name.push(DnType::CommonName, "the tests' authority");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// An authority that this one has signed.
    pub fn under(&self) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority in between");
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// Writes a certificate for these names (host names or addresses), and its key, into `folder`.
    pub fn issue(&self, folder: &Path, names: &[&str]) -> CertificateFiles {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let stem = names.first().expect("a certificate has a name").replace('*', "any");
        self.sign(folder, &stem, &CertificateParams::new(names).unwrap())
    }

    /// The same for a certificate that says all this.
    pub fn sign(&self, folder: &Path, stem: &str, params: &CertificateParams) -> CertificateFiles {
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let files = CertificateFiles {
            certificate: folder.join(format!("{stem}.pem")),
            key: folder.join(format!("{stem}.key")),
        };
        std::fs::write(&files.certificate, signed.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    /// A list that says these certificates are revoked, in PEM; good until 1 January of that year.
    pub fn revokes(&self, serials: &[SerialNumber], until: i32) -> String {
        let revoked = |serial: &SerialNumber| RevokedCertParams {
            serial_number: serial.clone(),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(vec![1]),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    /// The authority's own certificate, in PEM.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A client's configuration that trusts this authority alone and offers `alpn`.
    pub fn client(&self, alpn: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// A raw connection over TLS, with this server name, speaking the first of `alpn` that the server takes.
    #[track_caller]
    pub fn connect(&self, address: SocketAddr, server_name: &str, alpn: &[&str]) -> Conn {
        connect(&self.client(alpn), address, server_name)
    }
}

/// A raw connection over TLS.
#[track_caller]
pub fn connect(config: &Arc<ClientConfig>, address: SocketAddr, server_name: &str) -> Conn {
    connect_over(config, TcpStream::connect(address).unwrap(), server_name)
}

/// The same over a connection that has begun.
#[track_caller]
pub fn connect_over(config: &Arc<ClientConfig>, tcp: TcpStream, server_name: &str) -> Conn {
    try_connect_over(config, tcp, server_name).expect("the TLS handshake succeeds")
}

/// The same where the other side may not want to.
pub fn try_connect_over(config: &Arc<ClientConfig>, tcp: TcpStream, server_name: &str) -> Option<Conn> {
    let name = ServerName::try_from(server_name.to_owned()).unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, tcp);
    stream.sock.set_read_timeout(Some(PATIENCE)).unwrap();
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).ok()?;
    }
    Some(Conn::over(stream))
}

/// The certificate that a handshake ends with.
#[track_caller]
pub fn certificate_shown(config: &Arc<ClientConfig>, address: SocketAddr, server_name: &str) -> Vec<u8> {
    let name = ServerName::try_from(server_name.to_owned()).unwrap();
    let mut connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).expect("the TLS handshake succeeds");
    }
    connection.peer_certificates().and_then(<[_]>::first).expect("a certificate is shown").to_vec()
}

impl Stream for StreamOwned<ClientConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }
}
