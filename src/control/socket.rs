//! The socket's file: made with its mode from the first moment on, a dead one replaced, a living one left alone.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// Owner and group may speak to it, nobody else.
const SOCKET_MODE: u32 = 0o660;

/// A listening control socket; its file goes when this is dropped.
pub struct ControlSocket {
    pub listener: UnixListener,
    pub file: SocketFile,
}

/// The file by which it is found.
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode: the file is removed only while it is still this one.
    identity: (u64, u64),
    /// Another process listens behind it, too, and goes on when this one does not.
    shared: Arc<AtomicBool>,
}

/// Binds the control socket at `path`.
///
/// # Errors
/// Where another gateway listens there, something that is no socket stands there, or the file cannot be made.
pub fn bind(path: PathBuf) -> io::Result<ControlSocket> {
    let address = SocketAddrUnix::new(&path).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, "the path is longer than the 107 bytes that a Unix socket may have")
    })?;
    make_parent(&path)?;
    remove_dead(&path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket: OwnedFd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // Linux gives the file the mode of the socket's own inode, less the umask: it is never open to others, not for a moment.
    rustix::fs::fchmod(&socket, Mode::from_raw_mode(SOCKET_MODE))?;
    rustix::net::bind(&socket, &address)?;
    // The umask may have taken the group's bits.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
    rustix::net::listen(&socket, 32)?;
    Ok(ControlSocket { listener: UnixListener::from(socket), file: SocketFile::at(path)? })
}

/// The control socket of a gateway that this one follows, whose file is at `path`.
///
/// # Errors
/// Where the file is not there any more.
pub fn adopt(socket: OwnedFd, path: PathBuf) -> io::Result<ControlSocket> {
    let listener = UnixListener::from(socket);
    listener.set_nonblocking(true)?;
    Ok(ControlSocket { listener, file: SocketFile::at(path)? })
}

/// The last folder of the way alone, and only if it is not there: more would hide a mistyped path.
fn make_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => match std::fs::DirBuilder::new().mode(0o750).create(parent) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// After a kill -9 the file is still there, but nobody listens behind it.
fn remove_dead(path: &Path) -> io::Result<()> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file at this path that is no socket"));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another gateway listens there")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        // A full backlog, say: somebody is there.
        Err(error) => Err(error),
    }
}

impl SocketFile {
    fn at(path: PathBuf) -> io::Result<Self> {
        let found = std::fs::symlink_metadata(&path)?;
        Ok(Self { path, identity: (found.dev(), found.ino()), shared: Arc::default() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Set, it leaves the file where it is when this is dropped.
    pub fn shared(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.shared)
    }

    /// Whether the file's mode still keeps others out. The kernel asks for write permission at every connect; should the
    /// file have been opened further since, only root and the service itself are heard.
    pub fn keeps_others_out(&self) -> bool {
        std::fs::symlink_metadata(&self.path).is_ok_and(|found| found.mode() & 0o007 == 0)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.shared.load(Ordering::Acquire) {
            return;
        }
        let still_ours = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.identity && found.file_type().is_socket());
        if still_ours {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/admin.sock");
        (folder, path)
    }

    #[test]
    fn the_file_is_for_owner_and_group_and_goes_at_the_end() {
        let (_folder, path) = place();
        let socket = bind(path.clone()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, SOCKET_MODE);
        assert!(socket.file.keeps_others_out());
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_dead_socket_is_replaced_and_a_living_one_is_not() {
        let (_folder, path) = place();
        let ControlSocket { listener, file } = bind(path.clone()).unwrap();
        assert_eq!(bind(path.clone()).err().unwrap().kind(), io::ErrorKind::AddrInUse);
        // As after kill -9: the file stays, the listener is gone.
        std::mem::forget(file);
        drop(listener);
        assert!(path.exists());
        assert!(UnixStream::connect(&path).is_err());
        let _again = bind(path.clone()).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let (_folder, path) = place();
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "precious").unwrap();
        assert!(bind(path.clone()).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn the_file_of_a_successor_is_not_removed() {
        let (_folder, path) = place();
        let old = bind(path.clone()).unwrap();
        std::fs::rename(&path, path.with_extension("old")).unwrap();
        let _new = bind(path.clone()).unwrap();
        drop(old);
        assert!(path.exists());
    }

    #[test]
    fn a_socket_that_was_handed_on_stays_reachable() {
        let (_folder, path) = place();
        let old = bind(path.clone()).unwrap();
        let new = adopt(OwnedFd::from(old.listener.try_clone().unwrap()), path.clone()).unwrap();
        old.file.shared().store(true, Ordering::Release);
        drop(old);
        assert!(UnixStream::connect(&path).is_ok());
        drop(new);
        assert!(!path.exists());
    }

    #[test]
    fn a_widened_mode_is_noticed() {
        let (_folder, path) = place();
        let socket = bind(path.clone()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(!socket.file.keeps_others_out());
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_said_to_be_so() {
        let path = PathBuf::from(format!("/tmp/{}", "x".repeat(120)));
        assert!(bind(path).err().unwrap().to_string().contains("107 bytes"));
    }
}
