//! The storage that a table on disk needs: ordered bytes to bytes.
//!
//! The trait lives with its consumer; what implements it (a storage engine, a test) is a detail
//! of the hosts. All methods may be called from several threads at once; each call is atomic.

use std::ops::Bound;

use crate::error::TableError;

/// What is done with each entry of a range: whether to go on.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> bool + 'a;

/// An ordered map of bytes, somewhere.
pub trait Rows: Send + Sync {
    /// The value of a key.
    ///
    /// # Errors
    /// When the storage fails.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError>;

    /// Sets the value of a key.
    ///
    /// # Errors
    /// When the storage fails; nothing is changed then.
    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), TableError>;

    /// Removes a key, if it is there.
    ///
    /// # Errors
    /// When the storage fails; nothing is changed then.
    fn remove(&self, key: &[u8]) -> Result<(), TableError>;

    /// Visits entries from a bound, upwards or downwards, until told to stop.
    ///
    /// # Errors
    /// When the storage fails.
    fn range(
        &self,
        from: Bound<&[u8]>,
        is_up: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), TableError>;

    /// Removes everything.
    ///
    /// # Errors
    /// When the storage fails.
    fn clear(&self) -> Result<(), TableError>;

    /// Bytes on disk, as well as the storage knows them.
    fn disk_bytes(&self) -> u64;
}
