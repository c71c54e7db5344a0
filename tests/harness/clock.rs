//! The product's wall clock, by libfaketime's file: an offset to the machine's clock, in seconds. The monotonic clock is left alone.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

/// A clock that tests turn.
pub struct Clock {
    file: PathBuf,
    offset: Mutex<i64>,
}

impl Clock {
    /// One that shows the machine's time, in this file.
    pub fn new(file: PathBuf) -> Self {
        let clock = Self { file, offset: Mutex::new(0) };
        clock.write(0);
        clock
    }

    /// How many seconds it is ahead of the machine's.
    pub fn offset(&self) -> i64 {
        *self.offset.lock().unwrap()
    }

    /// Ahead by so many seconds, or back.
    pub fn turn(&self, seconds: i64) {
        let mut offset = self.offset.lock().unwrap();
        *offset += seconds;
        self.write(*offset);
    }

    fn write(&self, offset: i64) {
        // Renamed into place, so that the product never reads half a number.
        let fresh = self.file.with_extension("new");
        std::fs::write(&fresh, format!("{offset:+}")).unwrap();
        std::fs::rename(&fresh, &self.file).unwrap();
    }

    /// Has a programme run by it.
    pub fn apply(&self, command: &mut Command) {
        let multiarch = std::fs::read_dir("/usr/lib").unwrap().flatten().map(|entry| entry.path());
        let library = multiarch
            .map(|folder| folder.join("faketime/libfaketimeMT.so.1"))
            .find(|file| file.exists())
            .expect("libfaketime is installed (Debian's package `libfaketime`)");
        command
            .env("LD_PRELOAD", library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1");
    }
}
