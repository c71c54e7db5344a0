//! sekisho: a login wall in front of admin tools that nobody can change any more.
//!
//! # The map
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`clock`] [`secret`] [`id`] | the only sources of time and randomness; secrets that print nothing; names of things |
//! | [`authn`] | pure: who is it? users, passwords, TOTP, the login as a chain of types |
//! | [`authz`] | pure: may it pass? the normal target, routes, the decision and its [`authz::Permit`] |
//! | [`i18n`] | the texts of `assets/locales`, in Japanese and English |
//! | [`config`] | the YAML file: what it says, every problem with its place, then a configuration that is valid by construction |
//! | [`store`] | records that survive: the engine, its conformance suite, what is encrypted at rest |
//! | [`audit`] | the events that are kept |
//! | [`metrics`] | what is counted, for Prometheus |
//! | [`service`] | use cases: load, take a pure step, commit, then the effects |
//! | [`gateway`] | Pingora: sockets, the request's phases, headers, upstreams |
//! | [`portal`] | sekisho's own pages and its JSON API |
//! | [`control`] | the Unix socket that the command line speaks to |
//! | [`server`] | puts the rooms together; background work; signals |
//! | [`cli`] [`demo`] | the command line; the demonstration that needs nothing installed |
//!
//! # The layer rule
//!
//! A module imports only from the layers below its own (`tests/layers.rs` reads every `use crate::` line and fails on an
//! arrow that points up):
//!
//! 1. `clock`, `secret`, `id`
//! 2. `authn`, `authz`: no tokio, no pingora, no axum, no store; `now` and random bytes are arguments
//! 3. `config`, then `i18n`, which knows its languages
//! 4. `store`, `mail`, `audit`, `metrics`: not each other
//! 5. `service`
//! 6. `gateway`, `portal`, `control`: never the store, never each other; the portal reaches the gateway as a boxed
//!    [`tower::Service`]
//! 7. `server`, `demo`, `cli`

pub mod clock;
pub mod id;
pub mod secret;

pub mod authn;
pub mod authz;

pub mod config;
pub mod i18n;

pub mod audit;
pub mod mail;
pub mod metrics;
pub mod store;

pub mod service;

pub mod control;
pub mod gateway;
pub mod portal;

pub mod cli;
pub mod demo;
pub mod server;

#[cfg(test)]
mod counting;
