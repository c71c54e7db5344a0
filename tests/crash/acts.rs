//! What goes on when the gateway is killed. Each act notes what it is about to change, does it, and notes the acknowledgement;
//! `None`: the answer did not come.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::World;
use super::chance::Chance;
use super::person::{Ending, Fate, Method, Pending, Person, Session, Spent, address};
use crate::harness::{Client, PATIENCE, form_with, poll, totp};

const LOGIN: &str = "/.sekisho/api/login";
pub const CODE: &str = "/.sekisho/api/second-factor";
const LOGOUT: &str = "/.sekisho/api/logout";

#[derive(Debug, Clone, Copy)]
enum Act {
    ByCode,
    ByRecoveryCode,
    Spared,
    Logout,
    HalfLogin,
    Password,
    Disable,
    Enable,
    Group,
    EndSessions,
    ForgetDevices,
}

/// What a right password leads to.
pub enum Begun {
    SignedIn,
    Flow(String),
    /// Too many mails: so the password was right.
    Later,
    Refused,
}

impl Person {
    /// One act after the other, until the gateway is dead or a login is left half done.
    pub fn act_until_killed(&mut self, world: &World<'_>, mut chance: Chance) {
        while !world.killing.load(Ordering::SeqCst) && self.pending.is_none() {
            let Some(act) = self.choose(&mut chance) else { return };
            if self.carry_out(act, world, &mut chance).is_none() {
                return;
            }
        }
    }

    fn choose(&self, chance: &mut Chance) -> Option<Act> {
        if self.disabled.known {
            return chance.pick(&[Act::Enable, Act::Enable, Act::Group]);
        }
        let mut acts = vec![Act::ByCode; 5];
        acts.extend([Act::Group, Act::Group, Act::Logout, Act::Logout, Act::HalfLogin]);
        acts.extend([Act::Password, Act::Disable, Act::EndSessions, Act::ForgetDevices]);
        acts.extend([Act::Spared; 3].iter().filter(|_| self.spared.known));
        acts.extend([Act::ByRecoveryCode; 2].iter().filter(|_| !self.codes.is_empty()));
        chance.pick(&acts)
    }

    fn carry_out(&mut self, act: Act, world: &World<'_>, chance: &mut Chance) -> Option<()> {
        match act {
            Act::ByCode => self.sign_in(world, chance.below(3) == 0),
            Act::ByRecoveryCode => self.recover(world),
            Act::Spared => self.sign_in_spared(world),
            Act::Logout => {
                let living = |session: &Session| session.fate == Fate::Lives;
                let index = self.sessions.iter().rposition(living);
                index.map_or(Some(()), |index| self.sign_out(index, world))
            }
            Act::HalfLogin => self.begin_alone(world),
            Act::Password => self.change_password(world),
            Act::Disable => {
                self.disabled.begin(true);
                self.begin_ending(Ending::Disabling);
                manage(world, "disabled", &["user", "disable", self.login], "")?;
                self.disabled.done();
                self.ended();
                Some(())
            }
            Act::Enable => {
                self.disabled.begin(false);
                manage(world, "enabled", &["user", "enable", self.login], "")?;
                self.disabled.done();
                Some(())
            }
            Act::Group => {
                let group = format!("g{}", self.next());
                self.group.begin(group.clone());
                manage(world, "groups", &["user", "set", self.login, "--group", &group], "")?;
                self.group.done();
                Some(())
            }
            Act::EndSessions => {
                self.begin_ending(Ending::Sessions);
                manage(world, "sessions ended", &["session", "end", "--user", self.login], "")?;
                self.ended();
                Some(())
            }
            Act::ForgetDevices => {
                self.begin_ending(Ending::Devices);
                manage(world, "devices forgotten", &["device", "forget", "--user", self.login], "")?;
                self.ended();
                Some(())
            }
        }
    }

    /// Gives login and password.
    pub fn begin(&mut self, world: &World<'_>, client: &mut Client, password: &str) -> Option<Begun> {
        let answer = client.try_post_json(LOGIN, &json!({"login": self.login, "password": password}));
        let answer = world.answered(answer, "a password")?;
        let body: Json = answer.json();
        Some(match (answer.status, body["status"].as_str()) {
            (200, Some("signed_in")) => Begun::SignedIn,
            (200, Some("second_factor_required")) => {
                self.mails += usize::from(self.method == Method::Mail);
                Begun::Flow(body["flow"].as_str().unwrap().to_owned())
            }
            (429, _) => Begun::Later,
            (401, _) if body["code"] == "invalid_credentials" => Begun::Refused,
            _ => panic!("{}: {} {}", self.login, answer.status, answer.text()),
        })
    }

    /// Password and code, with the tick box that spares this browser the code.
    fn sign_in(&mut self, world: &World<'_>, remember: bool) -> Option<()> {
        let Some(Pending { client, flow, code }) = self.ask_for_a_code(world)? else { return Some(()) };
        let code = match code.or_else(|| self.next_code(world)) {
            Some(code) => code,
            None => return Some(()),
        };
        self.finish(world, client, &flow, code, remember)
    }

    /// Gives the code of a login that waits for it.
    pub fn finish(
        &mut self,
        world: &World<'_>,
        mut client: Client,
        flow: &str,
        code: String,
        remember: bool,
    ) -> Option<()> {
        let body = json!({"flow": flow, "code": code, "remember": remember});
        let answer = world.answered(client.try_post_json(CODE, &body), "a code")?;
        assert_eq!(answer.json()["status"], "signed_in", "{}: {}", self.login, answer.text());
        world.count("logins");
        self.spent.push(match self.method {
            Method::App => Spent::App(code),
            Method::Mail => Spent::Mailed { flow: flow.to_owned(), code },
        });
        if remember {
            self.browser = Some(client.copy());
            self.spared.begin(true);
            self.spared.done();
        }
        self.sessions.push(Session { client, fate: Fate::Lives });
        Some(())
    }

