//! `sekisho demo`: the gateway, a sample admin tool, sample accounts, in one process and a folder that is removed at the end.
//!
//! | part | what it is |
//! | --- | --- |
//! | [`shop`] | the sample tool behind the wall |
//! | [`accounts`] | the people who may sign in, and what each of them shows |
//! | [`people`] [`past`] | further people, and what they have done, to fill lists with |
//! | [`mailbox`] | where mails to them arrive |
//! | [`phone`] | a page that stands for their authenticator app |
//!
//! The gateway is the same as everybody's: its configuration is a YAML file, its store an embedded one.

pub mod accounts;
pub mod mailbox;
pub mod past;
pub mod people;
pub mod phone;
pub mod shop;

use std::fs::Permissions;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use clap::ValueEnum;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::clock::SystemClock;
use crate::config::{self, Config};
use crate::secret::{EntropyError, ExposeSecret, Keys};
use crate::server::{self, Running, StartError};
use crate::service::ServiceError;
use crate::store::engine::StoreError;
use crate::store::open::open_or_create;
use mailbox::Mailbox;
use phone::Phone;

/// A language of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    Ja,
    En,
}

impl Language {
    const fn code(self) -> &'static str {
        match self {
            Self::Ja => "ja",
            Self::En => "en",
        }
    }
}

/// A demo that runs; dropping it ends its parts and removes its folder.
pub struct Demo {
    gateway: Running,
    phone: Arc<Phone>,
    /// Where the wall is.
    pub address: SocketAddr,
    /// Where the page with the codes is.
    pub phone_address: SocketAddr,
    _tool: AbortOnDropHandle<()>,
    _phone: AbortOnDropHandle<()>,
    _post: AbortOnDropHandle<()>,
    folder: TempDir,
}

/// Why the demo did not start.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error(
        "the demo's passwords are known to everybody, so it listens on this machine's own addresses alone, not on {0}"
    )]
    NotLoopback(SocketAddr),
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot make the demo's folder")]
    Folder(#[source] io::Error),
    #[error("the demo's configuration is not valid here: {0}")]
    Configuration(String),
    #[error("a page of the demo cannot be read")]
    Pages(#[from] minijinja::Error),
    #[error("an account of the demo cannot be made: {0}")]
    Account(String),
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error(transparent)]
    Start(#[from] StartError),
}

impl Demo {
    /// Starts everything; the gateway listens on `listen`.
    ///
    /// # Errors
    /// Where the address is taken or is not this machine's own, or a part does not start.
    pub async fn start(listen: SocketAddr, language: Language) -> Result<Self, DemoError> {
        if !listen.ip().is_loopback() {
            return Err(DemoError::NotLoopback(listen));
        }
        // Said before any work is done; the gateway itself binds it later.
        drop(bind(listen).await?);
        let clock = Arc::new(SystemClock);
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (tool, tool_address) = serve(free, shop::router(clock.clone(), language)?).await?;

        let mailbox = Arc::new(Mailbox::default());
        let post = bind(free).await?;
        let post_address = post.local_addr().map_err(|source| DemoError::Listen { address: free, source })?;
        let post = AbortOnDropHandle::new(tokio::spawn(mailbox::receive(post, Arc::clone(&mailbox))));

        let mut folder = tempfile::Builder::new();
        let folder = folder.prefix("sekisho-demo-").permissions(Permissions::from_mode(0o700)).tempdir();
        let folder = folder.map_err(DemoError::Folder)?;
        let config = configure(folder.path(), &Addresses { listen, tool: tool_address, post: post_address }, language)?;
        let store = open_or_create(&folder.path().join("store"), &config.key_file)?;
        let apps = accounts::create(&config, &store, clock.clone()).await?;
        let phone = Arc::new(Phone::new(apps, clock.clone()));
        let router = phone::router(Arc::clone(&phone), mailbox, language)?;
        let (phone_task, phone_address) = serve(free, router).await?;
        let gateway = server::start(config, store, clock).await?;
        let address = gateway.addresses().first().copied().unwrap_or(listen);
        Ok(Self { gateway, phone, address, phone_address, _tool: tool, _phone: phone_task, _post: post, folder })
    }

    /// The present codes of the sample accounts' app.
    #[must_use]
    pub fn codes(&self) -> Vec<phone::Code> {
        self.phone.codes()
    }

    /// Ends everything and removes the folder.
    ///
    /// # Errors
    /// Where the folder could not be removed.
    pub async fn stop(self) -> io::Result<()> {
        self.gateway.stop().await;
        self.folder.close()
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, DemoError> {
    TcpListener::bind(address).await.map_err(|source| DemoError::Listen { address, source })
}

async fn serve(address: SocketAddr, router: Router) -> Result<(AbortOnDropHandle<()>, SocketAddr), DemoError> {
    let listener = bind(address).await?;
    let address = listener.local_addr().map_err(|source| DemoError::Listen { address, source })?;
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "a part of the demo has stopped");
        }
    });
    Ok((AbortOnDropHandle::new(task), address))
}

/// Where the demo's parts are.
struct Addresses {
    listen: SocketAddr,
    tool: SocketAddr,
    post: SocketAddr,
}

/// Writes the key and the configuration, and reads them as `serve` would.
fn configure(folder: &Path, addresses: &Addresses, language: Language) -> Result<Config, DemoError> {
    let key = Keys::generate_line()?;
    write_private(&folder.join("secret.key"), key.expose_secret()).map_err(DemoError::Folder)?;
    let (title, languages) = match language {
        Language::Ja => ("神田茶舗 店舗管理", "[ja, en]"),
        Language::En => ("Kanda Tea · Shop admin", "[en, ja]"),
    };
    let yaml = include_str!("../config/demo.yaml")
        .replace("{{listen}}", &addresses.listen.to_string())
        .replace("{{mail_port}}", &addresses.post.port().to_string())
        .replace("{{folder}}", &folder.display().to_string())
        .replace("{{upstream}}", &format!("http://{}", addresses.tool))
        .replace("{{title}}", title)
        .replace("{{languages}}", languages);
    let file = folder.join("demo.yaml");
    write_private(&file, &yaml).map_err(DemoError::Folder)?;
    match config::load(&file) {
        Ok(loaded) => Ok(loaded.config),
        Err(problems) => Err(DemoError::Configuration(config::diagnostic::render(&problems).trim_end().to_owned())),
    }
}

fn write_private(file: &Path, text: &str) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut opened = options.write(true).create_new(true).mode(0o600).open(file)?;
    io::Write::write_all(&mut opened, text.as_bytes())
}
