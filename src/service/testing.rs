//! A whole set of services over a real store in a temporary folder, with a clock that is moved by hand and hashes that cost
//! next to nothing.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use data_encoding::BASE32_NOPAD;
use tokio_util::sync::CancellationToken;

use super::Services;
use super::actor::Actor;
use super::login::{Credentials, Destination, FlowView, Missing, Refusal, Step, Wish};
use super::session::{LiveSession, Sessions};
use super::users::{NewUser, UserView};
use super::visit::{Ask, SekishoCookies, Visit};
use crate::authn::password::Weakness;
use crate::authn::session::Session;
use crate::authn::user::{Method, Role, User};
use crate::authz::{Host, NormalTarget, RawTarget, Route, RouteId};
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::config::{self, Argon2, Config, Language};
use crate::i18n;
use crate::id::{RequestId, SessionId};
use crate::mail::Outbox;
use crate::secret::{ExposeSecret, Keys, Token, random_bytes};
use crate::store::record::{Change, Store};
use crate::store::sled::testing::scratch;

mod mailbox;
mod reads;

pub use mailbox::Mailbox;
use reads::{Counting, Reads};

pub const PASSWORD: &str = "Correct-horse-7";

pub struct Bench {
    pub services: Services,
    pub clock: Arc<ManualClock>,
    pub store: Store,
    pub reads: Reads,
    dir: tempfile::TempDir,
}

impl Bench {
    /// With the defaults of the configuration, but for `change`.
    pub fn new(change: impl FnOnce(&mut Config)) -> Self {
        Self::build(change, |_, _| None)
    }

    /// The same with a mail server, and what it has taken.
    pub async fn with_mail(change: impl FnOnce(&mut Config)) -> (Self, Mailbox) {
        let (mailbox, port) = Mailbox::open().await;
        let configured = |config: &mut Config| {
            let mut mail = mail();
            mail.smtp.port = port;
            config.mail = Some(mail);
            config.portal.url = Some("https://shop.example.com".to_owned());
            change(config);
        };
        (Self::build(configured, outbox), mailbox)
    }

    /// A session of this account, as a login would leave it in the store.
    pub async fn begin(&self, user: &User) -> (Token, Session) {
        let id = SessionId::from_bytes(random_bytes().unwrap());
        let session = Session::begun(id, user.id, user.epoch, self.now());
        let token = Token::generate().unwrap();
        self.put(&token, &session).await;
        (token, session)
    }

    /// Stores a session.
    pub async fn put(&self, token: &Token, session: &Session) {
        self.store.commit(Sessions::with(Change::new(), &token.digest(), session)).await.unwrap();
    }

    /// Ten sessions, each at a hundred hosts and with codes on their way, and fifty that are nowhere else: more records than one commit takes.
    pub async fn everywhere(&self, user: &User) -> Vec<Arc<LiveSession>> {
        let mut all = Vec::new();
        for number in 0..60 {
            let (token, mut session) = self.begin(user).await;
            if number < 10 {
                for host in 0..100 {
                    let host = Host::parse(&format!("h{host}.test")).unwrap();
                    let _ = session.elsewhere.seated(&host, Token::generate().unwrap().digest());
                }
                for _ in 0..16 {
                    let _ = session.elsewhere.minted(Token::generate().unwrap().digest());
                }
                self.put(&token, &session).await;
            }
            all.push(self.live(&token).await.unwrap());
        }
        all
    }

    /// Forgets whatever is kept in memory alone, as a restart does.
    pub fn restart(&mut self) {
        let config = Arc::clone(&self.services.config);
        let outbox = outbox(&config.load(), self.clock.clone());
        self.services = Services::new(config, self.store.clone(), self.clock.clone(), outbox);
    }

