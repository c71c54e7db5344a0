//! Chromium, driven through Debian's chromedriver. One fresh profile a test.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Deref;
use std::process::Command;
use std::time::Duration;

use fantoccini::error::CmdError;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::picture::Picture;
use super::{PASSWORD, PATIENCE, Process};

/// Two cores do not run many browsers at a time.
static SLOTS: Semaphore = Semaphore::const_new(2);

/// How a browser is set up.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// `ja` or `en`: what `Accept-Language` says.
    pub language: &'static str,
    pub javascript: bool,
    pub dark: bool,
    /// In CSS pixels.
    pub size: (u32, u32),
    /// Device pixels for each CSS pixel.
    pub scale: f64,
}

impl Default for Setup {
    fn default() -> Self {
        Self { language: "en", javascript: true, dark: false, size: (1280, 800), scale: 1.0 }
    }
}

/// A running browser; also its fantoccini [`Client`].
pub struct Browser {
    client: Client,
    driver: Process,
    port: u16,
    session: String,
    _profile: TempDir,
    _slot: SemaphorePermit<'static>,
}

impl Deref for Browser {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Browser {
    /// English, with JavaScript, at desktop size.
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    /// As told.
    pub async fn with(setup: Setup) -> Self {
        let slot = SLOTS.acquire().await.unwrap();
        let profile = TempDir::with_prefix("sekisho-chromium-").unwrap();
        let (driver, port) = std::iter::repeat_with(|| start_driver(&profile))
            .take(5)
            .flatten()
            .next()
            .expect("chromedriver finds a port");
        let (width, height) = setup.size;
        let scripts = if setup.javascript { 1 } else { 2 };
        let options = json!({
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic",
                "--disable-extensions", "--hide-scrollbars", "--host-resolver-rules=MAP *.test 127.0.0.1",
                format!("--user-data-dir={}", profile.path().join("profile").display()),
                format!("--window-size={width},{height}"),
                format!("--lang={}", setup.language),
            ],
            "prefs": {
                "intl.accept_languages": setup.language,
                "profile.managed_default_content_settings.javascript": scripts,
            },
        });
        let mut capabilities = Capabilities::new();
        capabilities.insert("goog:chromeOptions".into(), options);
        // The harness's own authority is in no browser's list.
        capabilities.insert("acceptInsecureCerts".into(), true.into());
        let patience = PATIENCE.as_millis();
        capabilities.insert("timeouts".into(), json!({"pageLoad": patience, "script": patience}));
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("chromium starts (Debian's packages `chromium` and `chromium-driver`)");
        let session = client.session_id().await.unwrap().expect("the browser has a session");
        let browser = Self { client, driver, port, session, _profile: profile, _slot: slot };
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": setup.scale, "mobile": width < 600});
        browser.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = if setup.dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.devtools("Emulation.setEmulatedMedia", media).await;
        browser
    }

    /// A command of Chromium's DevTools protocol.
    pub async fn devtools(&self, command: &str, params: Value) -> Value {
        self.client.issue_cmd(Devtools { command: command.to_owned(), params }).await.expect("DevTools answers")
    }

