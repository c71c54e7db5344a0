//! `/admin`: the pages of those who handle other people's accounts.

pub mod audit;
pub mod import;
pub mod overview;
mod plot;
pub mod rejection;
pub mod sessions;
pub mod user;
pub mod users;
