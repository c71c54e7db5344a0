//! Further people, so that lists have pages and there is something to look for. Nobody knows their passwords.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use secrecy::SecretString;
use serde::Deserialize;

use super::DemoError;
use crate::authn::totp::KEY_BYTES;
use crate::authn::user::{InvalidField, Method, Role, TotpEnrolment, User};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::secret::{Purpose, random_bytes};
use crate::service::actor::Actor;
use crate::service::users::NewUser;
use crate::service::{ServiceError, Services};
use crate::store::engine::Outcome;
use crate::store::record::{Change, Store};

const HOUR: u64 = 60 * 60;
pub const DAY: u64 = 24 * HOUR;

/// Family names and given names of one language.
#[derive(Deserialize)]
struct Names {
    family: Vec<(String, String)>,
    given: Vec<(String, String)>,
    order: Order,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    Family,
    Given,
}

/// Somebody made up.
struct Person {
    login: String,
    name: String,
}

/// Makes the accounts, and hands them back as they are then.
///
/// # Errors
/// Where an account cannot be made.
pub async fn settle(
    config: &Config,
    services: &Services,
    store: &Store,
    now: Timestamp,
) -> Result<Vec<Arc<User>>, DemoError> {
    let mut people = Vec::new();
    let mut password = None;
    for (number, person) in (0_u64..).zip(everybody()?) {
        let registered = ago(now, 400 * DAY - number * 6 * DAY - number * 37 * 61);
        let unknown = if number == 0 { Some(unknown_password()?) } else { None };
        let new = person.to_new_user(number, unknown).map_err(|rule| DemoError::Account(rule.to_string()))?;
        let added = services.users.add(new, &Actor::CommandLine, registered).await?;
        let user = added.map_err(|rejection| DemoError::Account(rejection.to_string()))?.user;
        let name = user.id.to_string();
        let slot = store.get::<User>(&name, now).await?;
        let mut user = slot.record.ok_or_else(|| DemoError::Account("it is gone again".into()))?;
        // One hash for all: a hash for each would make the demo wait.
        if number == 0 {
            password.clone_from(&user.password);
        }
        user.password.clone_from(&password);
        live(config, &mut user, number, now)?;
        match store.commit(Change::new().unchanged::<User>(&name, slot.seen).put(&name, &user)).await? {
            Outcome::Committed(_) => people.push(Arc::new(user)),
            Outcome::Conflict => return Err(DemoError::Account("it was changed meanwhile".into())),
        }
    }
    Ok(people)
}

/// What has become of an account since it was made.
fn live(config: &Config, user: &mut User, number: u64, now: Timestamp) -> Result<(), DemoError> {
    let away = match number % 10 {
        // Has never come.
        7 => return Ok(()),
        3 => 95 * DAY + number * 5 * HOUR,
        9 => 20 * DAY + number * 11 * HOUR,
        _ => number * 67 * 60 + number * 11,
    };
    let last = ago(now, away);
    user.last_login = Some(last);
    user.disabled = number % 19 == 13;
    if user.second_factor.method == Method::Totp {
        let key = random_bytes::<KEY_BYTES>()?;
        let sealed = config.keys.seal(Purpose::TotpKey, &user.id.to_string(), &key).map_err(ServiceError::from)?;
        let enrolled_at = user.registered_at.plus(Duration::from_secs(DAY / 2)).min(last);
        user.second_factor.totp = Some(TotpEnrolment { key: sealed, last_step: 0, enrolled_at });
    }
    Ok(())
}

/// In line with any policy, and forgotten as soon as it is hashed.
fn unknown_password() -> Result<SecretString, DemoError> {
    Ok(format!("Aa1-{}", HEXLOWER.encode(&random_bytes::<24>()?)).into())
}

/// This many seconds before.
pub fn ago(now: Timestamp, seconds: u64) -> Timestamp {
    Timestamp::from_millis(now.millis().saturating_sub(seconds.saturating_mul(1000)))
}

/// Japanese and English names in turn, as long as there are both.
fn everybody() -> Result<Vec<Person>, DemoError> {
    let all: Vec<Names> = serde_yaml::from_str(include_str!("../../assets/demo/people.yaml"))
        .map_err(|error| DemoError::Account(format!("names cannot be read: {error}")))?;
    let mut people: Vec<(usize, Person)> = Vec::new();
    for names in &all {
        let pairs = names.given.iter().flat_map(|given| names.family.iter().map(move |family| (given, family)));
        people.extend(
            pairs
                .map(|((given, given_login), (family, family_login))| Person {
                    login: format!("{given_login}.{family_login}"),
                    name: match names.order {
                        Order::Family => format!("{family} {given}"),
                        Order::Given => format!("{given} {family}"),
                    },
                })
                .enumerate(),
        );
    }
    people.sort_by_key(|(turn, _)| *turn);
    Ok(people.into_iter().map(|(_, person)| person).collect())
}

impl Person {
    fn to_new_user(&self, number: u64, password: Option<SecretString>) -> Result<NewUser, InvalidField> {
        let groups: &[&str] = match number % 4 {
            0 => &["shop", "accounting"],
            1 => &["warehouse"],
            _ => &["shop"],
        };
        // Somebody without an address cannot have codes by mail.
        let addressless = number % 13 == 6;
        Ok(NewUser {
            login: self.login.parse()?,
            name: self.name.parse()?,
            email: if addressless { None } else { Some(format!("{}@example.com", self.login).parse()?) },
            groups: groups.iter().map(|group| group.parse()).collect::<Result<_, _>>()?,
            role: match number {
                4 => Role::Admin,
                11 => Role::Manager,
                _ if number % 9 == 2 => Role::Viewer,
                _ => Role::User,
            },
            method: Some(if number % 5 == 3 && !addressless { Method::Mail } else { Method::Totp }),
            second_factor: None,
            password,
            must_change: false,
            hash: None,
            disabled: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_sixty_people_and_no_two_alike() {
        let people = everybody().unwrap();
        assert_eq!(people.len(), 60);
        for part in [|person: &Person| person.login.clone(), |person: &Person| person.name.clone()] {
            assert_eq!(people.iter().map(part).collect::<BTreeSet<_>>().len(), 60);
        }
        let new: Vec<NewUser> =
            (0_u64..).zip(&people).map(|(number, person)| person.to_new_user(number, None).unwrap()).collect();
        assert!(new.iter().all(|new| new.method != Some(Method::Mail) || new.email.is_some()));
        for role in [Role::Viewer, Role::Manager, Role::Admin] {
            assert!(new.iter().any(|new| new.role == role), "{role}");
        }
    }
}
