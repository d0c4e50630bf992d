//! Bounds of the engine. Each is explained in docs/limits.md.

/// Rows of a hashed table's segment before it splits in two.
pub const SEGMENT_ROWS_MAX: usize = 1024;

/// Entries of a tree's leaf before it splits in two.
pub const LEAF_ROWS_MAX: usize = 1024;

pub use crate::locks::WAITERS_MAX;

/// Packed bytes of one row.
pub const ROW_BYTES_MAX: usize = 1 << 30;
