//! After a start: what was acknowledged is so, what was spent stays spent, and what was under way is one of the two.

use serde_json::json;

use super::World;
use super::acts::{Begun, CODE};
use super::person::{Ending, Fate, Method, Pending, Person, Spent};
use crate::harness::{Client, Sekisho};

/// So many sessions go on to the next round.
const KEPT: usize = 3;
/// With fewer recovery codes than these, the app is set up anew.
const ENOUGH: usize = 10;

impl Person {
    /// Whether what was under way has happened.
    pub fn check(&mut self, world: &World<'_>) -> bool {
        let in_doubt = self.is_in_doubt();
        let shown = world.gate.cli_json(&["user", "show", self.login]);
        let disabled = shown["disabled"].as_bool().unwrap();
        let group = shown["groups"][0].as_str().unwrap_or_default().to_owned();
        let mut done = (disabled != self.disabled.known) || (group != self.group.known);
        self.disabled.settle(disabled, "disabled");
        self.group.settle(group, "the group");
        if disabled {
            let password = self.password.known.clone();
            let begun = self.knock(world, &mut Client::new(world.gate), &password);
            assert!(matches!(begun, Begun::Refused), "{}: in though disabled", self.login);
            self.no_session_lives(world);
            let told = world.gate.cli(&["user", "enable", self.login]);
            assert!(told.status.success(), "{told:?}");
            self.disabled.known = false;
        }
        done |= self.check_password(world);
        done |= self.check_sessions(world, disabled);
        done |= self.check_browser(world);
        self.check_spent(world);
        self.ending = None;
        in_doubt && done
    }

    /// What a password leads to.
    fn knock(&mut self, world: &World<'_>, client: &mut Client, password: &str) -> Begun {
        let begun = self.begin(world, client, password).unwrap();
        if self.method == Method::Mail && matches!(begun, Begun::Flow(_)) {
            // So that it is not taken for a later one.
            self.newest_mail(world).expect("a mail arrives");
        }
        begun
    }

    /// Whether this password is right.
    fn holds(&mut self, world: &World<'_>, password: &str) -> bool {
        matches!(self.knock(world, &mut Client::new(world.gate), password), Begun::Flow(_) | Begun::Later)
    }

    /// One password holds, and no other. True: the new one.
    fn check_password(&mut self, world: &World<'_>) -> bool {
        if let Some(old) = self.old_password.clone() {
            assert!(!self.holds(world, &old), "{}: the password before the last one holds", self.login);
        }
        let known = self.password.known.clone();
        let Some(new) = self.password.begun.clone() else {
            assert!(self.holds(world, &known), "{}: the password is lost", self.login);
            return false;
        };
        let changed = self.holds(world, &new);
        let old_holds = self.holds(world, &known);
        assert!(changed != old_holds, "{}: new {changed}, old {old_holds}", self.login);
        if changed {
            self.old_password = Some(known.clone());
        }
        self.password.settle(if changed { new } else { known }, "the password");
        if self.ending == Some(Ending::Password) {
            self.every_session_in_doubt(world, !changed);
        }
        changed
    }

    fn check_sessions(&mut self, world: &World<'_>, disabled: bool) -> bool {
        if self.ending == Some(Ending::Disabling) {
            self.every_session_in_doubt(world, !disabled);
        }
        let mut ended = 0;
        for session in &mut self.sessions {
            session.client.follow(world.gate);
            let status = session.client.copy().fetch("GET", "/", b"").status;
            match (session.fate, status) {
                (Fate::Lives | Fate::InDoubt, 200) => session.fate = Fate::Lives,
                (Fate::InDoubt, 401) => {
                    ended += 1;
                    session.fate = Fate::Over;
                }
                (Fate::Over, 401) => {}
                (fate, status) => panic!("{}: a session that {fate:?} is answered {status}", self.login),
            }
        }
        if self.ending == Some(Ending::Sessions) {
            let left = self.sessions.iter().filter(|session| session.fate == Fate::Lives).count();
            assert!(ended == 0 || left == 0, "{}: {ended} of the sessions ended and {left} did not", self.login);
        }
        self.sessions.retain(|session| session.fate == Fate::Lives);
        ended > 0
    }