    fn build(
        change: impl FnOnce(&mut Config),
        outbox: impl FnOnce(&Config, Arc<ManualClock>) -> Option<Outbox>,
    ) -> Self {
        let (store, dir) = scratch();
        let reads = Reads::default();
        let store = Store::new(Arc::new(Counting { engine: store.into_engine(), reads: reads.clone() }));
        let key_file = dir.path().join("secret.key");
        std::fs::write(&key_file, Keys::generate_line().unwrap().expose_secret()).unwrap();
        std::fs::set_permissions(&key_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let mut config = config(dir.path());
        change(&mut config);
        // Half way through a time step of 30 s.
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_015)));
        let outbox = outbox(&config, clock.clone());
        let services = Services::new(Arc::new(ArcSwap::from_pointee(config)), store.clone(), clock.clone(), outbox);
        Self { services, clock, store, reads, dir }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    pub async fn add(&self, login: &str) -> UserView {
        self.add_as(login, Role::User).await
    }

    pub async fn add_as(&self, login: &str, role: Role) -> UserView {
        let new = NewUser { password: Some(PASSWORD.into()), role, ..new_user(login) };
        self.services.users.add(new, &Actor::CommandLine, self.now()).await.unwrap().unwrap()
    }

    /// An account with a mail address.
    pub async fn add_with_mail(&self, login: &str, method: Method) -> UserView {
        let email = Some(format!("{login}@example.com").parse().unwrap());
        let new = NewUser { password: Some(PASSWORD.into()), email, method: Some(method), ..new_user(login) };
        self.services.users.add(new, &Actor::CommandLine, self.now()).await.unwrap().unwrap()
    }

    /// How many passwords were hashed so far.
    pub fn hashes(&self) -> u64 {
        self.services.context.hasher.computed()
    }

    /// How much work that was: KiB of memory, times the passes over them.
    pub fn hash_work(&self) -> u64 {
        self.services.context.hasher.work()
    }

    /// The defaults again, with the same keys, to be changed and put in force.
    pub fn config(&self) -> Config {
        config(self.dir.path())
    }

    pub fn destination(&self) -> Destination {
        Destination { demand: self.services.config.load().second_factor.demand, return_to: "/orders?id=7".into() }
    }

    /// A request from a browser that has these cookies.
    pub async fn visit(&self, cookies: &SekishoCookies) -> Visit {
        let session = match &cookies.session {
            Some(token) => self.live(token).await,
            None => None,
        };
        let raw = RawTarget { target: b"/.sekisho/login", authority: Some(b"shop.test"), secure: true };
        Visit {
            request_id: RequestId::from_bytes([0; 10]),
            now: self.now(),
            config: self.services.config.load_full(),
            client: "192.0.2.1".parse().unwrap(),
            secure: true,
            may_sign_in: true,
            target: NormalTarget::parse(raw).unwrap(),
            route: None,
            cookies: cookies.clone(),
            language: i18n::choose(&[Language::Ja, Language::En], cookies.language, None),
            session,
            ask: Ask::Page,
        }
    }

    pub async fn live(&self, token: &Token) -> Option<Arc<LiveSession>> {
        self.services.sessions.find(&token.digest(), self.now()).await.unwrap()
    }

    /// Whether a request with this session would be somebody's on the one route there is.
    pub async fn passes(&self, token: &Token) -> bool {
        let route = self.route();
        self.live(token).await.is_some_and(|live| live.identity(&route).is_some() && live.is_alive(self.now()))
    }

    pub fn route(&self) -> Route {
        self.services.config.load().routes.get(RouteId(0)).unwrap().clone()
    }
}

/// A browser with its cookies, and the app on its owner's phone.
#[derive(Clone, Default)]
pub struct Browser {
    pub cookies: SekishoCookies,
    pub address: Option<IpAddr>,
}

impl Browser {
    pub fn from(address: &str) -> Self {
        Self { address: Some(address.parse().unwrap()), ..Self::default() }
    }

    pub async fn visit(&self, bench: &Bench) -> Visit {
        let visit = bench.visit(&self.cookies).await;
        Visit { client: self.address.unwrap_or(visit.client), ..visit }
    }

    pub async fn password_to(&mut self, bench: &Bench, login: &str, password: &str, destination: Destination) -> Step {
        let credentials = Credentials { login: login.into(), password: password.into() };
        let visit = self.visit(bench).await;
        let step = bench.services.login.password(&visit, Some("test"), credentials, destination).await.unwrap();
        self.keep(step)
    }

