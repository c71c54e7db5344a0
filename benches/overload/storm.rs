//! Two hundred logins at once (A29), again and again: wrong passwords for accounts that nobody has, from everywhere, so that
//! each costs its hash and no throttle ends it. Once by clients that wait where they are told to, as browsers and people do, and
//! once by those that ask again at once: then it is the machine's processors that they share with everybody else, themselves included.

use std::time::{Duration, Instant};

use serde_json::json;

use super::round::pass;
use super::stage::{Gains, HOST, Scenario, Stage};
use crate::harness::tls;

const AT_ONCE: u64 = 200;

const EVERYBODY: &[(&str, &str)] = &[("server.trusted_proxies", "[127.0.0.1]")];

pub const LOGINS: Scenario =
    Scenario { settings: EVERYBODY, ..Scenario::new("login-storm", |stage, until| logins(stage, until, true)) };
pub const FLOOD: Scenario =
    Scenario { settings: EVERYBODY, ..Scenario::new("login-flood", |stage, until| logins(stage, until, false)) };

fn logins(stage: &Stage, until: Instant, patient: bool) -> Gains {
    let mut gains = Gains::default();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..AT_ONCE)
            .map(|number| scope.spawn(move || one_after_the_other(stage, number, until, patient)))
            .collect();
        all.into_iter().for_each(|one| gains.take(one.join().unwrap()));
    });
    gains
}

/// Logins on a connection that is kept for as long as the gateway keeps it.
fn one_after_the_other(stage: &Stage, number: u64, until: Instant, patient: bool) -> Gains {
    let mut gains = Gains::default();
    let mut tries = 0_u64;
    while Instant::now() < until {
        let mut conn = tls::connect(&stage.http1, stage.tls(), HOST);
        while Instant::now() < until {
            tries += 1;
            let body = json!({"login": format!("user{number}-{tries}"), "password": "Wrong-horse-8"}).to_string();
            let request = format!(
                "POST /.sekisho/api/login HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-For: 2001:db8:{number:x}:{:x}::1\r\n\
                 X-Forwarded-Proto: https\r\nAccept: application/json\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                tries % 65_536,
                body.len(),
            );
            if conn.try_send(request.as_bytes()).is_err() {
                break;
            }
            let Some(answer) = conn.read_response(false) else { break };
            gains.add(
                match answer.status {
                    401 => "judged",
                    503 => "told to come again",
                    429 => "throttled",
                    _ => "something else",
                },
                1,
            );
            let later = answer.header("retry-after").filter(|_| patient).and_then(|seconds| seconds.parse().ok());
            if let Some(seconds) = later {
                pass(Duration::from_secs(seconds).min(until.saturating_duration_since(Instant::now())));
            }
            if answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
                break;
            }
        }
    }
    gains
}
