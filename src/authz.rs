//! May it pass? Pure: the target, the route, who asks, and what is decided of it.
//!
//! [`decide`] is the only place that makes a [`Permit`], and without a `Permit` the gateway cannot forward anything.

pub mod assertion;
pub mod decision;
pub mod hold;
pub mod host;
pub mod identity;
pub mod machine;
pub mod path;
pub mod permission;
pub mod place;
pub mod requirement;
pub mod route;
pub mod target;
mod text;

pub use decision::{Bearer, Challenge, Decision, Denial, Facts, Permit, Whose, decide, decide_machine};
pub use host::Host;
pub use identity::{Account, Identity};
pub use machine::{Machine, MachineId};
pub use path::RoutePath;
pub use place::Place;
pub use requirement::{Policy, SecondFactorDemand};
pub use route::{Access, Allow, HostPattern, Route, RouteId, RouteTable};
pub use target::{BadTarget, MAX_TARGET, NormalTarget, RawTarget};
