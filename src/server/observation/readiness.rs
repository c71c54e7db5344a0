//! Whether requests should be sent here: asked by load balancers, so the answer is quick, whatever hangs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::listeners::Listeners;
use crate::service::Services;

/// What is looked at.
pub struct Readiness {
    services: Services,
    listeners: Arc<Listeners>,
    stopping: AtomicBool,
}

impl Readiness {
    pub const fn new(services: Services, listeners: Arc<Listeners>) -> Self {
        Self { services, listeners, stopping: AtomicBool::new(false) }
    }

    /// From now on it is not.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Why not, where it is not.
    pub async fn check(&self) -> Result<(), &'static str> {
        if self.stopping.load(Ordering::Acquire) {
            return Err("it stops");
        }
        if self.listeners.addresses().is_empty() {
            return Err("no listener is open");
        }
        if self.services.health.passwords_are_stuck() {
            return Err("passwords are not being hashed");
        }
        if !self.services.health.store_can_be_read(self.services.clock.now()).await {
            return Err("the store cannot be read");
        }
        Ok(())
    }
}
