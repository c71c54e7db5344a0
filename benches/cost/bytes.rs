//! A gibibyte down and one up, through one connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

use super::contestant::{Contestant, pingora_to, sekisho_to};
use super::part::{MEASURES, Part};
use super::table::Table;
use super::{bare, cpu};

const SIZE: usize = 1024 * 1024 * 1024;
/// What is written and read at once.
const PIECE: usize = 128 * 1024;
/// After so much the contestant's memory is looked at.
const LOOK: usize = 64 * 1024 * 1024;

pub const PART: Part = Part {
    table: Table {
        title: "1 GiB",
        columns: &[("MiB/s down", 0), ("MiB/s up", 0), ("CPU s down", 2), ("CPU s up", 2), ("MiB more", 1)],
        compared: &[0, 1],
        measures: MEASURES,
    },
    contestants: &[
        ("pingora", |name| pingora_to(name, bare::PLAIN, tool())),
        ("sekisho", |name| sekisho_to(name, tool(), 1, |builder| builder.set("log.access", "off"))),
    ],
    play,
};

/// Reads what comes, and answers a GET with the whole size.
fn tool() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    loop {
        let (head, early) = head(&mut stream)?;
        if head.starts_with("GET") {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n")?;
            send(&mut stream, |_| {})?;
        } else {
            receive(&mut stream, SIZE - early, |_| {})?;
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        }
    }
}

fn play(contestant: &Contestant, _: u32) -> Vec<f64> {
    let memory = || cpu::mebibytes(&contestant.processes);
    let before = memory();
    let mut most = before;
    let mut look = |_| most = most.max(memory());
    let mut stream = TcpStream::connect(contestant.address).unwrap();
    let fields = format!("Host: {}\r\nCookie: {}\r\n", contestant.address, contestant.cookies[0]);

    let (began, taken) = (Instant::now(), cpu::of(&contestant.processes));
    write!(stream, "GET / HTTP/1.1\r\n{fields}\r\n").unwrap();
    let (answer, early) = head(&mut stream).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{}: {answer}", contestant.name);
    receive(&mut stream, SIZE - early, &mut look).unwrap();
    let down = (began.elapsed(), cpu::of(&contestant.processes) - taken);

    let (began, taken) = (Instant::now(), cpu::of(&contestant.processes));
    write!(stream, "PUT / HTTP/1.1\r\n{fields}Content-Length: {SIZE}\r\n\r\n").unwrap();
    send(&mut stream, &mut look).unwrap();
    let (answer, _) = head(&mut stream).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{}: {answer}", contestant.name);
    let up = (began.elapsed(), cpu::of(&contestant.processes) - taken);

    let rate = |took: std::time::Duration| SIZE as f64 / (1024.0 * 1024.0) / took.as_secs_f64();
    vec![rate(down.0), rate(up.0), down.1.as_secs_f64(), up.1.as_secs_f64(), most - before]
}

fn send(stream: &mut TcpStream, mut look: impl FnMut(usize)) -> std::io::Result<()> {
    let piece = vec![b'x'; PIECE];
    for sent in (0..SIZE).step_by(PIECE) {
        stream.write_all(&piece)?;
        if sent % LOOK == 0 {
            look(sent);
        }
    }
    Ok(())
}

fn receive(stream: &mut TcpStream, length: usize, mut look: impl FnMut(usize)) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE];
    let (mut left, mut looked) = (length, length);
    while left > 0 {
        let most = left.min(PIECE);
        let came = stream.read(&mut piece[..most])?;
        assert!(came > 0, "it ended {left} bytes early");
        left -= came;
        if looked - left > LOOK {
            looked = left;
            look(left);
        }
    }
    Ok(())
}

/// A head, and how many bytes came behind it.
fn head(stream: &mut TcpStream) -> std::io::Result<(String, usize)> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 16 * 1024];
    loop {
        let came = stream.read(&mut piece)?;
        if came == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&piece[..came]);
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok((String::from_utf8_lossy(&bytes[..end]).into_owned(), bytes.len() - end - 4));
        }
    }
}
