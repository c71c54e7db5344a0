//! Assertions, each signed once for a session and a route and then kept for a while: a signature costs as much as the rest of a request.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use moka::sync::Cache;

use crate::authz::assertion::{LIFETIME, assertion, of_machine};
use crate::authz::{Bearer, Permit, RouteId, Whose};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::secret::Signer;

/// Whoever gets one can rely on it for a minute at least.
const KEPT: Duration = LIFETIME.saturating_sub(Duration::from_secs(60));
const MOST: u64 = 16_384;

/// What signs, and what was signed.
pub struct Assertions {
    /// `None` where a key file held no key, which no configuration gets past.
    signer: Option<Signer>,
    issuer: Option<String>,
    kept: Cache<(Whose, RouteId), Arc<Kept>>,
}

struct Kept {
    /// `None`: about a machine, of which nothing ever changes.
    bearer: Option<Bearer>,
    at: Timestamp,
    value: HeaderValue,
}

impl Assertions {
    /// For a configuration that asks for them.
    pub fn new(config: &Config) -> Self {
        let kept = Cache::builder().max_capacity(MOST).time_to_live(LIFETIME).build();
        Self { signer: Signer::new(&config.keys).ok(), issuer: config.portal.url.clone(), kept }
    }

    /// The header's value; without it the request must not go on. `None` too where the permit is nobody's.
    pub fn value(&self, permit: &Permit, id: RouteId, route: &str, now: Timestamp) -> Option<HeaderValue> {
        let key = (permit.whose()?, id);
        if let Some(kept) = self.kept.get(&key).filter(|kept| kept.says(permit.bearer(), now)) {
            return Some(kept.value.clone());
        }
        let (signer, issuer) = (self.signer.as_ref()?, self.issuer.as_deref());
        let text = match (permit.bearer(), permit.machine()) {
            (Some(bearer), _) => assertion(signer, issuer, route, bearer, now)?,
            (None, Some(machine)) => of_machine(signer, issuer, route, machine, now)?,
            (None, None) => return None,
        };
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        self.kept.insert(key, Arc::new(Kept { bearer: permit.bearer().cloned(), at: now, value: value.clone() }));
        Some(value)
    }
}

impl Kept {
    /// Whether it is what would be signed now, but for its time. Facts of an account are replaced as a whole when it changes.
    fn says(&self, bearer: Option<&Bearer>, now: Timestamp) -> bool {
        let same = match (&self.bearer, bearer) {
            (Some(kept), Some(bearer)) => {
                Arc::ptr_eq(&kept.account, &bearer.account) && kept.second_factor_at == bearer.second_factor_at
            }
            (None, None) => true,
            _ => false,
        };
        same && now >= self.at && now.since(self.at) < KEPT
    }
}
