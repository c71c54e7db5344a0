//! Figures that are kept where nothing is known of metrics, under the names by which they are served: the store's, the audit
//! file's, the certificates'.

use x509_parser::prelude::{FromDer, X509Certificate};

use super::context::Context;
use crate::config::{Certificate, Config};
use crate::metrics::{Reading, Times};
use crate::store::figures::{Snapshot, Spread};

/// As they are now. Reads the names and sizes of the store's files, and nothing that could make it wait for long.
pub fn readings(context: &Context) -> Vec<Reading> {
    let store = context.store.figures().map(store).unwrap_or_default();
    store.into_iter().chain([events_lost(context)]).chain(certificates(&context.config.load())).collect()
}

fn store(figures: Snapshot) -> Vec<Reading> {
    let errors = |operation: &str, count: u64| {
        let help = "What the store could not do, by what was asked of it.";
        Reading::counter("sekisho_store_errors_total", help, count as f64).with("operation", operation)
    };
    let size = figures
        .size
        .map(|bytes| Reading::gauge("sekisho_store_size_bytes", "Size of the store's files.", bytes as f64));
    let free = figures.free.map(|bytes| {
        Reading::gauge("sekisho_store_free_bytes", "Free space where the store's files are.", bytes as f64)
    });
    let up = if figures.open { 1.0 } else { 0.0 };
    [
        Reading::gauge("sekisho_store_up", "Whether the store is open: 0 while it is opened again after an error.", up),
        Reading::times(
            "sekisho_store_commit_duration_seconds",
            "From asking for a commit to its answer, once it is durable where it has to be.",
            times(figures.commits),
        ),
        Reading::times(
            "sekisho_store_sync_duration_seconds",
            "How long it took to make all commits durable that waited for it.",
            times(figures.syncs),
        ),
        Reading::gauge(
            "sekisho_store_commits_waiting",
            "Commits that were asked for and not answered.",
            figures.waiting as f64,
        ),
        Reading::counter(
            "sekisho_store_conflicts_total",
            "Commits that were refused because somebody else had come first; they are tried again.",
            figures.conflicts as f64,
        ),
        errors("read", figures.failed_reads),
        errors("commit", figures.failed_commits),
        Reading::counter(
            "sekisho_store_reopened_total",
            "How often the store was opened again.",
            figures.reopened as f64,
        ),
    ]
    .into_iter()
    .chain(size)
    .chain(free)
    .collect()
}

fn times(spread: Spread) -> Times {
    Times { counts: spread.counts, count: spread.count, sum: spread.sum }
}

fn events_lost(context: &Context) -> Reading {
    let lost = context.journal.file().map_or(0, |file| file.lost());
    let help = "Events that are in the store and could not be written to the audit file.";
    Reading::counter("sekisho_audit_file_lost_events_total", help, lost as f64)
}

/// Those in force, so that a reload shows.
fn certificates(config: &Config) -> Vec<Reading> {
    let all = config.server.tls.iter().flat_map(|tls| &tls.certificates).enumerate();
    all.filter_map(|(index, certificate)| {
        let file = certificate.certificate.file_name().map(|name| name.to_string_lossy().into_owned());
        let help = "When the first certificate of a chain expires, since the epoch; by its place in the configuration and its file.";
        let reading = Reading::gauge("sekisho_certificate_expiry_timestamp_seconds", help, expiry(certificate)? as f64);
        Some(reading.with("index", index.to_string()).with("file", file.unwrap_or_default()))
    })
    .collect()
}

/// When the chain is good no more: the earliest end of its parts.
fn expiry(certificate: &Certificate) -> Option<i64> {
    let ends = |der: &rustls::pki_types::CertificateDer<'_>| {
        X509Certificate::from_der(der).ok().map(|(_, parsed)| parsed.validity().not_after.timestamp())
    };
    certificate.certified.cert.iter().filter_map(ends).min()
}
