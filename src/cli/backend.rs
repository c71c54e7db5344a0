//! Who carries a command out: the gateway that runs, over its control socket, or, where none runs, this process itself on
//! the store; on a database that other nodes use as well, they are told.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{ConfigFile, Failure};
use crate::audit::AuditFile;
use crate::clock::SystemClock;
use crate::config::{self, Config};
use crate::control::{self, Client, ClientError, Command, Reply};
use crate::service::Services;
use crate::store::engine::StoreError;
use crate::store::open::{self, open, open_copy};
use crate::store::record::Store;

/// A gateway that is just starting has its store before its control socket, and another command soon gives it back: how
/// often it is tried again, and after what time.
const TRIES: u32 = 25;
const BETWEEN_TRIES: Duration = Duration::from_millis(200);

/// Somebody who carries out commands. Connection and store are taken for one command at a time: nobody waits at them
/// while a person thinks of a password.
pub struct Backend {
    runtime: tokio::runtime::Runtime,
    config: Config,
    may_create: bool,
    needs_gateway: bool,
    on_a_copy: bool,
    /// Where no store is there, an empty one for this run alone.
    _rehearsal: Option<tempfile::TempDir>,
}

enum Executor {
    Gateway(Client),
    /// On the store itself, or on a copy of it, which goes at the end.
    Own(Option<TempDir>, Services),
}

impl Backend {
    /// Asks one thing.
    pub fn ask(config: &ConfigFile, command: Command) -> Result<Reply, Failure> {
        Self::open(config)?.reply(command)
    }

    /// The gateway of this configuration, or its store.
    pub fn open(config: &ConfigFile) -> Result<Self, Failure> {
        Self::new(config, false)
    }

    /// The same; where there is no store yet, makes one.
    pub fn open_or_create(config: &ConfigFile) -> Result<Self, Failure> {
        Self::new(config, true)
    }

