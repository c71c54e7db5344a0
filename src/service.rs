//! Use cases: load, take a pure step of `authn` or `authz`, commit, then the effects. What a page or a command may ask
//! for is a method here; how it looks belongs to `portal` and `cli`.

pub mod actor;
mod background;
pub mod care;
mod census;
mod clock_watch;
mod context;
pub mod cookies;
pub mod denials;
pub mod devices;
pub mod directory;
pub mod end;
pub mod enrolment;
pub mod error;
mod events;
mod figures;
mod hasher;
pub mod health;
pub mod held;
pub mod history;
pub mod import;
mod journal;
pub mod login;
mod mail_limit;
mod mailer;
mod nodes;
pub mod own;
mod pace;
mod passwords;
mod records;
pub mod reload;
pub mod reset;
mod rights;
pub mod session;
pub mod sign_on;
pub mod tokens;
pub mod tool_logins;
pub mod users;
pub mod visit;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use self::context::Context;
pub use self::error::ServiceError;
use crate::audit::AuditFile;
pub use crate::audit::printable;
use crate::clock::Clock;
use crate::config::Current;
use crate::mail::Outbox;
use crate::metrics::Metrics;
use crate::store::record::Store;

/// All services over one store, for the gateway, the portal and the control socket.
#[derive(Clone)]
pub struct Services {
    pub config: Current,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    pub sessions: Arc<session::Sessions>,
    pub login: Arc<login::Logins>,
    pub sign_on: Arc<sign_on::SignOns>,
    pub enrolment: Arc<enrolment::Enrolments>,
    pub users: Arc<users::Users>,
    pub history: Arc<history::History>,
    pub denials: Arc<denials::Denials>,
    pub resets: Arc<reset::Resets>,
    pub devices: Arc<devices::Devices>,
    pub tokens: Arc<tokens::Tokens>,
    pub own: Arc<own::OwnSettings>,
    pub directory: Arc<directory::Directory>,
    pub imports: Arc<import::Imports>,
    pub held: Arc<held::HeldForms>,
    pub tool_logins: Arc<tool_logins::ToolLogins>,
    pub health: Arc<health::Health>,
    pub care: Arc<care::Care>,
    context: Arc<Context>,
}

impl Services {
    /// Builds them over `store`. Starts the hashing threads; background work (write-behind, sweeping, watching) is
    /// started by [`Services::background`]. Without an outbox no mail is sent, and a code by mail is told to have failed.
    #[must_use]
    pub fn new(config: Current, store: Store, clock: Arc<dyn Clock>, outbox: Option<Outbox>) -> Self {
        let context = Arc::new(Context::new(Arc::clone(&config), store, outbox));
        context.metrics.started(clock.now());
        let known = Arc::downgrade(&context);
        context.metrics.also(move || known.upgrade().map(|context| figures::readings(&context)).unwrap_or_default());
        let users = Arc::new(users::Users::new(Arc::clone(&context)));
        let resets = Arc::new(reset::Resets::new(Arc::clone(&context)));
        let imports = Arc::new(import::Imports::new(
            Arc::clone(&context),
            Arc::clone(&users),
            Arc::clone(&resets),
            Arc::clone(&clock),
        ));
        let care = Arc::new(care::Care::new(Arc::clone(&context), Arc::clone(&clock)));
        Self {
            config,
            clock,
            metrics: Arc::clone(&context.metrics),
            sessions: Arc::clone(&context.sessions),
            tokens: Arc::clone(&context.tokens),
            login: Arc::new(login::Logins::new(Arc::clone(&context))),
            sign_on: Arc::new(sign_on::SignOns::new(Arc::clone(&context))),
            enrolment: Arc::new(enrolment::Enrolments::new(Arc::clone(&context))),
            history: Arc::new(history::History::new(Arc::clone(&context))),
            denials: Arc::new(denials::Denials::new(Arc::clone(&context))),
            devices: Arc::new(devices::Devices::new(Arc::clone(&context))),
            own: Arc::new(own::OwnSettings::new(Arc::clone(&context))),
            directory: Arc::clone(&context.directory),
            care,
            users,
            resets,
            imports,
            held: Arc::new(held::HeldForms::new(Arc::clone(&context))),
            tool_logins: Arc::new(tool_logins::ToolLogins::new(Arc::clone(&context))),
            health: Arc::new(health::Health::new(Arc::clone(&context))),
            context,
        }
    }

    /// From now on events are appended to this file, too.
    pub fn write_events_to(&self, file: AuditFile) {
        drop(self.context.journal.write_to(Some(file)));
    }

    /// The file that events are appended to.
    #[must_use]
    pub fn events_file(&self) -> Option<Arc<AuditFile>> {
        self.context.journal.file()
    }

    /// From now on another process has the store, and this one its records from there: what one alone has to do is left to it.
    pub fn retire(&self) {
        self.context.retire();
        self.context.journal.let_go();
    }

    /// Writes what is known of last-seen times, and returns when everything that outlives its request is done: links that were asked
    /// for, letters on their way.
    pub async fn settled(&self) {
        self.context.sessions.write_behind(self.clock.now(), true).await;
        self.context.tokens.write_behind(self.clock.now(), true).await;
        self.context.errands.close();
        self.context.errands.wait().await;
        self.context.mailer.settled().await;
    }

    /// Writes last-seen times behind, sweeps what has expired, follows changes made elsewhere; runs until the store is
    /// closed or `stop` fires.
    pub async fn background(&self, stop: CancellationToken) {
        background::run(&self.context, self.clock.as_ref(), &stop).await;
    }

    /// Returns when the store has answered, through every queue that could stand still. What it answers, a full disk say, does not
    /// matter here.
    pub async fn store_answers(&self) {
        let _ = self.context.store.durable().await;
    }
}

#[cfg(test)]
pub(crate) mod testing;
