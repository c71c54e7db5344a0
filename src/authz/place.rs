//! Where a host stands with one sign-on for several hosts (`portal.host`), and which session values count there.

use super::host::Host;
use super::route::RouteTable;

/// What a host is to the sign-on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// There is no portal host: every host has its own login.
    Alone,
    /// The host with the login and all other pages.
    Portal,
    /// A host that a route names: the sign-in is carried there.
    Tool,
    /// A host that no route names. Nobody signs in there, as anybody may give the gateway's address a name.
    Unnamed,
}

impl Place {
    /// Where `host` stands.
    #[must_use]
    pub fn of(portal: Option<&Host>, routes: &RouteTable, host: &Host) -> Self {
        match portal {
            None => Self::Alone,
            Some(portal) if portal == host => Self::Portal,
            Some(_) if routes.names(host) => Self::Tool,
            Some(_) => Self::Unnamed,
        }
    }

    /// Whether a session value counts at `host`, which stands here. `value_of`: the host that the value was given out for; none for one
    /// that a login made.
    #[must_use]
    pub fn takes(self, value_of: Option<&str>, host: &Host) -> bool {
        match (self, value_of) {
            (Self::Alone | Self::Portal, None) => true,
            (Self::Tool, Some(bound)) => bound == host.as_str(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_where_it_was_given_out_for_and_nowhere_else() {
        let host = Host::parse("a.test").unwrap();
        for (place, value_of, takes) in [
            (Place::Alone, None, true),
            // The portal host was taken out of the configuration.
            (Place::Alone, Some("a.test"), false),
            (Place::Portal, None, true),
            (Place::Portal, Some("a.test"), false),
            // The portal's own value, and one from before there was a portal host.
            (Place::Tool, None, false),
            (Place::Tool, Some("a.test"), true),
            (Place::Tool, Some("b.test"), false),
            (Place::Unnamed, None, false),
            (Place::Unnamed, Some("a.test"), false),
        ] {
            assert_eq!(place.takes(value_of, &host), takes, "{place:?} {value_of:?}");
        }
    }
}
