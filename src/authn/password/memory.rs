//! The memory that argon2 computes in, kept from one hash to the next: to take 19 MiB for each, and to clear them after it, takes a
//! twentieth of the time of the hash itself.

use argon2::{Block, Params};
use zeroize::Zeroize;

use super::HashError;

/// What it holds is as good as a fast hash of the last password, so whoever has no more to do clears it.
#[derive(Default)]
pub struct Memory(Vec<Block>);

impl Memory {
    /// As much as hashes with these parameters take.
    pub(super) fn of(&mut self, params: &Params) -> Result<&mut [Block], HashError> {
        let wanted = params.block_count();
        let missing = wanted.saturating_sub(self.0.len());
        self.0.try_reserve_exact(missing).map_err(|_| argon2::Error::OutOfMemory)?;
        self.0.resize(self.0.len() + missing, Block::default());
        self.0.get_mut(..wanted).ok_or_else(|| argon2::Error::OutOfMemory.into())
    }

    /// Clears it and gives it back.
    pub fn clear(&mut self) {
        self.0.zeroize();
        self.0 = Vec::new();
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.clear();
    }
}
