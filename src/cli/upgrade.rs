//! `sekisho upgrade`: the running gateway hands over to a new process of the program as it is on the disk now, and no connection
//! is refused.

use serde_json::json;

use super::backend::Backend;
use super::output;
use super::{ConfigFile, Failure, Format};
use crate::control::{Command, Operation, Reply};

pub fn run(config: &ConfigFile, format: Format) -> Result<(), Failure> {
    let file = std::path::absolute(&config.config).map_err(|error| Failure::of(config.config.display(), &error))?;
    let reply = Backend::running(config)?.reply(Command::Operate(Operation::Upgrade { file }))?;
    match reply {
        Reply::HandedOver { pid, version, former, pause_ms } if format.json => {
            let told = json!({"pid": pid, "version": version, "former_pid": former, "pause_ms": pause_ms});
            output::print(&format!("{told}\n"))
        }
        Reply::HandedOver { pid, version, former, pause_ms } => output::print(&format!(
            "Process {pid} (sekisho {version}) serves; process {former} ends what is in flight.\n\
             Whoever needed the store meanwhile waited for {pause_ms} ms.\n"
        )),
        reply => Err(Backend::unexpected(&reply)),
    }
}
