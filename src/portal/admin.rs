//! `/admin`: the pages of those who handle other people's accounts.

pub mod import;
pub mod overview;
mod plot;
pub mod rejection;
pub mod user;
pub mod users;
