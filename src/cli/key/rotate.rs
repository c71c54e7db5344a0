//! Another key, in two steps between which both are good:
//!
//! 1. A new key stands in front of the key file, the gateway takes it up, and everything is sealed anew with it.
//! 2. `--finish`: nothing is sealed with the older keys, nor can be any more, and they are taken out.
//!
//! Whatever breaks off, the file opens every record, and the same command goes on from there.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{FlockOperation, Gid, Uid};
use zeroize::Zeroizing;

use crate::cli::backend::Backend;
use crate::cli::output::{self, Progress};
use crate::cli::{ConfigFile, Failure, Format};
use crate::control::{Command, Reply, SealedAnew};
use crate::secret::{ExposeSecret, Keys};

/// Puts a new key in front, unless one is there already from an attempt that broke off, and seals everything with it.
pub fn begin(config: &ConfigFile, format: Format) -> Result<(), Failure> {
    let backend = Backend::open(config)?;
    let file = KeyFile::take(&backend)?;
    // Before anything is changed: whether there is a store that can be opened, and a gateway that reads this file.
    let _ = pass(&backend, &file)?;
    if file.keys.fingerprints().len() == 1 {
        let line = Keys::generate_line().map_err(|error| Failure::from_error(&error))?;
        let text = Zeroizing::new(format!("{}{}", line.expose_secret(), file.text.as_str()));
        file.replace(&text)?;
    }
    drop(file);
    let file = KeyFile::take(&backend)?;
    let done = pass(&backend, &file)?;
    if format.json {
        return output::json(&report(&done, false));
    }
    let newest = done.keys.first().cloned().unwrap_or_default();
    let shown = file.path.display();
    output::line(format_args!(
        "{shown}: the key {newest} is in front; {} records were sealed anew with it.",
        done.records
    ))?;
    output::line(
        "Keep a copy of the file. The older key stays in it, so that codes and links on their way are good still:",
    )?;
    output::line("`sekisho key rotate --finish` takes it out, in an hour, say.")
}

/// Takes the older keys out.
pub fn finish(config: &ConfigFile, format: Format) -> Result<(), Failure> {
    let backend = Backend::open(config)?;
    let file = KeyFile::take(&backend)?;
    if file.keys.fingerprints().len() == 1 {
        return Err(Failure::because(format!("{} holds one key: there is nothing to finish", file.path.display()))
            .hint("`sekisho key rotate` puts a new one in front of it"));
    }
    // Until everything was found to be sealed with the newest key, at a time when nothing could seal with another any more.
    let mut done = pass(&backend, &file)?;
    let mut records = done.records;
    while done.records > 0 || done.wait > 0 {
        if done.wait > 0 {
            output::complain(&format!("requests may still use the older key: going on in {} s\n", done.wait));
        }
        let wait = Duration::from_secs(done.wait);
        backend.run(async {
            tokio::time::sleep(wait).await;
        });
        done = pass(&backend, &file)?;
        records += done.records;
    }
    file.replace(&file.newest_alone())?;
    if backend.gateway_runs()? {
        match backend.reply(Command::KeysTake)? {
            Reply::Done => {}
            other => return Err(Backend::unexpected(&other)),
        }
    }
    let newest = done.keys.first().cloned().unwrap_or_default();
    let done = SealedAnew { keys: vec![newest.clone()], records, wait: 0 };
    if format.json {
        return output::json(&report(&done, true));
    }
    output::line(format_args!("{} holds the key {newest} alone now.", file.path.display()))?;
    output::line("Exports from before need the older key: keep it with those, or make a new export.")
}

fn report(done: &SealedAnew, finished: bool) -> serde_json::Value {
    serde_json::json!({ "keys": done.keys, "sealed_anew": done.records, "finished": finished })
}

