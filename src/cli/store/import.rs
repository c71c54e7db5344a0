//! `sekisho store import`: a new store from an export. The whole file is examined first; a store that was begun and not finished
//! counts as none.

use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom};
use std::path::Path;

use super::counted;
use crate::cli::backend::{Backend, store_failure};
use crate::cli::output::{self, Progress};
use crate::cli::{ConfigFile, Failure, Format};
use crate::service::care::restore::{self, NotRestored};
use crate::store::engine::StoreError;
use crate::store::open;

pub fn run(file: &Path, config: &ConfigFile, format: Format) -> Result<(), Failure> {
    let backend = Backend::open(config)?;
    let config = backend.config();
    if backend.gateway_runs()? {
        return Err(Failure::because("a gateway runs with this configuration, so there is a store already")
            .hint("an export is taken into a new store only; docs/backup.md says how"));
    }
    let shown = file.display();
    let mut opened = File::open(file).map_err(|error| Failure::of(format_args!("cannot open {shown}"), &error))?;
    let is_file = opened.metadata().is_ok_and(|about| about.is_file());
    if !is_file {
        return Err(Failure::because(format!("{shown} is no file; it is read twice, so it must be one")));
    }
    let mut progress = Progress::new("examining");
    let examined = restore::examine(BufReader::new(&opened), &config.keys, |lines| progress.at(lines, 0));
    drop(progress);
    let examined = examined.map_err(|error| {
        Failure::of(format_args!("{shown} is not taken in, and nothing was written"), &error)
            .hint("the export needs the key file of its time: the keys that are in it may be put behind each other, one a line")
    })?;

    let filling = backend.run(open::fill_configured(&config.store, &config.key_file));
    let filling = filling.map_err(|error| match error {
        StoreError::Present(_) => store_failure(&error, config).hint(format!(
            "an export is taken into a new store only: move the old one away, and {}.store-id too",
            config.key_file.display()
        )),
        error => store_failure(&error, config),
    })?;
    opened.seek(SeekFrom::Start(0)).map_err(|error| Failure::of(format_args!("cannot read {shown}"), &error))?;
    let mut progress = Progress::new("importing");
    let written = backend.run(async {
        let so_far = |lines| progress.at(lines, examined.lines);
        let written = restore::write(filling.store(), BufReader::new(&opened), &examined, so_far).await?;
        filling.finish().await?;
        Ok::<_, NotRestored>(written)
    });
    drop(progress);
    let written = written.map_err(|error| {
        Failure::of("the import was not finished", &error)
            .hint("the store is refused until `sekisho store import` has begun it anew")
    })?;

    if format.json {
        return output::json(&serde_json::json!({
            "made_at": examined.made_at,
            "in_export": examined.records,
            "in_store": written,
            "void": ["sessions", "devices", "codes", "links"],
        }));
    }
    output::line(format_args!("{shown}, made at {}, taken in as a whole:", examined.made_at))?;
    output::line(format_args!("  in the export: {}", counted(&examined.records)))?;
    output::line(format_args!("  in the store:  {}", counted(&written)))?;
    output::line(
        "Sessions, remembered browsers, and codes and links on their way are void: everybody signs in anew, with the second factor.",
    )
}
