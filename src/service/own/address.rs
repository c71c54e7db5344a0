//! Another mail address: begun with the password and the second factor given again, proved by a code to the old address and one
//! to the new (ASVS 7.5.1; [`crate::authn::address_change`]).
//!
//! Single use is the commit's that compares the change and the account: of many posts of the right codes one is carried out.

use std::time::Duration;

use super::{Obstacle, Outcome, Own, OwnSettings};
use crate::audit::{Event, Kind};
use crate::authn::address_change::{AddressChange, Codes, Verdict};
use crate::authn::code::{normalise, random_digits};
use crate::authn::lockout::AccountThrottle;
use crate::authn::mail_code::DIGITS;
use crate::authn::user::{Email, User};
use crate::clock::Timestamp;
use crate::secret::{KeyError, Mac, Purpose, SecretString, Token, random_bytes};
use crate::service::ServiceError;
use crate::service::context::{self, TRIES};
use crate::service::events::{self, By};
use crate::service::login::mailed::masked;
use crate::service::mail_limit::{self, Letter};
use crate::service::mailer::{AddressLetter, Notice};
use crate::service::records;
use crate::service::visit::Visit;
use crate::store::engine::Expect;
use crate::store::record::Change;

/// How much longer than its codes a change is kept: time to have others sent.
const GRACE: Duration = Duration::from_secs(15 * 60);

/// A change that waits for its codes, as the page shows it.
#[derive(Debug, Clone)]
pub struct AddressView {
    pub to: Email,
    /// Masked; `None`: there is no old one, and no code for it.
    pub from: Option<String>,
    /// How long the codes are good for.
    pub lifetime: Duration,
    /// For how long "send again" has to wait; zero: not any more.
    pub resend_wait: Duration,
}

/// What became of two codes.
#[derive(Debug)]
pub enum Given {
    /// The account has the address, and the session a new value.
    Done(Token),
    Wrong {
        old: bool,
        new: bool,
    },
    Expired,
    TooManyTries,
    /// Too many wrong codes in a row: none of this account is judged until a manager lifts it.
    Locked,
    /// No change waits for codes in this session (any more).
    Gone,
}

/// The two codes in the clear, on their way into mails.
struct Drawn {
    old: Option<SecretString>,
    new: SecretString,
    macs: Codes,
}

