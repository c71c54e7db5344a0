//! A browser without a screen: cookies, the headers that browsers send, redirects, forms.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use super::conn::{Conn, Response};
use super::html::{self, Form};
use super::secrets::Secrets;
use super::sekisho::Sekisho;
use super::tls::Authority;
use super::{PASSWORD, totp};

/// One browser on one device. Every request has a connection of its own.
pub struct Client {
    address: SocketAddr,
    tls: Option<(Arc<rustls::ClientConfig>, String)>,
    /// What stands in `Host`.
    pub host: String,
    /// What stands in `Accept-Language`.
    pub language: String,
    pub cookies: BTreeMap<String, String>,
    /// Where it is: the path of the page last opened.
    pub path: String,
    secrets: Secrets,
}

impl Client {
    /// Over the plain listener.
    #[track_caller]
    pub fn new(gate: &Sekisho) -> Self {
        Self::with(gate, gate.address(), None, gate.address().to_string())
    }

    /// Over the TLS listener, HTTP/1.1, to this host.
    #[track_caller]
    pub fn tls(gate: &Sekisho, host: &str) -> Self {
        let config = gate.authority().client(&["http/1.1"]);
        Self::with(gate, gate.tls_address(), Some((config, host.to_owned())), host.to_owned())
    }

    /// Over TLS to a proxy that stands before the gateway, for this host.
    #[track_caller]
    pub fn through(gate: &Sekisho, proxy: SocketAddr, authority: &Authority, host: &str) -> Self {
        Self::with(gate, proxy, Some((authority.client(&["http/1.1"]), host.to_owned())), host.to_owned())
    }

    fn with(
        gate: &Sekisho,
        address: SocketAddr,
        tls: Option<(Arc<rustls::ClientConfig>, String)>,
        host: String,
    ) -> Self {
        let secrets = gate.secrets();
        Self { address, tls, host, language: "en".into(), cookies: BTreeMap::new(), path: "/".into(), secrets }
    }

    /// The gateway was started again and listens elsewhere; the cookies stay.
    pub fn follow(&mut self, gate: &Sekisho) {
        self.address = if self.tls.is_some() { gate.tls_address() } else { gate.address() };
        if self.tls.is_none() {
            self.host = self.address.to_string();
        }
    }

