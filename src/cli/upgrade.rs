//! `sekisho upgrade`: the running gateway hands over to a new process of the program as it is on the disk now, and no connection
//! is refused.

use serde_json::json;

use super::backend::{Backend, ask_gateway};
use super::output;
use super::problems::told_here;
use super::{ConfigFile, Failure, Format};
use crate::config;
use crate::control::{Command, Operation, Reply};

pub fn run(config: &ConfigFile, format: Format) -> Result<(), Failure> {
    let file = super::absolute(&config.config)?;
    let command = Command::Operate(Operation::Upgrade { file: file.clone() });
    // What the file takes from the service's surroundings, credentials say, is there for the gateway and not for this command.
    let reply = ask_gateway(&config::admin_socket(&file), &command);
    match reply.map_err(|failure| told_here(&file, format, failure))? {
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
