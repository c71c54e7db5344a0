//! What is answered to whom.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;

use super::readiness::Readiness;
use crate::metrics::Metrics;

/// Prometheus' text exposition format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// Answers to whoever observes.
pub struct Answers {
    metrics: Arc<Metrics>,
    readiness: Readiness,
}

impl Answers {
    pub const fn new(metrics: Arc<Metrics>, readiness: Readiness) -> Self {
        Self { metrics, readiness }
    }

    pub const fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// The answer to one request; hyper leaves the body out where only the head was asked for.
    pub async fn answer<B>(&self, request: &Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Ok(answer);
        }
        Ok(match request.uri().path() {
            "/metrics" => self.metrics().await,
            "/live" => plain(StatusCode::OK, "live"),
            "/ready" => match self.readiness.check().await {
                Ok(()) => plain(StatusCode::OK, "ready"),
                Err(reason) => plain(StatusCode::SERVICE_UNAVAILABLE, &format!("not ready: {reason}")),
            },
            _ => plain(StatusCode::NOT_FOUND, "not found"),
        })
    }

    async fn metrics(&self) -> Response<Full<Bytes>> {
        let metrics = Arc::clone(&self.metrics);
        // Some of it is read from files.
        match tokio::task::spawn_blocking(move || metrics.text()).await {
            Ok(text) => response(StatusCode::OK, EXPOSITION, text),
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be read"),
        }
    }
}

fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    response(status, PLAIN, format!("{text}\n"))
}

fn response(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    for (name, value) in [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
