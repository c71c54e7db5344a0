//! Which store belongs to which key file, and when one is made.
//!
//! A store has a random id. It stands in the store, under `meta/store-id`, and in `KEYFILE.store-id`. So a store that was
//! emptied, lost or exchanged is noticed, and never taken for one that has yet to be made. Where the key is a credential of
//! systemd's, `KEYFILE` stands for a file of its name in the configuration's folder: not beside the store, as both could be on a
//! disk that is missing one day.
//!
//! Making one: the id is written to `KEYFILE.store-id.new`; then the store is made and the id written into it; then the
//! file gets its real name. Whatever cuts this short, the next attempt finds the `.new` file and goes on from there.
//!
//! One that is filled from an export ([`fill`]) gets its id last, in the commit that takes away the mark of an unfinished one:
//! before that it counts as no store, and the next attempt begins with an empty one.

use std::any::Any;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::engine::{Commit, Key, StoreError, Version};
use super::postgres;
use super::record::{self, Change, Record, Store};
use super::sled::files::{self, Directory, Found, Owner};
use super::sled::{Disk, SledEngine, Survey};
use crate::config;
use crate::secret::random_bytes;

/// How long a start reads a store before people are let in. That is enough for tens of thousands of sessions; what is left of a larger one
/// is read beside the requests.
const BEFORE_SERVING: Duration = Duration::from_millis(300);
const TO_ITS_END: Duration = Duration::from_secs(24 * 3600);

/// Opens the store that the configuration names, of whichever engine; `may_make`: makes one where there is none and the key file has not had
/// one.
///
/// # Errors
/// As [`open`] or [`open_or_create`].
pub async fn configured(place: &config::Store, key_file: &Path, may_make: bool) -> Result<Store, StoreError> {
    match place {
        config::Store::Sled { path } => {
            let (path, key_file) = (path.clone(), key_file.to_owned());
            let open = move || if may_make { open_or_create(&path, &key_file) } else { open(&path, &key_file) };
            spawn_blocking(open).await.unwrap_or_else(|_| Err(broke_off()))
        }
        config::Store::Postgres { database, stale_for, .. } => {
            let making = if may_make { Making::Allowed } else { Making::Refused };
            postgres::open(database, *stale_for, key_file, making).await
        }
    }
}

/// Makes the store that the configuration names, to be filled.
///
/// # Errors
/// As [`fill`].
pub async fn fill_configured(place: &config::Store, key_file: &Path) -> Result<Filling, StoreError> {
    match place {
        config::Store::Sled { path } => {
            let (path, key_file) = (path.clone(), key_file.to_owned());
            spawn_blocking(move || fill(&path, &key_file)).await.unwrap_or_else(|_| Err(broke_off()))
        }
        config::Store::Postgres { database, stale_for, .. } => postgres::fill(database, *stale_for, key_file).await,
    }
}

fn broke_off() -> StoreError {
    StoreError::Unavailable("opening it broke off".into())
}

/// Opens the store that belongs to the key file. Blocks.
///
/// # Errors
/// [`StoreError::Missing`] where none was made yet, [`StoreError::Foreign`] where there is another one or none any more,
/// [`StoreError::Locked`] where somebody else has it, [`StoreError::NotAStore`], [`StoreError::Corrupt`],
/// [`StoreError::Unavailable`].
pub fn open(path: &Path, key_file: &Path) -> Result<Store, StoreError> {
    Opening::new(path, key_file)?.open(Making::Refused)
}

/// The same, and makes a store where there is none and the key file has not had one.
///
/// # Errors
/// As [`open`], without `Missing`.
pub fn open_or_create(path: &Path, key_file: &Path) -> Result<Store, StoreError> {
    Opening::new(path, key_file)?.open(Making::Allowed)
}

