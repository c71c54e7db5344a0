//! Starts the product and the real parts around it, for every integration test.
//!
//! ```ignore
//! let upstream = Recorder::ok();                       // a raw upstream that keeps every byte it is sent
//! let gate = Sekisho::builder()
//!     .route("{name: all, upstream: UPSTREAM, recheck_interval: 1d}", &upstream.url())
//!     .set("session.idle_timeout", "10m")               // any key of the YAML
//!     .user("alice", &["--group", "ops"])               // password: PASSWORD
//!     .start();
//! let mut alice = Client::new(&gate);                   // speaks as a browser does: cookies, Sec-Fetch-*, forms
//! let key = alice.sign_in_and_enrol(&gate, "alice");           // key of the app; codes by oathtool
//! assert_eq!(alice.get("/").status, 200);
//! assert_eq!(upstream.last().header("remote-user"), Some("alice"));
//! ```
//!
//! - [`Sekisho`]: the binary under test, with its own folder, key, store, ports. `.tls(&["app.test"])` adds a TLS
//!   listener, `.clock()` runs it under libfaketime so that [`Sekisho::advance`] and [`Sekisho::set_back`] move its wall clock. `cli(&[…])` runs a
//!   command on its configuration. On drop it is stopped by its own pid and its logs are searched, as is the file of events, for panics and for
//!   every secret that the test handled (passwords, cookie values, codes, keys).
//! - [`Recorder`]: upstream that answers as told and records bytes; [`Conn`]: raw client bytes, plain or TLS;
//!   [`h2`]: requests over HTTP/2; [`frames`]: HTTP/2 byte by byte; [`Client`]: a browser without a screen; [`totp`]: `oathtool`;
//!   [`MailServer`]: aiosmtpd, also in its bad moods; [`Browser`]: Chromium through chromedriver; [`tools`]: adminer,
//!   supervisor, WebSocket and event-stream upstreams; [`readers`]: servers that tell how they have read a path;
//!   [`Load`]: many clients that count what goes wrong; [`postgres::Server`]: databases; [`nginx::Nginx`]: what stands in front.
//! - With `SEKISHO_TEST_ENGINE=postgres` every gateway has a database of its own in the place of a folder: `tests/run` does so for the
//!   tests of behaviour, in a second pass. [`Builder::database`] asks for one, [`Sekisho::beside`] puts another node beside it.
//! - Everything but the browser is blocking: use it in `#[test]`, and in `#[tokio::test]` where a browser takes part.
//! - No port is fixed, nothing is slept for: [`wait_until`] polls a condition up to a deadline.

pub mod axe;
pub mod browser;
mod client;
mod clock;
mod conn;
mod demo;
pub mod frames;
pub mod fronts;
pub mod h2;
mod html;
mod load;
pub mod mail;
pub mod mounts;
pub mod nginx;
pub mod picture;
#[path = "postgres/server.rs"]
pub mod postgres;
mod process;
pub mod readers;
mod recorder;
pub mod second_step;
mod secrets;
mod sekisho;
mod steady;
pub mod tls;
pub mod tools;
pub mod totp;

use std::time::{Duration, Instant};

pub use browser::Browser;
pub use client::{Client, form_to, form_with, key_of};
pub use conn::{Conn, Response, tcp_from};
pub use demo::Demo;
pub use html::{Form, encoded, forms, text};
pub use load::Load;
pub use mail::{Mail, MailServer};
pub use process::Process;
pub use recorder::{Recorded, Recorder};
pub use secrets::Secrets;
pub use sekisho::{Builder, Sekisho, is_gone};
pub use steady::{Answer, Lane, Steady};

/// The password of every account made by [`Builder::user`].
pub const PASSWORD: &str = "Correct-horse-7";

/// How long anything may take before the test gives up: generous, as two cores may build and test at once.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Polls `condition` until it gives something; fails the test after [`PATIENCE`].
#[track_caller]
pub fn wait_until<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    match poll(PATIENCE, condition) {
        Some(found) => found,
        None => panic!("waited {PATIENCE:?} in vain: {what}"),
    }
}

/// Polls `condition` for at most `patience`.
#[expect(clippy::disallowed_methods, reason = "the one place that sleeps: between two looks at a condition")]
pub fn poll<T>(patience: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + patience;
    loop {
        if let Some(found) = condition() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An address of this machine that nobody listens at. Somebody else may come first: only where a port has to be named.
pub fn free_address() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Seconds since 1970, by the machine's own clock.
#[expect(clippy::disallowed_methods, reason = "the tests' one look at the wall clock")]
pub fn unix_now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}
