//! The directory of the embedded store: what may stand in it, whose it is, and who has it.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Gid, Mode, OFlags, Uid};

use crate::store::engine::StoreError;

/// sled's log, which holds everything.
pub(super) const LOG: &str = "db";
/// sled's folder for large values.
pub(super) const BLOBS: &str = "blobs";
/// Ours: see `super::disk`.
pub(super) const WATERMARK: &str = "watermark";
/// Ours: damage was found in it while it served.
const DAMAGED: &str = "damaged";

/// What stands at a store's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Found {
    Absent,
    Empty,
    /// Some of a store's files, without a log that holds anything: one whose making was cut short, or one that lost it.
    Partial,
    Store,
}

/// Looks, and refuses what is no store's.
pub(in crate::store) fn look(path: &Path) -> Result<Found, StoreError> {
    let entries = match path.read_dir() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Absent),
        Err(error) => return Err(io_error(path, &error)),
    };
    let mut found = Found::Empty;
    for entry in entries {
        let entry = entry.map_err(|error| io_error(path, &error))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let kind = entry.file_type().map_err(|error| io_error(path, &error))?;
        let ours = match &*name {
            // An empty file system has one.
            "lost+found" => continue,
            LOG | "conf" | WATERMARK | DAMAGED => kind.is_file(),
            BLOBS => kind.is_dir(),
            other => kind.is_file() && other.starts_with("snap."),
        };
        if !ours {
            return Err(StoreError::NotAStore { path: path.display().to_string(), entry: name.into_owned() });
        }
        let length = entry.metadata().map_err(|error| io_error(path, &error))?.len();
        if name == LOG && length > 0 {
            found = Found::Store;
        } else if found == Found::Empty {
            found = Found::Partial;
        }
    }
    Ok(found)
}

/// Copies a store's files into an empty folder; who calls it has the directory.
pub(in crate::store) fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let copy = || -> io::Result<()> {
        for folder in ["", BLOBS] {
            let (from, to) = (from.join(folder), to.join(folder));
            let Ok(entries) = from.read_dir() else { continue };
            DirBuilder::new().mode(0o700).recursive(true).create(&to)?;
            for entry in entries {
                let entry = entry?;
                if entry.file_type()?.is_file() {
                    std::fs::copy(entry.path(), to.join(entry.file_name()))?;
                }
            }
        }
        Ok(())
    };
    copy().map_err(|error| {
        StoreError::Unavailable(format!("{} cannot be copied to {}: {error}", from.display(), to.display()))
    })
}

/// Removes what sled was writing when it was killed, or when the disk was full: it gives a snapshot its name only when that is whole,
/// but then takes the unfinished file for the newest one, and the store for a damaged one. Who calls it has the directory.
pub(super) fn drop_unfinished(path: &Path) -> Result<(), StoreError> {
    let drop = || -> io::Result<()> {
        for entry in path.read_dir()? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("snap.") && name.ends_with(".generating") && entry.file_type()?.is_file() {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    };
    drop().map_err(|error| io_error(path, &error))
}

/// Removes a store's files, of which none counts; who calls it has the directory.
pub(in crate::store) fn empty(path: &Path) -> Result<(), StoreError> {
    look(path)?;
    let empty = || -> io::Result<()> {
        for entry in path.read_dir()? {
            let entry = entry?;
            match entry.file_name() {
                name if name == "lost+found" => {}
                name if name == BLOBS => std::fs::remove_dir_all(entry.path())?,
                _ => std::fs::remove_file(entry.path())?,
            }
        }
        File::open(path)?.sync_all()
    };
    empty().map_err(|error| io_error(path, &error))
}

/// A store's directory that this process has for itself.
#[derive(Debug)]
pub(in crate::store) struct Directory {
    path: PathBuf,
    /// Its lock goes with it.
    handle: File,
    owner: Option<Owner>,
}

/// Whose the files are to be, where that is not who runs.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Owner {
    user: Uid,
    group: Gid,
}

impl Directory {
    /// Makes the directory (not its parents), mode 0700, where there is none.
    pub(in crate::store) fn make(path: &Path) -> Result<(), StoreError> {
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => sync_parent(path).map_err(|error| io_error(path, &error)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(io_error(path, &error)),
        }
    }

    /// Takes it, if nobody else has it.
    pub(in crate::store) fn take(path: &Path) -> Result<Self, StoreError> {
        let handle = File::open(path).map_err(|error| io_error(path, &error))?;
        match rustix::fs::flock(&handle, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(StoreError::Locked(path.display().to_string())),
            Err(error) => return Err(io_error(path, &error.into())),
        }
        let owner = owner(path).map_err(|error| io_error(path, &error))?;
        Ok(Self { path: path.to_path_buf(), handle, owner })
    }

    pub(in crate::store) fn path(&self) -> &Path {
        &self.path
    }

