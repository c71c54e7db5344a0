//! One account, and what is known of it: what was acknowledged, and what was under way when the gateway was killed.

use std::fmt::Debug;

use crate::harness::{Client, PASSWORD, Sekisho};

/// How the second factor is given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Method {
    App,
    Mail,
}

/// Something that acts change. While one is under way both values may be the right one.
pub struct Fact<T> {
    pub known: T,
    pub begun: Option<T>,
}

/// What is known of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Lives,
    Over,
    InDoubt,
}

/// A session that was acknowledged.
pub struct Session {
    pub client: Client,
    pub fate: Fate,
}

/// A code that was taken.
pub enum Spent {
    App(String),
    Recovery(String),
    Mailed { flow: String, code: String },
}

/// A login that has the password behind it and the code before it.
pub struct Pending {
    pub client: Client,
    pub flow: String,
    /// Of a mailed one.
    pub code: Option<String>,
}

/// An act that ends all sessions at once, under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Password,
    Disabling,
    Sessions,
    Devices,
}

pub struct Person {
    pub login: &'static str,
    pub method: Method,
    /// Of the app.
    pub key: String,
    /// The newest step whose code was given, whether that was acknowledged or not.
    pub step: u64,
    /// Whether there was a mail in this round.
    pub mailed: bool,
    /// How many mails with codes were to be sent since the gateway started.
    pub mails: usize,
    /// Recovery codes that were not given yet.
    pub codes: Vec<String>,
    pub password: Fact<String>,
    /// The one before.
    pub old_password: Option<String>,
    pub disabled: Fact<bool>,
    pub group: Fact<String>,
    pub sessions: Vec<Session>,
    /// A browser that is spared the code.
    pub browser: Option<Client>,
    pub spared: Fact<bool>,
    pub spent: Vec<Spent>,
    pub pending: Option<Pending>,
    pub ending: Option<Ending>,
    /// For names that are new each time.
    pub serial: u32,
}

/// The mailbox of this login.
pub fn address(login: &str) -> String {
    format!("{login}@example.com")
}

impl<T: PartialEq + Debug> Fact<T> {
    pub const fn new(known: T) -> Self {
        Self { known, begun: None }
    }

    pub fn begin(&mut self, next: T) {
        self.begun = Some(next);
    }

    /// What was begun is acknowledged.
    pub fn done(&mut self) {
        if let Some(next) = self.begun.take() {
            self.known = next;
        }
    }

    /// What is so after a start; false: another thing than was acknowledged last.
    #[track_caller]
    pub fn settle(&mut self, seen: T, what: &str) {
        let fits = seen == self.known || self.begun.as_ref() == Some(&seen);
        assert!(fits, "{what}: acknowledged {:?}, under way {:?}, and it is {seen:?}", self.known, self.begun);
        *self = Self::new(seen);
    }
}

impl Person {
    /// With an app and its recovery codes, or with a mailbox; the account is there.
    #[track_caller]
    pub fn enrolled(login: &'static str, method: Method, gate: &Sekisho) -> Self {
        let mut person = Self {
            login,
            method,
            key: String::new(),
            step: 0,
            mailed: false,
            mails: 0,
            codes: Vec::new(),
            password: Fact::new(PASSWORD.to_owned()),
            old_password: None,
            disabled: Fact::new(false),
            group: Fact::new("none".to_owned()),
            sessions: Vec::new(),
            browser: None,
            spared: Fact::new(false),
            spent: Vec::new(),
            pending: None,
            ending: None,
            serial: 0,
        };
        let told = gate.cli(&["user", "set", login, "--group", "none"]);
        assert!(told.status.success(), "{told:?}");
        if method == Method::App {
            person.enrol(gate);
        }
        person
    }

    /// Sets the app up anew, by the pages.
    #[track_caller]
    pub fn enrol(&mut self, gate: &Sekisho) {
        let mut client = Client::new(gate);
        let page = client.give_password(self.login, &self.password.known);
        let enrolled = client.finish_enrolment(gate, &page);
        (self.key, self.codes) = (enrolled.key, enrolled.codes);
        self.step = gate.unix_now() / 30;
        self.sessions.push(Session { client, fate: Fate::Lives });
    }

    /// Whether something was under way when the gateway was killed.
    pub fn is_in_doubt(&self) -> bool {
        self.ending.is_some()
            || self.password.begun.is_some()
            || self.disabled.begun.is_some()
            || self.group.begun.is_some()
            || self.spared.begun.is_some()
            || self.sessions.iter().any(|session| session.fate == Fate::InDoubt)
    }

    /// Something begins that ends all sessions and voids the browser's key.
    pub fn begin_ending(&mut self, ending: Ending) {
        self.ending = Some(ending);
        self.become_of_all(Fate::Lives, Fate::InDoubt);
        if ending != Ending::Sessions {
            self.spared.begin(false);
        }
    }

    /// And is acknowledged.
    pub fn ended(&mut self) {
        self.ending = None;
        self.become_of_all(Fate::InDoubt, Fate::Over);
        self.spared.done();
    }

    fn become_of_all(&mut self, from: Fate, to: Fate) {
        for session in self.sessions.iter_mut().filter(|session| session.fate == from) {
            session.fate = to;
        }
    }

    pub fn next(&mut self) -> u32 {
        self.serial += 1;
        self.serial
    }
}
