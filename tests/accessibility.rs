//! Every page is for everybody (WCAG 2.2 AA): axe-core finds nothing on any of them in Chromium, in both languages, in light
//! and dark, on a phone and as every role; nothing scrolls sideways at 320 pixels; a keyboard is enough.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::harness::axe::Look;
use crate::harness::browser::Setup;
use crate::harness::second_step::another;
use crate::harness::{Browser, Client, MailServer, PASSWORD, Recorder, Sekisho};

const ALL: &[Look] = &[Look::Light, Look::Dark, Look::Narrow];

/// Answers to GET that are no pages.
const NO_PAGES: &[&str] = &[
    "/api/session",
    "/static/{file}",
    "/enrol/recovery-codes.txt",
    "/second-factor/delivery",
    "/admin/users.csv",
    "/admin/users/import/refused.csv",
    "/admin/audit.jsonl",
];

/// Pages that come only at some point of a way, each visited by name below.
const ON_THE_WAY: &[&str] = &[
    "/login",
    "/second-factor",
    "/second-factor/recovery",
    "/enrol",
    "/enrol/recovery-codes",
    "/welcome",
    "/account/confirm",
    "/admin/users/import/preview",
    "/admin/users/import/result",
];

/// Every path that answers a GET, from the table of pages, which the portal's own tests hold complete.
fn paths() -> BTreeSet<&'static str> {
    let rows = include_str!("../src/portal/tests/table.rs").split("\"GET\",").skip(1);
    let paths: BTreeSet<&str> = rows.filter_map(|row| row.split('"').nth(1)).collect();
    assert!(paths.contains("/login") && paths.contains("/account"), "{paths:?}");
    paths.into_iter().filter(|path| path.starts_with('/') && !NO_PAGES.contains(path)).collect()
}

/// One gateway, one browser, and what was found.
struct Walk {
    gate: Sekisho,
    mail: MailServer,
    browser: Browser,
    looks: &'static [Look],
    visited: BTreeSet<String>,
    faults: BTreeMap<String, Vec<String>>,
    _upstream: Recorder,
}

impl Walk {
    async fn start(language: &'static str, looks: &'static [Look]) -> Self {
        let (upstream, mail) = (frame(), MailServer::start());
        let gate = Sekisho::builder()
            .cheap_hashes()
            .set("portal.title", "Shop admin")
            .mail(&mail)
            .route("{name: all, upstream: UPSTREAM}", &upstream.url())
            .route("{name: public, path: /public, access: public, upstream: UPSTREAM}", &upstream.url())
            .route("{name: closed, path: /closed, access: deny, upstream: UPSTREAM}", &upstream.url())
            .route(
                "{name: asking, path: /asking, upstream: UPSTREAM, upstream_auth: {basic: {per_account: true}}}",
                &upstream.url(),
            )
            .route("{name: dead, path: /dead, access: public, upstream: 'http://127.0.0.1:1'}", "")
            .user("alice", &["--role", "admin", "--name", "Alice Martin", "--email", "alice@example.com"])
            .user("mika", &["--role", "manager", "--name", "森 美香", "--email", "mika@example.com"])
            .user("vera", &["--role", "viewer", "--group", "ops"])
            .user("dora", &["--must-change"])
            .user("una", &[])
            .user("ulf", &["--name", "Ulf"])
            .user("bob", &["--email", "bob@example.com", "--method", "mail"])
            .clock()
            .start();
        // Somebody with a remembered browser and a failed login, so that lists have rows.
        let mut ulf = Client::new(&gate);
        let _ = ulf.give_password("ulf", "Wrong-horse-8");
        ulf.sign_in_enrol_and_remember(&gate, "ulf");
        let browser = Browser::with(Setup { language, ..Setup::default() }).await;
        let (visited, faults) = (BTreeSet::new(), BTreeMap::new());
        Self { gate, mail, browser, looks, visited, faults, _upstream: upstream }
    }

    /// Judges the page that is there, which is to be this one below the portal's path.
    async fn judge(&mut self, page: &str) {
        self.browser.find_soon("h1").await;
        let address = self.browser.address().await;
        let here = url::Url::parse(&address).unwrap().path().to_owned();
        let below = here.strip_prefix("/.sekisho").unwrap_or(&here).to_owned();
        assert!(matches(page, &below), "{page} led to {address}: {}", self.browser.describe().await);
        self.visited.insert(page.to_owned());
        self.judge_as(page).await;
    }

    async fn judge_as(&mut self, name: &str) {
        let mut faults = self.browser.faults(self.looks).await;
        let script = "return [document.querySelectorAll('h1').length, document.querySelectorAll('main').length]";
        let found = self.browser.execute(script, Vec::new()).await.unwrap();
        if found != serde_json::json!([1, 1]) {
            faults.push(format!("h1 and main: {found}"));
        }
        if !faults.is_empty() {
            self.faults.entry(name.to_owned()).or_default().extend(faults);
        }
    }

