//! Bytes on disk: commit log, snapshots, manifest. Knows records, not tables.
//!
//! Map of the crate, from the bottom up:
//!
//! - [`disk`]: the trait behind which all files are, and the real one over a directory;
//!   [`sim`] is a disk in memory that forgets, tears, fills up and fails on demand.
//! - [`log`]: the commit log. Append is one write (survives the death of the process), sync is
//!   one fdatasync for all who wait (survives power loss), recovery is in `log::recover`.
//! - [`snapshot`]: files of checksummed blocks, written once and renamed into place.
//! - [`manifest`]: which files make the database; replaced by rename only.
//! - [`salvage`]: what an export gets from a damaged file.
//! - [`keeper`]: the storage thread, for callers that must not block on the disk.
//! - [`lockfile`]: one process per directory.
//! - [`error`], [`limits`]: every way to fail, every bound.
//!
//! ```
//! use std::sync::Arc;
//! use magnesia_store::{Limits, Log, Lsn, StoreError, sim::SimDisk};
//!
//! let disk = Arc::new(SimDisk::new(1));
//! let log = Log::create(disk.clone(), 42, Limits::default())?;
//! let lsn = log.append(b"a record")?; // survives the death of the process
//! log.sync(lsn)?; // and loss of power
//! drop(log);
//!
//! let (_, found) = Log::open(disk, 42, Lsn::START, Limits::default(), |_, record| {
//!     assert_eq!(record, b"a record");
//!     Ok::<_, StoreError>(())
//! })?;
//! assert_eq!(found.records, 1);
//! # Ok::<(), StoreError>(())
//! ```
//!
//! Never here: terms, tables, transactions, randomness, clocks. Files and threads only in
//! `disk::real`, `lockfile` and `keeper`. The formats are specified in `docs/disk.md`.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::as_conversions
    )
)]

pub mod disk;
pub mod error;
pub mod keeper;
pub mod limits;
pub mod lockfile;
pub mod log;
pub mod manifest;
pub mod salvage;
pub mod sim;
pub mod snapshot;

mod cursor;
mod head;
mod size;

pub use disk::{Disk, DiskFile, RealDisk};
pub use error::{DamageKind, StoreError};
pub use keeper::Keeper;
pub use limits::Limits;
pub use lockfile::LockFile;
pub use log::{Log, Lsn, Recovered};
pub use manifest::{Manifest, SnapshotEntry};
pub use salvage::Salvage;
pub use snapshot::{SnapshotInfo, SnapshotReader, SnapshotWriter};
