//! Messages over WebSockets that stay open: each is sent when the one before it has come back.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest};

use super::contestant::{Contestant, pingora_to, sekisho_to};
use super::part::{MEASURES, Part};
use super::table::Table;
use super::{bare, cpu};
use crate::harness::tools::WebSocketEcho;

const SOCKETS: usize = 64;

pub const PART: Part = Part {
    table: Table {
        title: "WebSocket",
        columns: &[("CPU µs/message and back", 1), ("messages/s", 0), ("p50 ms", 2), ("p99 ms", 2), ("MiB", 0)],
        compared: &[0, 1, 3],
        measures: MEASURES,
    },
    contestants: &[
        ("pingora", |name| pingora_to(name, bare::PLAIN, echo())),
        ("sekisho", |name| sekisho_to(name, echo(), 1, |builder| builder.set("log.access", "off"))),
    ],
    play,
};

fn echo() -> std::net::SocketAddr {
    // For as long as the benchmark runs.
    let echo: &WebSocketEcho = Box::leak(Box::new(WebSocketEcho::start()));
    echo.url().trim_start_matches("http://").parse().unwrap()
}

fn play(contestant: &Contestant, seconds: u32) -> Vec<f64> {
    let sockets: Vec<_> = (0..SOCKETS).map(|_| open(contestant)).collect();
    let (began, before) = (Instant::now(), cpu::of(&contestant.processes));
    let until = began + Duration::from_secs(seconds.into());
    let mut took: Vec<f64> = std::thread::scope(|scope| {
        let talk = |mut socket: tungstenite::WebSocket<TcpStream>| {
            let mut took = Vec::new();
            while Instant::now() < until {
                let sent = Instant::now();
                socket.send("x".repeat(100).into()).unwrap();
                assert_eq!(socket.read().unwrap().len(), 100);
                took.push(sent.elapsed().as_secs_f64() * 1000.0);
            }
            took
        };
        let threads: Vec<_> = sockets.into_iter().map(|socket| scope.spawn(move || talk(socket))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let (elapsed, taken) = (began.elapsed(), cpu::of(&contestant.processes) - before);
    took.sort_by(f64::total_cmp);
    let at = |share: f64| took[(took.len() as f64 * share) as usize];
    let count = took.len() as f64;
    let cpu = taken.as_secs_f64() * 1e6 / count;
    vec![cpu, count / elapsed.as_secs_f64(), at(0.5), at(0.99), cpu::mebibytes(&contestant.processes)]
}

fn open(contestant: &Contestant) -> tungstenite::WebSocket<TcpStream> {
    let stream = TcpStream::connect(contestant.address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut request = format!("ws://{}/", contestant.address).into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("origin", format!("http://{}", contestant.address).parse().unwrap());
    headers.insert("cookie", contestant.cookies[0].parse().unwrap());
    tungstenite::client(request, stream).expect("the WebSocket opens").0
}
