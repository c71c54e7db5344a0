//! Records that survive. Small enough to certify: five operations, one conformance suite, two engines.
//!
//! | part | what it is for |
//! | --- | --- |
//! | [`engine`] | what an engine must do |
//! | [`record`] | typed records over an engine; what the services use |
//! | [`sled`] | the embedded engine |
//! | [`open`] | which store belongs to which key file; when one is made, and when it is refused |
//! | `conformance` | the suite that every engine passes |

#[cfg(test)]
pub(crate) mod conformance;
pub mod engine;
pub mod open;
pub mod record;
pub mod sled;
