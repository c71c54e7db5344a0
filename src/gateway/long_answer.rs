//! Long answers, and how many of them one address may have under way. Each may be held for as long as its client takes nothing of it, and
//! many at once are memory.
//!
//! One whose head says that it is long is refused before it has begun. One that turns out to be is cut off. Whoever takes
//! what comes has its answers for moments only, and has a place again; streams of events, calls of gRPC and WebSockets are small
//! pieces with pauses, and do not count.

use std::sync::Arc;

use pingora::http::ResponseHeader;
use pingora::{Error, ErrorType, Result};

use super::context::Context;
use super::gate::is_event_stream;
use super::shares::{Share, Shares};

/// How many somebody's address may have under way who is signed in, and how many anybody's. A client that takes nothing of one makes
/// the gateway hold about a quarter of a mebibyte of it: this stream's buffer, and what Pingora reads ahead.
const KNOWN: usize = 192;
const UNKNOWN: usize = 64;
/// An answer of up to so many bytes costs no more than any.
const SHORT: u64 = 64 * 1024;

/// What each address has of them.
pub struct LongAnswers {
    known: Arc<Shares>,
    unknown: Arc<Shares>,
}

impl Default for LongAnswers {
    fn default() -> Self {
        Self { known: Arc::new(Shares::new(KNOWN)), unknown: Arc::new(Shares::new(UNKNOWN)) }
    }
}

/// What is known of an answer's length while it is under way.
#[derive(Debug, Default)]
pub struct Length {
    given: u64,
    counts: bool,
    share: Option<Share>,
}

impl Context {
    /// The answer begins, of this length if that is known.
    ///
    /// # Errors
    /// Where it is long, and the address has its share of such answers.
    pub fn begin_answer(&mut self, head: &ResponseHeader, length: Option<u64>) -> Result<()> {
        self.length.given = 0;
        let has_body = !head.status.is_informational() && !matches!(head.status.as_u16(), 204 | 304);
        let lasts = is_event_stream(head) || self.passage().is_some_and(|(_, passage)| passage.streams);
        self.length.counts = has_body && !lasts;
        if self.length.counts && length.is_some_and(|length| length > SHORT) {
            return self.claim_length();
        }
        Ok(())
    }

    /// So much more of it goes on to the client.
    ///
    /// # Errors
    /// As [`Context::begin_answer`].
    pub fn pass_answer(&mut self, bytes: usize) -> Result<()> {
        let length = &mut self.length;
        length.given = length.given.saturating_add(bytes as u64);
        if length.counts && length.share.is_none() && length.given > SHORT {
            return self.claim_length();
        }
        Ok(())
    }

    fn claim_length(&mut self) -> Result<()> {
        let Some(client) = self.request.as_ref().map(|request| request.arrival.client) else { return Ok(()) };
        let answers = &self.state.long_answers;
        let is_known = self.passage().is_some_and(|(_, passage)| passage.permit.whose().is_some());
        match if is_known { &answers.known } else { &answers.unknown }.of(client) {
            Ok(share) => {
                self.length.share = Some(share);
                Ok(())
            }
            Err(full) => {
                self.state.services.metrics.requests.long_answers_refused.inc();
                if full.first {
                    tracing::warn!(%client, share = full.share, "as many long answers as one address may have");
                }
                Err(Error::explain(ErrorType::HTTPStatus(503), "the address has its share of long answers").into_down())
            }
        }
    }
}
