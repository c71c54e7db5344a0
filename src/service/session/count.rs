//! How many sessions live.

use std::collections::HashMap;
use std::ops::Bound;

use super::{PAGE, Sessions};
use crate::authn::session::Session;
use crate::clock::Timestamp;
use crate::service::ServiceError;
use crate::service::pace::Pace;

impl Sessions {
    /// Those that a list would show. Looks at each, a page at a time and at leisure.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn count(&self, now: Timestamp) -> Result<u64, ServiceError> {
        let mut owners = HashMap::new();
        let (mut count, mut after) = (0, None::<String>);
        loop {
            let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let pace = Pace::begin();
            let page = self.store.list::<Session>("", from, PAGE, now).await?;
            after = page.last().filter(|_| page.len() == PAGE).map(|last| last.name.clone());
            self.know_owners(page.iter().map(|listed| &listed.record), &mut owners, now).await?;
            count += page.into_iter().filter_map(|listed| self.view(listed.record, &owners, now)).count() as u64;
            if after.is_none() {
                return Ok(count);
            }
            pace.rest().await;
        }
    }
}