impl OwnSettings {
    /// The change that waits for its codes in this session.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn address_change(&self, visit: &Visit) -> Result<Option<AddressView>, ServiceError> {
        let Some(own) = Own::load(&self.context, visit).await? else { return Ok(None) };
        let Some((change, _)) = self.pending(&own, visit.now).await? else { return Ok(None) };
        let wait = self.allowance(&own, visit).await?.wait();
        Ok(Some(AddressView {
            to: change.to().clone(),
            from: change.from().map(masked),
            lifetime: visit.config.second_factor.mail_code.lifetime,
            resend_wait: wait,
        }))
    }

    /// Sends a code to the old address and one to the new.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn begin_address_change(&self, visit: &Visit, to: &Email) -> Result<Outcome, ServiceError> {
        for _ in 0..TRIES {
            let Some(own) = Own::load(&self.context, visit).await? else { return Ok(Outcome::SignedOut) };
            let user = &own.account.user;
            if visit.config.mail.is_none() {
                return Ok(Outcome::Refused(Obstacle::MailNotConfigured));
            }
            if user.email.as_ref() == Some(to) {
                return Ok(Outcome::Refused(Obstacle::SameAddress));
            }
            let Ok(confirmed) = own.confirmed(visit) else { return Ok(Outcome::ConfirmationDue) };
            let allowance = self.allowance(&own, visit).await?;
            if !allowance.wait().is_zero() {
                return Ok(Outcome::Refused(Obstacle::TooManyMails(allowance.wait())));
            }
            let drawn = draw(visit, &own, to)?;
            let Ok(begun) = AddressChange::begin(&confirmed, user, to.clone(), drawn.macs, visit.now, end(visit))
            else {
                return Ok(Outcome::SignedOut);
            };
            let name = user.id.to_string();
            let seen = self.context.store.get::<AddressChange>(&name, visit.now).await?.seen;
            let change = allowance.spend(Change::new()).unchanged::<User>(&name, own.account.seen);
            let change = change.unchanged::<AddressChange>(&name, seen).put(&name, &begun);
            if self.context.commit(change, &[]).await?.is_some() {
                self.post(visit, user, to, &drawn);
                return Ok(Outcome::Done(()));
            }
        }
        Err(ServiceError::Contended)
    }

    /// Sends other codes; the ones before are void.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn resend_address_codes(&self, visit: &Visit) -> Result<Outcome, ServiceError> {
        for _ in 0..TRIES {
            let Some(own) = Own::load(&self.context, visit).await? else { return Ok(Outcome::SignedOut) };
            let Some((pending, seen)) = self.pending(&own, visit.now).await? else {
                return Ok(Outcome::Refused(Obstacle::NothingBegun));
            };
            let allowance = self.allowance(&own, visit).await?;
            if !allowance.wait().is_zero() {
                return Ok(Outcome::Refused(Obstacle::TooManyMails(allowance.wait())));
            }
            let to = pending.to().clone();
            let drawn = draw(visit, &own, &to)?;
            let name = own.account.user.id.to_string();
            let again = pending.sent_again(drawn.macs, visit.now, end(visit));
            let change = allowance.spend(Change::new()).unchanged::<AddressChange>(&name, seen).put(&name, &again);
            if self.context.commit(change, &[]).await?.is_some() {
                self.post(visit, &own.account.user, &to, &drawn);
                return Ok(Outcome::Done(()));
            }
        }
        Err(ServiceError::Contended)
    }

    /// Forgets the change that waits.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn cancel_address_change(&self, visit: &Visit) -> Result<(), ServiceError> {
        let Some(own) = Own::load(&self.context, visit).await? else { return Ok(()) };
        if let Some((_, seen)) = self.pending(&own, visit.now).await? {
            let name = own.account.user.id.to_string();
            let change = Change::new().unchanged::<AddressChange>(&name, seen).delete::<AddressChange>(&name);
            self.context.commit(change, &[]).await?;
        }
        Ok(())
    }

    /// Both codes, as they were typed.
    ///
    /// # Errors
    /// Where the store cannot.
    pub async fn prove_address(
        &self,
        visit: &Visit,
        user_agent: Option<&str>,
        old: &str,
        new: &str,
    ) -> Result<Given, ServiceError> {
        let Some(own) = Own::load(&self.context, visit).await? else { return Ok(Given::Gone) };
        // What is no code at all is judged as a wrong one.
        let typed = [old, new].map(|typed| normalise(typed).unwrap_or_default());
        let _turn = self.context.turn(&records::account_throttle(own.account.user.id)).await;
        for _ in 0..TRIES {
            if let Some(given) = self.attempt(visit, user_agent, &typed).await? {
                return Ok(given);
            }
        }
        Err(ServiceError::Contended)
    }

    /// One try: read everything as it is now, judge, commit. `None`: somebody came in between.
    async fn attempt(
        &self,
        visit: &Visit,
        user_agent: Option<&str>,
        [old, new]: &[String; 2],
    ) -> Result<Option<Given>, ServiceError> {
        let (context, now) = (&self.context, visit.now);
        let Some(own) = Own::load(context, visit).await? else { return Ok(Some(Given::Gone)) };
        let Some((pending, seen)) = self.pending(&own, now).await? else { return Ok(Some(Given::Gone)) };
        let user = &own.account.user;
        let throttle_name = records::account_throttle(user.id);
        let throttle = context.store.get::<AccountThrottle>(&throttle_name, now).await?;
        let limits = context::limits(&visit.config);
        if throttle.record.as_ref().is_some_and(|counted| counted.codes_are_locked(limits)) {
            return Ok(Some(Given::Locked));
        }
        let known = pending.macs();
        let given = Codes {
            old: match known.old {
                Some(known) => Some(digest_like(Some(&known), visit, &own, Side::Old, pending.to(), old)?),
                None => None,
            },
            new: digest_like(Some(&known.new), visit, &own, Side::New, pending.to(), new)?,
        };
        let name = user.id.to_string();
        let change = Change::new()
            .unchanged::<AddressChange>(&name, seen)
            .unchanged::<AccountThrottle>(&throttle_name, throttle.seen);
        match pending.judge(given, context::mail_settings(&visit.config), now) {
            Verdict::Expired => Ok(Some(Given::Expired)),
            Verdict::TooManyTries => Ok(Some(Given::TooManyTries)),
            Verdict::Wrong { old, new, next } => {
                let mut counted = throttle.record.unwrap_or_default();
                counted.wrong_code();
                let change = change.put(&name, next.as_ref()).put(&throttle_name, &counted);
                let event = self.event(&own, visit, user_agent, false)?;
                Ok(context.commit(change, &[event]).await?.map(|_| Given::Wrong { old, new }))
            }
            Verdict::Proved(proved) => {
                let mut after = user.clone();
                if proved.apply(&mut after).is_err() {
                    return Ok(Some(Given::Gone));
                }
                let change = change.delete::<AddressChange>(&name);
                self.carry_out(visit, user_agent, &own, &after, change).await
            }
        }
    }

    async fn carry_out(
        &self,
        visit: &Visit,
        user_agent: Option<&str>,
        own: &Own,
        after: &User,
        mut change: Change,
    ) -> Result<Option<Given>, ServiceError> {
        let (context, now, before) = (&self.context, visit.now, &own.account.user);
        if after.epoch != before.epoch {
            change = context.without_devices(change, after.id, now).await?;
        }
        let (change, renewal) = own.renewed(context, visit, change, own.session.clone(), Some(after)).await?;
        let event = self.event(own, visit, user_agent, true)?;
        if context.commit(change, &[event]).await?.is_none() {
            return Ok(None);
        }
        let token = renewal.took_place(context, now).await;
        context.mailer.notice(&visit.config, visit.language, before, Notice::AddressChanged, now);
        Ok(Some(Given::Done(token)))
    }

    /// The change of this account, where it was begun in this session and can still come about.
    async fn pending(&self, own: &Own, now: Timestamp) -> Result<Option<(AddressChange, Expect)>, ServiceError> {
        let slot = self.context.store.get::<AddressChange>(&own.account.user.id.to_string(), now).await?;
        let standing = slot.record.filter(|change| change.stands(&own.session, &own.account.user));
        Ok(standing.map(|change| (change, slot.seen)))
    }

    async fn allowance(&self, own: &Own, visit: &Visit) -> Result<mail_limit::Allowance, ServiceError> {
        let resend_after = visit.config.second_factor.mail_code.resend_after;
        let user = own.account.user.id;
        mail_limit::read(&self.context, user, Letter::AddressCode, None, resend_after, visit.now).await
    }

    fn post(&self, visit: &Visit, user: &User, to: &Email, drawn: &Drawn) {
        if let Some(code) = &drawn.old {
            self.context.mailer.address_code(visit, user, AddressLetter::ToOld { new: to }, code);
        }
        self.context.mailer.address_code(visit, user, AddressLetter::ToNew { new: to }, &drawn.new);
    }

    fn event(&self, own: &Own, visit: &Visit, user_agent: Option<&str>, done: bool) -> Result<Event, ServiceError> {
        let by = By::InSession(visit.origin(user_agent), own.session.id);
        let user = &own.account.user;
        let event = match done {
            true => events::success(Kind::UserChanged, visit.now, Some(user.id), user.login.as_str(), by)?,
            false => events::failure(Kind::UserChanged, visit.now, Some(user.id), user.login.as_str(), by)?,
        };
        Ok(events::detailed(event, if done { "mail address" } else { "wrong code for another mail address" }))
    }
}

