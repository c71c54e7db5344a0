//! A mail: one recipient, text and HTML, no header that a person or a request could break out of.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address, Message as Letter};

use crate::authn::user::{DisplayName, Email};
use crate::clock::Timestamp;
use crate::secret::SecretString;
use secrecy::ExposeSecret;

/// What is to be sent. The texts may hold a code, so that they are secrets.
#[derive(Debug)]
pub struct Message {
    pub to: Email,
    pub name: DisplayName,
    pub subject: String,
    pub text: SecretString,
    pub html: SecretString,
}

/// Why a message cannot be put into the form that SMTP carries.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// A line break or another control character where a header stands. Refused here, since the SMTP library lets some of
    /// them through (see its advisories).
    #[error("a header of the mail would hold a control character")]
    ControlCharacter,
    #[error("the sender is not a mail address: {0}")]
    Sender(lettre::address::AddressError),
    #[error("the recipient is not a mail address: {0}")]
    Recipient(lettre::address::AddressError),
    #[error("the mail cannot be built: {0}")]
    Build(lettre::error::Error),
}

impl Message {
    /// The letter as it goes over the wire, from `sender` (`Name <address>` or an address alone), dated `now`.
    pub(super) fn letter(&self, sender: &str, now: Timestamp) -> Result<Letter, MessageError> {
        let breaks = |text: &str| text.chars().any(char::is_control);
        if breaks(sender) || breaks(&self.subject) || breaks(self.name.as_str()) || breaks(self.to.as_str()) {
            return Err(MessageError::ControlCharacter);
        }
        let from: Mailbox = sender.parse().map_err(MessageError::Sender)?;
        let address: Address = self.to.as_str().parse().map_err(MessageError::Recipient)?;
        // A name that begins with a dot would be written without quotes, and is no phrase then (RFC 5322 §3.2.5).
        let name = self.name.as_str().trim_start_matches('.');
        let name = Some(name).filter(|name| !name.is_empty()).map(str::to_owned);
        let date: SystemTime = UNIX_EPOCH + Duration::from_secs(now.secs());
        // RFC 3834 §5: nobody's absence note needs to answer this.
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        let automatic = HeaderValue::new(automatic, "auto-generated".to_owned());
        Letter::builder()
            .from(from)
            .to(Mailbox::new(name, address))
            .subject(self.subject.clone())
            .date(date)
            .message_id(None)
            .raw_header(automatic)
            .multipart(MultiPart::alternative_plain_html(
                self.text.expose_secret().to_owned(),
                self.html.expose_secret().to_owned(),
            ))
            .map_err(MessageError::Build)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str, subject: &str) -> Message {
        Message {
            to: "bob@example.com".parse().unwrap(),
            name: name.parse().unwrap(),
            subject: subject.to_owned(),
            text: "line\n.\n123456".to_owned().into(),
            html: "<p>123456</p>".to_owned().into(),
        }
    }

    fn sent(message: &Message) -> String {
        let letter = message.letter("Shop admin <no-reply@example.com>", Timestamp::from_secs(1_700_000_000)).unwrap();
        String::from_utf8(letter.formatted()).unwrap()
    }

    #[test]
    fn it_says_that_a_machine_sent_it_and_when() {
        let letter = sent(&message("Bob", "Your code"));
        assert!(letter.contains("Auto-Submitted: auto-generated\r\n"), "{letter}");
        assert!(letter.contains("Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"), "{letter}");
        assert!(letter.contains("Message-ID: <"), "{letter}");
    }

    #[test]
    fn a_name_with_odd_characters_stays_one_recipient() {
        for name in ["\"x\" <eve@example.net>", "eve@example.net, Bob", "山田 太郎", "a\\b(c)", ";:@", "."] {
            let letter = sent(&message(name, "Your code"));
            let head = letter.split("\r\n\r\n").next().unwrap();
            let to = head.replace("\r\n ", " ");
            let to = to.lines().find(|line| line.starts_with("To: ")).unwrap();
            let parsed: lettre::message::Mailboxes = to.trim_start_matches("To: ").parse().unwrap();
            let addresses: Vec<_> = parsed.iter().map(|mailbox| mailbox.email.to_string()).collect();
            assert_eq!(addresses, ["bob@example.com"], "{name}: {to}");
        }
    }

    #[test]
    fn a_subject_with_a_line_break_is_refused() {
        let broken = message("Bob", "Your code\r\nBcc: eve@example.net");
        assert!(matches!(
            broken.letter("no-reply@example.com", Timestamp::from_secs(0)),
            Err(MessageError::ControlCharacter)
        ));
    }

    #[test]
    fn its_debug_form_does_not_tell_the_code() {
        assert!(!format!("{:?}", message("Bob", "Your code")).contains("123456"));
    }
}