    pub(in crate::store) fn owner(&self) -> Option<Owner> {
        self.owner
    }

    /// Leaves the mark of a damaged store.
    pub(in crate::store) fn condemn(&self) {
        let marked = File::create(self.path.join(DAMAGED)).and_then(|_| self.sync());
        if let Err(error) = marked {
            tracing::warn!(%error, "the store cannot be marked as damaged");
        }
    }

    /// Whether it has that mark.
    pub(in crate::store) fn is_condemned(&self) -> bool {
        self.path.join(DAMAGED).exists()
    }

    /// It has turned out to be whole, or another one was put in its place.
    pub(in crate::store) fn acquit(&self) -> Result<(), StoreError> {
        match std::fs::remove_file(self.path.join(DAMAGED)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(&self.path, &error)),
            _ => Ok(()),
        }
    }

    /// Makes the names in it survive a power cut.
    pub(in crate::store) fn sync(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    /// Whether what stands at the path is still the store that was taken: whoever removed or replaced it must not find
    /// a new one in its place.
    pub(super) fn still_there(&self) -> Result<(), StoreError> {
        let unavailable = |error| io_error(&self.path, &error);
        let (ours, present) = (self.handle.metadata(), self.path.metadata());
        let (ours, present) = (ours.map_err(unavailable)?, present.map_err(unavailable)?);
        let same = ours.dev() == present.dev() && ours.ino() == present.ino();
        if same && look(&self.path)? == Found::Store {
            return Ok(());
        }
        Err(StoreError::Missing(self.path.display().to_string()))
    }

    /// Bytes of all its files; `None` where they cannot be listed.
    pub(super) fn size(&self) -> Option<u64> {
        let of = |folder: &Path| {
            let entries = folder.read_dir().ok()?;
            // A file that goes meanwhile has no size.
            let sizes = entries.flatten().filter_map(|entry| entry.metadata().ok());
            Some(sizes.filter(std::fs::Metadata::is_file).map(|file| file.len()).sum::<u64>())
        };
        Some(of(&self.path)? + of(&self.path.join(BLOBS)).unwrap_or_default())
    }

    /// Bytes that this process may still write; `None` where the file system does not say.
    pub(super) fn free_space(&self) -> Option<u64> {
        let space = rustix::fs::fstatvfs(&self.handle).ok()?;
        (space.f_blocks > 0).then(|| space.f_bavail.saturating_mul(space.f_frsize))
    }

    /// Makes the files private, and gives them to their owner. sled makes some as it goes, so this is done at the start
    /// and at the end; in between the directory's own mode keeps others out.
    pub(in crate::store) fn settle(&self) {
        let settle = || -> io::Result<()> {
            give(&self.handle, 0o700, self.owner)?;
            for folder in [self.path.clone(), self.path.join(BLOBS)] {
                for entry in folder.read_dir()? {
                    let entry = entry?;
                    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                    let handle = File::from(rustix::fs::open(entry.path(), flags, Mode::empty())?);
                    let about = handle.metadata()?;
                    // A hard link could be to a file of somebody else's.
                    if about.is_dir() && entry.file_name() == BLOBS {
                        give(&handle, 0o700, self.owner)?;
                    } else if about.is_file() && about.nlink() == 1 {
                        give(&handle, 0o600, self.owner)?;
                    }
                }
            }
            Ok(())
        };
        if let Err(error) = settle() {
            tracing::warn!(%error, path = %self.path.display(), "the store's files cannot be made private or given away");
        }
    }
}

/// Root acts for whoever owns the directory in which the store's stands; where that is root, for whoever owns the store's.
pub(in crate::store) fn owner(path: &Path) -> io::Result<Option<Owner>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    for place in [parent(path), path.to_path_buf()] {
        let about = place.metadata()?;
        if about.uid() != 0 {
            return Ok(Some(Owner { user: Uid::from_raw(about.uid()), group: Gid::from_raw(about.gid()) }));
        }
    }
    Ok(None)
}

pub(in crate::store) fn give(handle: &File, mode: u32, owner: Option<Owner>) -> io::Result<()> {
    let about = handle.metadata()?;
    if about.mode() & 0o7777 != mode {
        rustix::fs::fchmod(handle, Mode::from_raw_mode(mode))?;
    }
    match owner {
        // Only what root made: a file of anybody else's is theirs to give.
        Some(owner) if about.uid() == 0 => Ok(rustix::fs::fchown(handle, Some(owner.user), Some(owner.group))?),
        _ => Ok(()),
    }
}

/// The directory in which `path` stands.
pub(in crate::store) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        Some(_) => PathBuf::from("."),
        None => PathBuf::from("/"),
    }
}

/// Makes a name that was made, changed or removed beside `path` survive a power cut.
pub(in crate::store) fn sync_parent(path: &Path) -> io::Result<()> {
    File::open(parent(path))?.sync_all()
}

pub(in crate::store) fn io_error(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()))
}
