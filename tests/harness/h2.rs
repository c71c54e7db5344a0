//! Requests over HTTP/2, with TLS and ALPN as a browser has them.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::conn::Response;
use super::{PATIENCE, Sekisho};

/// Sends these requests over one connection, all at once, and waits for every answer. `Err`: the stream or the connection
/// was refused, with the reason.
#[track_caller]
pub fn exchange(gate: &Sekisho, host: &str, requests: Vec<Request<Bytes>>) -> Vec<Result<Response, h2::Error>> {
    exchange_as(&gate.authority().client(&["h2"]), gate, host, requests)
}

/// The same for a client of this configuration, which must offer HTTP/2.
#[track_caller]
pub fn exchange_as(
    config: &Arc<ClientConfig>,
    gate: &Sekisho,
    host: &str,
    requests: Vec<Request<Bytes>>,
) -> Vec<Result<Response, h2::Error>> {
    runtime().block_on(async {
        let all = exchange_with(config, gate.tls_address(), host, requests);
        tokio::time::timeout(PATIENCE, all).await.expect("HTTP/2 answers in time")
    })
}

/// One request over a TCP connection that has begun; it must be answered.
#[track_caller]
pub fn request_over(gate: &Sekisho, tcp: std::net::TcpStream, host: &str, request: Request<Bytes>) -> Response {
    tcp.set_nonblocking(true).unwrap();
    runtime().block_on(async {
        let tcp = tokio::net::TcpStream::from_std(tcp).unwrap();
        let config = gate.authority().client(&["h2"]);
        let all = exchange_over(&config, tcp, host, vec![request]);
        let mut answers = tokio::time::timeout(PATIENCE, all).await.expect("HTTP/2 answers in time");
        answers.remove(0).expect("the stream is answered")
    })
}

/// One request; it must be answered.
#[track_caller]
pub fn request(gate: &Sekisho, host: &str, request: Request<Bytes>) -> Response {
    exchange(gate, host, vec![request]).remove(0).expect("the stream is answered")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn exchange_with(
    config: &Arc<ClientConfig>,
    address: SocketAddr,
    host: &str,
    requests: Vec<Request<Bytes>>,
) -> Vec<Result<Response, h2::Error>> {
    let tcp = tokio::net::TcpStream::connect(address).await.expect("the TLS listener answers");
    exchange_over(config, tcp, host, requests).await
}

async fn exchange_over(
    config: &Arc<ClientConfig>,
    tcp: tokio::net::TcpStream,
    host: &str,
    requests: Vec<Request<Bytes>>,
) -> Vec<Result<Response, h2::Error>> {
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let connector = TlsConnector::from(Arc::clone(config));
    let tls = connector.connect(name, tcp).await.expect("the TLS handshake succeeds");
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()), "HTTP/2 was not chosen");
    let (mut sender, connection) = h2::client::handshake(tls).await.expect("the HTTP/2 preface is answered");
    let driving = tokio::spawn(connection);
    let mut waiting = Vec::new();
    for request in requests {
        if let Err(error) = std::future::poll_fn(|context| sender.poll_ready(context)).await {
            waiting.push(Err(error));
            break;
        }
        let (head, body) = request.into_parts();
        let sent = sender.send_request(Request::from_parts(head, ()), body.is_empty());
        waiting.push(sent.and_then(|(response, mut stream)| {
            if !body.is_empty() {
                stream.send_data(body, true)?;
            }
            Ok(response)
        }));
    }
    let mut answers = Vec::new();
    for response in waiting {
        answers.push(match response {
            Ok(response) => read(response).await,
            Err(error) => Err(error),
        });
    }
    drop(sender);
    driving.abort();
    answers
}

async fn read(response: h2::client::ResponseFuture) -> Result<Response, h2::Error> {
    let response = response.await?;
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let mut stream = response.into_body();
    let mut body = Vec::new();
    while let Some(chunk) = stream.data().await {
        let chunk = chunk?;
        stream.flow_control().release_capacity(chunk.len())?;
        body.extend_from_slice(&chunk);
    }
    Ok(Response { status, headers, body, head: Vec::new() })
}
