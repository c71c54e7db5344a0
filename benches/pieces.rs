//! What each piece of a decision takes by itself, without sockets: `cargo bench --bench pieces` (`-- route` for one of them alone).
//!
//! Criterion compares each run with the one before and says whether the difference is more than noise. What the pieces come to in a
//! request, beside what Pingora takes, is measured by `benches/cost.rs`.

/// That of the program (`src/main.rs`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    #[cfg(test)]
    pieces::main();
}

#[cfg(test)]
mod pieces {
    use std::fmt::Write;
    use std::hint::black_box;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use criterion::Criterion;
    use http::{HeaderMap, HeaderValue, Method};
    use sekisho::authn::user::{Method as Factor, Role};
    use sekisho::authz::identity::AccountSecondFactor;
    use sekisho::authz::{Account, Facts, Identity, NormalTarget, RawTarget, decide};
    use sekisho::clock::Timestamp;
    use sekisho::config::{Config, parse};
    use sekisho::gateway::road::{Cookies, Presented, Road};
    use sekisho::id::{SessionId, UserId};
    use sekisho::secret::{ExposeSecret, Keys};

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const PATH: &[u8] = b"/section/tool500/orders/1042?filter=open&page=3";
    /// What HTTP libraries and attackers write, and browsers do not.
    const ODD_PATH: &[u8] = b"/section//tool500/./a/../orders/%31042;v=1?filter=open&page=3";

    pub fn main() {
        let mut criterion = Criterion::default().configure_from_args();
        [target, route, credential, decision, headers].into_iter().for_each(|piece| piece(&mut criterion));
        criterion.final_summary();
    }

    fn target(criterion: &mut Criterion) {
        let parse =
            |target| NormalTarget::parse(RawTarget { target, authority: Some(b"shop.example.com"), secure: true });
        criterion.bench_function("target, as browsers write it", |bench| bench.iter(|| parse(black_box(PATH)).is_ok()));
        criterion.bench_function("target, to be normalised", |bench| bench.iter(|| parse(black_box(ODD_PATH)).is_ok()));
    }

    fn route(criterion: &mut Criterion) {
        let raw = RawTarget { target: PATH, authority: Some(b"tool500.example.com"), secure: true };
        let target = NormalTarget::parse(raw).unwrap();
        for count in [1, 1000] {
            let routes = config(count).routes;
            assert!(routes.find(&target, &Method::GET).unwrap().is_some());
            criterion.bench_function(&format!("route, one of {count}"), |bench| {
                bench.iter(|| routes.find(black_box(&target), &Method::GET).is_ok());
            });
        }
    }

    fn credential(criterion: &mut Criterion) {
        let fields = fields();
        criterion.bench_function("credential, with its digest", |bench| {
            bench.iter(|| match Cookies::read(black_box(&fields), true).presented() {
                Presented::Session(token) => Some(token.digest()),
                _ => None,
            });
        });
    }

    fn decision(criterion: &mut Criterion) {
        let config = config(1);
        let (_, route) = config.routes.iter().next().unwrap();
        let facts = Facts { client: [192, 0, 2, 1].into(), websocket_origin: None };
        let identity = Identity {
            account: Arc::new(alice()),
            session: SessionId::from_bytes([2; 10]),
            begun_at: NOW,
            expires_at: NOW.plus(Duration::from_secs(3600)),
            last_seen: NOW,
            second_factor_at: Some(NOW),
        };
        criterion.bench_function("decide", |bench| {
            bench.iter(|| decide(black_box(route), &facts, Some(black_box(&identity)), NOW));
        });
    }

    fn headers(criterion: &mut Criterion) {
        let passed = Road::new(config(1)).pass([192, 0, 2, 1].into(), PATH, &fields(), Some(alice())).unwrap();
        criterion.bench_function("headers, on a copy of the head", |bench| {
            bench.iter(|| {
                let mut head = passed.head();
                passed.set_headers(&mut head)
            });
        });
        criterion.bench_function("the copy alone", |bench| bench.iter(|| passed.head()));
    }

    /// What a browser sends with a session's cookie and some of the tool's.
    fn fields() -> HeaderMap {
        let session = "A".repeat(43);
        let cookies =
            format!("theme=dark; __Host-sekisho-session={session}; PHPSESSID=0123456789abcdef0123456789abcdef");
        let mut fields = HeaderMap::new();
        for (name, value) in [
            ("host", "tool500.example.com"),
            ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
            ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
            ("accept-language", "ja,en;q=0.5"),
            ("accept-encoding", "gzip, deflate, br"),
            ("cookie", cookies.as_str()),
            ("remote-user", "forged"),
        ] {
            fields.append(name, HeaderValue::from_str(value).unwrap());
        }
        fields
    }

    fn alice() -> Account {
        Account {
            id: UserId::from_bytes([1; 10]),
            login: "alice".parse().unwrap(),
            name: "山田 花子".parse().unwrap(),
            email: Some("alice@example.com".parse().unwrap()),
            groups: vec!["ops".parse().unwrap(), "shop".parse().unwrap()],
            role: Role::User,
            second_factor: AccountSecondFactor { switched_on: false, method: Factor::Totp, usable: false },
        }
    }

    /// With so many routes, half of them by path and half by host.
    fn config(routes: usize) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("secret.key");
        std::fs::write(&key, Keys::generate_line().unwrap().expose_secret()).unwrap();
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let mut text = String::from(
            "server: {listen: ['127.0.0.1:0']}\nstore: {path: store}\nsecrets: {key_file: secret.key}\nroutes:\n\
             - {name: all, second_factor: 'off', upstream: 'http://127.0.0.1:9'}\n",
        );
        for number in (0..routes.saturating_sub(1)).step_by(2) {
            let _ = writeln!(
                text,
                "- {{name: path-{number}, path: /section/tool{number}, upstream: 'http://127.0.0.1:9'}}"
            );
            let _ = writeln!(
                text,
                "- {{name: host-{number}, host: tool{number}.example.com, upstream: 'http://127.0.0.1:9'}}"
            );
        }
        let file: &Path = &folder.path().join("sekisho.yaml");
        parse(&text, file, &|_| None).unwrap().config
    }
}
