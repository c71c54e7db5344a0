//! The second step beyond the app's code: recovery codes, and what a page asks for.

use super::client::{Client, form_to, form_with, key_of};
use super::conn::Response;
use super::mail::MailServer;
use super::{Browser, Builder, PASSWORD, Sekisho, forms, text};

/// An account that has just enrolled an app.
pub struct Enrolled {
    /// The app's key, as the page showed it.
    pub key: String,
    /// The recovery codes, as the page showed them; none where the page behind the code was already the tool's.
    pub codes: Vec<String>,
}

impl Builder {
    /// Sends mails by this server, in clear.
    #[must_use]
    pub fn mail(self, server: &MailServer) -> Self {
        self.set("mail", &server.yaml(None)).set("portal.url", "https://shop-admin.example.com")
    }

    /// Hashes that cost little, for tests that are about something else.
    #[must_use]
    pub fn cheap_hashes(self) -> Self {
        self.set("password.argon2", "{memory: 8MiB, iterations: 1, parallelism: 1}")
    }
}

impl Client {
    /// First login with [`PASSWORD`], up to the page behind it.
    #[track_caller]
    pub fn enrol_with_codes(&mut self, gate: &Sekisho, login: &str) -> Enrolled {
        let page = self.give_password(login, PASSWORD);
        let enrolled = self.finish_enrolment(gate, &page);
        assert!(!enrolled.codes.is_empty(), "no recovery codes were shown");
        enrolled
    }

    /// From the page with the key to the page behind the recovery codes.
    #[track_caller]
    pub fn finish_enrolment(&mut self, gate: &Sekisho, page: &Response) -> Enrolled {
        let key = key_of(page);
        gate.secrets().add(&key);
        gate.secrets().add(&key.replace(' ', ""));
        let shown = self.give_code(page, &gate.fresh_code(&key), false);
        let codes = recovery_codes_in(&shown);
        for code in &codes {
            gate.secrets().add(code);
        }
        let landed = self.save_recovery_codes(shown);
        assert!(self.cookie("session").is_some(), "not signed in: {} {}", self.path, text(&landed.text()));
        Enrolled { key, codes }
    }

    /// Says "saved" where `page` shows recovery codes, and goes where that leads; any other page stays.
    #[track_caller]
    pub fn save_recovery_codes(&mut self, page: Response) -> Response {
        if self.path.ends_with("/enrol/recovery-codes") {
            let saved = form_to(&page, "/enrol/recovery-codes");
            return self.submit(&saved);
        }
        page
    }

    /// From the page that asks for the app's code to the one that takes a recovery code, and gives one.
    #[track_caller]
    pub fn give_recovery_code(&mut self, code: &str) -> Response {
        let page = self.open("/.sekisho/second-factor/recovery");
        let form = form_with(&page, "code").with("code", code);
        self.submit(&form)
    }
}

impl Browser {
    /// Behind an enrolment's code: says "saved" where recovery codes are shown.
    pub async fn save_recovery_codes(&self) {
        self.leave_exactly("/.sekisho/enrol").await;
        if self.address().await.contains("/enrol/recovery-codes") {
            self.click("main form[action$=recovery-codes] button[type=submit]").await;
            self.leave("/enrol/recovery-codes").await;
        }
    }

    async fn leave_exactly(&self, path: &str) {
        let end = tokio::time::Instant::now() + super::PATIENCE;
        while self.address().await.split('?').next().is_some_and(|address| address.ends_with(path)) {
            assert!(tokio::time::Instant::now() < end, "still at {}", self.describe().await);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

/// A code of the same length that is another one.
pub fn another(code: &str) -> String {
    let first = code.chars().next().unwrap();
    format!("{}{}", if first == '9' { '0' } else { char::from_u32(u32::from(first) + 1).unwrap() }, &code[1..])
}

/// The code in full-width digits, as Japanese input methods write them.
pub fn full_width(code: &str) -> String {
    code.chars().map(|c| char::from_u32(u32::from(c) - u32::from('0') + u32::from('０')).unwrap()).collect()
}

/// Whether this page asks for a password, a code, or nothing.
pub fn asked_for(page: &Response) -> &'static str {
    let names: Vec<String> = forms(&page.text()).into_iter().flat_map(|form| form.names).collect();
    let has = |name: &str| names.iter().any(|known| known == name);
    match (has("password"), has("code")) {
        (true, _) => "password",
        (_, true) => "code",
        _ => "nothing",
    }
}

/// The recovery codes that stand on a page or in a text file: eight digits each, with or without a gap in the middle.
pub fn recovery_codes_in(page: &Response) -> Vec<String> {
    let plain = text(&page.text());
    let words: Vec<&str> = plain.split(|c: char| c.is_whitespace() || c == '-').collect();
    let digits = |word: &str, count: usize| word.len() == count && word.bytes().all(|b| b.is_ascii_digit());
    let mut codes = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let next = words.get(at + 1).copied().unwrap_or_default();
        if digits(word, 8) {
            codes.push((*word).to_owned());
        } else if digits(word, 4) && digits(next, 4) {
            codes.push(format!("{word}{next}"));
            at += 1;
        }
        at += 1;
    }
    codes
}
