//! The commit log: records in order, in segments, each checksummed.
//!
//! `record` is the layout of a frame and of a segment's header, `reader` looks at the bytes of
//! one segment, `recover` decides at opening what is there, what was torn and what is damaged,
//! `writer` appends and syncs, `salvage` reads past damage for an export. The format is in
//! `docs/disk.md`.
//!
//! Never here: what a record means.

use std::fmt;

mod reader;
mod record;
mod recover;
mod salvage;
mod writer;

pub use record::is_segment_name;
pub use recover::{Cut, Recovered};
pub use writer::Log;

/// A position in the log: bytes of frames since its beginning, across all segments, their
/// headers not counted. Strictly increasing; the end of one record is the beginning of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(u64);

impl Lsn {
    /// The beginning of every log.
    pub const START: Self = Self(0);

    /// A position that was stored somewhere as a number.
    #[must_use]
    pub fn new(position: u64) -> Self {
        Self(position)
    }

    /// The position as a number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)
    }
}
