//! `sekisho completions` and `sekisho man`, from the same definition as the arguments themselves.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Arguments, Failure, output};

#[derive(Debug, Args)]
pub struct Completions {
    /// The shell to print them for
    shell: Shell,
}

#[derive(Debug, Args)]
pub struct Pages {
    /// Write a page for each command into this folder instead: sekisho.1, sekisho-user.1, sekisho-user-add.1 and so on
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
}

pub fn completions(command: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(command.shell, &mut Arguments::command(), "sekisho", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

/// The page of the program and, behind it, of every command; or a file for each.
pub fn man(pages: &Pages) -> Result<(), Failure> {
    let mut command = Arguments::command();
    command.build();
    let written = match &pages.into {
        Some(folder) => write_all(&command, folder),
        None => {
            let mut text = Vec::new();
            return match render_all(&command, &mut text) {
                Ok(()) => output::print(&String::from_utf8_lossy(&text)),
                Err(error) => Err(Failure::of("cannot write the manual page", &error)),
            };
        }
    };
    written.map_err(|error| Failure::of("cannot write the manual pages", &error))
}

fn write_all(command: &clap::Command, folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut page = Vec::new();
    render(command, &mut page)?;
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    std::fs::write(folder.join(format!("{name}.1")), page)?;
    subcommands(command).try_for_each(|sub| write_all(sub, folder))
}

fn render_all(command: &clap::Command, pages: &mut Vec<u8>) -> std::io::Result<()> {
    render(command, pages)?;
    subcommands(command).try_for_each(|sub| render_all(sub, pages))
}

fn subcommands(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command.get_subcommands().filter(|sub| sub.get_name() != "help")
}

fn render(command: &clap::Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    clap_mangen::Man::new(command.clone()).render(page)?;
    let is_program = command.get_name() == "sekisho";
    page.write_all(if is_program { PROGRAM } else { COMMAND }.as_bytes())
}

/// What the definition of the arguments does not know. One of the sources of the page, in the language of manual pages (man(7)).
const PROGRAM: &str = include_str!("../../assets/man/program.roff");
const COMMAND: &str = include_str!("../../assets/man/command.roff");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_the_programs_has_all_sections() {
        let folder = tempfile::tempdir().unwrap();
        man(&Pages { into: Some(folder.path().to_owned()) }).unwrap();
        let program = std::fs::read_to_string(folder.path().join("sekisho.1")).unwrap();
        for section in ["NAME", "SYNOPSIS", "EXAMPLES", "FILES", "ENVIRONMENT", "EXIT STATUS"] {
            let heading = format!(".SH {section}");
            assert!(program.contains(&heading) || program.contains(&format!(".SH \"{section}\"")), "{section}");
        }
        fn check(command: &clap::Command, folder: &Path) {
            let name = command.get_display_name().unwrap_or_else(|| command.get_name());
            assert!(folder.join(format!("{name}.1")).exists(), "{name}.1 is missing");
            subcommands(command).for_each(|sub| check(sub, folder));
        }
        let mut command = Arguments::command();
        command.build();
        check(&command, folder.path());
        assert!(folder.path().join("sekisho-store-export.1").exists());
    }

    #[test]
    fn completions_know_every_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "sekisho", &mut script);
            let script = String::from_utf8(script).unwrap();
            for word in ["export", "rotate", "reset-second-factor", "completions"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
