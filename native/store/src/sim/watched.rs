//! A simulated disk with a watcher, who is told of every call before it is done.
//!
//! The watcher may do something of its own there, such as writing amid a dump, and may have a
//! sync left out. Faults that a disk has by itself are planned on [`SimDisk`] instead.

use std::io;
use std::sync::Arc;

use super::{OpKind, SimDisk};
use crate::disk::{Disk, DiskFile};

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// It is done.
    Through,
    /// A sync is reported as done and is not; any other call is done all the same.
    SkipSync,
}

/// Told of a call: its kind, and the file's name, empty where there is none. It may be called
/// from many threads, and again amid what it does itself.
pub type Watcher = Arc<dyn Fn(OpKind, &str) -> Pass + Send + Sync>;

/// A simulated disk that somebody watches.
#[derive(Clone)]
pub struct Watched {
    disk: SimDisk,
    watcher: Watcher,
}

struct WatchedFile {
    name: String,
    file: Arc<dyn DiskFile>,
    watcher: Watcher,
}

impl Watched {
    /// Has `watcher` watch a disk.
    #[must_use]
    pub fn over(disk: &SimDisk, watcher: Watcher) -> Self {
        Self {
            disk: disk.clone(),
            watcher,
        }
    }

    fn file(&self, name: &str, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(WatchedFile {
            name: name.to_owned(),
            file,
            watcher: Arc::clone(&self.watcher),
        })
    }
}

impl Disk for Watched {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        (self.watcher)(OpKind::Create, name);
        Ok(self.file(name, self.disk.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        (self.watcher)(OpKind::Open, name);
        Ok(self.file(name, self.disk.open(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        (self.watcher)(OpKind::Rename, from);
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        (self.watcher)(OpKind::Remove, name);
        self.disk.remove(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        (self.watcher)(OpKind::List, "");
        self.disk.list()
    }

    fn sync_dir(&self) -> io::Result<()> {
        match (self.watcher)(OpKind::SyncDir, "") {
            Pass::Through => self.disk.sync_dir(),
            Pass::SkipSync => Ok(()),
        }
    }
}

impl WatchedFile {
    fn tell(&self, kind: OpKind) -> Pass {
        (self.watcher)(kind, &self.name)
    }
}

impl DiskFile for WatchedFile {
    fn size(&self) -> io::Result<u64> {
        self.tell(OpKind::Size);
        self.file.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.tell(OpKind::Read);
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.tell(OpKind::Write);
        self.file.write_at(offset, bytes)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.tell(OpKind::Truncate);
        self.file.truncate(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.tell(OpKind::Sync) {
            Pass::Through => self.file.sync_data(),
            Pass::SkipSync => Ok(()),
        }
    }
}
