//! Reads every record once, so that damage shows at the start and not in the middle of somebody's login.
//!
//! A large store takes seconds for that, so it goes piece by piece: what is not read within the time that a start has for it is read beside
//! the requests (`store::sled::looker`). Nothing is let in by that which should not be: a damaged record cannot be read at any time. It is
//! about when that is noticed.
//!
//! Parts of long values that nothing leads to are found on the way; a crash leaves them behind.

use std::ops::Bound;
use std::time::Instant;

use ::sled::IVec;

use super::{Disk, explain, guarded};
use crate::store::engine::{StoreError, Version};
use crate::store::sled::value;

/// How many records are read between two looks at the time.
const PIECE: usize = 1000;

/// How far a store has been read.
pub(in crate::store) struct Survey {
    /// The last key that was read.
    after: Option<IVec>,
    /// The parts that were there when the store was opened, of values that were whole then: what is written since has keys of its own.
    parts: Vec<IVec>,
    /// Those of them that a record leads to.
    led_to: Vec<Vec<u8>>,
}

impl Survey {
    /// Begins one, before anything is written; parts of a commit that was never made go at once.
    pub(in crate::store) fn of(disk: &Disk) -> Result<Self, StoreError> {
        guarded(&disk.path, || {
            let newer = value::first_part_after(disk.tip()?);
            let mut parts = Vec::new();
            for key in disk.db()?.scan_prefix(value::PART).keys() {
                parts.push(key.map_err(|error| explain(&disk.path, error))?);
            }
            let unmade = parts.split_off(parts.partition_point(|part| **part < *newer));
            disk.drop_parts(unmade.iter().map(|part| part.to_vec()))?;
            Ok(Self { after: None, parts, led_to: Vec::new() })
        })
    }

    /// Goes on until then, at least by one piece. True: everything was read.
    pub(in crate::store) fn go_on(&mut self, disk: &Disk, until: Instant) -> Result<bool, StoreError> {
        guarded(&disk.path, || {
            while !self.piece(disk)? {
                if Instant::now() >= until {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// False: there is more.
    fn piece(&mut self, disk: &Disk) -> Result<bool, StoreError> {
        let (mut read, mut newest) = (0, Version(0));
        let from = self.after.clone().map_or(Bound::Included(value::FIRST_RECORD.into()), Bound::Excluded);
        for pair in disk.db()?.range::<IVec, _>((from, Bound::Unbounded)).take(PIECE) {
            let (key, value) = pair.map_err(|error| explain(&disk.path, error))?;
            read += 1;
            match disk.whole(&value) {
                Ok(whole) => newest = newest.max(whole.version),
                // Somebody may have replaced it between its head and its parts.
                Err(error) if disk.raw(&key)?.as_ref() == Some(&value) => return Err(error),
                Err(_) => {}
            }
            let head = disk.head(&value)?;
            self.led_to.extend(value::part_keys(head.version, head.parts));
            self.after = Some(key);
        }
        // The tip is written with the records, so it was there before them.
        if newest > disk.tip()? {
            return Err(disk.corrupt("a record is newer than the newest change".into()));
        }
        Ok(read < PIECE)
    }

    /// The parts that nothing leads to, once everything was read.
    pub(in crate::store) fn orphans(mut self) -> Vec<Vec<u8>> {
        self.led_to.sort_unstable();
        let is_led_to = |part: &IVec| self.led_to.binary_search_by(|known| known.as_slice().cmp(part)).is_ok();
        self.parts.iter().filter(|part| !is_led_to(part)).map(|part| part.to_vec()).collect()
    }
}