    async fn open(&self, path: &str) {
        self.browser.open(&self.gate.url(&format!("/.sekisho{path}"))).await;
    }

    async fn send(&self, fields: &[(&str, &str)]) {
        for (name, value) in fields {
            self.browser.fill(&format!("main input[name={name}]"), value).await;
        }
        self.browser.click("main form button[type=submit]:not([hidden])").await;
    }

    /// From the login page to the tool, with every page in between; then in again by a recovery code.
    async fn the_way_in(&mut self, login: &str) {
        self.open("/login").await;
        self.judge("/login").await;
        self.send(&[("login", login), ("password", "Wrong-horse-8")]).await;
        self.browser.find_soon("#alert").await;
        self.judge("/login").await;
        self.send(&[("login", login), ("password", PASSWORD)]).await;
        self.browser.arrive("/enrol").await;
        self.judge("/enrol").await;
        self.send(&[("code", "000000")]).await;
        self.browser.find_soon("#alert").await;
        self.judge("/enrol").await;
        let key = self.browser.text_of("#key").await;
        self.gate.secrets().add(&key);
        self.send(&[("code", &self.gate.code(&key))]).await;
        self.browser.arrive("/enrol/recovery-codes").await;
        self.judge("/enrol/recovery-codes").await;
        let code = self.browser.text_of(".codes li:first-child").await;
        self.gate.secrets().add(&code);
        self.browser.save_recovery_codes().await;
        self.sign_out().await;

        self.send(&[("login", "bob"), ("password", PASSWORD)]).await;
        self.browser.arrive("/second-factor").await;
        self.judge("/second-factor").await;
        let mailed = self.mail.code_to(&self.gate, "bob@example.com");
        self.send(&[("code", &another(&mailed))]).await;
        self.browser.find_soon("#alert.problem").await;
        self.judge("/second-factor").await;

        self.a_password_forgotten().await;
        self.a_password_due("dora").await;
        self.open("/login").await;
        self.send(&[("login", login), ("password", PASSWORD)]).await;
        self.browser.arrive("/second-factor").await;
        self.judge("/second-factor").await;
        self.open("/second-factor/recovery").await;
        self.judge("/second-factor/recovery").await;
        self.send(&[("code", &another(&code))]).await;
        self.browser.find_soon("#alert").await;
        self.judge("/second-factor/recovery").await;
        self.send(&[("code", &code)]).await;
        self.browser.arrive("/welcome").await;
        self.judge("/welcome").await;
    }

    /// Up to the page that asks for a new password before the login is over.
    async fn a_password_due(&mut self, login: &str) {
        self.open("/login").await;
        self.send(&[("login", login), ("password", PASSWORD)]).await;
        self.browser.arrive("/enrol").await;
        let key = self.browser.text_of("#key").await;
        self.gate.secrets().add(&key);
        self.send(&[("code", &self.gate.code(&key))]).await;
        self.browser.save_recovery_codes().await;
        self.browser.arrive("/password").await;
        self.judge("/password").await;
        self.send(&[("new", "Short-1"), ("again", "Short-1")]).await;
        self.browser.find_soon("#alert").await;
        self.judge("/password").await;
    }

    /// A list of accounts, from its upload to its result.
    async fn the_import(&mut self) {
        self.open("/admin/users/import").await;
        self.browser.fill("#text", "login,name\n").await;
        self.browser.click("main form button.primary").await;
        self.browser.find_soon("#alert").await;
        self.judge("/admin/users/import").await;
        self.browser.fill("#text", "login,name,nickname\nnew.person,New Person,Newbie\nnot a login,,\n").await;
        self.browser.click("main form button.primary").await;
        self.browser.arrive("/admin/users/import/preview").await;
        self.judge("/admin/users/import/preview").await;
        self.browser.click("main form button.primary").await;
        self.browser.arrive("/admin/users/import/result").await;
        self.judge("/admin/users/import/result").await;
    }

    /// From the login page to the form behind a link from a mail.
    async fn a_password_forgotten(&mut self) {
        self.open("/password/forgot").await;
        self.judge("/password/forgot").await;
        self.send(&[("who", "mika")]).await;
        self.browser.find_soon("#alert").await;
        self.judge("/password/forgot").await;
        let link = loop {
            // Another mail, as with a code, may stand before it.
            let mail = self.mail.next_to("mika@example.com");
            if let Some(at) = mail.text.find("/.sekisho/password/reset") {
                break mail.text[at..].split_whitespace().next().unwrap().to_owned();
            }
        };
        self.gate.secrets().add(link.rsplit(['/', '=']).next().unwrap());
        self.browser.open(&self.gate.url(&link)).await;
        self.browser.find_soon("#new").await;
        self.judge("/password/reset").await;
    }

    async fn sign_out(&mut self) {
        self.open("/logout").await;
        self.judge("/logout").await;
        self.send(&[]).await;
        self.browser.arrive("/login").await;
    }

