//! The trait behind which all files are: one flat directory of named files.
//!
//! A disk promises this and no more: a write that returned is seen by later reads and survives
//! the death of the process; a file's bytes survive power loss after [`DiskFile::sync_data`];
//! a name (created, renamed, removed) survives power loss after [`Disk::sync_dir`]. Until then
//! any part of it may be there or not. After a failed sync nothing is known.

use std::io;
use std::sync::Arc;

mod real;

pub use real::RealDisk;

/// A flat directory of files. All names are plain file names.
pub trait Disk: Send + Sync + 'static {
    /// Creates an empty file and opens it for writing; fails if the name is taken.
    ///
    /// # Errors
    /// The operating system's.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file for reading and writing, its content untouched.
    ///
    /// # Errors
    /// The operating system's; `NotFound` when there is no such file.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Puts the file `from` in the place of `to`, whether `to` exists or not.
    ///
    /// # Errors
    /// The operating system's.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// The operating system's; `NotFound` when there is no such file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The names of all files, in no order.
    ///
    /// # Errors
    /// The operating system's.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes all names durable.
    ///
    /// # Errors
    /// The operating system's. After an error it is not known which names are durable.
    fn sync_dir(&self) -> io::Result<()>;
}

/// One open file.
pub trait DiskFile: Send + Sync {
    /// The file's length in bytes.
    ///
    /// # Errors
    /// The operating system's.
    fn size(&self) -> io::Result<u64>;

    /// Reads up to `buffer.len()` bytes from `offset`; 0 at the end of the file.
    ///
    /// # Errors
    /// The operating system's.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// One write call at `offset`; may write less than given and says how much.
    ///
    /// # Errors
    /// The operating system's.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize>;

    /// Cuts the file (or extends it with zeros) to `length`.
    ///
    /// # Errors
    /// The operating system's.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Makes the file's bytes and length durable (fdatasync).
    ///
    /// # Errors
    /// The operating system's. After an error it is not known which bytes are durable, and
    /// trying again does not tell.
    fn sync_data(&self) -> io::Result<()>;
}

/// Writes all of `bytes`, in one call unless the disk takes only a part.
pub(crate) fn write_all(file: &dyn DiskFile, mut offset: u64, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match file.write_at(offset, rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                offset = offset.saturating_add(crate::size::wide(count));
                rest = rest.get(count..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Fills `buffer` from `offset`, or as much of it as the file has; returns how much.
pub(crate) fn read_full(file: &dyn DiskFile, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0usize;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(offset.saturating_add(crate::size::wide(filled)), rest) {
            Ok(0) => break,
            Ok(count) => filled = filled.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Whether `name` may be given to a [`Disk`]: 1 to 255 bytes, no slash, no zero byte, no dot
/// at the beginning.
#[must_use]
pub fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= crate::limits::NAME_BYTES_MAX
        && !name.starts_with('.')
        && !name.contains(['/', '\0', '\\'])
}
