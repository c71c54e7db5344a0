//! Who is it? Pure: no store, no sockets, no clock. `now` and random bytes come in as arguments.
//!
//! What is judged here is carried out by `service`, which loads, takes a step of this module, commits, and answers.

pub mod address_change;
pub mod code;
pub mod confirmation;
pub mod device;
pub mod lockout;
pub mod login;
pub mod machine_token;
pub mod mail_code;
pub mod mail_limit;
pub mod password;
pub mod recovery_code;
pub mod reset_link;
pub mod session;
pub mod sign_on;
pub mod tool_login;
pub mod totp;
pub mod user;