    /// Signs in with an app that is enrolled without a browser.
    async fn sign_in(&self, login: &str) {
        let mut client = Client::new(&self.gate);
        let key = client.sign_in_and_enrol(&self.gate, login);
        self.open("/login").await;
        self.send(&[("login", login), ("password", PASSWORD)]).await;
        self.browser.arrive("/second-factor").await;
        self.send(&[("code", &self.gate.fresh_code(&key))]).await;
        self.browser.leave("/second-factor").await;
    }

    /// Every page that somebody signed in can open by its address. Whoever may not gets the page that says so.
    async fn every_room(&mut self) {
        for page in paths() {
            if ON_THE_WAY.contains(&page) {
                continue;
            }
            self.open(&self.filled(page)).await;
            self.judge(page).await;
        }
        // Whoever has been here for a while is asked again who they are before settings change.
        self.gate.advance(Duration::from_secs(6 * 60));
        self.open("/account/confirm").await;
        self.judge("/account/confirm").await;
    }

    /// A page's path with something for each of its parameters.
    fn filled(&self, page: &str) -> String {
        if !page.contains('{') {
            return page.to_owned();
        }
        let users = self.gate.cli_json(&["user", "list"]);
        let user = users.as_array().unwrap().iter().find(|user| user["login"] == "ulf").expect("ulf");
        // A kept form is told of in `held_forms_in_the_browser`; here is what is said where there is none.
        let page = page.replace("/held/{id}", "/held/0000000000000000");
        let path = page.replace("/users/{id}", &format!("/users/{}", user["id"].as_str().unwrap()));
        assert!(!path.contains('{'), "{page}: say in tests/accessibility.rs what its parameters are");
        path
    }

    async fn messages(&mut self) {
        for (name, path) in
            [("not found", "/.sekisho/nowhere"), ("closed", "/closed"), ("asking", "/asking"), ("dead", "/dead")]
        {
            self.browser.open(&self.gate.url(path)).await;
            self.browser.find_soon("h1").await;
            self.judge_as(name).await;
        }
    }

    fn finish(self) {
        assert!(self.faults.is_empty(), "{:#?}", self.faults);
    }
}

/// Whether a path is that of this page, by its parameters.
fn matches(page: &str, path: &str) -> bool {
    let (page, path): (Vec<&str>, Vec<&str>) = (page.split('/').collect(), path.split('/').collect());
    page.len() == path.len() && page.iter().zip(&path).all(|(page, path)| page.starts_with('{') || page == path)
}

async fn everything(language: &'static str) {
    let mut walk = Walk::start(language, ALL).await;
    walk.the_way_in("alice").await;
    walk.every_room().await;
    walk.the_import().await;
    walk.messages().await;
    // What an old tool's frame shows when the session is over.
    walk.sign_out().await;
    walk.browser.open(&walk.gate.url("/public")).await;
    walk.browser.enter_frame(0).await.unwrap();
    walk.browser.find_soon("h1").await;
    walk.judge_as("login needed").await;
    let missing: Vec<_> = paths().into_iter().filter(|path| !walk.visited.contains(*path)).collect();
    assert!(missing.is_empty(), "pages that nobody has looked at: {missing:?}");
    walk.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_on_any_page_in_english() {
    everything("en").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_on_any_page_in_japanese() {
    everything("ja").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_on_any_page_as_any_other_role() {
    let mut walk = Walk::start("en", &[Look::Light, Look::Narrow]).await;
    for login in ["mika", "vera", "una"] {
        walk.sign_in(login).await;
        walk.every_room().await;
        walk.sign_out().await;
    }
    walk.finish();
}

/// A tool whose page is an old one, with a frame.
fn frame() -> Recorder {
    let body = "<!doctype html><html lang=en><title>tool</title><main><h1>The tool</h1>\
        <iframe title=orders src=/orders width=900 height=600></iframe></main>";
    Recorder::raw(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyboard_is_enough_to_log_in_and_to_get_about() {
    let walk = Walk::start("en", ALL).await;
    let (gate, browser) = (&walk.gate, &walk.browser);
    let key = Client::new(gate).sign_in_and_enrol(gate, "alice");
    walk.open("/login?return_to=/.sekisho/account").await;
    browser.find_soon("#login:focus").await;
    browser.press("alice").await;
    browser.tab_to("#password").await;
    browser.press(PASSWORD).await;
    browser.press("\u{E007}").await;
    browser.find_soon("#code:focus").await;
    browser.press(&gate.fresh_code(&key)).await;
    browser.tab_to("main form button").await;
    browser.press("\u{E007}").await;
    browser.arrive("/.sekisho/account").await;

    // The first stop leads past the bar; the next one is in the page itself, or its foot.
    browser.find_soon("#content").await;
    browser.tab_to(".skip").await;
    browser.press("\u{E007}").await;
    browser.find_soon("#content:focus, #content:target").await;
    walk.open("/account").await;
    browser.find_soon("#content").await;
    browser.tab_to(".bar form button").await;
    browser.press("\u{E007}").await;
    browser.see("You have logged out").await;
}