    /// Password alone. `Some(None)`: there may be no mail for now.
    fn ask_for_a_code(&mut self, world: &World<'_>) -> Option<Option<Pending>> {
        if self.method == Method::Mail && std::mem::replace(&mut self.mailed, true) {
            return Some(None);
        }
        let mut client = Client::new(world.gate);
        match self.begin(world, &mut client, &self.password.known.clone())? {
            Begun::Flow(flow) => {
                world.count("first steps");
                let code = match self.method {
                    Method::App => None,
                    Method::Mail => Some(world.answered(self.newest_mail(world), "a mail")?),
                };
                Some(Some(Pending { client, flow, code }))
            }
            Begun::Later => Some(None),
            Begun::SignedIn | Begun::Refused => panic!("{}: in without a code, or refused", self.login),
        }
    }

    fn begin_alone(&mut self, world: &World<'_>) -> Option<()> {
        self.pending = self.ask_for_a_code(world)?;
        Some(())
    }

    /// The code of a step that was not used yet, and is good for a while.
    pub fn next_code(&mut self, world: &World<'_>) -> Option<String> {
        let present = world.gate.unix_now() / 30;
        let step = present.max(self.step + 1);
        (step <= present + 1).then(|| {
            self.step = step;
            totp::code_at(&self.key, step * 30)
        })
    }

    /// The code in the mail to the login that was begun last.
    pub fn newest_mail(&self, world: &World<'_>) -> Option<String> {
        let to = address(self.login);
        let is_code = |word: &str| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit());
        let found = poll(PATIENCE, || {
            let mails = world.mail.mails_to(&to);
            // Others tell of new browsers and passwords.
            let codes = mails.iter().filter_map(|mail| mail.text.split_whitespace().find(|word| is_code(word)));
            let code = codes.map(str::to_owned).nth(self.mails.checked_sub(1)?);
            let given_up = world.killing.load(Ordering::SeqCst).then_some(None);
            code.map(Some).or(given_up)
        });
        found.flatten()
    }

    /// Password and recovery code, by the pages: the API takes none.
    fn recover(&mut self, world: &World<'_>) -> Option<()> {
        let mut client = Client::new(world.gate);
        let code = self.codes.pop()?;
        if self.give_recovery_code(world, &mut client, &code)? {
            world.count("recoveries");
            self.spent.push(Spent::Recovery(code));
            self.sessions.push(Session { client, fate: Fate::Lives });
            return Some(());
        }
        panic!("{}: a recovery code was refused", self.login)
    }

    /// Whether it was taken.
    pub fn give_recovery_code(&self, world: &World<'_>, client: &mut Client, code: &str) -> Option<bool> {
        let page = world.answered(client.try_get("/.sekisho/login"), "the login page")?;
        let form = form_with(&page, "password").with("login", self.login).with("password", &self.password.known);
        world.answered(client.try_send(&form), "a password")?;
        let page =
            world.answered(client.try_get("/.sekisho/second-factor/recovery"), "the page for a recovery code")?;
        let form = form_with(&page, "code").with("code", code);
        world.answered(client.try_send(&form), "a recovery code")?;
        Some(client.cookie("session").is_some())
    }

    /// The password alone, in the browser that is known.
    pub fn sign_in_spared(&mut self, world: &World<'_>) -> Option<()> {
        let Some(mut client) = self.browser.take() else { return Some(()) };
        client.cookies.retain(|name, _| name.contains("device"));
        // Its key may get another value, which would be lost with the answer.
        self.spared.begin(false);
        let begun = self.begin(world, &mut client, &self.password.known.clone());
        let spared = match begun {
            None => {
                self.browser = Some(client);
                return None;
            }
            Some(begun) => matches!(begun, Begun::SignedIn),
        };
        assert!(spared, "{}: a browser that is remembered is asked for a code", self.login);
        self.spared.begun = None;
        world.count("logins without a code");
        self.browser = Some(client.copy());
        self.sessions.push(Session { client, fate: Fate::Lives });
        Some(())
    }

    pub fn sign_out(&mut self, index: usize, world: &World<'_>) -> Option<()> {
        let session = &mut self.sessions[index];
        session.fate = Fate::InDoubt;
        let mut client = session.client.copy();
        let answer = world.answered(client.try_post_json(LOGOUT, &json!({})), "a logout")?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        session.fate = Fate::Over;
        world.count("logouts");
        Some(())
    }

    fn change_password(&mut self, world: &World<'_>) -> Option<()> {
        let new = format!("Quiet-river-{}", 100 + self.next());
        world.gate.secrets().add(&new);
        self.password.begin(new.clone());
        self.begin_ending(Ending::Password);
        manage(world, "passwords changed", &["user", "passwd", self.login, "--password-stdin"], &format!("{new}\n"))?;
        self.old_password = Some(self.password.known.clone());
        self.password.done();
        self.ended();
        Some(())
    }
}

/// A manager's command, acknowledged once it has ended well.
fn manage(world: &World<'_>, what: &'static str, args: &[&str], input: &str) -> Option<()> {
    let output = world.gate.cli_with_input(args, input);
    let done = output.status.success().then_some(());
    if done.is_none() {
        // It may be a little ahead of whoever kills.
        let killed = poll(Duration::from_secs(1), || world.killing.load(Ordering::SeqCst).then_some(()));
        assert!(killed.is_some(), "{args:?}: {output:?}");
        return None;
    }
    world.count(what);
    done
}
