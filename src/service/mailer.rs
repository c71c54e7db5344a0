//! What sekisho writes to people: which mail is sent when, in whose language, and what became of it.
//!
//! Mails are templates of `assets/templates/mail` (text and HTML) with texts of `assets/locales`. They hold a code or a notice,
//! never both; a link leads to `portal.url` and nowhere else. Posting never waits for the mail server.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use fluent_bundle::{FluentArgs, FluentValue};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, context};
use moka::sync::Cache;

use super::visit::Visit;
use crate::authn::reset_link::{self, SentBy};
use crate::authn::user::{DisplayName, Email, User};
use crate::clock::Timestamp;
use crate::config::{Config, Language};
use crate::i18n;
use crate::mail::{Delivery, Message, Outbox, Ticket};
use crate::metrics::{Held, Letters, Metrics};
use crate::secret::{ExposeSecret, SecretString, TokenDigest};

/// Of how many logins it is remembered what became of their mail; each is a few hundred bytes at most.
const REMEMBERED: u64 = 10_000;
/// For how long. A login with a mailed code seldom takes as long.
const REMEMBERED_FOR: Duration = Duration::from_secs(3600);

/// Writes and posts.
pub struct Mailer {
    /// The way to the mail server of the configuration in force.
    outbox: ArcSwapOption<Outbox>,
    metrics: Arc<Metrics>,
    /// The newest mail of each login in progress; `None`: it was not even taken.
    posted: Cache<TokenDigest, Option<Ticket>>,
}

/// What an account's owner is told by mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// An authenticator app was enrolled.
    AppAdded,
    /// The app, or the whole second factor, was taken away.
    FactorRemoved,
    /// Mails go to another address from now on; told to the old one.
    AddressChanged,
    /// Codes by mail are asked for from now on.
    SwitchedOn,
    /// There are new recovery codes, and the old ones are void.
    RecoveryCodesRenewed,
    /// A browser has signed in that was not known for this account.
    NewDevice { address: IpAddr },
    /// The owner has set another password, by hand or by a link.
    PasswordChanged { address: IpAddr },
    /// Somebody has asked for a link, and the account is one that only a manager's is good for.
    LinkNeedsManager { address: IpAddr },
}

