//! What the fuzz targets (`fuzz/`) ask of this room, and nobody else: compiled under `--cfg fuzzing` alone, as `cargo fuzz` sets it.

pub use super::headers::cookies::{sets_own, without_own};
pub use super::headers::identity::render as identity_value;
pub use super::road::{Cookies, Presented, Road};
