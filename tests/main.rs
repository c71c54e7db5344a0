//! All integration tests in one crate: the product through its real sockets, against real parts.
//!
//! `harness` starts the parts; every other module is one behaviour. The modules are compiled for tests alone, hence the
//! `cfg(test)`, by which the lints tell test code from the product's.
#![expect(clippy::string_slice, reason = "a panic is how a test fails")]

#[cfg(test)]
mod access_log;
#[cfg(test)]
mod accessibility;
#[cfg(test)]
mod answers;
#[cfg(test)]
mod assertions;
#[cfg(test)]
mod attack_cases;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod behind_a_balancer;
#[cfg(test)]
mod behind_nginx;
#[cfg(test)]
mod client_certificates;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod connection_auth;
#[cfg(test)]
mod control_socket;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod database_failover;
#[cfg(test)]
mod database_hosts;
#[cfg(test)]
mod debian_package;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod demo_in_the_browser;
#[cfg(test)]
mod django_remote_user;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod enrolment_rules;
#[cfg(test)]
mod event_stream_tool;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod foreign_forms;
#[cfg(test)]
mod forgotten_cookies;
#[cfg(test)]
mod forward_auth;
#[cfg(test)]
mod fuzzing;
#[cfg(test)]
mod grpc_calls;
#[cfg(test)]
#[allow(clippy::allow_attributes, dead_code, unused_imports, reason = "a tool box: not every tool is out at all times")]
mod harness;
#[cfg(test)]
mod harness_check;
#[cfg(test)]
mod held_forms;
#[cfg(test)]
mod held_forms_in_the_browser;
#[cfg(test)]
mod http2_floods;
#[cfg(test)]
mod http2_on_the_wire;
#[cfg(test)]
mod identity_headers;
#[cfg(test)]
mod idle_exempt;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod in_the_browser;
#[cfg(test)]
mod json_api;
#[cfg(test)]
mod jupyterlab;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod licences;
#[cfg(test)]
mod log_injection;
#[cfg(test)]
mod login_storm;
#[cfg(test)]
mod login_under_attack;
#[cfg(test)]
mod lost_answers;
#[cfg(test)]
mod machine_tokens;
#[cfg(test)]
mod mail_flood;
#[cfg(test)]
mod mail_trouble;
#[cfg(test)]
mod mailed_codes;
#[cfg(test)]
mod managers_morning;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod moving_in;
#[cfg(test)]
mod never_twice;
#[cfg(test)]
mod notices;
#[cfg(test)]
mod notify;
#[cfg(test)]
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(test)]
mod own_cookies;
#[cfg(test)]
mod own_headers;
#[cfg(test)]
mod own_settings;
#[cfg(test)]
mod own_settings_in_the_browser;
#[cfg(test)]
mod passwords;
#[cfg(test)]
mod passwords_in_the_browser;
#[cfg(test)]
mod pending_login;
#[cfg(test)]
mod pgadmin;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod proxy_protocol;
#[cfg(test)]
mod rabbitmq;
#[cfg(test)]
mod recovery_codes;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod remembered_devices;
#[cfg(test)]
mod response_headers;
#[cfg(test)]
mod second_step_in_the_browser;
#[cfg(test)]
mod session_ends;
#[cfg(test)]
mod session_values;
#[cfg(test)]
mod several_hosts;
#[cfg(test)]
mod several_nodes;
#[cfg(test)]
mod sign_in;
#[cfg(test)]
mod single_use;
#[cfg(test)]
mod slow_clients;
#[cfg(test)]
mod smuggling;
#[cfg(test)]
mod soak;
#[cfg(test)]
mod socket_activation;
#[cfg(test)]
mod somebody_elses;
#[cfg(test)]
mod startup;
#[cfg(test)]
mod store_commands;
#[cfg(test)]
mod streaming;
#[cfg(test)]
mod target_differential;
#[cfg(test)]
mod target_on_the_wire;
#[cfg(test)]
mod theme;
#[cfg(test)]
mod tls_listener;
#[cfg(test)]
mod tool_login;
#[cfg(test)]
mod tool_login_form;
#[cfg(test)]
mod tools_behind_forms;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod upgrade;
#[cfg(test)]
mod upstream_trouble;
#[cfg(test)]
mod upstreams;
#[cfg(test)]
mod websocket_ends;
#[cfg(test)]
mod wire;