/// A code that proves a mail address.
#[derive(Debug, Clone, Copy)]
pub enum AddressLetter<'a> {
    ToOld { new: &'a Email },
    ToNew { new: &'a Email },
}

impl Mailer {
    pub fn new(outbox: Option<Outbox>, metrics: Arc<Metrics>) -> Self {
        let posted = Cache::builder().max_capacity(REMEMBERED).time_to_live(REMEMBERED_FOR).build();
        Self { outbox: ArcSwapOption::from_pointee(outbox), metrics, posted }
    }

    /// From now on mails go this way. What waits in the outbox before goes the way that it was posted for.
    pub fn post_by(&self, outbox: Option<Outbox>) {
        self.outbox.store(outbox.map(Arc::new));
    }

    /// Sends a code for the login `flow`.
    pub fn code(&self, visit: &Visit, flow: &TokenDigest, user: &User, code: &SecretString) {
        let counted = &self.metrics.mails.login_codes;
        let ticket = self.post(&visit.config, user, counted, || code_mail(&visit.config, visit.language, user, code));
        self.posted.insert(*flow, ticket);
    }

    /// Sends a code that proves an address, to whichever of the two it is for.
    pub fn address_code(&self, visit: &Visit, user: &User, letter: AddressLetter<'_>, code: &SecretString) {
        let addressed = match letter {
            AddressLetter::ToOld { .. } => user.clone(),
            // Whoever gets it may be nobody of ours.
            AddressLetter::ToNew { new } => {
                User { email: Some(new.clone()), name: DisplayName::default(), ..user.clone() }
            }
        };
        let counted = &self.metrics.mails.address_codes;
        self.post(&visit.config, &addressed, counted, || {
            address_mail(&visit.config, visit.language, user, letter, code)
        });
    }

    /// What became of the newest code of this login. After a restart nothing is known, which is said as "on its way": whoever
    /// waits in vain can have another one sent.
    pub fn delivery(&self, flow: &TokenDigest) -> Delivery {
        match self.posted.get(flow) {
            Some(Some(ticket)) => ticket.state(),
            Some(None) => Delivery::Failed,
            None => Delivery::Waiting,
        }
    }

    /// Sends a link by which a new password can be set.
    pub fn link(&self, config: &Config, language: Language, user: &User, sent_by: SentBy, link: &SecretString) {
        self.post(config, user, &self.metrics.mails.links, || link_mail(config, language, user, sent_by, link));
    }

    /// Tells the owner of something that has happened, where there is an address and a way to send.
    pub fn notice(&self, config: &Config, language: Language, user: &User, notice: Notice, now: Timestamp) {
        if !self.has_room() {
            // Codes and links come first: somebody waits for them.
            tracing::warn!(user = %user.id, "a notice was not sent: too many mails are waiting for the mail server");
            self.metrics.mails.notices.refused.inc();
        } else if self.outbox.load().is_some() && user.email.is_some() {
            self.post(config, user, &self.metrics.mails.notices, || notice_mail(config, language, user, notice, now));
        }
    }

    /// Returns when it is known of every letter how it ended.
    pub async fn settled(&self) {
        if let Some(outbox) = self.outbox.load_full() {
            outbox.settled().await;
        }
    }

    /// Whether what can wait may be posted now.
    pub fn has_room(&self) -> bool {
        self.outbox.load().as_ref().is_none_or(|outbox| outbox.has_room())
    }

    /// Posts a mail, and counts what becomes of it.
    fn post(
        &self,
        config: &Config,
        user: &User,
        counted: &Letters,
        write: impl FnOnce() -> Result<Written, Error>,
    ) -> Option<Ticket> {
        let ticket = self.try_to_post(config, user, write);
        match ticket.clone() {
            Some(ticket) => self.follow(ticket, counted.clone()),
            None => counted.refused.inc(),
        }
        ticket
    }

    fn follow(&self, mut ticket: Ticket, counted: Letters) {
        let waiting = Held::new(&self.metrics.mails.waiting);
        tokio::spawn(async move {
            match ticket.settled().await {
                Delivery::Delivered => counted.delivered.inc(),
                Delivery::Failed | Delivery::Waiting => counted.failed.inc(),
            }
            drop(waiting);
        });
    }

    fn try_to_post(
        &self,
        config: &Config,
        user: &User,
        write: impl FnOnce() -> Result<Written, Error>,
    ) -> Option<Ticket> {
        let outbox = self.outbox.load();
        let (Some(outbox), Some(to)) = (outbox.as_ref(), &user.email) else {
            tracing::warn!(user = %user.id, "a mail could not be sent: no `mail` in the configuration, or no address");
            return None;
        };
        let Written { subject, text, html } = match write() {
            Ok(written) => written,
            Err(error) => {
                // A test renders every mail in every language; the error names a template and a line.
                tracing::error!(%error, "a mail could not be written");
                return None;
            }
        };
        let subject = self::subject(config, &subject);
        let message = Message { to: to.clone(), name: user.name.clone(), subject, text, html };
        match outbox.post(message) {
            Ok(ticket) => Some(ticket),
            Err(error) => {
                tracing::warn!(%error, user = %user.id, "a mail could not be sent");
                None
            }
        }
    }
}

/// A mail's words.
struct Written {
    subject: String,
    text: SecretString,
    html: SecretString,
}

/// `mail.subject` filled in.
fn subject(config: &Config, subject: &str) -> String {
    let template = config.mail.as_ref().map_or("{subject}", |mail| mail.subject.as_str());
    // One pass: what is filled in is not looked at again.
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let (value, after) = match after.split_once('}') {
            Some(("subject", after)) => (subject, after),
            Some(("title", after)) => (config.portal.title.as_str(), after),
            _ => ("{", after),
        };
        filled.push_str(value);
        rest = after;
    }
    filled.push_str(rest);
    filled
}

fn code_mail(config: &Config, language: Language, user: &User, code: &SecretString) -> Result<Written, Error> {
    let (amount, unit) = amount_and_unit(config.second_factor.mail_code.lifetime);
    write(
        language,
        "code",
        "mail-code-subject",
        &context! {
            title => config.portal.title.as_str(),
            login => user.login.as_str(),
            lead => "mail-code-lead",
            not_you => "mail-code-not-you",
            to => "",
            code => code.expose_secret(),
            amount,
            unit,
        },
    )
}

fn address_mail(
    config: &Config,
    language: Language,
    user: &User,
    letter: AddressLetter<'_>,
    code: &SecretString,
) -> Result<Written, Error> {
    let (amount, unit) = amount_and_unit(config.second_factor.mail_code.lifetime);
    let (side, to) = match letter {
        AddressLetter::ToOld { new } => ("old", new),
        AddressLetter::ToNew { new } => ("new", new),
    };
    write(
        language,
        "code",
        "mail-address-subject",
        &context! {
            title => config.portal.title.as_str(),
            login => user.login.as_str(),
            lead => format!("mail-address-{side}-lead"),
            not_you => format!("mail-address-{side}-not-you"),
            to => to.as_str(),
            code => code.expose_secret(),
            amount,
            unit,
        },
    )
}