    /// Goes to an address.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap_or_else(|error| panic!("cannot open {url}: {error}"));
    }

    /// Waits for an element.
    pub async fn find_soon(&self, css: &str) -> fantoccini::elements::Element {
        match self.client.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await {
            Ok(element) => element,
            Err(error) => panic!("no `{css}` ({error}) on {}", self.describe().await),
        }
    }

    /// Whether there is such an element now.
    pub async fn has(&self, css: &str) -> bool {
        self.client.find(Locator::Css(css)).await.is_ok()
    }

    /// The text of an element, waited for.
    pub async fn text_of(&self, css: &str) -> String {
        self.find_soon(css).await;
        self.again_while_stale(async || self.client.find(Locator::Css(css)).await?.text().await).await
    }

    /// The visible text of the page.
    pub async fn text(&self) -> String {
        self.text_of("body").await
    }

    /// An element may go with its page between being found and being used; then the next page's is meant.
    async fn again_while_stale<T>(&self, act: impl AsyncFn() -> Result<T, CmdError>) -> T {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            match act().await {
                Ok(done) => return done,
                Err(error) if tokio::time::Instant::now() > end => panic!("{error} on {}", self.describe().await),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Waits until the page says this.
    pub async fn see(&self, words: &str) {
        self.until(&format!("the page says `{words}`"), async || self.text().await.contains(words)).await;
    }

    /// Waits until the address holds this.
    pub async fn arrive(&self, part: &str) {
        self.until(&format!("the address holds `{part}`"), async || self.address().await.contains(part)).await;
    }

    /// Waits until the address holds this no more.
    pub async fn leave(&self, part: &str) {
        self.until(&format!("the address holds `{part}` no more"), async || !self.address().await.contains(part)).await;
    }

    /// The address shown.
    pub async fn address(&self) -> String {
        self.client.current_url().await.unwrap().to_string()
    }

    /// Waits until a condition holds.
    pub async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let end = tokio::time::Instant::now() + PATIENCE;
        while !condition().await {
            assert!(tokio::time::Instant::now() < end, "waited in vain: {what}; on {}", self.describe().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Types into a field, in place of what stands there.
    pub async fn fill(&self, css: &str, text: &str) {
        self.find_soon(css).await;
        self.again_while_stale(async || {
            let field = self.client.find(Locator::Css(css)).await?;
            field.clear().await?;
            field.send_keys(text).await
        })
        .await;
    }

    /// Clicks.
    pub async fn click(&self, css: &str) {
        self.find_soon(css).await;
        self.again_while_stale(async || self.client.find(Locator::Css(css)).await?.click().await).await;
    }

    /// Gives an account's password to the login page, where it is due, and goes on to what was asked for.
    pub async fn sign_in(&self, login: &str) {
        self.arrive("/.sekisho/login").await;
        self.fill("input[name=login]", login).await;
        self.fill("input[name=password]", PASSWORD).await;
        self.click("main form button[type=submit]").await;
        self.leave("/.sekisho/").await;
    }

    /// The key in the QR code that an element shows, read from its picture as a phone would.
    pub async fn key_in_qr_code(&self, css: &str) -> Option<String> {
        let picture = self.find_soon(css).await.screenshot().await.unwrap();
        let picture = Picture::decode(&picture);
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(picture.width, picture.height, |x, y| {
            let [r, g, b] = picture.pixel(x, y).map(u32::from);
            u8::try_from((r + g + b) / 3).unwrap()
        });
        let (_, uri) = image.detect_grids().first()?.decode().ok()?;
        let uri = url::Url::parse(&uri).ok().filter(|uri| uri.scheme() == "otpauth")?;
        uri.query_pairs().find(|(name, _)| name == "secret").map(|(_, secret)| secret.into_owned())
    }

    /// What the browser shows, in words, for a failed test.
    pub async fn describe(&self) -> String {
        let text = match self.client.find(Locator::Css("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        format!("{}:\n{text}", self.address().await)
    }

    /// All cookies that the browser would send to this page, `HttpOnly` ones too.
    pub async fn cookie(&self, name: &str) -> Option<String> {
        let cookies = self.client.get_all_cookies().await.unwrap();
        cookies.into_iter().find(|cookie| cookie.name() == name).map(|cookie| cookie.value().to_owned())
    }
}

/// `None`: it took a port that was free in one family of addresses, and somebody had it in the other.
fn start_driver(profile: &TempDir) -> Option<(Process, u16)> {
    let mut command = Command::new("chromedriver");
    let mut driver = Process::start_group("chromedriver", command.arg("--port=0").env("TMPDIR", profile.path()));
    let port = driver.wait_for("chromedriver listens", |lines| {
        let listens = lines.iter().find_map(|line| port_in(line)).map(Some);
        listens.or_else(|| lines.iter().any(|line| line.contains("port not available")).then_some(None))
    })?;
    Some((driver, port))
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The session is ended first, so that chromedriver takes its browser down with it; a drop cannot await.
        let end = || -> std::io::Result<()> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            write!(
                stream,
                "DELETE /session/{} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n",
                self.session, self.port
            )?;
            stream.read_to_end(&mut Vec::new())?;
            Ok(())
        };
        let _ = end();
        self.driver.stop(Duration::from_secs(5));
    }
}

fn port_in(line: &str) -> Option<u16> {
    line.split("started successfully on port ").nth(1)?.trim_end_matches('.').parse().ok()
}

#[derive(Debug)]
struct Devtools {
    command: String,
    params: Value,
}

impl WebDriverCompatibleCommand for Devtools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({"cmd": self.command, "params": self.params}).to_string()))
    }
}
