//! A recovery code instead of the account's own method (F8), and the sets of them (F7). Whoever asks cannot tell an account
//! without codes from a wrong one: each try costs one hash.

use super::code::{self, Judged};
use super::{Browser, Refusal, Step};
use crate::authn::code::normalise;
use crate::authn::password::Cost;
use crate::authn::recovery_code::{self, HASH_BYTES, RecoverySet};
use crate::authn::user::User;
use crate::config::Config;
use crate::id::UserId;
use crate::secret::{ExposeSecret, Purpose, SecretString, Token, random_bytes};
use crate::service::ServiceError;
use crate::service::context::{self, Context, TRIES};
use crate::service::records;
use crate::service::visit::Visit;

pub async fn step(
    context: &Context,
    browser: Browser<'_>,
    token: &Token,
    typed: &str,
    remember: bool,
) -> Result<Step, ServiceError> {
    let visit = browser.visit;
    // What is not judged is not hashed either.
    let user = match code::read(context, browser, token).await? {
        Ok(reading) => reading.account.user.id,
        Err(step) => return Ok(step),
    };
    let guess = guess(context, visit, user, typed).await?;
    let _turn = context.turn(&records::account_throttle(user)).await;
    for _ in 0..TRIES {
        let mut reading = match code::read(context, browser, token).await? {
            Ok(reading) => reading,
            Err(step) => return Ok(step),
        };
        let due = reading.due.clone();
        let judged = match find(&visit.config, &reading.account.user, &guess)? {
            Some(unspent) => due.accept_recovery(&mut reading.account.user, unspent, visit.now).into(),
            None => Judged::Wrong {
                due: due.wrong(),
                refusal: Refusal::WrongRecoveryCode,
                why: "wrong or used recovery code",
            },
        };
        if let Some(step) = code::conclude(context, browser, reading, judged, remember).await? {
            return Ok(step);
        }
    }
    Err(ServiceError::Contended)
}

/// What was typed, hashed as the account's set was.
pub struct Guess {
    salt: [u8; 16],
    hash: [u8; HASH_BYTES],
}

pub async fn guess(context: &Context, visit: &Visit, user: UserId, typed: &str) -> Result<Guess, ServiceError> {
    let code = SecretString::from(normalise(typed).unwrap_or_default());
    let account = context.user(user, visit.now).await?;
    let (salt, cost) = match account.as_ref().and_then(|found| found.user.second_factor.recovery.as_ref()) {
        Some(set) => (set.salt, cost_of(set)),
        None => (random_bytes()?, context::cost(&visit.config)),
    };
    Ok(Guess { salt, hash: context.hasher.derive(code, salt, cost).await? })
}

fn cost_of(set: &RecoverySet) -> Cost {
    let (memory_kib, iterations, parallelism) = set.cost;
    Cost { memory_kib, iterations, parallelism }
}

/// The unspent code that was given. A set that was made since the guess was hashed holds none of it.
pub fn find(config: &Config, user: &User, guess: &Guess) -> Result<Option<recovery_code::Unspent>, ServiceError> {
    let Some(set) = user.second_factor.recovery.as_ref().filter(|set| set.salt == guess.salt) else {
        return Ok(None);
    };
    let hashes = config.keys.open(Purpose::RecoveryCodes, &user.id.to_string(), &set.hashes)?;
    Ok(set.find(&hashes, &guess.hash))
}

/// A new set, and the codes to be shown once.
#[derive(Clone)]
pub struct Fresh {
    pub set: RecoverySet,
    pub codes: Vec<SecretString>,
}

/// Makes a set for `user`, one hash after the other, so that people who sign in meanwhile need not wait for all of them.
pub async fn fresh(context: &Context, visit: &Visit, user: UserId) -> Result<Fresh, ServiceError> {
    let settings = visit.config.second_factor.recovery_codes;
    let cost = context::cost(&visit.config);
    let draw = || random_bytes().map(u32::from_ne_bytes);
    let codes = recovery_code::generate(usize::from(settings.count), settings.digits, draw)?;
    let salt = random_bytes()?;
    let mut hashes = zeroize::Zeroizing::new(Vec::with_capacity(codes.len() * HASH_BYTES));
    for code in &codes {
        hashes.extend_from_slice(&context.hasher.derive(code.clone(), salt, cost).await?);
    }
    let sealed = visit.config.keys.seal(Purpose::RecoveryCodes, &user.to_string(), &hashes)?;
    let cost = (cost.memory_kib, cost.iterations, cost.parallelism);
    Ok(Fresh { set: RecoverySet::new(salt, cost, sealed, codes.len(), visit.now), codes })
}

/// The codes as they are sealed in the flow: a line each.
pub fn lines(codes: &[SecretString]) -> zeroize::Zeroizing<String> {
    let mut lines = zeroize::Zeroizing::new(String::new());
    for code in codes {
        lines.push_str(code.expose_secret());
        lines.push('\n');
    }
    lines
}