    pub async fn password(&mut self, bench: &Bench, login: &str, password: &str) -> Step {
        self.password_to(bench, login, password, bench.destination()).await
    }

    pub async fn code(&mut self, bench: &Bench, code: &str, remember: bool) -> Step {
        let Some(flow) = self.cookies.flow.clone() else { return Step::Refused(Refusal::RestartLogin) };
        let visit = self.visit(bench).await;
        let step = bench.services.login.code(&visit, Some("test"), &flow, code, remember).await.unwrap();
        self.keep(step)
    }

    pub async fn confirm(&mut self, bench: &Bench, code: &str, remember: bool) -> Step {
        let Some(flow) = self.cookies.flow.clone() else { return Step::Refused(Refusal::RestartLogin) };
        let visit = self.visit(bench).await;
        let step = bench.services.enrolment.confirm(&visit, Some("test"), &flow, code, remember).await.unwrap();
        self.keep(step)
    }

    /// The key that the enrolment page shows.
    pub async fn offered(&self, bench: &Bench) -> App {
        let visit = self.visit(bench).await;
        let flow = self.cookies.flow.as_ref().unwrap();
        let offer = bench.services.enrolment.offer(&visit, flow).await.unwrap().unwrap();
        let base32 = offer.key.expose_secret().replace(' ', "");
        App(BASE32_NOPAD.decode(base32.as_bytes()).unwrap())
    }

    /// Signs in for the first time, and enrols.
    pub async fn enrol(&mut self, bench: &Bench, login: &str, remember: bool) -> App {
        assert!(matches!(self.password(bench, login, PASSWORD).await, Step::Enrol { .. }));
        let app = self.offered(bench).await;
        let step = self.confirm(bench, &app.code(bench.now()), remember).await;
        assert!(matches!(step, Step::RecoveryCodes { .. }), "{step:?}");
        let step = self.saved(bench).await;
        assert!(matches!(step, Step::SignedIn { .. }), "{step:?}");
        app
    }

    /// The recovery codes that the page shows after an enrolment.
    pub async fn recovery_codes(&self, bench: &Bench) -> Vec<String> {
        let visit = self.visit(bench).await;
        let flow = self.cookies.flow.as_ref().unwrap();
        let view = bench.services.enrolment.recovery_codes(&visit, flow).await.unwrap();
        view.map(|view| view.codes.iter().map(|code| code.expose_secret().to_owned()).collect()).unwrap_or_default()
    }

    pub async fn saved(&mut self, bench: &Bench) -> Step {
        let Some(flow) = self.cookies.flow.clone() else { return Step::Refused(Refusal::RestartLogin) };
        let visit = self.visit(bench).await;
        let step = bench.services.enrolment.saved(&visit, Some("test"), &flow).await.unwrap();
        self.keep(step)
    }

    pub async fn recovery(&mut self, bench: &Bench, code: &str, remember: bool) -> Step {
        let Some(flow) = self.cookies.flow.clone() else { return Step::Refused(Refusal::RestartLogin) };
        let visit = self.visit(bench).await;
        let step = bench.services.login.recovery(&visit, Some("test"), &flow, code, remember).await.unwrap();
        self.keep(step)
    }

    /// Asks for another code by mail.
    pub async fn resend(&self, bench: &Bench) -> Step {
        let Some(flow) = self.cookies.flow.clone() else { return Step::Refused(Refusal::RestartLogin) };
        let visit = self.visit(bench).await;
        bench.services.login.resend(&visit, Some("test"), &flow).await.unwrap()
    }

    /// Gives the password again, within the session.
    pub async fn password_again(&mut self, bench: &Bench, password: &str) -> Step {
        let visit = self.visit(bench).await;
        let step = bench.services.login.confirm_password(&visit, Some("test"), password.into(), "/").await.unwrap();
        self.keep(step)
    }

    /// Gives the app's code again, within the session.
    pub async fn code_again(&mut self, bench: &Bench, app: &App) -> Step {
        let visit = self.visit(bench).await;
        let step = bench.services.login.confirm_code(&visit, "/").await.unwrap();
        assert!(matches!(self.keep(step), Step::Code { .. }));
        self.code(bench, &app.code(bench.now()), false).await
    }