fn end(visit: &Visit) -> Timestamp {
    visit.now.plus(visit.config.second_factor.mail_code.lifetime + GRACE)
}

/// Which mailbox a code is sent to.
#[derive(Clone, Copy)]
enum Side {
    Old,
    New,
}

fn draw(visit: &Visit, own: &Own, to: &Email) -> Result<Drawn, ServiceError> {
    let code = || random_digits(DIGITS, || random_bytes().map(u32::from_ne_bytes));
    let new = code()?;
    let old = match own.account.user.email {
        Some(_) => Some(code()?),
        None => None,
    };
    let macs = Codes {
        old: match &old {
            Some(code) => Some(digest(visit, own, Side::Old, to, code)?),
            None => None,
        },
        new: digest(visit, own, Side::New, to, &new)?,
    };
    Ok(Drawn { old: old.map(SecretString::from), new: new.into(), macs })
}

/// What is kept of a code: it is good for this change of this account in this session alone.
fn digest(visit: &Visit, own: &Own, side: Side, to: &Email, code: &str) -> Result<Mac, KeyError> {
    digest_like(None, visit, own, side, to, code)
}

/// `known`: the one that it is to be compared with.
fn digest_like(
    known: Option<&Mac>,
    visit: &Visit,
    own: &Own,
    side: Side,
    to: &Email,
    code: &str,
) -> Result<Mac, KeyError> {
    let side: &[u8] = match side {
        Side::Old => b"old",
        Side::New => b"new",
    };
    let (user, session) = (own.account.user.id.to_string(), own.session.id.to_string());
    let parts = [side, user.as_bytes(), session.as_bytes(), to.as_str().as_bytes(), code.as_bytes()];
    match known {
        Some(known) => visit.config.keys.mac_like(known, Purpose::AddressCode, &parts),
        None => visit.config.keys.mac(Purpose::AddressCode, &parts),
    }
}