    fn new(file: &ConfigFile, may_create: bool) -> Result<Self, Failure> {
        let config = super::load(file)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::of("cannot start", &error))?;
        Ok(Self { runtime, config, may_create, needs_gateway: false, on_a_copy: false, _rehearsal: None })
    }

    /// The same as [`Backend::open`], for what is only tried: where there is no store yet, none is made that stays.
    pub fn rehearsal(file: &ConfigFile) -> Result<Self, Failure> {
        let backend = Self::new(file, false)?;
        let config::Store::Sled { path } = &backend.config.store else { return Ok(backend) };
        if !matches!(open(path, &backend.config.key_file), Err(StoreError::Missing(_))) {
            return Ok(backend);
        }
        let folder = tempfile::tempdir().map_err(|error| Failure::of("cannot make a folder", &error))?;
        let mut config = backend.config.clone();
        config.store = config::Store::Sled { path: folder.path().join("store") };
        config.key_file = folder.path().join("key");
        config.server.admin_socket = folder.path().join("admin.sock");
        Ok(Self { config, may_create: true, _rehearsal: Some(folder), ..backend })
    }

    /// The gateway of this configuration, which must run: what is asked of it is what happens there.
    pub fn running(config: &ConfigFile) -> Result<Self, Failure> {
        Ok(Self { needs_gateway: true, ..Self::open(config)? })
    }

    /// The gateway of this configuration; where none runs, a copy of its store, which is left alone.
    pub fn on_a_copy(config: &ConfigFile) -> Result<Self, Failure> {
        Ok(Self { on_a_copy: true, ..Self::open(config)? })
    }

    /// The configuration that it goes by.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Does something that needs neither gateway nor open store.
    pub fn run<T>(&self, act: impl Future<Output = T>) -> T {
        self.runtime.block_on(act)
    }

    /// Whether a gateway runs with this configuration.
    pub fn gateway_runs(&self) -> Result<bool, Failure> {
        match self.run(Client::connect(&self.config.server.admin_socket)) {
            Ok(_) => Ok(true),
            Err(ClientError::NobodyThere) => Ok(false),
            Err(error) => Err(unreachable(&error)),
        }
    }

    /// Has a command carried out. What was refused or failed comes back as a [`Failure`].
    pub fn reply(&self, command: Command) -> Result<Reply, Failure> {
        let mut answer = None;
        self.converse(command, |reply| {
            answer = Some(reply);
            Ok(None)
        })?;
        answer.ok_or_else(|| Backend::unexpected(&Reply::Done))
    }

    /// Has one command after the other carried out, as `next` says to each reply, over one connection.
    pub fn converse(
        &self,
        first: Command,
        mut next: impl FnMut(Reply) -> Result<Option<Command>, Failure>,
    ) -> Result<(), Failure> {
        self.runtime.block_on(async {
            let mut executor = match self.needs_gateway {
                true => Executor::Gateway(gateway(&self.config.server.admin_socket).await?),
                false => self.find().await?,
            };
            let mut command = Some(first);
            let mut answered = false;
            while let Some(asked) = command {
                let reply = match &mut executor {
                    Executor::Gateway(client) => {
                        let mut reply = client.ask(&asked).await;
                        if answered && matches!(reply, Err(ClientError::Closed | ClientError::Broken(_))) {
                            // Another process has followed, and the one before it did not read this any more.
                            *client = gateway(&self.config.server.admin_socket).await?;
                            reply = client.ask(&asked).await;
                        }
                        reply.map_err(|error| unreachable(&error))?
                    }
                    // None of these is answered in pieces.
                    Executor::Own(_, services) => control::execute(services, asked, &mpsc::channel(1).0).await,
                };
                answered = true;
                command = next(accepted(reply)?)?;
            }
            Ok(())
        })
    }

    /// Has one command carried out that takes long: `hear` is told what comes before the reply.
    pub fn listen(
        &self,
        command: Command,
        mut hear: impl FnMut(Reply) -> Result<(), Failure>,
    ) -> Result<Reply, Failure> {
        self.runtime.block_on(async {
            match self.find().await? {
                Executor::Gateway(mut client) => {
                    client.send(&command).await.map_err(|error| unreachable(&error))?;
                    loop {
                        let response = client.next().await.map_err(|error| unreachable(&error))?;
                        match response.more {
                            true => hear(response.reply)?,
                            false => return accepted(response.reply),
                        }
                    }
                }
                Executor::Own(_copy, services) => {
                    let (pieces, mut coming) = mpsc::channel(4);
                    let mut reply = pin!(control::execute(&services, command, &pieces));
                    let reply = loop {
                        tokio::select! {
                            biased;
                            Some(piece) = coming.recv() => hear(piece)?,
                            reply = &mut reply => break reply,
                        }
                    };
                    while let Ok(piece) = coming.try_recv() {
                        hear(piece)?;
                    }
                    accepted(reply)
                }
            }
        })
    }

    async fn find(&self) -> Result<Executor, Failure> {
        let config = &self.config;
        let mut tries = TRIES;
        loop {
            match Client::connect(&config.server.admin_socket).await {
                Ok(client) => return Ok(Executor::Gateway(client)),
                Err(ClientError::NobodyThere) => (),
                Err(error) => return Err(unreachable(&error)),
            }
            match self.open_own().await? {
                Err(StoreError::Locked(_)) if tries > 0 => {
                    tries -= 1;
                    tokio::time::sleep(BETWEEN_TRIES).await;
                }
                Err(error) => return Err(store_failure(&error, config)),
                Ok((copy, store)) => return Ok(Executor::Own(copy, services(config, store))),
            }
        }
    }

    async fn open_own(&self) -> Result<Result<(Option<TempDir>, Store), StoreError>, Failure> {
        // A database is not changed by being opened, nor had by one alone: it is read as it is.
        let config::Store::Sled { path } = &self.config.store else {
            return Ok(open_store(&self.config, self.may_create).await.map(|store| (None, store)));
        };
        if !self.on_a_copy {
            return Ok(open_store(&self.config, self.may_create).await.map(|store| (None, store)));
        }
        let folder = tempfile::Builder::new().prefix("sekisho-verify-").tempdir();
        let folder = folder.map_err(|error| Failure::of("cannot make a folder for a copy of the store", &error))?;
        let opened = open_copy(path, &self.config.key_file, &folder.path().join("store"));
        Ok(opened.map(|store| (Some(folder), store)))
    }

    /// A reply of another kind than the command's: a gateway of another version.
    pub fn unexpected(_reply: &Reply) -> Failure {
        Failure::because("the gateway gave an answer that this command does not understand")
            .hint("the gateway that runs and this command are of different versions; restart the gateway")
    }
}