fn link_mail(
    config: &Config,
    language: Language,
    user: &User,
    sent_by: SentBy,
    link: &SecretString,
) -> Result<Written, Error> {
    let (amount, unit) = amount_and_unit(reset_link::LIFETIME);
    let lead = match (sent_by, user.password.is_some()) {
        (SentBy::Asker, _) => "mail-link-asked",
        (SentBy::Manager, true) => "mail-link-sent",
        (SentBy::Manager, false) => "mail-link-first",
    };
    write(
        language,
        "link",
        "mail-link-subject",
        &context! {
            title => config.portal.title.as_str(),
            login => user.login.as_str(),
            lead,
            link => link.expose_secret(),
            amount,
            unit,
        },
    )
}

fn notice_mail(
    config: &Config,
    language: Language,
    user: &User,
    notice: Notice,
    now: Timestamp,
) -> Result<Written, Error> {
    let (kind, address) = match notice {
        Notice::AppAdded => ("app-added", String::new()),
        Notice::FactorRemoved => ("factor-removed", String::new()),
        Notice::AddressChanged => ("address-changed", String::new()),
        Notice::SwitchedOn => ("switched-on", String::new()),
        Notice::RecoveryCodesRenewed => ("codes-renewed", String::new()),
        Notice::NewDevice { address } => ("new-device", address.to_canonical().to_string()),
        Notice::LinkNeedsManager { address } => ("link-needs-manager", address.to_canonical().to_string()),
        Notice::PasswordChanged { address } => ("password-changed", address.to_canonical().to_string()),
    };
    write(
        language,
        "notice",
        &format!("mail-{kind}-subject"),
        &context! {
            title => config.portal.title.as_str(),
            login => user.login.as_str(),
            text => format!("mail-{kind}-text"),
            address,
            at => moment(now),
            url => config.portal.url.as_deref(),
        },
    )
}

fn write(language: Language, name: &str, subject: &str, values: &Value) -> Result<Written, Error> {
    let environment = match language {
        Language::Ja => &*JA,
        Language::En => &*EN,
    };
    let render =
        |form: &str| environment.get_template(&format!("{name}.{form}"))?.render(values).map(SecretString::from);
    let subject = i18n::text(language, subject, None).ok_or_else(|| missing(subject))?;
    Ok(Written { subject, text: render("txt")?, html: render("html")? })
}

/// In the largest unit that divides it.
fn amount_and_unit(duration: Duration) -> (u64, &'static str) {
    let seconds = duration.as_secs();
    let units = [(3600, "hours"), (60, "minutes")];
    let whole = units.into_iter().find(|(length, _)| seconds > 0 && seconds.is_multiple_of(*length));
    whole.map_or((seconds, "seconds"), |(length, unit)| (seconds / length, unit))
}

/// `2027-01-15 08:00 UTC`: the same for everybody, since nothing is known of a reader's time zone.
fn moment(at: Timestamp) -> String {
    let seconds = i64::try_from(at.secs()).unwrap_or_default();
    jiff::Timestamp::from_second(seconds).map(|at| at.strftime("%Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default()
}

const TEMPLATES: [(&str, &str); 7] = [
    ("layout.html", include_str!("../../assets/templates/mail/layout.html")),
    ("code.txt", include_str!("../../assets/templates/mail/code.txt")),
    ("code.html", include_str!("../../assets/templates/mail/code.html")),
    ("link.txt", include_str!("../../assets/templates/mail/link.txt")),
    ("link.html", include_str!("../../assets/templates/mail/link.html")),
    ("notice.txt", include_str!("../../assets/templates/mail/notice.txt")),
    ("notice.html", include_str!("../../assets/templates/mail/notice.html")),
];

static JA: LazyLock<Environment<'static>> = LazyLock::new(|| environment(Language::Ja));
static EN: LazyLock<Environment<'static>> = LazyLock::new(|| environment(Language::En));

fn environment(language: Language) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|name| match name.rsplit_once('.') {
        Some((_, "txt")) => AutoEscape::None,
        _ => AutoEscape::Html,
    });
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment.add_global("lang", i18n::tag(language));
    environment.add_function("t", move |key: &str, args: Kwargs| text(language, key, &args));
    for (name, source) in TEMPLATES {
        if let Err(error) = environment.add_template(name, source) {
            tracing::error!(template = name, %error, "a mail's template cannot be read");
        }
    }
    environment
}

/// `t("key", name=value)`: a text of this language.
fn text(language: Language, key: &str, args: &Kwargs) -> Result<String, Error> {
    let mut fluent = FluentArgs::new();
    for name in args.args() {
        let value: Value = args.get(name)?;
        let value = match i64::try_from(value.clone()) {
            Ok(number) if value.is_number() => FluentValue::from(number),
            _ => FluentValue::from(value.to_string()),
        };
        fluent.set(name.to_owned(), value);
    }
    i18n::text(language, key, Some(&fluent)).ok_or_else(|| missing(key))
}

fn missing(key: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("there is no text {key}, or it lacks an argument"))
}

#[cfg(test)]
pub mod tests;
