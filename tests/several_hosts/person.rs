//! A person's browser over several hosts: cookies of each host apart, as browsers keep them, and redirects from one to the other.

use std::collections::BTreeMap;

use crate::harness::{Client, PASSWORD, Response, Secrets, Sekisho, form_to, form_with};

/// The host with the login.
pub const PORTAL: &str = "auth.test";
pub const HOSTS: [&str; 5] = [PORTAL, "a.test", "b.test", "one.wild.test", "two.wild.test"];

/// One browser.
pub struct Person {
    hosts: BTreeMap<&'static str, Client>,
    /// Where it is: a host and a path there.
    pub at: (String, String),
    secrets: Secrets,
}

impl Person {
    pub fn new(gate: &Sekisho) -> Self {
        let hosts = HOSTS.into_iter().map(|host| (host, Client::tls(gate, host))).collect();
        Self { hosts, at: (PORTAL.to_owned(), "/".to_owned()), secrets: gate.secrets() }
    }

    /// Another browser's copy of the same cookies.
    pub fn copy(&self) -> Self {
        let hosts = self.hosts.iter().map(|(host, client)| (*host, client.copy())).collect();
        Self { hosts, at: self.at.clone(), secrets: self.secrets.clone() }
    }

    /// Its part on this host.
    #[track_caller]
    pub fn on(&mut self, host: &str) -> &mut Client {
        self.hosts.get_mut(host).unwrap_or_else(|| panic!("led away to {host}"))
    }

    /// The gateway was started again.
    pub fn follow(&mut self, gate: &Sekisho) {
        self.hosts.values_mut().for_each(|client| client.follow(gate));
    }

    /// Goes to a page, through its redirects.
    #[track_caller]
    pub fn open(&mut self, host: &str, path: &str) -> Response {
        self.at = (host.to_owned(), path.to_owned());
        let response = self.on(host).get(path);
        self.land(response)
    }

    /// Follows what an answer at [`Person::at`] leads to.
    #[track_caller]
    pub fn land(&mut self, mut response: Response) -> Response {
        for _ in 0..12 {
            let Some((host, path)) = self.next(&response) else { return response };
            if let Some((_, code)) = path.split_once("/handoff?code=") {
                self.secrets.add(code);
            }
            self.at = (host.clone(), path.clone());
            response = self.on(&host).get(&path);
        }
        panic!("redirected in a circle, last to {:?}", self.at);
    }

    /// Where an answer leads.
    #[track_caller]
    pub fn next(&self, response: &Response) -> Option<(String, String)> {
        if response.status != 303 {
            return None;
        }
        let to = response.header("location").expect("a redirect says where to");
        match to.strip_prefix("https://") {
            None => Some((self.at.0.clone(), to.to_owned())),
            Some(rest) => {
                let at = rest.find('/').expect("a path");
                Some((rest[..at].to_owned(), rest[at..].to_owned()))
            }
        }
    }

    /// Goes to a page, and stops before the address with the code: hands that back.
    #[track_caller]
    pub fn code_for(&mut self, host: &str, path: &str) -> String {
        self.at = (host.to_owned(), path.to_owned());
        let mut response = self.on(host).get(path);
        for _ in 0..4 {
            let (to, path) = self.next(&response).unwrap_or_else(|| panic!("{}: {}", response.status, response.text()));
            if let Some((_, code)) = path.split_once("/handoff?code=") {
                assert_eq!(to, host, "the code goes to its host");
                self.secrets.add(code);
                return path;
            }
            self.at = (to.clone(), path.clone());
            response = self.on(&to).get(&path);
        }
        panic!("no code for {host}{path}");
    }

    /// Opens a page and signs in where the login is.
    #[track_caller]
    pub fn sign_in(&mut self, host: &str, path: &str, login: &str) -> Response {
        let page = self.open(host, path);
        assert_eq!(self.at.0, PORTAL, "the login is on the portal host: {:?}", self.at);
        self.give_password(&page, login)
    }

    /// Fills the login form in.
    #[track_caller]
    pub fn give_password(&mut self, page: &Response, login: &str) -> Response {
        let form = form_with(page, "password").with("login", login).with("password", PASSWORD);
        self.secrets.add(PASSWORD);
        let response = self.on(PORTAL).send(&form);
        self.land(response)
    }

    /// Fills the code form in.
    #[track_caller]
    pub fn give_code(&mut self, page: &Response, code: &str) -> Response {
        let form = form_with(page, "code").with("code", code);
        let response = self.on(PORTAL).send(&form);
        self.land(response)
    }

    /// Signs out by the page of this host that asks.
    #[track_caller]
    pub fn sign_out(&mut self, host: &str) -> Response {
        let page = self.open(host, "/.sekisho/logout");
        let at = self.at.0.clone();
        let response = self.on(&at).send(&form_to(&page, "/logout"));
        self.land(response)
    }

    /// Whether it is in at this host, without being led anywhere.
    pub fn is_in(&self, host: &str) -> bool {
        self.copy().on(host).fetch("GET", "/", b"").status == 200
    }
}
