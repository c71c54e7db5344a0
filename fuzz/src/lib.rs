//! What must hold of whatever comes from outside, for libFuzzer to try to break: one module for each target, each with one function
//! that takes bytes and panics where something does not hold.
//!
//! | target | what it reads | what must hold |
//! | --- | --- | --- |
//! | [`request_target`] | a request target | what was matched is what any upstream understands of what is forwarded |
//! | [`host`] | a Host, or `:authority` | one spelling, which browsers read alike; wildcards stand for whole labels |
//! | [`cookies`] | Cookie and Set-Cookie lines | ours go to nobody, the tool's pass untouched, nobody else sets ours |
//! | [`return_to`] | where a login should lead | never off the origin, as a browser reads it |
//! | [`identity_headers`] | an account, and a client's headers | the truth, once, in visible bytes that decode back |
//! | [`configuration`] | a configuration file | loaded and sound, or refused with a place for each problem |
//! | [`records`] | a stored record of any kind; an export | refused, or read and written alike for ever |
//! | [`control_messages`] | what comes over the control socket | refused, or carried out as it was meant; bounded memory |
//!
//! The targets in `fuzz_targets/` only call these. Where another reader of the same bytes is needed to compare with, it is one that
//! browsers or tools use, or is written here from the standard: never the product's own code.

pub mod configuration;
pub mod control_messages;
pub mod cookies;
pub mod host;
pub mod identity_headers;
pub mod records;
pub mod request_target;
pub mod return_to;
mod sample;
mod upstreams;
