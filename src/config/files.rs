//! The files that a configuration names: keys, certificates. Messages name paths, never what the files hold.

use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::Access;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use rustls::{Error as TlsError, InconsistentKeys};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::surroundings::{read_file, reason};
use super::values::Bad;
use crate::secret::{KeyError, Keys};

const HOW_TO_MAKE: &str =
    "`sekisho key generate FILE` makes one; a key that encrypts a store already must be restored, not replaced";

/// Reads the key file again, as the configuration did.
///
/// # Errors
/// What is wrong with it.
pub fn read_keys(path: &Path) -> Result<Keys, String> {
    keys(path).map_err(|bad| bad.rule)
}

/// Reads the key file.
pub(super) fn keys(path: &Path) -> Result<Keys, Bad> {
    let (bytes, metadata) = read(path).map_err(|bad| if path.exists() { bad } else { bad.hint(HOW_TO_MAKE) })?;
    let bytes = Zeroizing::new(bytes);
    let shown = path.display();
    if is_open_to_others(&metadata) {
        return Err(Bad::new(format!("every account of this machine can get at {shown}")).hint(chmod_hint(path)));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| malformed(path))?;
    Keys::parse(text).map_err(|error| match error {
        KeyError::Malformed(line) => {
            Bad { rule: format!("line {line} of {shown} is not a sekisho key"), ..malformed(path) }
        }
        KeyError::Empty => Bad { rule: format!("{shown} holds no key"), ..malformed(path) },
        _ => malformed(path),
    })
}

fn malformed(path: &Path) -> Bad {
    Bad::new(format!("{} is not a key file", path.display())).hint(HOW_TO_MAKE)
}

/// The certificates of a PEM file, at least one.
pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Bad> {
    let (bytes, _) = read(path)?;
    let shown = path.display();
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let chain = chain.map_err(|_| Bad::new(format!("{shown} is not a PEM file")))?;
    if chain.is_empty() {
        return Err(
            Bad::new(format!("{shown} holds no certificate")).hint("a PEM file with -----BEGIN CERTIFICATE-----")
        );
    }
    Ok(chain)
}

/// The certificates of a PEM file that may sign others'.
pub(super) fn authorities(path: &Path) -> Result<Arc<[CertificateDer<'static>]>, Bad> {
    let certificates = for_upstreams(chain(path)?)?;
    let number = certificates.iter().position(|certificate| !is_authority(certificate));
    match number {
        None => Ok(certificates.into()),
        Some(index) => {
            Err(Bad::new(format!("certificate {} of {} cannot be an authority's", index + 1, path.display())))
        }
    }
}

/// The lists of revoked certificates in a PEM file, at least one.
pub(super) fn revoked(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, Bad> {
    let (bytes, _) = read(path)?;
    let shown = path.display();
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&bytes).collect();
    let lists = lists.map_err(|_| Bad::new(format!("{shown} is not a PEM file")))?;
    if lists.is_empty() {
        return Err(Bad::new(format!("{shown} holds no list")).hint("a PEM file with -----BEGIN X509 CRL-----"));
    }
    Ok(lists)
}

/// What verifies clients' certificates, where they show some: signed by one of these, for clients, in force, and on no list. Where there are
/// lists, a certificate whose authority has none that is in force is as good as revoked.
pub(super) fn client_verifier(
    authorities: &[CertificateDer<'static>],
    revoked: Option<Vec<CertificateRevocationListDer<'static>>>,
) -> Result<Arc<dyn ClientCertVerifier>, Bad> {
    let mut roots = rustls::RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone()).map_err(|error| Bad::new(format!("holds an unusable authority: {error}")))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .with_crls(revoked.unwrap_or_default())
        .enforce_revocation_expiration()
        .allow_unauthenticated()
        .build();
    verifier.map_err(|error| Bad::new(format!("is of no use: {error}")))
}

