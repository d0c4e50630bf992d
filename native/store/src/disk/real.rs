//! A disk over one directory of the operating system.
//!
//! The only file of the crate, with `lockfile`, that touches `std::fs`. Never follows a name
//! out of its directory.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Disk, DiskFile, is_plain_name};
use crate::error::StoreError;

/// One directory.
#[derive(Debug)]
pub struct RealDisk {
    dir: PathBuf,
}

impl RealDisk {
    /// Takes an existing directory.
    ///
    /// # Errors
    /// [`StoreError::NoDirectory`].
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        if dir.is_dir() {
            Ok(Self {
                dir: dir.to_owned(),
            })
        } else {
            Err(StoreError::NoDirectory {
                dir: dir.display().to_string(),
            })
        }
    }

    /// Makes the directory and its parents where they are missing, durably.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn create(dir: &Path) -> Result<Self, StoreError> {
        let name = dir.display().to_string();
        fs::create_dir_all(dir).map_err(|error| StoreError::io(&name, "create", 0, error))?;
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync(parent).map_err(|error| StoreError::io(&name, "sync", 0, error))?;
        }
        Self::open(dir)
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        if is_plain_name(name) {
            Ok(self.dir.join(name))
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a plain file name",
            ))
        }
    }
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

impl Disk for RealDisk {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        Ok(Arc::new(RealFile {
            file: options.open(self.path(name)?)?,
        }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.path(name)?;
        let writable = OpenOptions::new().read(true).write(true).open(&path);
        let file = match writable {
            Err(error) if is_read_only(&error) => File::open(&path)?,
            other => other?,
        };
        Ok(Arc::new(RealFile { file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from)?, self.path(to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name)?)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn sync_dir(&self) -> io::Result<()> {
        sync(&self.dir)
    }
}

/// An export reads from a copy on read-only media; writes to it then fail on their own.
fn is_read_only(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    )
}

struct RealFile {
    file: File,
}

impl DiskFile for RealFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        FileExt::read_at(&self.file, buffer, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        FileExt::write_at(&self.file, bytes, offset)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
