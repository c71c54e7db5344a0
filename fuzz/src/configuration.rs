//! A configuration file: it loads and is sound, or each problem of it has a place.

use std::path::Path;

use http::Method;
use sekisho::authz::{Access, HostPattern, NormalTarget, RawTarget, RoutePath};
use sekisho::config::{self, Config, Diagnostic, Severity, Store};

use crate::sample;

/// What the environment holds: a message must not repeat it.
const SECRET: &str = "Tr0ub4dor-und-3";

/// The text of the file.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // These name other files: nobody wants the fuzzer to read what it likes of this machine.
    if text.contains("/proc") || text.contains("/sys") || text.contains("/dev") || text.contains("../") {
        return;
    }
    let file = sample::FOLDER.join("sekisho.yaml");
    let variables = |name: &str| (name == "SECRET").then(|| SECRET.to_owned());
    match config::parse(text, &file, &variables) {
        Ok(loaded) => {
            told(text, &file, &loaded.warnings);
            assert!(loaded.warnings.iter().all(|problem| problem.severity == Severity::Warning));
            sound(&loaded.config);
            let again = config::parse(text, &file, &variables).expect("it loaded a moment ago");
            assert_eq!(again.warnings, loaded.warnings);
        }
        Err(problems) => {
            assert!(problems.iter().any(|problem| problem.severity == Severity::Error), "refused without a word");
            told(text, &file, &problems);
        }
    }
}

fn told(text: &str, file: &Path, problems: &[Diagnostic]) {
    // As editors count them: what YAML takes for a line break ends a line.
    let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count();
    for problem in problems {
        let shown = problem.to_string();
        // A theme's files have places of their own.
        let ends = if Path::new(&problem.file) == file { lines + 1 } else { usize::MAX };
        assert!((1..=ends).contains(&problem.line) && problem.column >= 1, "there is no such place: {shown}");
        assert!(!problem.message.is_empty(), "{shown}");
        assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
        assert!(!problem.line().contains('\n'), "{shown:?}");
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(shown.len() <= 2 * text.len() + 4096, "{shown}");
    }
}

fn sound(config: &Config) {
    assert_eq!(config.routes.iter().count(), config.upstreams.len());
    assert!(config.routes.iter().count() > 0 && !config.portal.languages.is_empty() && config.server.workers > 0);
    assert!(!config.server.listen.is_empty() || config.server.tls.is_some());
    assert!(matches!(config.store, Store::Sled { .. }), "an engine that is not there");
    let portal = &config.portal.path;
    assert!(portal.starts_with('/') && !portal.ends_with('/') && portal.len() > 1, "{portal}");
    assert!(config.second_factor.totp.digits >= 6 && config.second_factor.recovery_codes.digits >= 6);
    assert!(config.lockout.max_failures > 0 && config.lockout.max_in_row <= 100, "{:?}", config.lockout);
    assert!(config.session.max_per_user > 0 && config.second_factor.mail_code.max_attempts > 0);
    let argon2 = config.password.argon2;
    assert!(argon2.iterations > 0 && argon2.parallelism > 0 && argon2.memory_kib >= 8 * argon2.parallelism);

    let portal = RoutePath::parse(portal).expect("a path");
    for (id, route) in config.routes.iter() {
        let upstream = config.upstream(id).expect("each route has its upstreams");
        let weights: u32 = upstream.upstreams.iter().map(|one| one.weight).sum();
        assert!(weights > 0 || (route.access == Access::Deny && upstream.upstreams.is_empty()), "{}", route.name);
        assert!(!portal.covers(route.path.as_str()), "{} lies within the portal", route.name);
        assert!(!route.name.is_empty());
        assert!(route.idle_timeout <= config.session.idle_timeout, "{}", route.name);
        let same = config.routes.iter().filter(|(_, other)| other.name == route.name).count();
        assert_eq!(same, 1, "{}", route.name);
        let mut names: Vec<_> = upstream.identity.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|two| two[0] != two[1]), "{names:?}");
        leads_there(config, &route.host, route.path.as_str(), route.methods.first());
    }
}

/// Whoever asks for a route's own path comes to a route of that path and host: no other one is in its way.
fn leads_there(config: &Config, host: &HostPattern, path: &str, method: Option<&Method>) {
    let authority = match host {
        HostPattern::Exact(host) => host.to_string(),
        HostPattern::Wildcard(suffix) => format!("zz-any.{suffix}"),
        HostPattern::Any => "zz-any.invalid".to_owned(),
    };
    let escaped: String = path
        .bytes()
        .map(|b| {
            if b.is_ascii_graphic() && b != b'?' && b != b'#' { char::from(b).to_string() } else { format!("%{b:02X}") }
        })
        .collect();
    let raw = RawTarget { target: escaped.as_bytes(), authority: Some(authority.as_bytes()), secure: true };
    // A wildcard's suffix may be as long as a whole name.
    let Ok(target) = NormalTarget::parse(raw) else { return };
    let Ok(found) = config.routes.find(&target, method.unwrap_or(&Method::GET)) else { return };
    let found = found.and_then(|id| config.routes.get(id)).expect("the route itself would do");
    assert_eq!(found.path.as_str(), path);
    assert_eq!(&found.host, host);
}