/// Opens a copy of it, made in the empty folder `into`: sled changes a store by opening it, and a damaged one must not lose what
/// might still be told from it.
///
/// # Errors
/// As [`open`].
pub fn open_copy(path: &Path, key_file: &Path, into: &Path) -> Result<Store, StoreError> {
    let found = Opening::new(path, key_file)?;
    if found.found != Found::Store {
        return found.open(Making::Refused);
    }
    let original = Directory::take(path)?;
    files::copy(path, into)?;
    drop(original);
    let opened = Opening::new(into, key_file)?.open(Making::Never);
    let shown = path.display().to_string();
    opened.map_err(|error| match error {
        StoreError::Corrupt { detail, .. } => StoreError::Corrupt { path: shown, detail },
        StoreError::Foreign { detail, .. } => StoreError::Foreign { path: shown, detail },
        StoreError::Unfinished(_) => StoreError::Unfinished(shown),
        StoreError::Missing(_) => StoreError::Missing(shown),
        error => error,
    })
}

/// A new store, to be filled and then finished. Until then it is none.
pub struct Filling {
    store: Store,
    id: String,
    begun: PathBuf,
    kept: PathBuf,
    /// What keeps others from filling the same one.
    lock: Option<Box<dyn Any + Send>>,
}

/// Makes a store to be filled, where there is none and the key file has not had one. What an earlier attempt has left there goes.
///
/// # Errors
/// [`StoreError::Present`] where there is one; else as [`open_or_create`].
pub fn fill(path: &Path, key_file: &Path) -> Result<Filling, StoreError> {
    Opening::new(path, key_file)?.fill()
}

impl Filling {
    pub(super) const fn new(store: Store, id: String, begun: PathBuf, kept: PathBuf) -> Self {
        Self { store, id, begun, kept, lock: None }
    }

    pub(super) fn holding(self, lock: Box<dyn Any + Send>) -> Self {
        Self { lock: Some(lock), ..self }
    }

    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// From now on it is a store.
    ///
    /// # Errors
    /// As the engine's; then it is not.
    pub async fn finish(self) -> Result<Store, StoreError> {
        let change = Change::new().put(ID, &StoreId { id: self.id }).delete::<Unfinished>(UNFINISHED);
        self.store.commit(change).await?;
        keep(&self.begun, &self.kept)?;
        drop(self.lock);
        Ok(self.store)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Making {
    Allowed,
    Refused,
    /// Not even an id that was left half made is kept.
    Never,
}

/// The store's id, as it stands in the store.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoreId {
    pub(super) id: String,
}

impl Record for StoreId {
    const KIND: &'static str = "meta";
}

pub(super) const ID: &str = "store-id";
pub(super) const ID_KEY: &str = "meta/store-id";

/// The mark of a store that is being filled.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Unfinished {}

impl Record for Unfinished {
    const KIND: &'static str = "meta";
}

pub(super) const UNFINISHED: &str = "unfinished";
pub(super) const UNFINISHED_KEY: &str = "meta/unfinished";

/// What is known before the store is touched.
struct Opening<'a> {
    path: &'a Path,
    found: Found,
    kept: Beside,
    /// The id of a store whose making was begun.
    begun: Beside,
}

/// A file beside the key file that holds a store's id.
pub(super) struct Beside {
    pub(super) file: PathBuf,
    pub(super) id: Option<String>,
}

impl<'a> Opening<'a> {
    fn new(path: &'a Path, key_file: &Path) -> Result<Self, StoreError> {
        let (kept, mut begun) = (Beside::read(key_file, ".store-id")?, Beside::read(key_file, ".store-id.new")?);
        // Cut short before its first byte.
        begun.id = begun.id.filter(|id| !id.is_empty());
        Ok(Self { path, found: files::look(path)?, kept, begun })
    }

    fn open(self, making: Making) -> Result<Store, StoreError> {
        let may_make = making == Making::Allowed && self.kept.id.is_none();
        match self.found {
            Found::Store => self.open_present(making),
            Found::Partial if self.kept.id.is_none() && self.begun.id.is_some() => {
                if may_make {
                    self.make()
                } else {
                    Err(StoreError::Missing(self.shown()))
                }
            }
            Found::Partial => Err(self.corrupt("its log is gone or empty")),
            Found::Absent | Found::Empty if may_make => self.make(),
            Found::Absent | Found::Empty if self.kept.id.is_none() => Err(StoreError::Missing(self.shown())),
            Found::Absent | Found::Empty => Err(self.nothing_here()),
        }
    }

