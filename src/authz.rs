//! May it pass? Pure: the target, the route, who asks, and what is decided of it.
//!
//! [`decide`] is the only place that makes a [`Permit`], and without a `Permit` the gateway cannot forward anything.

pub mod decision;
pub mod identity;
pub mod requirement;
pub mod route;
pub mod target;

pub use decision::{Challenge, Decision, Denial, Facts, Permit, decide};
pub use identity::{Account, Identity};
pub use requirement::{Policy, SecondFactorDemand};
pub use route::{Access, Allow, HostPattern, Route, RouteId, RouteTable};
pub use target::{BadTarget, Host, NormalTarget, RawTarget};
