//! Does what the control socket asks of the gateway as a whole.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

use super::reload::{Because, NotReloaded, Reloaded, Reloader};
use super::takeover::{HandedOver, Predecessor};
use crate::control::{Operation, Operations, ReloadOutcome, Reply};
use crate::service::reload::AskedBy;

/// The gateway, as whoever runs it speaks to it.
pub struct Operator {
    reloader: Arc<Reloader>,
    predecessor: OnceLock<Arc<Predecessor>>,
}

impl Operator {
    pub const fn new(reloader: Arc<Reloader>) -> Self {
        Self { reloader, predecessor: OnceLock::new() }
    }

    pub fn can_be_followed(&self, predecessor: Arc<Predecessor>) {
        let _ = self.predecessor.set(predecessor);
    }

    async fn upgrade(&self, file: &Path) -> Reply {
        let Some(predecessor) = self.predecessor.get() else {
            return Reply::Refused { reason: "this gateway cannot be followed by another process".into(), hint: None };
        };
        let own = predecessor.launch.config();
        if !is_same(own, file) {
            return Reply::Refused {
                reason: format!("this gateway was started with {}, not with {}", own.display(), file.display()),
                hint: Some(format!("`sekisho upgrade --config {}`", own.display())),
            };
        }
        match predecessor.hand_over().await {
            Ok(HandedOver { pid, version, pause }) => Reply::HandedOver {
                pid,
                version,
                pause_ms: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                former: std::process::id(),
            },
            Err(error) => Reply::Refused { reason: error.to_string(), hint: error.hint() },
        }
    }

    async fn reload(&self, file: &Path) -> Reply {
        let own = self.reloader.file();
        if !is_same(&own, file) {
            return Reply::Refused {
                reason: format!("this gateway was started with {}, not with {}", own.display(), file.display()),
                hint: Some(format!("`sekisho reload --config {}`", own.display())),
            };
        }
        // Somebody who asked and went away does not stop what has begun.
        let reloader = Arc::clone(&self.reloader);
        let reloading = tokio::spawn(async move { reloader.reload(AskedBy::CommandLine).await });
        match reloading.await {
            Ok(Ok(Reloaded { warnings })) => Reply::Configuration { outcome: ReloadOutcome::Taken, problems: warnings },
            Ok(Err(NotReloaded { problems, because })) => {
                let outcome = match because {
                    Because::Invalid => ReloadOutcome::Invalid,
                    Because::Refused => ReloadOutcome::Refused,
                };
                Reply::Configuration { outcome, problems }
            }
            Err(_) => Reply::Failed { reason: "the reload came to no end; the gateway's log says more".into() },
        }
    }
}

/// By whatever name.
fn is_same(own: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    own == other || real(own).is_some_and(|own| Some(own) == real(other))
}

#[async_trait]
impl Operations for Operator {
    async fn operate(&self, operation: Operation) -> Reply {
        match operation {
            Operation::Reload { file } => self.reload(&file).await,
            Operation::Upgrade { file } => self.upgrade(&file).await,
        }
    }
}