/// The machine's own list of authorities, as far as it can be read and used; empty where there is none.
pub(super) fn system_authorities() -> Arc<[CertificateDer<'static>]> {
    let found = rustls_native_certs::load_native_certs().certs;
    found.into_iter().filter(|certificate| is_readable(certificate) && is_authority(certificate)).collect()
}

/// These certificates, proved to be such that Pingora can read them: where it cannot, it panics.
pub(super) fn for_upstreams(certificates: Vec<CertificateDer<'static>>) -> Result<Vec<CertificateDer<'static>>, Bad> {
    match certificates.iter().position(|certificate| !is_readable(certificate)) {
        None => Ok(certificates),
        Some(index) => Err(Bad::new(format!("its certificate {} is damaged", index + 1))),
    }
}

fn is_readable(certificate: &CertificateDer<'_>) -> bool {
    x509_parser::parse_x509_certificate(certificate).is_ok()
}

fn is_authority(certificate: &CertificateDer<'_>) -> bool {
    rustls::RootCertStore::empty().add(certificate.clone()).is_ok()
}

/// A private key, and whether others can read its file.
pub(super) struct PrivateKey {
    pub key: PrivateKeyDer<'static>,
    pub world_readable: bool,
}

/// The first private key of a PEM file.
pub(super) fn private_key(path: &Path) -> Result<PrivateKey, Bad> {
    let (bytes, metadata) = read(path)?;
    let bytes = Zeroizing::new(bytes);
    let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
        Bad::new(format!("{} holds no private key that can be read", path.display()))
            .hint("an unencrypted PEM file with -----BEGIN PRIVATE KEY-----")
    })?;
    Ok(PrivateKey { key, world_readable: is_open_to_others(&metadata) })
}

/// Proves that chain and key belong together.
pub(super) fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<CertifiedKey>, Bad> {
    let provider = rustls::crypto::ring::default_provider();
    let signing = provider.key_provider.load_private_key(key).map_err(|_| {
        Bad::new("is of a kind that TLS cannot use").hint("RSA of 2048 to 8192 bits, ECDSA P-256 or P-384, Ed25519")
    })?;
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        Ok(()) => Ok(Arc::new(certified)),
        Err(TlsError::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err(Bad::new("is not the key of the certificate")
                .hint("in the certificate's file, the host's own certificate must come first"))
        }
        Err(_) => Err(Bad::new("cannot be matched with the certificate, which is damaged or of an unknown kind")),
    }
}

/// The command that keeps others out.
pub(super) fn chmod_hint(path: &Path) -> String {
    format!("chmod o= {}", path.display())
}

/// Why the gateway may not be able to append to this file, or should not, and what to do. As seen by whoever asks, who may not
/// be the gateway's user.
pub(super) fn hard_to_append(path: &Path) -> Option<(String, String)> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let may = |path: &Path, access| rustix::fs::access(path, access).is_ok();
    let give =
        |path: &Path| format!("the gateway's user must be able to write there: chown sekisho {}", path.display());
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            Some((format!("{} is a folder", path.display()), "name a file".to_owned()))
        }
        Ok(_) if !may(path, Access::WRITE_OK) => Some((format!("{} cannot be written", path.display()), give(path))),
        Ok(metadata) if metadata.is_file() && is_open_to_others(&metadata) => {
            Some((format!("every account of this machine can get at {}", path.display()), chmod_hint(path)))
        }
        Ok(_) => None,
        Err(_) if !folder.is_dir() => {
            Some((format!("there is no folder {}", folder.display()), format!("mkdir {}", folder.display())))
        }
        Err(_) if !may(folder, Access::WRITE_OK | Access::EXEC_OK) => {
            Some((format!("no file can be made in {}", folder.display()), give(folder)))
        }
        Err(_) => None,
    }
}

fn is_open_to_others(metadata: &Metadata) -> bool {
    metadata.permissions().mode() & 0o007 != 0
}

fn read(path: &Path) -> Result<(Vec<u8>, Metadata), Bad> {
    read_file(path).map_err(|error| Bad::new(format!("cannot read {}: {}", path.display(), reason(&error))))
}
