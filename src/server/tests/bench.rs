//! A gateway in this process, a raw upstream behind it, and accounts without a login page.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::{A_WHILE, PATIENCE};
use crate::authn::session::Session;
use crate::authn::user::{Method, Role, SecondFactor, User};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::config::Config;
use crate::id::{SessionId, UserId};
use crate::secret::{ExposeSecret, Keys, Token, random_bytes};
use crate::server::{Running, start};
use crate::service::Services;
use crate::service::actor::Actor;
use crate::store::record::{Change, Store};
use crate::store::sled::testing::scratch;

pub const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What an upstream answers to each request.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    Bytes(&'static [u8]),
    /// The request's body.
    Echo,
    /// 101, asked or not, and then every byte back.
    Switch,
    Silent,
    /// The head, and the body when it is told to go on.
    Slow,
}

/// An upstream that keeps every byte of the heads and small bodies it is sent.
pub struct Upstream {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<u8>>>,
    go_on: Arc<Notify>,
}

impl Upstream {
    pub async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let go_on = Arc::new(Notify::new());
        let (log, signal) = (Arc::clone(&seen), Arc::clone(&go_on));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer, Arc::clone(&log), Arc::clone(&signal)));
            }
        });
        Self { address, seen, go_on }
    }

    /// One that nobody listens at any more.
    pub async fn gone() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { address, seen: Arc::default(), go_on: Arc::default() }
    }

    pub fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    pub fn go_on(&self) {
        self.go_on.notify_waiters();
    }
}

async fn serve(mut stream: TcpStream, answer: Answer, seen: Arc<Mutex<Vec<u8>>>, go_on: Arc<Notify>) {
    loop {
        let head = read_until(&mut stream, b"\r\n\r\n").await;
        if head.is_empty() {
            return;
        }
        seen.lock().unwrap().extend_from_slice(&head);
        let body = read_body(&mut stream, &head).await;
        // A line break of our own, so that the next request begins a line.
        seen.lock().unwrap().extend_from_slice(&[body.get(..1000).unwrap_or(&body), b"\n"].concat());
        match answer {
            Answer::Bytes(bytes) => stream.write_all(bytes).await.unwrap(),
            Answer::Echo => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
            }
            Answer::Switch => {
                let head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
                let _ = stream.write_all(head).await;
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
                return;
            }
            Answer::Silent => std::future::pending().await,
            Answer::Slow => {
                let told = go_on.notified();
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n").await.unwrap();
                told.await;
                stream.write_all(b"ok").await.unwrap();
            }
        }
    }
}

async fn read_body(stream: &mut (impl AsyncRead + Unpin), head: &[u8]) -> Vec<u8> {
    let head = String::from_utf8_lossy(head).to_lowercase();
    if head.contains("transfer-encoding: chunked") {
        let mut body = Vec::new();
        loop {
            let line = read_until(stream, b"\r\n").await;
            let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).unwrap_or(0);
            let mut piece = vec![0; size + 2];
            if stream.read_exact(&mut piece).await.is_err() || size == 0 {
                return body;
            }
            body.extend_from_slice(&piece[..size]);
        }
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    match stream.read_exact(&mut body).await {
        Ok(_) => body,
        Err(_) => Vec::new(),
    }
}

/// Reads byte by byte up to and with `end`; what came before the end of the stream otherwise.
pub async fn read_until(stream: &mut (impl AsyncRead + Unpin), end: &[u8]) -> Vec<u8> {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        match stream.read_u8().await {
            Ok(byte) => read.push(byte),
            Err(_) => break,
        }
    }
    read
}

/// Reads one answer: head and body.
pub async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let head = read_until(stream, b"\r\n\r\n").await;
    let body = read_body(stream, &head).await;
    [head, body].concat()
}

/// An account as it is stored, that nobody can sign in to by a page.
pub fn user(login: &str) -> User {
    User {
        id: UserId::from_bytes(random_bytes().unwrap()),
        login: login.parse().unwrap(),
        name: crate::authn::user::DisplayName::default(),
        email: None,
        groups: std::collections::BTreeSet::new(),
        role: Role::User,
        password: None,
        disabled: false,
        second_factor: SecondFactor { switched_on: false, method: Method::Totp, totp: None, recovery: None },
        epoch: 0,
        registered_at: SystemClock.now(),
        last_login: None,
    }
}

