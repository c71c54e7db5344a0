//! The least of a mail server: takes every letter over a real socket, and keeps it.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What it has taken.
pub struct Mailbox(mpsc::UnboundedReceiver<String>);

impl Mailbox {
    pub async fn open() -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (taken, letters) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, taken.clone()));
            }
        });
        (Self(letters), port)
    }

    /// The next letter, however long it takes.
    pub async fn letter(&mut self) -> String {
        self.0.recv().await.unwrap()
    }

    /// The next letter's code: six digits on a line of their own.
    pub async fn code(&mut self) -> String {
        let letter = self.letter().await;
        let is_code = |line: &&str| line.len() == 6 && line.bytes().all(|byte| byte.is_ascii_digit());
        letter.lines().map(str::trim).find(is_code).unwrap_or_else(|| panic!("no code in\n{letter}")).to_owned()
    }

    /// Whether nothing more has come so far.
    pub fn is_empty(&mut self) -> bool {
        self.0.try_recv().is_err()
    }
}

async fn converse(stream: TcpStream, taken: mpsc::UnboundedSender<String>) {
    let (from, mut to) = stream.into_split();
    let mut lines = BufReader::new(from).lines();
    let _ = to.write_all(b"220 test\r\n").await;
    while let Ok(Some(line)) = lines.next_line().await {
        let answer: &[u8] = match line.split(' ').next().unwrap_or_default() {
            "DATA" => {
                let _ = to.write_all(b"354 go on\r\n").await;
                let mut letter = String::new();
                while let Ok(Some(line)) = lines.next_line().await {
                    if line == "." {
                        break;
                    }
                    letter.push_str(&line);
                    letter.push('\n');
                }
                let _ = taken.send(letter);
                b"250 taken\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            _ => b"250 ok\r\n",
        };
        let _ = to.write_all(answer).await;
    }
}