/// Seals anew what is left, with the keys that the file has now.
fn pass(backend: &Backend, file: &KeyFile) -> Result<SealedAnew, Failure> {
    let mut progress = Progress::new("sealing anew");
    let reply = backend.listen(Command::KeysSealAnew, |piece| match piece {
        Reply::Progress { done, total } => {
            progress.at(done, total);
            Ok(())
        }
        other => Err(Backend::unexpected(&other)),
    })?;
    match reply {
        Reply::SealedAnew(done) if done.keys == file.keys.fingerprints() => Ok(done),
        Reply::SealedAnew(_) => {
            Err(Failure::because("the gateway that runs has another key file; nothing was changed")
                .hint("is this the configuration that it was started with?"))
        }
        other => Err(Backend::unexpected(&other)),
    }
}

/// The key file, which nobody else rotates meanwhile.
struct KeyFile {
    path: PathBuf,
    /// Its lock goes with it.
    handle: File,
    text: Zeroizing<String>,
    keys: Keys,
    /// It is a copy that is made anew at each start (a credential of systemd's): what is written there is lost with the service.
    is_copy: bool,
}

impl KeyFile {
    fn take(backend: &Backend) -> Result<Self, Failure> {
        let named = &backend.config().keys_from;
        let cannot = |error: &io::Error| Failure::of(format_args!("cannot read {}", named.display()), error);
        // What a link leads to is replaced, not the link.
        let path = named.canonicalize().map_err(|error| cannot(&error))?;
        let handle = File::open(&path).map_err(|error| cannot(&error))?;
        rustix::fs::flock(&handle, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            rustix::io::Errno::WOULDBLOCK => Failure::because("another rotation of this key file is under way"),
            error => cannot(&error.into()),
        })?;
        let (ours, present) = (handle.metadata(), path.metadata());
        match (ours, present) {
            (Ok(ours), Ok(present)) if ours.ino() == present.ino() => {}
            _ => return Err(Failure::because("the key file was replaced just now; try again")),
        }
        let text = io::read_to_string(&handle).map(Zeroizing::new).map_err(|error| cannot(&error))?;
        let keys = Keys::parse(&text).map_err(|error| Failure::from_error(&error))?;
        let is_copy = backend.config().keys_from != backend.config().key_file;
        Ok(Self { path, handle, text, keys, is_copy })
    }

    /// What the file says without its older keys; comments stay.
    fn newest_alone(&self) -> Zeroizing<String> {
        let mut seen = false;
        let mut text = Zeroizing::new(String::with_capacity(self.text.len()));
        for line in self.text.lines() {
            let is_key = !line.trim().is_empty() && !line.trim_start().starts_with('#');
            if !is_key || !seen {
                text.push_str(line);
                text.push('\n');
            }
            seen |= is_key;
        }
        text
    }

    /// Atomically; owner and mode stay as they are.
    fn replace(&self, text: &str) -> Result<(), Failure> {
        let replace = || -> io::Result<()> {
            if self.is_copy {
                return Err(io::Error::other("it is a copy that the next start makes anew"));
            }
            let folder = self.path.parent().ok_or(io::ErrorKind::NotFound)?;
            let about = self.handle.metadata()?;
            let mut new = tempfile::Builder::new().prefix(".sekisho-key-").tempfile_in(folder)?;
            let made = new.as_file().metadata()?;
            if (made.uid(), made.gid()) != (about.uid(), about.gid()) {
                let (user, group) = (Uid::from_raw(about.uid()), Gid::from_raw(about.gid()));
                rustix::fs::fchown(new.as_file(), Some(user), Some(group))?;
            }
            new.as_file().set_permissions(Permissions::from_mode(about.mode() & 0o7777))?;
            new.write_all(text.as_bytes())?;
            new.as_file().sync_all()?;
            new.persist(&self.path).map_err(|error| error.error)?;
            File::open(folder)?.sync_all()
        };
        replace().map_err(|error| {
            Failure::of(format_args!("cannot write {}", self.path.display()), &error).hint(
                "where it comes from elsewhere, as a credential of systemd's does: change it there (a new line in front, which \
                 `sekisho key generate` makes, or the older ones away), restart the gateway, and run this again",
            )
        })
    }
}