    /// Another browser's copy of the same cookies: what a thief would have.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            address: self.address,
            tls: self.tls.clone(),
            host: self.host.clone(),
            language: self.language.clone(),
            cookies: self.cookies.clone(),
            path: self.path.clone(),
            secrets: self.secrets.clone(),
        }
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// A connection of this client, for requests written by hand; [`Client::cookie_header`] has its cookies.
    #[track_caller]
    pub fn connect(&self) -> Conn {
        match &self.tls {
            None => Conn::plain(self.address),
            Some((config, name)) => super::tls::connect(config, self.address, name),
        }
    }

    /// `Cookie: …` with its line end, or nothing.
    pub fn cookie_header(&self) -> String {
        if self.cookies.is_empty() {
            return String::new();
        }
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("Cookie: {}\r\n", pairs.join("; "))
    }

    /// The value of a cookie of sekisho's, by the last part of its name: `session`, `device`.
    pub fn cookie(&self, kind: &str) -> Option<String> {
        let name = if self.tls.is_some() { format!("__Host-sekisho-{kind}") } else { format!("sekisho-{kind}") };
        self.cookies.get(&name).cloned()
    }

    /// A top-level navigation, as a click on a link makes it. Redirects are not followed.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Response {
        self.request("GET", path, NAVIGATION, b"")
    }

    /// A request by a page's script: `Sec-Fetch-Mode: cors`, `Accept: application/json`.
    #[track_caller]
    pub fn fetch(&mut self, method: &str, path: &str, body: &[u8]) -> Response {
        let headers = "Accept: application/json\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nSec-Fetch-Site: same-origin\r\n";
        self.request(method, path, headers, body)
    }

    /// The JSON API.
    #[track_caller]
    pub fn post_json(&mut self, path: &str, body: &serde_json::Value) -> Response {
        self.request("POST", path, JSON, body.to_string().as_bytes())
    }

    /// Any request; `headers` are whole lines. Host, cookies and the length are added, and cookies that come back are kept.
    #[track_caller]
    pub fn request(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Response {
        let mut conn = self.connect();
        let response = self.exchange(&mut conn, method, path, headers, body);
        response.unwrap_or_else(|| panic!("no answer to {method} {path}"))
    }

    /// The same over plain HTTP to a gateway that may be killed at any moment. `None`: the answer did not come, or not as a whole.
    pub fn try_request(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Option<Response> {
        let mut conn = Conn::over(TcpStream::connect(self.address).ok()?);
        let before = self.cookies.clone();
        let response = self.exchange(&mut conn, method, path, headers, body)?;
        let length = response.header("content-length").and_then(|length| length.parse().ok());
        if length != Some(response.body.len()) {
            self.cookies = before;
            return None;
        }
        Some(response)
    }

    fn exchange(&mut self, conn: &mut Conn, method: &str, path: &str, headers: &str, body: &[u8]) -> Option<Response> {
        let length = if body.is_empty() && matches!(method, "GET" | "HEAD" | "OPTIONS" | "DELETE") {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Test/1.0\r\n\
             Accept-Language: {}\r\n{}{headers}{length}Connection: close\r\n\r\n",
            self.host,
            self.language,
            self.cookie_header(),
        );
        // The gateway may answer and close before it has read a body that it does not want.
        let _ = conn.try_send(&[head.as_bytes(), body].concat());
        let response = conn.read_response(method == "HEAD")?;
        self.keep_cookies(&response);
        Some(response)
    }

    fn keep_cookies(&mut self, response: &Response) {
        for line in response.all("set-cookie") {
            let mut parts = line.split(';');
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
            let expired = parts.any(|part| part.trim().eq_ignore_ascii_case("max-age=0"));
            if expired || value.is_empty() {
                self.cookies.remove(&name);
                continue;
            }
            if name.contains("sekisho-") && !name.ends_with("language") {
                self.secrets.add(&value);
            }
            self.cookies.insert(name, value);
        }
    }

    /// Goes to a page, through its redirects; [`Client::path`] is where it ends.
    #[track_caller]
    pub fn open(&mut self, path: &str) -> Response {
        path.clone_into(&mut self.path);
        let response = self.get(path);
        self.land(response)
    }

    /// Sends a form as the page's own button would, and goes where that leads.
    #[track_caller]
    pub fn submit(&mut self, form: &Form) -> Response {
        let response = self.send(form);
        self.land(response)
    }

    /// Sends a form; redirects are not followed.
    #[track_caller]
    pub fn send(&mut self, form: &Form) -> Response {
        let action = if form.action.is_empty() { self.path.clone() } else { form.action.clone() };
        if form.method == "GET" {
            return self.get(&format!("{action}?{}", form.encoded()));
        }
        let response = self.request("POST", &action, &self.form_headers(), form.encoded().as_bytes());
        self.path = action;
        response
    }

    /// [`Client::get`] as [`Client::try_request`].
    pub fn try_get(&mut self, path: &str) -> Option<Response> {
        self.try_request("GET", path, NAVIGATION, b"")
    }

    /// [`Client::post_json`] as [`Client::try_request`].
    pub fn try_post_json(&mut self, path: &str, body: &serde_json::Value) -> Option<Response> {
        self.try_request("POST", path, JSON, body.to_string().as_bytes())
    }

    /// [`Client::send`], of a form that posts, as [`Client::try_request`].
    pub fn try_send(&mut self, form: &Form) -> Option<Response> {
        self.try_request("POST", &form.action, &self.form_headers(), form.encoded().as_bytes())
    }

    fn form_headers(&self) -> String {
        format!(
            "{NAVIGATION}Origin: {}://{}\r\nContent-Type: application/x-www-form-urlencoded\r\n",
            self.scheme(),
            self.host
        )
    }

    #[track_caller]
    fn land(&mut self, mut response: Response) -> Response {
        for _ in 0..10 {
            if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
                return response;
            }
            let to = response.header("location").expect("a redirect says where to").to_owned();
            let origin = format!("{}://{}", self.scheme(), self.host);
            let path = to.strip_prefix(&origin).unwrap_or(&to).to_owned();
            assert!(path.starts_with('/'), "led away to {to}");
            self.path.clone_from(&path);
            response = self.get(&path);
        }
        panic!("redirected in a circle, last to {}", self.path);
    }

    /// Opens `/`, gives the password, and hands back the page that follows.
    #[track_caller]
    pub fn give_password(&mut self, login: &str, password: &str) -> Response {
        let page = self.open("/");
        self.fill_password(&page, login, password)
    }

    /// Fills the login form of `page` in.
    #[track_caller]
    pub fn fill_password(&mut self, page: &Response, login: &str, password: &str) -> Response {
        self.secrets.add(password);
        let form = form_with(page, "password").with("login", login).with("password", password);
        self.submit(&form)
    }

    /// Fills the code form of `page` in.
    #[track_caller]
    pub fn give_code(&mut self, page: &Response, code: &str, remember: bool) -> Response {
        self.secrets.add(code);
        let mut form = form_with(page, "code").with("code", code);
        if remember {
            form = form.ticked("remember");
        }
        self.submit(&form)
    }

    /// First login with [`PASSWORD`]: enrols an app and lands where it leads. Hands back the app's key.
    #[track_caller]
    pub fn sign_in_and_enrol(&mut self, gate: &Sekisho, login: &str) -> String {
        self.enrol(gate, login, false)
    }

    /// The same, with the tick box that has the device remembered.
    #[track_caller]
    pub fn sign_in_enrol_and_remember(&mut self, gate: &Sekisho, login: &str) -> String {
        self.enrol(gate, login, true)
    }

    #[track_caller]
    fn enrol(&mut self, gate: &Sekisho, login: &str, remember: bool) -> String {
        let page = self.give_password(login, PASSWORD);
        let key = key_of(&page);
        self.secrets.add(&key);
        self.secrets.add(&key.replace(' ', ""));
        let landed = self.give_code(&page, &gate.code(&key), remember);
        let landed = self.save_recovery_codes(landed);
        assert!(self.cookie("session").is_some(), "not signed in: {} {}", self.path, html::text(&landed.text()));
        key
    }

    /// A later login with [`PASSWORD`]; with the key of the app where a code is expected.
    #[track_caller]
    pub fn sign_in(&mut self, gate: &Sekisho, login: &str, key: Option<&str>) -> Response {
        let mut page = self.give_password(login, PASSWORD);
        if let Some(key) = key {
            page = self.give_code(&page, &gate.fresh_code(key), false);
        }
        assert!(self.cookie("session").is_some(), "not signed in: {} {}", self.path, html::text(&page.text()));
        page
    }

    /// Signs alice in on a gateway without a second factor, whatever its tool answers afterwards.
    #[track_caller]
    pub fn sign_in_by_password_alone(&mut self, gate: &Sekisho) {
        let page = self.open("/.sekisho/login");
        gate.secrets().add(PASSWORD);
        let form = form_with(&page, "password").with("login", "alice").with("password", PASSWORD);
        let answer = self.send(&form);
        assert!(self.cookie("session").is_some(), "not signed in: {} {}", answer.status, html::text(&answer.text()));
    }

    /// Signs out by the page that asks.
    #[track_caller]
    pub fn sign_out(&mut self) -> Response {
        let page = self.open("/.sekisho/logout");
        let form = form_to(&page, "/logout");
        self.submit(&form)
    }
}

const NAVIGATION: &str = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nSec-Fetch-Mode: navigate\r\n\
     Sec-Fetch-Dest: document\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-User: ?1\r\n";

const JSON: &str = "Accept: application/json\r\nContent-Type: application/json\r\n";

/// The form of `page` that has a field of this name.
#[track_caller]
pub fn form_with(page: &Response, field: &str) -> Form {
    html::forms(&page.text())
        .into_iter()
        .find(|form| form.names.iter().any(|name| name == field))
        .unwrap_or_else(|| panic!("no form with `{field}` ({}): {}", page.status, html::text(&page.text())))
}

/// The form of `page` whose action ends so.
#[track_caller]
pub fn form_to(page: &Response, action: &str) -> Form {
    html::forms(&page.text())
        .into_iter()
        .find(|form| form.action.ends_with(action))
        .unwrap_or_else(|| panic!("no form to `{action}` ({}): {}", page.status, html::text(&page.text())))
}

/// The key in groups of four that an enrolment page shows.
#[track_caller]
pub fn key_of(page: &Response) -> String {
    totp::key_in(&html::text(&page.text()))
        .unwrap_or_else(|| panic!("no key on the page ({}): {}", page.status, html::text(&page.text())))
}
