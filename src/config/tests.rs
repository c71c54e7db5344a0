//! Files as people write them, and what is said about them.

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::secret::ExposeSecret;

/// A folder with a key file `secret.key`, to be the configuration file's own.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "secret.key", Keys::generate_line().unwrap().expose_secret(), 0o600);
    folder
}

fn write(folder: &TempDir, name: &str, content: &str, mode: u32) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path
}

fn load_in(folder: &TempDir, text: &str) -> Result<Loaded, Vec<Diagnostic>> {
    load(&write(folder, "sekisho.yaml", text, 0o644))
}

#[test]
fn the_minimal_configuration_loads_without_a_word() {
    let loaded = load_in(&folder(), include_str!("../../config/minimal.yaml")).unwrap();
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config.routes.iter().count(), 1);
}
