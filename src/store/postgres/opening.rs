//! Which database belongs to which key file: as with the embedded store, its id stands in it and beside the key file. Every node has a copy
//! of both files.
//!
//! Making one: the id is written to `KEYFILE.store-id.new`, then the schema is made, then the id is written into it where there is none, then
//! the file gets its real name. One that is filled from an export has the mark of an unfinished one until its id comes.

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;

use super::PostgresEngine;
use super::connect::{Guard, Hosts, Trouble, at_leisure, begin_at_leisure, leisurely};
use super::schema::{self, FORM, Form};
use crate::config::Database;
use crate::secret::random_bytes;
use crate::store::engine::{Engine as _, Expect, Key, Outcome, StoreError};
use crate::store::open::{
    Beside, Filling, ID, ID_KEY, Making, StoreId, UNFINISHED, UNFINISHED_KEY, Unfinished, keep, new_id,
};
use crate::store::record::{self, Change, Store};
use crate::store::sled::files;

/// One at a time fills a database; its lock goes with its connection.
const FILLING: &str = "SELECT pg_try_advisory_lock(7301928456)";

/// Opens the store that belongs to the key file; `making`: makes one where there is none and the key file has not had one.
///
/// # Errors
/// As [`crate::store::open::open`]; [`StoreError::TooNew`].
pub async fn open(
    database: &Database,
    stale_for: Duration,
    key_file: &Path,
    making: Making,
) -> Result<Store, StoreError> {
    let opening = Opening::new(database, stale_for, key_file)?;
    let may_make = making == Making::Allowed && opening.kept.id.is_none();
    let Some(engine) = opening.look(may_make).await? else {
        return Err(match opening.kept.id {
            None => StoreError::Missing(opening.shown()),
            Some(_) => opening.nothing_here(),
        });
    };
    let (store, state) = opening.read(engine).await?;
    match (state, &opening.kept.id, &opening.begun.id) {
        (State::Empty, None, _) if may_make => opening.make(store).await,
        (State::Empty, None, _) => Err(StoreError::Missing(opening.shown())),
        (State::Empty | State::Headless, _, _) => Err(opening.headless()),
        (State::Unfinished, _, _) => Err(StoreError::Unfinished(opening.shown())),
        (State::Id(id), Some(kept), _) if id == *kept => Ok(store),
        (State::Id(id), None, Some(begun)) if id == *begun => {
            if making != Making::Never {
                keep(&opening.begun.file, &opening.kept.file)?;
            }
            Ok(store)
        }
        (State::Id(_), Some(_), _) => {
            Err(opening.foreign(format!("{} names another one", opening.kept.file.display())))
        }
        (State::Id(_), None, _) => Err(opening.foreign(format!(
            "{} does not exist; it is copied together with the key file, from a node that has both",
            opening.kept.file.display()
        ))),
    }
}

/// Makes a store to be filled, where there is none and the key file has not had one. What an earlier attempt has left there goes.
///
/// # Errors
/// [`StoreError::Present`] where there is one; else as [`open`].
pub async fn fill(database: &Database, stale_for: Duration, key_file: &Path) -> Result<Filling, StoreError> {
    let opening = Opening::new(database, stale_for, key_file)?;
    if opening.kept.id.is_some() {
        return Err(match opening.look(false).await? {
            Some(_) => StoreError::Present(opening.shown()),
            None => opening.nothing_here(),
        });
    }
    let (client, driver) = at_leisure(&opening.hosts).await.map_err(|trouble| opening.trouble(trouble))?;
    let guard = Guard::run(driver);
    let alone = async {
        begin_at_leisure(&client).await?;
        leisurely(client.query_one(FILLING, &[])).await?.try_get::<_, bool>(0).map_err(Trouble::Driver)
    };
    if !alone.await.map_err(|trouble| opening.trouble(trouble))? {
        return Err(StoreError::Locked(opening.shown()));
    }
    let Some(engine) = opening.look(true).await? else { return Err(StoreError::Missing(opening.shown())) };
    let (store, state) = opening.read(engine).await?;
    match state {
        State::Id(_) => return Err(StoreError::Present(opening.shown())),
        State::Headless => return Err(opening.headless()),
        State::Empty | State::Unfinished => {}
    }
    let id = new_id()?;
    opening.begun.write(&id, opening.owner)?;
    leisurely(client.batch_execute("TRUNCATE sekisho.record")).await.map_err(|trouble| opening.trouble(trouble))?;
    store.commit(Change::new().put(UNFINISHED, &Unfinished {})).await?;
    Ok(Filling::new(store, id, opening.begun.file, opening.kept.file).holding(Box::new((client, guard))))
}

