//! Records that survive. Small enough to certify: five operations, one conformance suite, two engines.

pub mod engine;
pub mod record;
