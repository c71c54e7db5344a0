//! The file of an export: lines of JSON, so that it can still be read in ten years, by whatever there is then.
//!
//! ```text
//! {"sekisho_export":1,"made_by":"0.1.0","made_at":"2026-11-21T08:15:00Z","keys":["1f2e3d4c"]}
//! {"key":"user/ID","format":1,"record":{…}}       a record as it is stored; what is sealed stays sealed
//! {"key":"user/ID","gone":true}                   it was removed while the export was made
//! {"end":{"records":{"user":3,…},"sha256":"…"}}   of every byte before this line
//! ```
//!
//! Where a key stands in several lines, the last one counts. A file without its last line, or with any other byte in it than were
//! written, is no export.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::clock::Timestamp;
use crate::store::record::Raw;

/// The newest form of the file that this program writes and reads.
pub const FORM: u32 = 1;

/// The first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Head {
    pub sekisho_export: u32,
    pub made_by: String,
    pub made_at: String,
    /// Names of the keys that were in the key file.
    pub keys: Vec<String>,
}

/// What is in the last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// How many records of each kind there are.
    pub records: BTreeMap<String, u64>,
    pub sha256: String,
}

/// The digest of the lines so far.
#[derive(Default, Clone)]
pub struct Sum(Sha256);

impl Sum {
    /// A line, without its end.
    pub fn add(&mut self, line: &[u8]) {
        self.0.update(line);
        self.0.update(b"\n");
    }

    pub fn text(&self) -> String {
        HEXLOWER.encode(&self.0.clone().finalize())
    }
}

pub fn head(keys: Vec<String>, now: Timestamp) -> String {
    let made_by = env!("CARGO_PKG_VERSION").to_owned();
    json(&Head { sekisho_export: FORM, made_by, made_at: now.to_string(), keys })
}

/// `None`: what is stored there is no JSON.
pub fn record(raw: &Raw) -> Option<String> {
    let body: &RawValue = serde_json::from_slice(raw.body()).ok()?;
    // A line is one line: the store's JSON has no line break in it, but nothing says so.
    if body.get().contains('\n') {
        return None;
    }
    let (key, format) = (json(raw.key.as_str()), raw.format()?);
    Some(format!("{{\"key\":{key},\"format\":{format},\"record\":{}}}", body.get()))
}

pub fn gone(key: &str) -> String {
    format!("{{\"key\":{},\"gone\":true}}", json(key))
}

pub fn end(records: BTreeMap<String, u64>, sum: &Sum) -> String {
    #[derive(Serialize)]
    struct Last {
        end: End,
    }
    json(&Last { end: End { records, sha256: sum.text() } })
}

/// Texts, numbers and lists of ours: there is nothing in them that JSON could not say.
fn json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