fn config(folder: &Path, tool: &str, public: &str) -> Config {
    let text = format!(
        "server: {{listen: ['127.0.0.1:0'], admin_socket: admin.sock, shutdown_grace: 10s}}\nstore: {{path: store}}\n\
         secrets: {{key_file: secret.key}}\nroutes:\n\
         - {{name: tool, path: /, second_factor: 'off', {tool}}}\n\
         - {{name: public, path: /public, access: public, {public}}}\n"
    );
    crate::config::parse(&text, &folder.join("sekisho.yaml"), &|_| None).unwrap().config
}

/// A gateway with one route for signed-in people, and one at `/public` for everybody.
pub struct Gate {
    pub address: SocketAddr,
    running: Running,
    store: Store,
    folders: (tempfile::TempDir, tempfile::TempDir),
}

impl Gate {
    /// `route`: further keys of the public route.
    pub async fn start(upstream: &Upstream, route: &str) -> Self {
        let (store, store_folder) = scratch();
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("secret.key");
        std::fs::write(&key, Keys::generate_line().unwrap().expose_secret()).unwrap();
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let up = format!("upstream: 'http://{}'", upstream.address);
        let public = format!("{up}{}{route}", if route.is_empty() { "" } else { ", " });
        let config = config(folder.path(), &up, &public);
        let running = start(config, store.clone(), Arc::new(SystemClock)).await.unwrap();
        let address = *running.addresses().first().unwrap();
        Self { address, running, store, folders: (store_folder, folder) }
    }

    /// From now on both routes lead here; `upstreams`: `upstream` or `upstreams`, as in the file.
    pub fn reload(&self, upstreams: &str) {
        self.services().config.store(Arc::new(config(self.folders.1.path(), upstreams, upstreams)));
    }

    /// Where it is observed.
    pub fn observation(&self) -> &super::super::observation::Observation {
        &self.running.observation
    }

    /// An account with a session; returns the session's cookie.
    pub async fn sign_in(&self, login: &str) -> String {
        self.sign_in_as(user(login), None).await
    }

    /// The same with a role, after a code by mail.
    pub async fn sign_in_to_manage(&self, login: &str, role: Role) -> String {
        let email = Some(format!("{login}@example.com").parse().unwrap());
        let second_factor = SecondFactor { switched_on: true, method: Method::Mail, totp: None, recovery: None };
        self.sign_in_as(User { role, email, second_factor, ..user(login) }, Some(SystemClock.now())).await
    }

    async fn sign_in_as(&self, user: User, second_factor_at: Option<Timestamp>) -> String {
        let now = SystemClock.now();
        let token = Token::generate().unwrap();
        let session = Session {
            second_factor_at,
            ..Session::begun(SessionId::from_bytes(random_bytes().unwrap()), user.id, 0, now)
        };
        let change = Change::new().put(&user.id.to_string(), &user).put(&token.digest().to_string(), &session);
        self.store.commit(change).await.unwrap();
        format!("sekisho-session={}", token.encode().expose_secret())
    }

    pub const fn services(&self) -> &Services {
        self.running.services()
    }

    pub const fn store(&self) -> &Store {
        &self.store
    }

    pub async fn end_all(&self) {
        let services = self.running.services();
        let now = services.clock.now();
        for view in services.sessions.list(None, now).await.unwrap() {
            assert!(services.sessions.end_by_id(view.session.id, &Actor::CommandLine, now).await.unwrap().unwrap());
        }
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// One request, one answer.
    pub async fn ask(&self, request: &[u8]) -> String {
        let mut client = self.connect().await;
        client.write_all(request).await.unwrap();
        let answer = timeout(PATIENCE, read_answer(&mut client)).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Sends, and reads for as long as something comes.
    pub async fn ask_and_wait(&self, request: &[u8]) -> String {
        let mut client = self.connect().await;
        client.write_all(request).await.unwrap();
        let mut answers = timeout(PATIENCE, read_answer(&mut client)).await.unwrap();
        let mut more = [0; 4096];
        while let Ok(Ok(n @ 1..)) = timeout(A_WHILE, client.read(&mut more)).await {
            answers.extend_from_slice(&more[..n]);
        }
        String::from_utf8_lossy(&answers).into_owned()
    }

    pub async fn stop(self) {
        self.running.stop().await;
    }
}
