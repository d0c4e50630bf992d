//! One owner for a directory at a time, across processes and within one.
//!
//! The lock is the operating system's (`flock` on the file `LOCK`), so it ends with its owner
//! however that ends; the file's content, process id and description, is for people only. The
//! file is never removed: removing it would let two owners hold two files of one name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::StoreError;

/// The lock file's name.
pub const LOCK_NAME: &str = "LOCK";
/// Bytes of the content that are looked at.
const CONTENT_BYTES_MAX: u64 = 4_096;

/// The ownership of a directory, given up when dropped.
#[derive(Debug)]
pub struct LockFile {
    file: File,
}

impl Drop for LockFile {
    /// Unlocks by name: a process that is being started at this moment has a copy of the file
    /// until it runs, and closing alone would leave the lock with the copy.
    fn drop(&mut self) {
        // Closing the file, which follows, is what is left when this fails.
        drop(self.file.unlock());
    }
}

impl LockFile {
    /// Takes the directory.
    ///
    /// - `owner`: how this process describes itself to the next that tries, one line.
    ///
    /// # Errors
    /// `InUse` with the owner's process id, `NoDirectory`, `Io`.
    pub fn acquire(dir: &Path, owner: &str) -> Result<Self, StoreError> {
        if !dir.is_dir() {
            return Err(StoreError::NoDirectory {
                dir: dir.display().to_string(),
            });
        }
        let io = |operation| move |error| StoreError::io(LOCK_NAME, operation, 0, error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(dir.join(LOCK_NAME)).map_err(io("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(dir, &mut file)),
            Err(TryLockError::Error(error)) => return Err(io("lock")(error)),
        }
        let owner: String = owner
            .chars()
            .filter(|c| !c.is_control())
            .take(255)
            .collect();
        file.set_len(0).map_err(io("truncate"))?;
        file.seek(SeekFrom::Start(0)).map_err(io("seek"))?;
        // Informative only: a full disk must not keep the owner from opening it.
        drop(file.write_all(format!("{}\n{owner}\n", std::process::id()).as_bytes()));
        Ok(Self { file })
    }

    /// Takes the directory and changes nothing in it, not even the lock file's text; nothing
    /// where there is no lock file, for then nobody owns the directory.
    ///
    /// # Errors
    /// `InUse` with the owner's process id, `NoDirectory`, `Io`.
    pub fn acquire_unchanged(dir: &Path) -> Result<Option<Self>, StoreError> {
        if !dir.is_dir() {
            return Err(StoreError::NoDirectory {
                dir: dir.display().to_string(),
            });
        }
        let io = |operation| move |error| StoreError::io(LOCK_NAME, operation, 0, error);
        let mut file = match File::open(dir.join(LOCK_NAME)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(io("open"))?,
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Err(in_use(dir, &mut file)),
            Err(TryLockError::Error(error)) => Err(io("lock")(error)),
        }
    }
}

fn in_use(dir: &Path, file: &mut File) -> StoreError {
    let mut content = String::new();
    drop(file.take(CONTENT_BYTES_MAX).read_to_string(&mut content));
    let mut lines = content.lines();
    let pid = lines.next().and_then(|line| line.parse().ok()).unwrap_or(0);
    let owner = lines.next().unwrap_or("unknown").to_owned();
    StoreError::InUse {
        dir: dir.display().to_string(),
        pid,
        owner,
    }
}
