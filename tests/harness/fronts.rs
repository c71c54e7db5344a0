//! What stands before a [`Recorder`](super::Recorder) so that it is met otherwise than over plain TCP: by TLS, or by a Unix socket;
//! and an address where nobody ever picks up.
//!
//! Each connection is passed on over one connection of its own, so that the recorder's connections are the front's.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use rustix::net::{AddressFamily, SocketType};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use super::tls::{Authority, CertificateFiles};

/// A front that runs until it is dropped.
pub struct Front {
    url: String,
    _runtime: Runtime,
}

impl Front {
    /// Where it is met.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// TLS with this certificate; where `clients` is there, it asks for a certificate that this authority has signed.
    pub fn tls(certificate: &CertificateFiles, clients: Option<&Authority>, behind: SocketAddr) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = CertificateDer::pem_file_iter(&certificate.certificate).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(&certificate.key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
        let runtime = runtime();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    if let Ok(client) = acceptor.accept(client).await {
                        pass_on(client, behind).await;
                    }
                });
            }
        });
        Self { url, _runtime: runtime }
    }

    /// A Unix socket at `path`.
    pub fn unix(path: &Path, behind: SocketAddr) -> Self {
        let runtime = runtime();
        let listener = runtime.block_on(async { UnixListener::bind(path) }).unwrap();
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass_on(client, behind));
            }
        });
        Self { url: format!("unix:{}", path.display()), _runtime: runtime }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

async fn pass_on(mut client: impl AsyncRead + AsyncWrite + Unpin, behind: SocketAddr) {
    if let Ok(mut server) = TcpStream::connect(behind).await {
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}

/// An address where connections are neither taken nor refused: its queue is full.
pub struct Unanswered {
    address: SocketAddr,
    _listener: std::os::fd::OwnedFd,
    _queue: Vec<std::os::fd::OwnedFd>,
}

impl Unanswered {
    pub fn start() -> Self {
        let open = || {
            let flags = rustix::net::SocketFlags::CLOEXEC | rustix::net::SocketFlags::NONBLOCK;
            rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap()
        };
        let listener = open();
        rustix::net::bind(&listener, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let address = SocketAddr::try_from(rustix::net::getsockname(listener.as_fd()).unwrap()).unwrap();
        // A queue of length 0 holds one; what comes later is left without an answer.
        let connect = |_| {
            let socket = open();
            let _ = rustix::net::connect(&socket, &address);
            socket
        };
        let queue = (0..4).map(connect).collect();
        Self { address, _listener: listener, _queue: queue }
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// An address where connections are refused: bound once, and given back.
pub fn refused() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
