//! The Debian package and systemd's units, as far as they can be tried without installing anything. `tests/deb` installs, starts,
//! upgrades and purges.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::harness::{Client, PASSWORD, Recorder, Sekisho};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const UNITS: [&str; 3] = ["sekisho.service", "sekisho-http.socket", "sekisho-https.socket"];

#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    said(&output)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn unit(name: &str) -> PathBuf {
    Path::new(ROOT).join("systemd").join(name)
}

/// The package of the binary under test, unpacked.
fn package() -> (TempDir, PathBuf) {
    let folder = TempDir::with_prefix("sekisho-deb-").unwrap();
    let build = Path::new(ROOT).join("packaging/deb/build");
    run(Command::new(build)
        .args(["--fast", "--binary", env!("CARGO_BIN_EXE_sekisho"), "--output"])
        .arg(folder.path())
        .env("DEB_BUILD_OPTIONS", "nostrip"));
    let arch = run(Command::new("dpkg").arg("--print-architecture"));
    let file = folder.path().join(format!("sekisho_{}_{}.deb", env!("CARGO_PKG_VERSION"), arch.trim()));
    run(Command::new("dpkg-deb").arg("--raw-extract").arg(&file).arg(folder.path().join("root")));
    let root = folder.path().join("root");
    (folder, root)
}

#[test]
fn the_package_has_everything_at_its_place_and_no_configuration_that_pretends_to_work() {
    let (_folder, root) = package();
    for path in [
        "usr/bin/sekisho",
        "usr/lib/sysusers.d/sekisho.conf",
        "usr/lib/tmpfiles.d/sekisho.conf",
        "usr/share/man/man1/sekisho.1.gz",
        "usr/share/bash-completion/completions/sekisho",
        "usr/share/zsh/vendor-completions/_sekisho",
        "usr/share/fish/vendor_completions.d/sekisho.fish",
        "usr/share/doc/sekisho/README.md",
        "usr/share/doc/sekisho/docs/install.md",
        "usr/share/doc/sekisho/examples/example.yaml",
        "usr/share/doc/sekisho/copyright",
        "etc/logrotate.d/sekisho",
    ] {
        assert!(root.join(path).is_file(), "{path} is not in it");
    }
    for name in UNITS {
        let packed = std::fs::read(root.join("lib/systemd/system").join(name)).unwrap();
        assert_eq!(packed, std::fs::read(unit(name)).unwrap(), "{name}");
    }
    assert!(!root.join("etc/sekisho").exists(), "the configuration is its owner's alone");
    assert_eq!(std::fs::read_to_string(root.join("DEBIAN/conffiles")).unwrap(), "/etc/logrotate.d/sekisho\n");
    let version = run(Command::new(root.join("usr/bin/sekisho")).arg("--version"));
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    let scripts = ["postinst", "prerm", "postrm"].map(|name| root.join("DEBIAN").join(name));
    for script in &scripts {
        run(Command::new("sh").arg("-n").arg(script));
    }
    let postinst = std::fs::read_to_string(&scripts[0]).unwrap();
    let order = ["systemd-sysusers", "systemd-tmpfiles", "systemctl --system daemon-reload", "sekisho upgrade"];
    let places = order.map(|step| postinst.find(step).unwrap_or_else(|| panic!("postinst has no {step}")));
    assert!(places.is_sorted(), "the user before the folders that are the user's: {places:?}");
}

#[test]
fn the_units_are_understood_by_systemd() {
    let folder = tempfile::tempdir().unwrap();
    let files = UNITS.map(|name| {
        let text = std::fs::read_to_string(unit(name)).unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, text.replace("/usr/bin/sekisho", env!("CARGO_BIN_EXE_sekisho"))).unwrap();
        file
    });
    let said = run(Command::new("systemd-analyze").args(["verify", "--man=no", "--recursive-errors=no"]).args(files));
    assert_eq!(said, "", "systemd has something to say about the units");
}

