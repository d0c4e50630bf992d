//! What an export command gets from a damaged file: all that is intact, and what is not.
//!
//! Never used for opening a database: a database that leaves something out is a wrong one.

use crate::error::StoreError;

/// What was found in a file, or in a log.
#[derive(Debug, Clone, Default)]
pub struct Salvage {
    /// Blocks or records that were handed out.
    pub intact: u64,
    /// Every place where something intact should have been and was not, as `Damaged` errors,
    /// in order.
    pub damaged: Vec<StoreError>,
}
