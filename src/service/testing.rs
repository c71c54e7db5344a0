//! A whole set of services over a real store in a temporary folder, with a clock that is moved by hand and hashes that cost
//! next to nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::Services;
use super::session::LiveSession;
use super::users::{NewUser, UserView};
use super::visit::{Ask, SekishoCookies, Visit};
use crate::authn::user::Role;
use crate::authz::{NormalTarget, RawTarget, Route, RouteId};
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::config::{self, Argon2, Config};
use crate::id::RequestId;
use crate::secret::{ExposeSecret, Keys, Token};
use crate::store::record::Store;
use crate::store::sled::testing::scratch;

pub const PASSWORD: &str = "Correct-horse-7";

pub struct Bench {
    pub services: Services,
    pub clock: Arc<ManualClock>,
    pub store: Store,
    _dir: tempfile::TempDir,
}

impl Bench {
    /// With the defaults of the configuration, but for `change`.
    pub fn new(change: impl FnOnce(&mut Config)) -> Self {
        let (store, dir) = scratch();
        let mut config = config(dir.path());
        change(&mut config);
        // Half way through a time step of 30 s.
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_015)));
        let services = Services::new(Arc::new(ArcSwap::from_pointee(config)), store.clone(), clock.clone());
        Self { services, clock, store, _dir: dir }
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
        self.services.users.add(new, "test", self.now()).await.unwrap().unwrap()
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
    }
}

fn config(dir: &Path) -> Config {
    let key_file = dir.join("secret.key");
    std::fs::write(&key_file, Keys::generate_line().unwrap().expose_secret()).unwrap();
    std::fs::set_permissions(&key_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
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
