//! `sekisho store export`: the lines that the gateway tells, or the store itself, into a file of this process's user. The file gets
//! its name once it is complete and on the disk.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::counted;
use crate::cli::backend::Backend;
use crate::cli::output::{self, Progress};
use crate::cli::{ConfigFile, Failure, Format};
use crate::control::{Command, Reply};

pub fn run(file: &Path, force: bool, config: &ConfigFile, format: Format) -> Result<(), Failure> {
    let backend = Backend::open(config)?;
    let mut target = Target::open(file, force)?;
    let mut progress = Progress::new("exporting");
    let reply = backend.listen(Command::StoreExport, |piece| {
        match piece {
            Reply::Progress { done, total } => progress.at(done, total),
            Reply::Lines(lines) => target.write(&lines)?,
            other => return Err(Backend::unexpected(&other)),
        }
        Ok(())
    });
    drop(progress);
    let records = match reply? {
        Reply::Exported(records) => records,
        other => return Err(Backend::unexpected(&other)),
    };
    match target.finish()? {
        // Standard output has the export itself.
        None => {
            output::complain(&format!("exported: {}\n", counted(&records)));
            Ok(())
        }
        Some(file) if format.json => output::json(&serde_json::json!({ "file": file, "records": records })),
        Some(file) => {
            output::line(format_args!("{} written (mode 0600): {}", file.display(), counted(&records)))?;
            output::line("It is read with the key file of now alone: keep a copy of that as well, in another place.")
        }
    }
}

/// Where the lines go.
enum Target {
    Output,
    File { writer: BufWriter<NamedTempFile>, name: PathBuf, force: bool },
}

impl Target {
    fn open(file: &Path, force: bool) -> Result<Self, Failure> {
        if file == Path::new("-") {
            return Ok(Self::Output);
        }
        if !force && file.symlink_metadata().is_ok() {
            return Err(exists(file));
        }
        let folder = match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // Made with mode 0600, and gone again where it is not finished.
        let begun = tempfile::Builder::new().prefix(".sekisho-export-").tempfile_in(folder);
        let begun = begun.map_err(|error| cannot(file, &error))?;
        Ok(Self::File { writer: BufWriter::new(begun), name: file.to_owned(), force })
    }

    fn write(&mut self, lines: &[String]) -> Result<(), Failure> {
        let mut text = String::new();
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        match self {
            Self::Output => match output::stream(&text)? {
                true => Ok(()),
                false => Err(Failure::because("the reader has left before the export was complete")),
            },
            Self::File { writer, name, .. } => writer.write_all(text.as_bytes()).map_err(|error| cannot(name, &error)),
        }
    }

    /// The file, where it is one.
    fn finish(self) -> Result<Option<PathBuf>, Failure> {
        let Self::File { writer, name, force } = self else { return Ok(None) };
        let begun = writer.into_inner().map_err(|error| cannot(&name, error.error()))?;
        begun.as_file().sync_all().map_err(|error| cannot(&name, &error))?;
        let kept = if force { begun.persist(&name) } else { begun.persist_noclobber(&name) };
        kept.map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => exists(&name),
            _ => cannot(&name, &error.error),
        })?;
        let folder = name.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| cannot(&name, &error))?;
        Ok(Some(name))
    }
}

fn exists(file: &Path) -> Failure {
    Failure::because(format!("{} exists and is left as it is", file.display())).hint("--force replaces it")
}

fn cannot(file: &Path, error: &io::Error) -> Failure {
    Failure::of(format_args!("cannot write {}", file.display()), error)
}
