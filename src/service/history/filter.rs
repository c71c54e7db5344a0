//! Which events are wanted.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{Event, Kind, Outcome};
use crate::clock::Timestamp;

/// What an event must be to be wanted; what is not given does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// A login or an account's id: whom it is about, or who did it. A login that is nobody's is looked for as it was typed.
    pub person: Option<String>,
    pub kind: Option<Kind>,
    pub result: Option<Outcome>,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Up to this moment, and at it.
    pub until: Option<Timestamp>,
    pub address: Option<Network>,
    /// Stands somewhere in it, in whatever case.
    pub text: Option<String>,
}

/// One address, or a network of them: `192.0.2.1`, `192.0.2.0/24`, `2001:db8::/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(IpNet);

/// Neither an address nor a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an address like 192.0.2.1, or a network like 192.0.2.0/24, is expected")]
pub struct BadNetwork;

impl Filter {
    /// `typed`: the person, where that is no account.
    pub(super) fn wants(&self, event: &Event, typed: Option<&str>) -> bool {
        self.kind.is_none_or(|kind| event.kind == kind)
            && self.result.is_none_or(|result| event.result == result)
            && self.since.is_none_or(|since| event.at >= since)
            && self.until.is_none_or(|until| event.at <= until)
            && self.address.is_none_or(|network| network.has(&event.client.address))
            && typed.is_none_or(|typed| is_named(event, typed))
            && self.text.as_deref().is_none_or(|text| holds(event, text))
    }

    /// Whether an event that just happened is wanted; nobody has looked up whose login the person's is.
    #[must_use]
    pub fn wants_now(&self, event: &Event) -> bool {
        let is_person = |person: &str| {
            let id = person.trim().parse().ok();
            is_named(event, person) || id.is_some_and(|id| event.accounts().any(|account| account == id))
        };
        self.wants(event, None) && self.person.as_deref().is_none_or(is_person)
    }
}

fn is_named(event: &Event, typed: &str) -> bool {
    let typed = typed.trim().to_lowercase();
    event.login.to_lowercase() == typed || event.actor.as_ref().is_some_and(|actor| *actor == typed)
}

fn holds(event: &Event, text: &str) -> bool {
    let text = text.to_lowercase();
    let id = event.id.to_string();
    let fields = [
        event.login.as_str(),
        event.actor.as_deref().unwrap_or_default(),
        &event.client.address,
        &event.client.user_agent,
        event.session.as_ref().map_or("", |session| session.as_str()),
        event.route.as_deref().unwrap_or_default(),
        &event.detail,
        &id,
    ];
    fields.iter().any(|field| field.to_lowercase().contains(&text))
}

impl Network {
    fn has(self, address: &str) -> bool {
        address.parse::<IpAddr>().is_ok_and(|address| self.0.contains(&address.to_canonical()))
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let text = text.trim();
        let one = || text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
        text.parse::<IpNet>().or_else(|_| one()).map(Self).map_err(|_| BadNetwork)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

impl TryFrom<String> for Network {
    type Error = BadNetwork;

    fn try_from(text: String) -> Result<Self, BadNetwork> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}