/// What is known before the database is asked.
struct Opening {
    hosts: Hosts,
    stale_for: Duration,
    kept: Beside,
    /// The id of a store whose making was begun.
    begun: Beside,
    owner: Option<files::Owner>,
}

/// What a database that has the schema holds.
enum State {
    Empty,
    Unfinished,
    Id(String),
    /// Records, and no id.
    Headless,
}

impl Opening {
    fn new(database: &Database, stale_for: Duration, key_file: &Path) -> Result<Self, StoreError> {
        let (kept, mut begun) = (Beside::read(key_file, ".store-id")?, Beside::read(key_file, ".store-id.new")?);
        // Cut short before its first byte.
        begun.id = begun.id.filter(|id| !id.is_empty());
        // Where the key is a credential, there need not be such a file.
        let owner = files::owner(key_file).unwrap_or_default();
        Ok(Self { hosts: Hosts::new(database.clone()), stale_for, kept, begun, owner })
    }

    /// The engine, where there is a schema that this sekisho can use; one of an older form is brought to this one's. `may_make`: where there
    /// is none, one is made.
    async fn look(&self, may_make: bool) -> Result<Option<PostgresEngine>, StoreError> {
        let trouble = |trouble| self.trouble(trouble);
        let (mut client, driver) = at_leisure(&self.hosts).await.map_err(trouble)?;
        let _guard = Guard::run(driver);
        begin_at_leisure(&client).await.map_err(trouble)?;
        if !schema::is_utf8(&client).await.map_err(trouble)? {
            return Err(StoreError::Unavailable(format!("{}: its encoding is not UTF8", self.shown())));
        }
        match schema::look(&client).await.map_err(trouble)? {
            Form::None if !may_make => return Ok(None),
            Form::TooNew(found) => return Err(StoreError::TooNew { path: self.shown(), found, known: FORM }),
            Form::Usable(number) if number >= FORM => {}
            Form::None | Form::Usable(_) => schema::make(&mut client).await.map_err(trouble)?,
        }
        let random: [u8; 8] = random_bytes().map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let node = HEXLOWER.encode(&random);
        PostgresEngine::start(self.hosts.clone(), self.stale_for, node).await.map(Some)
    }

    /// What the database holds.
    async fn read(&self, engine: PostgresEngine) -> Result<(Store, State), StoreError> {
        let (id_key, unfinished) = (Key::new(ID_KEY.to_owned()), Key::new(UNFINISHED_KEY.to_owned()));
        let state = match engine.get(&id_key).await? {
            Some(found) => State::Id(record::decode::<StoreId>(&id_key, &found.value)?.id),
            None if engine.get(&unfinished).await?.is_some() => State::Unfinished,
            None if engine.scan("", Bound::Unbounded, 1).await?.is_empty() => State::Empty,
            None => State::Headless,
        };
        Ok((Store::new(Arc::new(engine)), state))
    }

    async fn make(self, store: Store) -> Result<Store, StoreError> {
        let id = match self.begun.id.clone() {
            Some(id) => id,
            None => new_id()?,
        };
        self.begun.write(&id, self.owner)?;
        let change = Change::new().unchanged::<StoreId>(ID, Expect::Absent).put(ID, &StoreId { id });
        match store.commit(change).await? {
            Outcome::Committed(_) => {}
            Outcome::Conflict => return Err(self.foreign("another one was made there at the same moment".into())),
        }
        keep(&self.begun.file, &self.kept.file)?;
        Ok(store)
    }

    fn nothing_here(&self) -> StoreError {
        self.foreign(format!(
            "{} names a store, but here is none; bring it back, or remove that file to begin anew",
            self.kept.file.display()
        ))
    }

    fn headless(&self) -> StoreError {
        StoreError::Corrupt { path: self.shown(), detail: "it has no id: it was emptied or damaged".into() }
    }

    fn foreign(&self, detail: String) -> StoreError {
        StoreError::Foreign { path: self.shown(), detail }
    }

    fn trouble(&self, trouble: Trouble) -> StoreError {
        trouble.into_store(self.hosts.shown())
    }

    fn shown(&self) -> String {
        self.hosts.shown().to_owned()
    }
}