fn accepted(reply: Reply) -> Result<Reply, Failure> {
    match reply {
        Reply::Refused { reason, hint } => {
            let failure = Failure::because(reason);
            Err(match hint {
                Some(hint) => failure.hint(hint),
                None => failure,
            })
        }
        Reply::Failed { reason } => Err(Failure::because(reason)),
        reply => Ok(reply),
    }
}

async fn gateway(admin_socket: &Path) -> Result<Client, Failure> {
    Client::connect(admin_socket).await.map_err(|error| match error {
        ClientError::NobodyThere => {
            Failure::from_error(&error).hint("start it with `sekisho serve`; without one, nothing happens")
        }
        error => unreachable(&error),
    })
}

/// Asks one thing of the gateway that listens at `admin_socket`, whatever its configuration says by now.
pub fn ask_gateway(admin_socket: &Path, command: &Command) -> Result<Reply, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::of("cannot start", &error))?.block_on(async {
        let mut client = gateway(admin_socket).await?;
        accepted(client.ask(command).await.map_err(|error| unreachable(&error))?)
    })
}

/// The services over a store that this process has to itself.
fn services(config: &Config, store: Store) -> Services {
    let current = Arc::new(ArcSwap::from_pointee(config.clone()));
    let services = Services::new(current, store, Arc::new(SystemClock), None);
    // Without the file the command is done all the same; the store has its events.
    if let Some(file) = &config.audit.file
        && let Ok(file) = AuditFile::open(file, Arc::new(SystemClock))
    {
        services.write_events_to(file);
    }
    services
}

/// Opens the store.
pub async fn open_store(config: &Config, may_create: bool) -> Result<Store, StoreError> {
    open::configured(&config.store, &config.key_file, may_create).await
}

/// Opens the store for a gateway. A command that has it just now soon gives it back; another gateway does not.
pub async fn open_for_gateway(config: &Config) -> Result<Store, StoreError> {
    let mut tries = TRIES;
    loop {
        match open_store(config, false).await {
            Err(StoreError::Locked(_))
                if tries > 0
                    && matches!(Client::connect(&config.server.admin_socket).await, Err(ClientError::NobodyThere)) =>
            {
                tries -= 1;
                tokio::time::sleep(BETWEEN_TRIES).await;
            }
            result => return result,
        }
    }
}

/// Why the store could not be opened, with what to do.
pub fn store_failure(error: &StoreError, config: &Config) -> Failure {
    let failure = Failure::from_error(error);
    match error {
        StoreError::Locked(_) => failure.hint(format!(
            "a gateway uses it, but nobody answers at {}: is this the configuration that it was started with?",
            config.server.admin_socket.display()
        )),
        _ => failure,
    }
}

fn unreachable(error: &ClientError) -> Failure {
    let failure = Failure::from_error(error);
    match error {
        ClientError::NotAllowed(_) => {
            failure.hint("run this as root, as the service's user, or as a member of the socket's group")
        }
        ClientError::Malformed(_) => failure.hint("the gateway that runs may be of another version; restart it"),
        _ => failure,
    }
}
