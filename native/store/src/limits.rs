//! Every bound of the crate, its default and its hard end. Documented in `docs/limits.md`.
//!
//! A bound at its default is meant never to be met by honest use; at the bound the caller gets
//! [`StoreError::TooLarge`] or
//! [`StoreError::Busy`], never a truncated file.

use crate::error::StoreError;

/// Default of [`Limits::record_bytes_max`]: 64 MiB.
pub const RECORD_BYTES_MAX: usize = 64 << 20;
/// Default of [`Limits::segment_bytes`]: 64 MiB.
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// Default of [`Limits::block_bytes_max`]: 64 MiB.
pub const BLOCK_BYTES_MAX: usize = 64 << 20;
/// Default of [`Limits::manifest_bytes_max`]: 64 MiB.
pub const MANIFEST_BYTES_MAX: usize = 64 << 20;
/// Default of [`Limits::sync_queue_max`].
pub const SYNC_QUEUE_MAX: usize = 65_536;
/// Default of [`Limits::job_queue_max`].
pub const JOB_QUEUE_MAX: usize = 1_024;
/// Highest value that any of the byte limits may be set to: 1 GiB.
pub const BYTES_CEILING: u64 = 1 << 30;
/// A file longer than this is not a segment of ours: one full segment and one full record
/// more, at their ceilings.
pub(crate) const SEGMENT_FILE_BYTES_MAX: u64 = 2 * BYTES_CEILING + 4096;
/// Longest file name, in bytes.
pub const NAME_BYTES_MAX: usize = 255;

/// The bounds given to a log, a snapshot, a manifest and a keeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest payload of one log record, 1 to 1 GiB.
    pub record_bytes_max: usize,
    /// A log segment that has reached this length is closed and a new one begun, 1 to 1 GiB.
    /// A segment may be longer by one record.
    pub segment_bytes: u64,
    /// Longest payload of one snapshot block (and of a snapshot's meta), 1 to 1 GiB.
    pub block_bytes_max: usize,
    /// Longest manifest file, 1 to 1 GiB.
    pub manifest_bytes_max: usize,
    /// Sync requests waiting for the keeper; one more is refused with `Busy`.
    pub sync_queue_max: usize,
    /// Background jobs waiting for the keeper; one more is refused with `Busy`.
    pub job_queue_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            record_bytes_max: RECORD_BYTES_MAX,
            segment_bytes: SEGMENT_BYTES,
            block_bytes_max: BLOCK_BYTES_MAX,
            manifest_bytes_max: MANIFEST_BYTES_MAX,
            sync_queue_max: SYNC_QUEUE_MAX,
            job_queue_max: JOB_QUEUE_MAX,
        }
    }
}

impl Limits {
    /// Refuses bounds that are zero or past [`BYTES_CEILING`].
    ///
    /// # Errors
    /// [`StoreError::BadLimit`] naming the first such bound.
    pub fn check(&self) -> Result<(), StoreError> {
        let wide = crate::size::wide;
        let bounds = [
            ("record_bytes_max", wide(self.record_bytes_max)),
            ("segment_bytes", self.segment_bytes),
            ("block_bytes_max", wide(self.block_bytes_max)),
            ("manifest_bytes_max", wide(self.manifest_bytes_max)),
            ("sync_queue_max", wide(self.sync_queue_max)),
            ("job_queue_max", wide(self.job_queue_max)),
        ];
        match bounds
            .into_iter()
            .find(|(_, value)| *value == 0 || *value > BYTES_CEILING)
        {
            None => Ok(()),
            Some((name, value)) => Err(StoreError::BadLimit {
                name,
                value,
                max: BYTES_CEILING,
            }),
        }
    }
}
