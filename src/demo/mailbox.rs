//! The demo's mailbox: an SMTP server on a port of this machine that keeps what it is given in memory, so that nobody needs
//! a mail account to try codes by mail. It speaks as much of RFC 5321 as a client needs to hand over a letter.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mail_parser::MessageParser;
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Letters kept; the oldest goes.
const KEPT: usize = 20;
/// Conversations at the same time.
const AT_ONCE: usize = 8;
/// The longest command line (RFC 5321 §4.5.3.1.4 asks for 512) and the longest letter, in bytes.
const LINE: u64 = 2048;
const LETTER: usize = 256 * 1024;
/// For one line of a conversation.
const PATIENCE: Duration = Duration::from_secs(30);

/// A letter, as the page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Letter {
    /// Counts from 1.
    pub number: u64,
    pub to: String,
    pub subject: String,
    pub text: String,
}

/// What has arrived, newest first.
#[derive(Debug, Default)]
pub struct Mailbox {
    letters: Mutex<VecDeque<Letter>>,
}

impl Mailbox {
    /// What is in it.
    pub fn letters(&self) -> Vec<Letter> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn keep(&self, to: &str, raw: &[u8]) {
        let Some(message) = MessageParser::default().parse(raw) else { return };
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        let letter = Letter {
            number: letters.front().map_or(1, |newest| newest.number + 1),
            to: to.to_owned(),
            subject: message.subject().unwrap_or_default().to_owned(),
            text: message.body_text(0).unwrap_or_default().trim().to_owned(),
        };
        letters.push_front(letter);
        letters.truncate(KEPT);
    }
}

/// Takes letters until the task is dropped.
pub async fn receive(listener: TcpListener, mailbox: Arc<Mailbox>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else { continue };
        let mailbox = Arc::clone(&mailbox);
        tokio::spawn(async move {
            // A client that breaks off has handed over what was acknowledged, and nothing else.
            let _ = converse(stream, &mailbox).await;
            drop(place);
        });
    }
}

async fn converse(stream: TcpStream, mailbox: &Mailbox) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut recipient = String::new();
    answer(&mut stream, "220 demo mailbox").await?;
    while let Some(line) = read_line(&mut stream).await? {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        let verb: String = text.chars().take_while(char::is_ascii_alphabetic).collect::<String>().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" | "HELO" => answer(&mut stream, "250 demo mailbox").await?,
            "MAIL" | "RSET" => {
                recipient.clear();
                answer(&mut stream, "250 OK").await?;
            }
            "RCPT" => {
                let address = text.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
                recipient = address.map(|(address, _)| address.to_owned()).unwrap_or_default();
                answer(&mut stream, if recipient.is_empty() { "501 no address" } else { "250 OK" }).await?;
            }
            "DATA" if recipient.is_empty() => answer(&mut stream, "503 no recipient").await?,
            "DATA" => {
                answer(&mut stream, "354 go on").await?;
                match read_letter(&mut stream).await? {
                    Some(letter) => {
                        mailbox.keep(&recipient, &letter);
                        answer(&mut stream, "250 OK").await?;
                    }
                    None => return answer(&mut stream, "552 too long").await,
                }
                recipient.clear();
            }
            "NOOP" => answer(&mut stream, "250 OK").await?,
            "QUIT" => return answer(&mut stream, "221 bye").await,
            _ => answer(&mut stream, "502 not here").await?,
        }
    }
    Ok(())
}

async fn answer(stream: &mut BufReader<TcpStream>, text: &str) -> std::io::Result<()> {
    stream.write_all(format!("{text}\r\n").as_bytes()).await
}

/// A line with its end; `None`: the client is gone, too slow, or sends a line without end.
async fn read_line(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut limited = stream.take(LINE);
    match timeout(PATIENCE, limited.read_until(b'\n', &mut line)).await {
        Ok(read) => read.map(|_| line.ends_with(b"\n").then_some(line)),
        Err(_) => Ok(None),
    }
}

/// The lines up to the single dot, without the dots that were doubled for the way (RFC 5321 §4.5.2).
async fn read_letter(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Vec<u8>>> {
    let mut letter = Vec::new();
    while let Some(line) = read_line(stream).await? {
        if line == b".\r\n" {
            return Ok(Some(letter));
        }
        letter.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        if letter.len() > LETTER {
            return Ok(None);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::clock::{ManualClock, Timestamp};
    use crate::config::{Mail, Smtp, SmtpSecurity};
    use crate::mail::{Delivery, Message, Outbox};

    #[tokio::test]
    async fn what_the_outbox_posts_is_shown_in_the_mailbox() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mailbox = Arc::new(Mailbox::default());
        let receiving = tokio::spawn(receive(listener, Arc::clone(&mailbox)));
        let smtp = Smtp {
            host: "127.0.0.1".into(),
            port,
            security: SmtpSecurity::None,
            credentials: None,
            authorities: Vec::new(),
        };
        let mail = Mail { from: "Shop <no-reply@example.com>".into(), subject: "{subject}".into(), smtp };
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
        let outbox = Outbox::open(&mail, clock, CancellationToken::new()).unwrap();
        let message = Message {
            to: "bob@example.com".parse().unwrap(),
            name: "山田 太郎".parse().unwrap(),
            subject: "確認コード".into(),
            text: "コード: 123456\n.\n以上".to_owned().into(),
            html: "<p>123456</p>".to_owned().into(),
        };
        let mut ticket = outbox.post(message).unwrap();
        assert_eq!(ticket.settled().await, Delivery::Delivered);
        let letters = mailbox.letters();
        let [letter] = letters.as_slice() else { panic!("{letters:?}") };
        assert_eq!((letter.to.as_str(), letter.subject.as_str()), ("bob@example.com", "確認コード"));
        assert_eq!(letter.text.replace("\r\n", "\n"), "コード: 123456\n.\n以上");
        receiving.abort();
    }
}
