//! The way to the SMTP server: encryption as configured, the certificate always checked, every step with a time limit.

use std::time::Duration;

use lettre::transport::smtp::AsyncSmtpTransport;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncTransport, Message as Letter, Tokio1Executor};
use secrecy::ExposeSecret;

use crate::config::{Smtp, SmtpSecurity};

/// For one conversation step with the server.
const STEP_LIMIT: Duration = Duration::from_secs(10);

/// Why there is no way to the server, or why it did not take a message. Never holds what was to be sent.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error("the mail server's certificate authority cannot be read: {0}")]
    Authority(String),
    /// Worth another try: no connection, a temporary refusal (4xx), too slow.
    #[error("the mail server could not take it now: {0}")]
    Temporary(String),
    /// Another try would end the same way (5xx, a certificate that does not match, no STARTTLS).
    #[error("the mail server refused it: {0}")]
    Permanent(String),
}

pub(super) struct Transport(AsyncSmtpTransport<Tokio1Executor>);

impl Transport {
    /// Builds it; opens no connection yet. With `starttls` a server that offers none gets nothing (no fall back to clear
    /// text), and with both kinds of TLS the certificate must be for `smtp.host`.
    pub(super) fn new(smtp: &Smtp) -> Result<Self, TransportError> {
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&smtp.host)
            .port(smtp.port)
            .timeout(Some(STEP_LIMIT));
        builder = match smtp.security {
            SmtpSecurity::None => builder.tls(Tls::None),
            SmtpSecurity::StartTls => builder.tls(Tls::Required(parameters(smtp)?)),
            SmtpSecurity::Tls => builder.tls(Tls::Wrapper(parameters(smtp)?)),
        };
        if let Some((username, password)) = &smtp.credentials {
            builder = builder.credentials(Credentials::new(username.clone(), password.expose_secret().to_owned()));
        }
        Ok(Self(builder.build()))
    }

    pub(super) async fn send(&self, letter: &Letter) -> Result<(), TransportError> {
        let envelope = letter.envelope().clone();
        match self.0.send_raw(&envelope, &letter.formatted()).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() || error.is_tls() || error.is_client() || distrusts(&error) => {
                Err(TransportError::Permanent(chain(&error)))
            }
            Err(error) => Err(TransportError::Temporary(chain(&error))),
        }
    }
}

fn parameters(smtp: &Smtp) -> Result<TlsParameters, TransportError> {
    let mut builder = TlsParameters::builder(smtp.host.clone());
    for authority in &smtp.authorities {
        let certificate =
            Certificate::from_der(authority.to_vec()).map_err(|error| TransportError::Authority(chain(&error)))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build().map_err(|error| TransportError::Authority(chain(&error)))
}

/// Whether the server's certificate was found wanting, which the SMTP library calls a failed connection. The next try would
/// find the same.
fn distrusts(error: &(dyn std::error::Error + 'static)) -> bool {
    let tls = |error: &(dyn std::error::Error + 'static)| {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let found = error.downcast_ref().or_else(|| inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()));
        matches!(found, Some(rustls::Error::InvalidCertificate(_)))
    };
    std::iter::successors(Some(error), |error| error.source()).any(tls)
}

/// An error and what lies beneath it, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}