    fn open_present(self, making: Making) -> Result<Store, StoreError> {
        let may_make = making == Making::Allowed && self.kept.id.is_none();
        let directory = Directory::take(self.path)?;
        directory.settle();
        let disk = Disk::open(self.path)?;
        let unread = look_through(&disk, &directory, making)?;
        let Some(id) = read_id(&disk)? else {
            if disk.get(UNFINISHED_KEY)?.is_some() {
                return Err(StoreError::Unfinished(self.shown()));
            }
            // Cut short after sled had made its files, or emptied.
            let unmade = self.kept.id.is_none() && self.begun.id.is_some() && disk.is_empty()?;
            return match unmade {
                true if may_make => self.finish(disk, directory),
                true => Err(StoreError::Missing(self.shown())),
                false => Err(self.corrupt("it has no id: it was emptied or damaged")),
            };
        };
        match (&self.kept.id, &self.begun.id) {
            (Some(kept), _) if *kept == id => {}
            (Some(_), _) => {
                return Err(self.foreign(format!("{} names another one", self.kept.file.display())));
            }
            (None, Some(begun)) if *begun == id => {
                if making != Making::Never {
                    self.keep_id()?;
                }
            }
            (None, _) => {
                return Err(self.foreign(format!("{} does not exist", self.kept.file.display())));
            }
        }
        start(disk, directory, unread)
    }

    fn fill(self) -> Result<Filling, StoreError> {
        if self.found == Found::Store && (self.kept.id.is_some() || self.begun.id.is_none()) {
            return Err(StoreError::Present(self.shown()));
        }
        if self.kept.id.is_some() {
            return Err(self.nothing_here());
        }
        if self.found == Found::Partial && self.begun.id.is_none() {
            return Err(self.corrupt("its log is gone or empty"));
        }
        Directory::make(self.path)?;
        let directory = Directory::take(self.path)?;
        if self.found == Found::Store {
            let disk = Disk::open(self.path)?;
            if read_id(&disk)?.is_some() {
                return Err(StoreError::Present(self.shown()));
            }
            if disk.get(UNFINISHED_KEY)?.is_none() && !disk.is_empty()? {
                return Err(self.corrupt("it has no id: it was emptied or damaged"));
            }
        }
        files::empty(self.path)?;
        let id = new_id()?;
        self.begun.write(&id, directory.owner())?;
        let disk = Disk::open(self.path)?;
        let key = Key::new(UNFINISHED_KEY.to_owned());
        let value = record::encode(&key, &Unfinished {})?;
        let first = Version(disk.tip()?.0.saturating_add(1));
        disk.apply(&Commit { puts: vec![(key, value)], ..Commit::default() }, first)?;
        disk.sync(first)?;
        directory.settle();
        directory.sync().map_err(|error| files::io_error(self.path, &error))?;
        Ok(Filling::new(start(disk, directory, None)?, id, self.begun.file, self.kept.file))
    }

    fn make(self) -> Result<Store, StoreError> {
        Directory::make(self.path)?;
        let directory = Directory::take(self.path)?;
        let id = match &self.begun.id {
            Some(id) => id.clone(),
            None => new_id()?,
        };
        self.begun.write(&id, directory.owner())?;
        let disk = Disk::open(self.path)?;
        Self { begun: Beside { file: self.begun.file, id: Some(id) }, ..self }.finish(disk, directory)
    }

