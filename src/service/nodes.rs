//! The nodes on a shared store: each says now and then that it is there and what its configuration comes to, and notices where another one's comes
//! to something else. It is told, in the log and in the metrics, and nothing more: while a new configuration goes from node to node, they differ.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::time::MissedTickBehavior;

use super::ServiceError;
use super::context::Context;
use crate::clock::{Clock, Timestamp};
use crate::config::{Agreement, Config};
use crate::store::record::{Change, Record};

/// How often a node looks whether it has something to say; and how often it says that it is still there.
const TICK: Duration = Duration::from_secs(2);
const SAID_EVERY: Duration = Duration::from_secs(60);
/// A node that has said nothing for so long is gone.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(300);
/// How many nodes are looked at.
const MOST: usize = 256;

/// `node/ID`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Node {
    /// Its machine's name.
    pub name: String,
    pub version: String,
    pub seen: Timestamp,
    pub agreement: Agreement,
}

impl Record for Node {
    const KIND: &'static str = "node";
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.seen.plus(FORGOTTEN_AFTER))
    }
}

/// A node, as seen from this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeView {
    pub name: String,
    pub version: String,
    /// RFC 3339.
    pub seen: String,
    /// The sections of its configuration that are not as here.
    pub differs: Vec<String>,
}

/// Runs for as long as it is polled.
pub(super) async fn run(context: &Context, clock: &dyn Clock) {
    if !context.store.is_shared() {
        return std::future::pending().await;
    }
    let id = id(&context.config.load());
    let mut changes = context.store.watch::<Node>();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut said, mut told) = (None, BTreeMap::new());
    loop {
        let looks = tokio::select! {
            _ = ticks.tick() => false,
            seen = changes.next() => match seen {
                Some(_) => true,
                None => return std::future::pending().await,
            },
        };
        // After an upgrade the new process speaks for the node.
        if context.is_retired() {
            continue;
        }
        let (now, own) = (clock.now(), context.config.load().agreement());
        if is_due(said.as_ref(), &own, now) {
            match say(context, &id, &own, now).await {
                Ok(()) => said = Some((now, own.clone())),
                Err(error) => tracing::debug!(%error, "the other nodes could not be told of this one"),
            }
        }
        if looks {
            match others(context, &id, now).await {
                Ok(others) => compare(context, &own, &others, &mut told),
                Err(error) => tracing::debug!(%error, "the other nodes could not be looked at"),
            }
        }
    }
}

/// Says that this node is there no more.
pub(super) async fn leave(context: &Context) {
    if context.store.is_shared() && !context.is_retired() {
        let id = id(&context.config.load());
        if let Err(error) = context.store.commit(Change::new().delete::<Node>(&id).lazy()).await {
            tracing::debug!(%error, "the other nodes could not be told that this one is gone");
        }
    }
}

/// All nodes that are there, by name; `None`: nobody shares this store.
pub(super) async fn list(context: &Context, now: Timestamp) -> Result<Option<Vec<NodeView>>, ServiceError> {
    if !context.store.is_shared() {
        return Ok(None);
    }
    let own = context.config.load().agreement();
    let mut all: Vec<NodeView> = others(context, "", now)
        .await?
        .into_values()
        .map(|node| NodeView {
            differs: differing(&own, &node.agreement),
            name: node.name,
            version: node.version,
            seen: node.seen.to_string(),
        })
        .collect();
    all.sort_by(|one, other| (&one.name, &one.seen).cmp(&(&other.name, &other.seen)));
    Ok(Some(all))
}

fn is_due(said: Option<&(Timestamp, Agreement)>, own: &Agreement, now: Timestamp) -> bool {
    said.is_none_or(|(at, agreement)| agreement != own || *at > now || now.since(*at) >= SAID_EVERY)
}

async fn say(context: &Context, id: &str, own: &Agreement, now: Timestamp) -> Result<(), ServiceError> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let node = Node { name: machine(), version, seen: now, agreement: own.clone() };
    context.store.commit(Change::new().put(id, &node).lazy()).await?;
    Ok(())
}

async fn others(context: &Context, id: &str, now: Timestamp) -> Result<BTreeMap<String, Node>, ServiceError> {
    let all = context.store.list::<Node>("", Bound::Unbounded, MOST, now).await?;
    Ok(all.into_iter().filter(|node| node.name != id).map(|node| (node.name, node.record)).collect())
}

/// Tells what is new of it. `told`: what was told of whom.
fn compare(
    context: &Context,
    own: &Agreement,
    others: &BTreeMap<String, Node>,
    told: &mut BTreeMap<String, Vec<String>>,
) {
    told.retain(|id, _| others.contains_key(id));
    for (id, node) in others {
        let (differs, before) = (differing(own, &node.agreement), told.get(id));
        match before {
            Some(before) if *before == differs => {}
            None if differs.is_empty() => {}
            _ if differs.is_empty() => {
                tracing::info!(node = node.name, "this node and another one have the same configuration again");
            }
            _ => tracing::warn!(
                node = node.name,
                sections = differs.join(", "),
                version = node.version,
                "another node on this database has another configuration"
            ),
        }
        told.insert(id.clone(), differs);
    }
    let differing = told.values().filter(|differs| !differs.is_empty()).count();
    let metrics = &context.metrics.configuration;
    metrics.nodes.set(shown(others.len() + 1));
    metrics.nodes_differing.set(shown(differing));
}

/// The sections that are not the same here and there.
fn differing(own: &Agreement, other: &Agreement) -> Vec<String> {
    let sections: BTreeSet<&String> = own.keys().chain(other.keys()).collect();
    sections.into_iter().filter(|section| own.get(*section) != other.get(*section)).cloned().collect()
}

/// The same for a node after each start: its machine, and its place there.
fn id(config: &Config) -> String {
    let mut digest = Sha256::new();
    digest.update(machine());
    digest.update([0]);
    digest.update(config.server.admin_socket.as_os_str().as_encoded_bytes());
    HEXLOWER.encode(digest.finalize().first_chunk::<12>().map_or(&[], <[u8; 12]>::as_slice))
}

fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().chars().filter(|c| !c.is_control()).take(253).collect()
}

fn shown(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreement(sections: &[(&str, &str)]) -> Agreement {
        sections.iter().map(|(section, digest)| ((*section).to_owned(), (*digest).to_owned())).collect()
    }

    #[test]
    fn what_differs_is_what_one_has_and_the_other_has_not_or_otherwise() {
        let own = agreement(&[("routes", "1"), ("lockout", "2"), ("held", "3")]);
        let other = agreement(&[("routes", "1"), ("lockout", "4"), ("audit", "5")]);
        assert_eq!(differing(&own, &other), ["audit", "held", "lockout"]);
        assert!(differing(&own, &own).is_empty());
    }

    #[test]
    fn a_node_says_that_it_is_there_when_something_is_new_and_every_minute() {
        let (at, own) = (Timestamp::from_millis(1_000_000), agreement(&[("routes", "1")]));
        let said = (at, own.clone());
        assert!(is_due(None, &own, at));
        assert!(!is_due(Some(&said), &own, at));
        assert!(is_due(Some(&said), &agreement(&[("routes", "2")]), at));
        assert!(is_due(Some(&said), &own, at.plus(SAID_EVERY)));
    }
}
