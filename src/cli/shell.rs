//! `sekisho completions` and `sekisho man`, from the same definition as the arguments themselves.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Arguments, Failure, output};

#[derive(Debug, Args)]
pub struct Completions {
    /// The shell to print them for
    shell: Shell,
}

pub fn completions(command: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(command.shell, &mut Arguments::command(), "sekisho", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

/// The page of the program and, behind it, of every command.
pub fn man() -> Result<(), Failure> {
    let mut page = Vec::new();
    let mut command = Arguments::command();
    command.build();
    render(&command, &mut page).map_err(|error| Failure::of("cannot write the manual page", &error))?;
    output::print(&String::from_utf8_lossy(&page))
}

fn render(command: &clap::Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    clap_mangen::Man::new(command.clone()).render(page)?;
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        render(sub, page)?;
    }
    Ok(())
}
