//! The people of the demo: one for each kind of user.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::DemoError;
use super::phone::App;
use super::{past, people};
use crate::authn::totp::KEY_BYTES;
use crate::authn::user::{InvalidField, Method, Role, TotpEnrolment, User};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::secret::{Purpose, random_bytes};
use crate::service::Services;
use crate::service::actor::Actor;
use crate::service::users::NewUser;
use crate::store::engine::Outcome;
use crate::store::record::{Change, Store};

/// A sample account.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub login: &'static str,
    pub password: &'static str,
    name: &'static str,
    email: &'static str,
    role: Role,
    groups: &'static [&'static str],
    method: Method,
    /// The app is set up already, and the demo's phone shows its codes.
    pub enrolled: bool,
    /// What this account is there to show.
    pub shows: Shows,
}

/// What an account is there to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    Administrator,
    FirstLogin,
    JapaneseName,
    Forbidden,
    CodeByMail,
}

/// The passwords are no secrets: the demo listens on this machine alone, and everything in it is made up.
pub const SAMPLES: [Sample; 5] = [
    Sample {
        login: "alice",
        password: "Sencha-green-1",
        name: "Alice Martin",
        email: "alice@example.com",
        role: Role::Admin,
        groups: &["shop", "accounting"],
        method: Method::Totp,
        enrolled: true,
        shows: Shows::Administrator,
    },
    Sample {
        login: "bob",
        password: "Gyokuro-shade-2",
        name: "Bob Tanaka",
        email: "bob@example.com",
        role: Role::User,
        groups: &["shop", "accounting"],
        method: Method::Totp,
        enrolled: false,
        shows: Shows::FirstLogin,
    },
    Sample {
        login: "hanako",
        password: "Hojicha-roast-3",
        name: "山田 花子",
        email: "hanako@example.com",
        role: Role::Viewer,
        groups: &["shop", "accounting"],
        method: Method::Totp,
        enrolled: true,
        shows: Shows::JapaneseName,
    },
    Sample {
        login: "carol",
        password: "Matcha-whisk-4",
        name: "Carol Weber",
        email: "carol@example.com",
        role: Role::User,
        groups: &["shop"],
        method: Method::Totp,
        enrolled: true,
        shows: Shows::Forbidden,
    },
    Sample {
        login: "kenji",
        password: "Genmai-toast-5",
        name: "佐藤 健司",
        email: "kenji@example.com",
        role: Role::Manager,
        groups: &["shop", "accounting"],
        method: Method::Mail,
        enrolled: false,
        shows: Shows::CodeByMail,
    },
];

/// Makes the accounts, and hands back the app of those who are enrolled.
///
/// # Errors
/// Where an account cannot be made.
pub async fn create(config: &Config, store: &Store, clock: Arc<dyn Clock>) -> Result<Vec<App>, DemoError> {
    let now = clock.now();
    // Services for this alone: those of the gateway begin with everything in place.
    let current = Arc::new(ArcSwap::from_pointee(config.clone()));
    let services = Services::new(current, store.clone(), clock, None);
    let mut apps = Vec::new();
    for sample in SAMPLES {
        let new = sample.to_new_user().map_err(|rule| DemoError::Account(rule.to_string()))?;
        let added = services.users.add(new, &Actor::CommandLine, now).await?;
        let user = added.map_err(|rejection| DemoError::Account(rejection.to_string()))?.user;
        if sample.enrolled {
            let key = random_bytes::<KEY_BYTES>()?;
            enrol(config, store, &user, &key, now).await?;
            apps.push(App { label: sample.login.to_owned(), key: key.to_vec().into() });
        }
    }
    let people = people::settle(config, &services, store, now).await?;
    past::happen(&services, &people, now).await?;
    Ok(apps)
}

impl Sample {
    fn to_new_user(self) -> Result<NewUser, InvalidField> {
        Ok(NewUser {
            login: self.login.parse()?,
            name: self.name.parse()?,
            email: Some(self.email.parse()?),
            groups: self.groups.iter().map(|group| group.parse()).collect::<Result<_, _>>()?,
            role: self.role,
            method: Some(self.method),
            second_factor: None,
            password: Some(self.password.into()),
            must_change: false,
            hash: None,
            disabled: false,
        })
    }
}

/// What a person's own first code does; no service does it for somebody else, so the demo writes the record.
async fn enrol(config: &Config, store: &Store, user: &User, key: &[u8], now: Timestamp) -> Result<(), DemoError> {
    let name = user.id.to_string();
    let sealed = config.keys.seal(Purpose::TotpKey, &name, key).map_err(crate::service::ServiceError::from)?;
    let slot = store.get::<User>(&name, now).await?;
    let mut user = slot.record.ok_or_else(|| DemoError::Account("it is gone again".into()))?;
    user.second_factor.totp = Some(TotpEnrolment { key: sealed, last_step: 0, enrolled_at: now });
    let change = Change::new().unchanged::<User>(&name, slot.seen).put(&name, &user);
    match store.commit(change).await? {
        Outcome::Committed(_) => Ok(()),
        Outcome::Conflict => Err(DemoError::Account("it was changed meanwhile".into())),
    }
}
