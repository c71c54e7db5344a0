//! Does what the control socket asks of the gateway as a whole.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

use super::takeover::{HandedOver, Predecessor};
use crate::control::{Operation, Operations, Reply};

/// The gateway, as whoever runs it speaks to it.
#[derive(Default)]
pub struct Operator {
    predecessor: OnceLock<Arc<Predecessor>>,
}

impl Operator {
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
            Operation::Reload => Reply::Refused {
                reason: "this gateway cannot take a configuration while it runs".into(),
                hint: Some("restart it".into()),
            },
            Operation::Upgrade { file } => self.upgrade(&file).await,
        }
    }
}
