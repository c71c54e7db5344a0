//! `/account`: one's own settings.

pub mod confirm;
pub mod overview;