    /// Writes the id that was begun with into the new store, and then keeps it.
    fn finish(self, disk: Disk, directory: Directory) -> Result<Store, StoreError> {
        let id = self.begun.id.clone().unwrap_or_default();
        let key = Key::new(ID_KEY.to_owned());
        let value = record::encode(&key, &StoreId { id })?;
        let first = Version(disk.tip()?.0.saturating_add(1));
        disk.apply(&Commit { puts: vec![(key, value)], ..Commit::default() }, first)?;
        disk.sync(first)?;
        directory.settle();
        directory.sync().map_err(|error| files::io_error(self.path, &error))?;
        self.keep_id()?;
        start(disk, directory, None)
    }

    fn keep_id(&self) -> Result<(), StoreError> {
        keep(&self.begun.file, &self.kept.file)
    }

    fn nothing_here(&self) -> StoreError {
        self.foreign(format!(
            "{} names a store, but here is none; bring it back, or remove that file to begin anew",
            self.kept.file.display()
        ))
    }

    fn shown(&self) -> String {
        self.path.display().to_string()
    }

    fn foreign(&self, detail: String) -> StoreError {
        StoreError::Foreign { path: self.shown(), detail }
    }

    fn corrupt(&self, detail: &str) -> StoreError {
        StoreError::Corrupt { path: self.shown(), detail: detail.to_owned() }
    }
}

impl Beside {
    pub(super) fn read(key_file: &Path, suffix: &str) -> Result<Self, StoreError> {
        let mut name = key_file.as_os_str().to_owned();
        name.push(suffix);
        let file = PathBuf::from(name);
        let mut text = String::new();
        let id = match File::open(&file).and_then(|opened| opened.take(1024).read_to_string(&mut text)) {
            Ok(_) => Some(text.trim().to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(files::io_error(&file, &error)),
        };
        Ok(Self { file, id })
    }

    /// Durably; mode 0600, and the owner of the store, who has to read it.
    pub(super) fn write(&self, id: &str, owner: Option<Owner>) -> Result<(), StoreError> {
        let write = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.file)?;
            writeln!(file, "{id}")?;
            files::give(&file, 0o600, owner)?;
            file.sync_all()?;
            files::sync_parent(&self.file)
        };
        write().map_err(|error| files::io_error(&self.file, &error))
    }
}

pub(super) fn new_id() -> Result<String, StoreError> {
    let random: [u8; 16] = random_bytes().map_err(|error| StoreError::Unavailable(error.to_string()))?;
    Ok(HEXLOWER.encode(&random))
}

/// The id of a store whose making was begun is that of one that is there.
pub(super) fn keep(begun: &Path, kept: &Path) -> Result<(), StoreError> {
    let rename = || {
        std::fs::rename(begun, kept)?;
        files::sync_parent(kept)
    };
    rename().map_err(|error| files::io_error(kept, &error))
}

fn read_id(disk: &Disk) -> Result<Option<String>, StoreError> {
    let key = Key::new(ID_KEY.to_owned());
    match disk.get(ID_KEY)? {
        None => Ok(None),
        Some(found) => Ok(Some(record::decode::<StoreId>(&key, &found.value)?.id)),
    }
}

/// Reads the store for as long as a start may wait; what is left of it is handed back. One in which damage was found while it served is read to
/// its end before anybody is let in, and so is a copy that is to be examined.
fn look_through(disk: &Disk, directory: &Directory, making: Making) -> Result<Option<Survey>, StoreError> {
    let patience = if making == Making::Never || directory.is_condemned() { TO_ITS_END } else { BEFORE_SERVING };
    let mut survey = Survey::of(disk)?;
    match survey.go_on(disk, Instant::now() + patience) {
        Ok(false) => Ok(Some(survey)),
        Ok(true) => {
            disk.drop_parts(survey.orphans().into_iter())?;
            directory.acquit()?;
            Ok(None)
        }
        Err(error) => {
            if let StoreError::Corrupt { .. } = error {
                directory.condemn();
            }
            Err(error)
        }
    }
}

fn start(disk: Disk, directory: Directory, unread: Option<Survey>) -> Result<Store, StoreError> {
    directory.settle();
    Ok(Store::new(Arc::new(SledEngine::start(disk, directory, unread)?)))
}
