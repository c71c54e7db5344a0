//! Whether the configuration in force is the one in the file.

use prometheus::{IntGauge, Registry};

use super::{gauge, registered};

/// How the last reload went.
pub struct Configuration {
    /// 1 where the file's configuration is in force, 0 after a reload that failed.
    pub reload_successful: IntGauge,
    /// When a configuration was last taken, in seconds since 1970.
    pub reload_seconds: IntGauge,
    /// Nodes on the store, this one included.
    pub nodes: IntGauge,
    /// Those of them whose configuration is another one than here.
    pub nodes_differing: IntGauge,
}

impl Configuration {
    pub(super) fn new(registry: &Registry) -> Self {
        let reload_successful = gauge(
            "sekisho_config_last_reload_successful",
            "Whether the last attempt to take the configuration file succeeded.",
        );
        let reload_seconds = gauge(
            "sekisho_config_last_reload_success_timestamp_seconds",
            "When a configuration was last taken, since the epoch.",
        );
        let nodes = gauge("sekisho_nodes", "Gateways that share the store, this one included.");
        nodes.set(1);
        let help = "Other gateways on the store whose configuration is not the one of this gateway.";
        let nodes_differing = gauge("sekisho_nodes_differing", help);
        Self {
            reload_successful: registered(registry, reload_successful),
            reload_seconds: registered(registry, reload_seconds),
            nodes: registered(registry, nodes),
            nodes_differing: registered(registry, nodes_differing),
        }
    }
}
