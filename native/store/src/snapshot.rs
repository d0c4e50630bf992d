//! Snapshots: a meta block, numbered blocks of bytes, an end mark; written once, never changed.
//!
//! `write` makes one under a temporary name and renames it when all of it is on disk; `read`
//! gives the blocks back verified, or, in salvage, the intact ones and a list of the damaged.
//! The format is in `docs/disk.md`. Never here: what a block means, which snapshots are valid
//! (the manifest says that).

mod block;
mod read;
mod write;

pub use read::{Block, Blocks, SnapshotReader};
pub(crate) use write::open_fresh;
pub use write::{SnapshotInfo, SnapshotWriter};

/// Ending of the names of files that are not finished.
pub const UNFINISHED_SUFFIX: &str = ".tmp";
/// Ending of the names of snapshots.
pub const SNAPSHOT_SUFFIX: &str = ".msnap";

/// The name a snapshot is to have: `snap-<id as 16 hex digits>.msnap`.
#[must_use]
pub fn snapshot_name(id: u64) -> String {
    format!("snap-{id:016x}{SNAPSHOT_SUFFIX}")
}