    /// What has to be given again.
    pub async fn missing(&self, bench: &Bench) -> Option<Missing> {
        let visit = self.visit(bench).await;
        bench.services.login.missing(&visit, Wish::Anything).await.unwrap()
    }

    /// Sets another password, within the session.
    pub async fn own_password(&mut self, bench: &Bench, current: &str, new: &str) -> Result<Step, Weakness> {
        let visit = self.visit(bench).await;
        let login = &bench.services.login;
        let changed = login.change_own_password(&visit, Some("test"), current.into(), new.into()).await.unwrap();
        changed.map(|step| self.keep(step))
    }

    /// Sets the password that the login asks for.
    pub async fn change_password(&mut self, bench: &Bench, new: &str) -> Result<Step, Weakness> {
        let Some(flow) = self.cookies.flow.clone() else { return Ok(Step::Refused(Refusal::RestartLogin)) };
        let visit = self.visit(bench).await;
        let changed = bench.services.login.change_password(&visit, Some("test"), &flow, new.into()).await.unwrap();
        changed.map(|step| self.keep(step))
    }

    /// What the page of the login in progress shows.
    pub async fn view(&self, bench: &Bench) -> Option<FlowView> {
        let visit = self.visit(bench).await;
        bench.services.login.view(&visit, self.cookies.flow.as_ref()?).await.unwrap()
    }

    pub fn session(&self) -> Token {
        self.cookies.session.clone().unwrap()
    }

    fn keep(&mut self, step: Step) -> Step {
        match &step {
            Step::Code { flow } | Step::Enrol { flow } | Step::ChangePassword { flow } => {
                self.cookies.flow = Some(flow.clone());
            }
            Step::RecoveryCodes { flow, session } => {
                self.cookies.flow = Some(flow.clone());
                if let Some(session) = session {
                    self.cookies.session = Some(session.clone());
                }
            }
            Step::SignedIn { session, device, .. } => {
                self.cookies.session = Some(session.clone());
                self.cookies.flow = None;
                if let Some(device) = device {
                    self.cookies.device = Some(device.clone());
                }
            }
            Step::Refused(_) => {}
        }
        step
    }
}

/// An authenticator app, by RFC 6238 and with nothing of ours.
#[derive(Clone)]
pub struct App(Vec<u8>);

impl App {
    pub fn code(&self, at: Timestamp) -> String {
        let totp = totp_rs::Builder::new().with_secret(self.0.clone()).build().unwrap();
        totp.generate(at.secs()).to_string()
    }
}

pub fn new_user(login: &str) -> NewUser {
    NewUser {
        login: login.parse().unwrap(),
        name: crate::authn::user::DisplayName::default(),
        email: None,
        groups: std::collections::BTreeSet::new(),
        role: Role::User,
        method: None,
        second_factor: None,
        password: None,
        must_change: false,
        hash: None,
        disabled: false,
    }
}

fn outbox(config: &Config, clock: Arc<ManualClock>) -> Option<Outbox> {
    let mail = config.mail.as_ref()?;
    Some(Outbox::open(mail, clock, CancellationToken::new()).unwrap())
}

fn config(dir: &Path) -> Config {
    let yaml = r#"
server: {listen: ["127.0.0.1:0"]}
store: {path: store}
secrets: {key_file: secret.key}
routes: [{name: tool, upstream: "http://127.0.0.1:9000"}]
"#;
    let file = dir.join("sekisho.yaml");
    let mut config = config::parse(yaml, &file, &|_| None).unwrap().config;
    config.password.argon2 = Argon2 { memory_kib: 16, iterations: 1, parallelism: 1 };
    config
}

/// Settings of a mail server that nobody runs.
pub fn mail() -> config::Mail {
    config::Mail {
        from: "no-reply@example.com".to_owned(),
        subject: "{subject} - {title}".to_owned(),
        smtp: config::Smtp {
            host: "localhost".to_owned(),
            port: 1,
            security: config::SmtpSecurity::None,
            credentials: None,
            authorities: Vec::new(),
        },
    }
}

/// Writes every mail in this language.
pub fn every_mail(language: Language) {
    super::mailer::tests::every_mail(language);
}