    /// All that ended with one commit ended, or none.
    fn every_session_in_doubt(&mut self, world: &World<'_>, live: bool) {
        for session in self.sessions.iter_mut().filter(|session| session.fate == Fate::InDoubt) {
            session.client.follow(world.gate);
            let status = session.client.copy().fetch("GET", "/", b"").status;
            assert_eq!(status, if live { 200 } else { 401 }, "{}: {:?}", self.login, self.ending);
        }
    }

    fn no_session_lives(&mut self, world: &World<'_>) {
        for session in &mut self.sessions {
            session.client.follow(world.gate);
            let status = session.client.copy().fetch("GET", "/", b"").status;
            assert_eq!(status, 401, "{}: a session of a disabled account", self.login);
        }
    }

    /// Whether the browser is spared the code, as was acknowledged.
    fn check_browser(&mut self, world: &World<'_>) -> bool {
        let Some(browser) = &mut self.browser else { return false };
        browser.follow(world.gate);
        let mut client = browser.copy();
        client.cookies.retain(|name, _| name.contains("device"));
        let begun = self.knock(world, &mut client, &self.password.known.clone());
        let spared = matches!(begun, Begun::SignedIn);
        let changed = spared != self.spared.known;
        self.spared.settle(spared, "spared the code");
        self.browser = spared.then_some(client);
        changed
    }

    /// No code that was taken is taken again.
    fn check_spent(&mut self, world: &World<'_>) {
        let spent = std::mem::take(&mut self.spent);
        for spent in spent.iter().rev().take(6) {
            let mut thief = Client::new(world.gate);
            match spent {
                Spent::App(code) => {
                    let Begun::Flow(flow) = self.knock(world, &mut thief, &self.password.known.clone()) else {
                        panic!("{}: no code is asked for", self.login)
                    };
                    let answer = thief.post_json(CODE, &json!({"flow": flow, "code": code}));
                    assert_eq!(answer.status, 401, "{}: {}", self.login, answer.text());
                }
                Spent::Mailed { flow, code } => {
                    let answer = thief.post_json(CODE, &json!({"flow": flow, "code": code}));
                    assert_eq!(answer.status, 401, "{}: {}", self.login, answer.text());
                }
                Spent::Recovery(code) => {
                    let taken = self.give_recovery_code(world, &mut thief, code).unwrap();
                    assert!(!taken, "{}: a recovery code was taken twice", self.login);
                }
            }
            assert!(thief.cookie("session").is_none(), "{}: in by a spent code", self.login);
        }
    }

    /// What was waiting goes on, and there is a right code after all the wrong ones; then everything is ready for another round.
    pub fn go_on(&mut self, world: &World<'_>) {
        match (self.pending.take(), self.method) {
            (Some(Pending { mut client, flow, code }), _) => {
                client.follow(world.gate);
                let code = code.or_else(|| self.next_code(world)).expect("the clock was moved");
                self.finish(world, client, &flow, code, false).unwrap();
            }
            (None, Method::App) => {
                let mut client = Client::new(world.gate);
                let Begun::Flow(flow) = self.knock(world, &mut client, &self.password.known.clone()) else {
                    panic!("{}: no code is asked for", self.login)
                };
                let code = self.next_code(world).expect("the clock was moved");
                self.finish(world, client, &flow, code, false).unwrap();
            }
            (None, Method::Mail) => {}
        }
        self.spent.clear();
        while self.sessions.len() > KEPT {
            self.sign_out(0, world).unwrap();
            self.sessions.remove(0);
        }
        self.mailed = false;
    }

    /// Sets the app up anew where few recovery codes are left: one after the other, as the clock is moved for it.
    pub fn renew(&mut self, gate: &Sekisho) {
        if self.method == Method::App && self.codes.len() < ENOUGH {
            let told = gate.cli(&["user", "reset-second-factor", self.login]);
            assert!(told.status.success(), "{told:?}");
            (self.browser, self.spared.known) = (None, false);
            self.sessions.clear();
            self.enrol(gate);
        }
    }
}
