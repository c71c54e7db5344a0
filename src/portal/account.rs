//! `/account`: one's own settings.

pub mod overview;
