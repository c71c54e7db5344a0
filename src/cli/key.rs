//! `sekisho key`: the file with the key that encrypts secrets at rest.

mod rotate;

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::{ConfigFile, Failure, Format, output};
use crate::secret::{ExposeSecret, Keys};

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a new key file, readable by its owner alone
    Generate {
        /// Where to write it; must not exist yet. This is `secrets.key_file` of the configuration
        file: PathBuf,
        #[command(flatten)]
        format: Format,
    },
    /// Put a new key in front of the key file, and seal everything in the store anew with it; the gateway goes on
    Rotate {
        /// Afterwards: take the older keys out of the file, once nothing needs them any more. Codes and links that are still on
        /// their way are void then
        #[arg(long)]
        finish: bool,
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        format: Format,
    },
}

pub fn run(command: KeyCommand) -> Result<(), Failure> {
    match command {
        KeyCommand::Generate { file, format } => {
            generate(&file)?;
            if format.json {
                return output::json(&serde_json::json!({ "file": file }));
            }
            output::line(format_args!(
                "{} written (mode 0600). Keep a copy in a safe place: without it the store is worthless.",
                file.display()
            ))
        }
        KeyCommand::Rotate { finish: false, config, format } => rotate::begin(&config, format),
        KeyCommand::Rotate { finish: true, config, format } => rotate::finish(&config, format),
    }
}
/// Writes a new key to `file`, which must not exist; what was begun and failed is taken away again.
fn generate(file: &Path) -> Result<(), Failure> {
    let line = Keys::generate_line().map_err(|error| Failure::from_error(&error))?;
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let mut opened = opened.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::because(format!("{} exists and is left as it is", file.display()))
            .hint("a store can be read with its own key alone; give another name to make a new key"),
        _ => Failure::of(format_args!("cannot create {}", file.display()), &error),
    })?;
    let written = opened.write_all(line.expose_secret().as_bytes()).and_then(|()| opened.sync_all());
    written.map_err(|error| {
        let _ = std::fs::remove_file(file);
        Failure::of(format_args!("cannot write {}", file.display()), &error)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_generated_key_can_be_read_by_its_owner_alone_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret.key");
        generate(&file).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(Keys::parse(&text).is_ok());
        assert!(generate(&file).is_err());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }

    #[test]
    fn a_link_to_nowhere_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target) = (folder.path().join("secret.key"), folder.path().join("elsewhere"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(generate(&link).is_err());
        assert!(!target.exists());
    }
}
