//! What stays open: a WebSocket that ticks, and a feed of server-sent events. Both end with the session that opened them,
//! which is sekisho's doing, not the tool's.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, Stream, StreamExt};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::Shop;

/// `GET /live/socket`: the opening handshake of RFC 6455 §4.2, then a tick each second.
pub async fn socket(State(shop): State<Shop>, mut request: Request) -> Response {
    let Some(accept) = accept_key(request.headers()) else {
        return (StatusCode::BAD_REQUEST, "this address speaks WebSocket\n").into_response();
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(connection) = upgrade.await {
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(connection), Role::Server, None).await;
            tick(socket, &shop).await;
        }
    });
    let headers = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "websocket")];
    (StatusCode::SWITCHING_PROTOCOLS, headers, [(header::SEC_WEBSOCKET_ACCEPT, accept)]).into_response()
}

fn accept_key(headers: &HeaderMap) -> Option<String> {
    let wants = headers.get(header::UPGRADE)?.to_str().ok()?.eq_ignore_ascii_case("websocket");
    let version = headers.get(header::SEC_WEBSOCKET_VERSION)? == "13";
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?;
    (wants && version).then(|| derive_accept_key(key.as_bytes()))
}

async fn tick<S>(mut socket: WebSocketStream<S>, shop: &Shop)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut beat = tokio::time::interval(Duration::from_secs(1));
    let mut ticks = 0_u64;
    loop {
        tokio::select! {
            _ = beat.tick() => {
                ticks += 1;
                let figures = shop.books().figures();
                let text = serde_json::json!({ "tick": ticks, "time": shop.clock.now().to_string(), "figures": figures });
                if socket.send(Message::text(text.to_string())).await.is_err() {
                    return;
                }
            }
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    let echo = serde_json::json!({ "echo": text.as_str() }).to_string();
                    if socket.send(Message::text(echo)).await.is_err() {
                        return;
                    }
                }
                // Pings are answered by the library.
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => (),
            },
        }
    }
}

/// `GET /feed/stream`: every change that anybody makes, as it happens.
pub async fn feed(State(shop): State<Shop>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let hello = shop.clock.now().to_string();
    let begun = futures_util::stream::once(async move { Ok(Event::default().event("hello").data(hello)) });
    let changes = futures_util::stream::unfold(shop.changes.subscribe(), |mut changes| async move {
        loop {
            match changes.recv().await {
                Ok(line) => return Some((Ok(Event::default().event("change").data(line)), changes)),
                // Too slow a reader misses lines, no more.
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => (),
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return None,
            }
        }
    });
    Sse::new(begun.chain(changes)).keep_alive(KeepAlive::default())
}
