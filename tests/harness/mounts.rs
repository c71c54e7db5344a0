//! File systems of a test's own. What mounts runs in a mount namespace of its own: this test binary again, with one ignored test,
//! under `unshare`; as root where we are, else as root of a user namespace. Where neither can be had the test fails, since one that
//! is passed over proves nothing.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs the ignored test of this name there.
#[track_caller]
pub fn in_its_own_namespace(test: &str) {
    let binary = std::env::current_exe().unwrap();
    let unshare = |user: &[&'static str]| {
        let mut command = Command::new("unshare");
        command.args(user).arg("--mount").arg(&binary);
        command
    };
    let user = unshare(&["--user", "--map-root-user"]);
    // Root within a chroot gets no namespace, and mounts as it is.
    let ways = match rustix::process::geteuid().is_root() {
        true => vec![unshare(&[]), user, Command::new(&binary)],
        false => vec![user],
    };
    let mut said = String::new();
    for mut command in ways {
        command.args(["--ignored", "--exact", "--nocapture", test]);
        let output = command.output().expect("util-linux has `unshare`");
        said += &format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if output.status.success() && said.contains("1 passed") {
            return;
        }
        if said.contains("running 1 test") {
            break;
        }
    }
    panic!("{test} failed, or may mount nothing: it needs root, or user namespaces:\n{said}");
}

/// Something mounted at a folder, until it is dropped.
pub struct Mounted {
    at: PathBuf,
}

impl Mounted {
    /// A tiny disk (`size=…`).
    #[track_caller]
    pub fn tiny(at: &Path, size: &str) -> Self {
        std::fs::create_dir_all(at).unwrap();
        mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], at);
        Self { at: at.to_owned() }
    }

    /// The folder itself, once more, where nothing can be written.
    #[track_caller]
    pub fn read_only(at: &Path) -> Self {
        mount(&["--bind", at.to_str().unwrap()], at);
        mount(&["-o", "remount,bind,ro"], at);
        Self { at: at.to_owned() }
    }

    /// Writes a file until nothing more fits.
    pub fn fill(&self) {
        let mut file = File::create(self.at.join("filler")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        while file.write_all(&[0; 1]).is_ok() {}
    }

    /// Takes that file away.
    pub fn make_room(&self) {
        std::fs::remove_file(self.at.join("filler")).unwrap();
    }
}

#[track_caller]
fn mount(args: &[&str], at: &Path) {
    let output = Command::new("mount").args(args).arg(at).output().unwrap();
    assert!(output.status.success(), "mount {args:?}: {output:?}");
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}
