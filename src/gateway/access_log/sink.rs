//! Standard output, written by a thread of its own: whoever reads it may be slow, or have stopped reading, and no request
//! waits for that. What does not fit between is lost, and counted.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Lines that may wait.
const WAITING: usize = 16 * 1024;
/// Written at once: what is not longer than this goes into a pipe as a whole (`PIPE_BUF`), beside other writers.
const PIECE: usize = 4096;
/// So long lines gather before they are written. Whoever has a line need not wake the thread meanwhile, which costs more than the line.
const GATHER: Duration = Duration::from_millis(2);
/// How long the end of the gateway waits for the last lines.
const LAST: Duration = Duration::from_secs(2);

/// Where the lines go. Its thread begins with the first one.
#[derive(Debug, Default)]
pub struct Sink {
    lines: OnceLock<Option<SyncSender<Message>>>,
    lost: AtomicU64,
}

#[derive(Debug)]
enum Message {
    Line(String),
    /// Answered when everything before it is written.
    Flush(SyncSender<()>),
}

impl Sink {
    /// Takes a line, its end included.
    pub fn write(&self, line: String) {
        let Some(lines) = self.lines.get_or_init(begin) else { return };
        if lines.try_send(Message::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(lost, "lines of the access log were lost: standard output is not read fast enough");
        }
    }

    /// Waits until what was taken so far is written, for a little while. Blocks.
    pub fn flush(&self) {
        let Some(Some(lines)) = self.lines.get() else { return };
        let (done, written) = sync_channel(1);
        if lines.try_send(Message::Flush(done)).is_ok() {
            let _ = written.recv_timeout(LAST);
        }
    }
}

fn begin() -> Option<SyncSender<Message>> {
    let (sender, receiver) = sync_channel(WAITING);
    let thread = std::thread::Builder::new().name("access-log".to_owned());
    match thread.spawn(move || write_all(&receiver, &mut io::stdout())) {
        Ok(_) => Some(sender),
        Err(error) => {
            tracing::error!(%error, "there is no access log: its thread could not be started");
            None
        }
    }
}

fn write_all(messages: &Receiver<Message>, out: &mut impl Write) {
    let mut piece = String::with_capacity(PIECE);
    let mut complained = false;
    while let Ok(first) = messages.recv() {
        if matches!(first, Message::Line(_)) {
            std::thread::park_timeout(GATHER);
        }
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Line(line) => {
                    if piece.len() + line.len() > PIECE {
                        put(&mut piece, out, &mut complained);
                    }
                    piece.push_str(&line);
                }
                Message::Flush(done) => {
                    put(&mut piece, out, &mut complained);
                    let _ = done.send(());
                }
            }
            next = messages.try_recv().ok();
        }
        put(&mut piece, out, &mut complained);
    }
}

fn put(piece: &mut String, out: &mut impl Write, complained: &mut bool) {
    let written = out.write_all(piece.as_bytes()).and_then(|()| out.flush());
    piece.clear();
    match written {
        Ok(()) => *complained = false,
        Err(error) if !*complained => {
            *complained = true;
            tracing::warn!(%error, "the access log cannot be written to standard output");
        }
        Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_whole_and_in_order() {
        let (sender, receiver) = sync_channel(WAITING);
        for number in 0..1000 {
            sender.send(Message::Line(format!("line {number} {}\n", "x".repeat(number % 90)))).unwrap();
        }
        let (done, written) = sync_channel(1);
        sender.send(Message::Flush(done)).unwrap();
        drop(sender);
        let mut out = Pieces::default();
        write_all(&receiver, &mut out);
        written.try_recv().unwrap();
        assert!(out.0.iter().all(|piece| piece.ends_with(b"\n") && piece.len() <= PIECE));
        let text = String::from_utf8(out.0.concat()).unwrap();
        assert!(text.lines().enumerate().all(|(number, line)| line.starts_with(&format!("line {number} "))));
        assert_eq!(text.lines().count(), 1000);
    }

    #[derive(Default)]
    struct Pieces(Vec<Vec<u8>>);

    impl Write for Pieces {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.to_vec());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
