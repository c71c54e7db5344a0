//! Does what the control socket asks of the gateway as a whole.

use async_trait::async_trait;

use crate::control::{Operation, Operations, Reply};

/// The gateway, as whoever runs it speaks to it.
pub struct Operator;

#[async_trait]
impl Operations for Operator {
    async fn operate(&self, operation: Operation) -> Reply {
        match operation {
            Operation::Reload => Reply::Refused {
                reason: "this gateway cannot take a configuration while it runs".into(),
                hint: Some("restart it".into()),
            },
        }
    }
}