/// The words that a unit's line of this name has; later lines go on with earlier ones.
fn words(unit: &str, name: &str) -> Vec<String> {
    let lines = unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    lines.flat_map(str::split_whitespace).map(str::to_owned).collect()
}

#[test]
fn the_units_and_the_example_call_the_sockets_by_the_same_names() {
    for (name, port) in [("http", "80"), ("https", "443")] {
        let socket = std::fs::read_to_string(unit(&format!("sekisho-{name}.socket"))).unwrap();
        assert_eq!(words(&socket, "FileDescriptorName"), [name]);
        assert_eq!(words(&socket, "ListenStream"), [port]);
        assert_eq!(words(&socket, "Service"), ["sekisho.service"]);
        let guide = std::fs::read_to_string(Path::new(ROOT).join("docs/install.md")).unwrap();
        assert!(guide.contains(&format!("systemd:{name}\"")), "docs/install.md does not say systemd:{name}");
    }
}

#[test]
fn the_service_is_locked_up_as_far_as_systemd_can_measure_it() {
    let said = run(Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager", "--threshold=19"])
        .arg(unit("sekisho.service")));
    let level = said.lines().find_map(|line| line.split("exposure level for sekisho.service: ").nth(1)).unwrap();
    let level: f64 = level.split_whitespace().next().unwrap().parse().unwrap();
    assert!(level < 2.0, "{said}");
}

/// The names in systemd's group of system calls, those of groups within it included.
fn group(name: &str) -> BTreeSet<String> {
    let text = run(Command::new("systemd-analyze").args(["syscall-filter", name]));
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines.skip(1).flat_map(|line| if line.starts_with('@') { group(line) } else { [line.to_owned()].into() }).collect()
}

/// What the unit's `SystemCallFilter=` lines allow.
fn allowed() -> BTreeSet<String> {
    let unit = std::fs::read_to_string(unit("sekisho.service")).unwrap();
    let mut allowed = BTreeSet::new();
    for line in unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        let (denied, names) = line.strip_prefix('~').map_or((false, line), |names| (true, names));
        for name in names.split_whitespace() {
            let calls = if name.starts_with('@') { group(name) } else { [name.to_owned()].into() };
            allowed = if denied { &allowed - &calls } else { &allowed | &calls };
        }
    }
    allowed
}

/// A whole life, from the start to the end, with a login and what follows it.
#[test]
fn the_service_makes_no_system_call_that_its_unit_denies() {
    let upstream = Recorder::ok();
    let builder = Sekisho::builder().set("second_factor.policy", "off").upstream(&upstream.url()).user("alice", &[]);
    let calls = builder.folder().join("calls");
    let strace = ["strace", "-D", "-f", "-qq", "-c", "-U", "name", "-o", calls.to_str().unwrap()];
    let mut gate = builder.tls(&["app.test"]).started_by(&strace).start();
    let mut alice = Client::new(&gate);
    alice.sign_in_by_password_alone(&gate);
    assert_eq!(alice.get("/").status, 200);
    assert_eq!(Client::tls(&gate, "app.test").get("/.sekisho/login").status, 200);
    gate.add_user("bob", PASSWORD, &[]);
    gate.signal(rustix::process::Signal::HUP);
    assert!(gate.stop().success());
    // strace writes when it has seen the last of it.
    let made = crate::harness::wait_until("strace has counted", || {
        let text = std::fs::read_to_string(&calls).ok()?;
        text.lines().any(|line| line.trim() == "total").then_some(text)
    });
    let made: BTreeSet<String> = made
        .lines()
        .skip(1)
        .map(str::trim)
        .filter(|line| *line != "total" && !line.starts_with('-'))
        .map(str::to_owned)
        .collect();
    for known in ["accept4", "fdatasync", "setpriority", "prlimit64"] {
        assert!(made.contains(known), "strace was not understood, {known} is missing: {made:?}");
    }
    let allowed = allowed();
    let denied: Vec<_> = made.difference(&allowed).collect();
    assert!(denied.is_empty(), "the unit denies {denied:?}");
}
