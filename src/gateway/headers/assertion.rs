//! Assertions, each signed once for a session and a route and then kept for a while: a signature costs as much as the rest of a request.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use moka::sync::Cache;

use crate::authz::assertion::{LIFETIME, assertion};
use crate::authz::{Bearer, RouteId};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::id::SessionId;
use crate::secret::Signer;

/// Whoever gets one can rely on it for a minute at least.
const KEPT: Duration = LIFETIME.saturating_sub(Duration::from_secs(60));
const MOST: u64 = 16_384;

/// What signs, and what was signed.
pub struct Assertions {
    /// `None` where a key file held no key, which no configuration gets past.
    signer: Option<Signer>,
    issuer: Option<String>,
    kept: Cache<(SessionId, RouteId), Arc<Kept>>,
}

struct Kept {
    bearer: Bearer,
    at: Timestamp,
    value: HeaderValue,
}

impl Assertions {
    /// For a configuration that asks for them.
    pub fn new(config: &Config) -> Self {
        let kept = Cache::builder().max_capacity(MOST).time_to_live(LIFETIME).build();
        Self { signer: Signer::new(&config.keys).ok(), issuer: config.portal.url.clone(), kept }
    }

    /// The header's value; without it the request must not go on.
    pub fn value(&self, bearer: &Bearer, id: RouteId, route: &str, now: Timestamp) -> Option<HeaderValue> {
        let key = (bearer.session, id);
        if let Some(kept) = self.kept.get(&key).filter(|kept| kept.says(bearer, now)) {
            return Some(kept.value.clone());
        }
        let text = assertion(self.signer.as_ref()?, self.issuer.as_deref(), route, bearer, now)?;
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        self.kept.insert(key, Arc::new(Kept { bearer: bearer.clone(), at: now, value: value.clone() }));
        Some(value)
    }
}

impl Kept {
    /// Whether it is what would be signed now, but for its time. Facts of an account are replaced as a whole when it changes.
    fn says(&self, bearer: &Bearer, now: Timestamp) -> bool {
        let same = Arc::ptr_eq(&self.bearer.account, &bearer.account)
            && self.bearer.second_factor_at == bearer.second_factor_at;
        same && now >= self.at && now.since(self.at) < KEPT
    }
}
