//! A configuration to work with, made once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::LazyLock;

use sekisho::config::{self, Config};

/// A key that everybody knows.
pub const KEY: &str = "sekisho-key-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A folder with the files that a configuration names: it lives as long as the process.
pub static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = tempfile::Builder::new().prefix("sekisho-fuzz-").tempdir().expect("a folder can be made").keep();
    let key = folder.join("secret.key");
    fs::write(&key, KEY).expect("a file can be written");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("a mode can be set");
    folder
});

const YAML: &str = "
server: {listen: ['127.0.0.1:80'], trusted_proxies: [10.9.0.0/16]}
store: {path: store}
secrets: {key_file: secret.key}
identity: {strip: ['X-Tool-*', Who]}
routes:
  - {name: all, second_factor: 'off', upstream: 'http://127.0.0.1:9'}
  - {name: public, path: /public/, access: public, second_factor: 'off', upstream: 'http://127.0.0.1:9'}
  - {name: admin, path: /admin, access: deny, upstream: 'http://127.0.0.1:9'}
  - {name: files, path: /files, second_factor: 'off', allow_encoded_slash: true, upstream: 'http://127.0.0.1:9'}
  - {name: deep, path: '/files/a b/あ', access: public, second_factor: 'off', upstream: 'http://127.0.0.1:9'}
";

/// The configuration above, with the defaults for everything else.
pub static CONFIG: LazyLock<Config> =
    LazyLock::new(|| match config::parse(YAML, &FOLDER.join("sekisho.yaml"), &|_| None) {
        Ok(loaded) => loaded.config,
        Err(problems) => panic!("the sample is wrong: {problems:?}"),
    });
