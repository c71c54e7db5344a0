//! Records that survive. Small enough to certify: a few operations, one conformance suite.
//!
//! | part | what it is for |
//! | --- | --- |
//! | [`engine`] | what an engine must do |
//! | [`figures`] | what an engine counts of itself |
//! | [`record`] | typed records over an engine; what the services use |
//! | [`sled`] | the embedded engine |
//! | [`postgres`] | the engine that several nodes share |
//! | [`trust`] | how far what was read earlier may be believed |
//! | [`switch`] | an engine whose place another one can take while it is used |
//! | [`relay`] | an engine in another process, over a stream |
//! | [`open`] | which store belongs to which key file; when one is made, and when it is refused |
//! | `conformance` | the suite that every engine passes |

#[cfg(test)]
pub(crate) mod conformance;
pub mod engine;
pub mod figures;
pub mod open;
pub mod postgres;
pub mod record;
pub mod relay;
pub mod sled;
pub mod switch;
pub mod trust;
mod watch;
