//! What can go wrong in the engine that the caller or the disk is to blame for.

use magnesia_term::Atom;
use thiserror::Error;

/// Why an operation on a table was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TableError {
    /// The key is not in a table that can only step from keys it has.
    #[error("no such key to step from")]
    NoSuchKey,
    /// The rows of a table on disk could not be read or written.
    #[error("the rows on disk failed: {reason}")]
    Storage {
        /// What the storage said, with file and position where it knows them.
        reason: String,
    },
    /// A row has a value that only one key of the table may have, and another key has it.
    #[error("another key has the value at position {position}, which is unique")]
    NotUnique {
        /// The table's name.
        table: Atom,
        /// The position.
        position: usize,
    },
    /// A row is larger than any table takes.
    #[error("a row of {bytes} bytes is over the limit of {max}")]
    RowTooLarge {
        /// Packed size of the row.
        bytes: usize,
        /// The limit.
        max: usize,
    },
}
