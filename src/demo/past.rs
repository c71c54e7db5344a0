//! What has happened before the demo began: a month of logins, a few of which failed, so that lists and plots have something
//! to show. Everything in it is made up; the addresses are those of RFC 5737.

use std::sync::Arc;

use super::DemoError;
use super::people::{DAY, ago};
use crate::audit::{Event, Kind, Result as Outcome};
use crate::authn::session::Origin;
use crate::authn::user::User;
use crate::clock::Timestamp;
use crate::id::EventId;
use crate::secret::random_bytes;
use crate::service::Services;

/// How far back, in days.
const DAYS: u64 = 32;
/// How many are kept at a time.
const CHUNK: usize = 200;

const BROWSERS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
];

/// Keeps what these people have done.
///
/// # Errors
/// Where the store cannot.
pub async fn happen(services: &Services, people: &[Arc<User>], now: Timestamp) -> Result<(), DemoError> {
    let mut events = Vec::new();
    for (number, user) in (0_u64..).zip(people) {
        let Some(last) = user.last_login else { continue };
        for day in 0..DAYS {
            let chance = (number * 37 + day * day * 11 + day * 53) % 100;
            let at = ago(last, day * DAY + chance * 97 * u64::from(day > 0));
            // The last login is one; the others come now and then, and before the month nothing is told.
            if (day > 0 && chance > 55) || at < ago(now, DAYS * DAY) || at < user.registered_at {
                continue;
            }
            // Now and then somebody mistypes, and on one day somebody tries many names.
            let wrong = match chance {
                7 | 20 => 2,
                0..=4 => 1,
                _ => 0,
            };
            for wrong in 0..wrong {
                events.push(login(user, number, ago(at, 20 + wrong * 15), Outcome::Failure)?);
            }
            events.push(login(user, number, at, Outcome::Success)?);
        }
        if number % 3 == 0 {
            let guess = login(user, 99, ago(now, 9 * DAY + number * 7), Outcome::Failure)?;
            events.push(guess);
        }
    }
    for chunk in events.chunks(CHUNK) {
        services.history.keep(chunk).await?;
    }
    Ok(())
}

fn login(user: &User, number: u64, at: Timestamp, result: Outcome) -> Result<Event, DemoError> {
    let passed = result == Outcome::Success;
    let browser = usize::try_from(number).unwrap_or_default() % BROWSERS.len();
    let network = if number == 99 { "198.51.100" } else { "203.0.113" };
    Ok(Event {
        id: EventId::from_bytes(random_bytes()?),
        at,
        kind: Kind::Login,
        result,
        user: Some(user.id),
        login: user.login.to_string(),
        actor: passed.then(|| user.login.to_string()),
        actor_id: passed.then_some(user.id),
        client: Origin {
            address: format!("{network}.{}", 1 + number),
            user_agent: BROWSERS.get(browser).copied().unwrap_or_default().to_owned(),
        },
        session: None,
        route: None,
        detail: if passed { "remembered device" } else { "wrong password" }.to_owned(),
    })
}
