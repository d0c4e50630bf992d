//! The smallest database there is over the store: a list of payloads that only grows.
//!
//! It uses the store in the order in which a real one must, so that a crash test over it tests
//! that order too. [`Bug`] names deliberate mistakes, in the database or in the disk below it,
//! each of which the crash test must find.

#![allow(dead_code, missing_docs, unreachable_pub)]

use std::io;
use std::sync::Arc;

use magnesia_store::sim::SimDisk;
use magnesia_store::snapshot::snapshot_name;
use magnesia_store::{
    Disk, DiskFile, Limits, Log, Lsn, Manifest, SnapshotEntry, SnapshotReader, SnapshotWriter,
    StoreError,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    None,
    /// A sync is acknowledged without one.
    AckBeforeSync,
    /// The disk's fdatasync does nothing for log segments.
    NoLogSync,
    /// The disk's fdatasync does nothing for unfinished files.
    NoUnfinishedSync,
    /// The directory is never synced.
    NoDirSync,
    /// Old segments are removed before the manifest says that they are not needed.
    DropBeforeManifest,
    /// The snapshot begins at a position that it does not reach up to.
    SnapshotTooOld,
    /// Recovery does not look at payload checksums.
    NoPayloadCheck,
    /// Recovery passes over a bad frame to the next good one.
    SkipBadFrame,
    /// Files are removed at opening before the manifest that does not name them is durable.
    SweepTooEarly,
    /// Recovery leaves what it read in memory, unsynced.
    NoSyncAtOpen,
}

pub fn limits() -> Limits {
    Limits {
        segment_bytes: 900,
        ..Limits::default()
    }
}

pub struct Book {
    disk: Arc<dyn Disk>,
    log: Log,
    manifest: Manifest,
    bug: Bug,
    pub items: Vec<Vec<u8>>,
}

impl Book {
    pub fn open(sim: &SimDisk, bug: Bug) -> Result<Self, StoreError> {
        let is_opening = bug == Bug::NoSyncAtOpen;
        let opening: Arc<dyn Disk> = Arc::new(Lying {
            inner: sim.clone(),
            bug,
            is_opening,
        });
        let disk: Arc<dyn Disk> = Arc::new(Lying {
            inner: sim.clone(),
            bug,
            is_opening: false,
        });
        let Some(manifest) = Manifest::load(opening.as_ref(), &limits())? else {
            let log = Log::create(Arc::clone(&disk), 77, limits())?;
            let manifest = Manifest {
                log_id: 77,
                ..Manifest::default()
            };
            manifest.store(disk.as_ref(), &limits())?;
            return Ok(Self {
                disk,
                log,
                manifest,
                bug,
                items: Vec::new(),
            });
        };
        if bug == Bug::SweepTooEarly {
            let careless = Lying {
                inner: sim.clone(),
                bug: Bug::NoDirSync,
                is_opening: false,
            };
            manifest.sweep(&careless)?;
        }
        manifest.sweep(opening.as_ref())?;
        let mut items = Vec::new();
        for entry in &manifest.snapshots {
            let reader = SnapshotReader::open(opening.as_ref(), &entry.name, entry.id)?;
            for block in reader.blocks() {
                items.push(block?.bytes);
            }
        }
        let start = manifest.log_start;
        let log = match bug {
            Bug::NoPayloadCheck | Bug::SkipBadFrame => {
                careless_records(sim, start, bug, &mut items);
                Log::open(opening, 77, start, limits(), |_, _| Ok::<_, StoreError>(()))?.0
            }
            _ => {
                Log::open(opening, 77, start, limits(), |_, payload| {
                    items.push(payload.to_vec());
                    Ok::<_, StoreError>(())
                })?
                .0
            }
        };
        Ok(Self {
            disk,
            log,
            manifest,
            bug,
            items,
        })
    }

    pub fn append(&mut self, payload: &[u8]) -> Result<(), StoreError> {
        let items = &mut self.items;
        self.log
            .append_with(payload, |_| items.push(payload.to_vec()))
    }

    pub fn sync(&self) -> Result<(), StoreError> {
        if self.bug == Bug::AckBeforeSync {
            Ok(())
        } else {
            self.log.sync(self.log.end())
        }
    }

    pub fn rotate(&self) -> Result<(), StoreError> {
        self.log.rotate().map(|_| ())
    }

    pub fn close(&self) -> Result<(), StoreError> {
        self.log.close()
    }

    pub fn dump(&mut self) -> Result<(), StoreError> {
        let lsn = self.log.rotate()?;
        let id = self
            .manifest
            .snapshots
            .last()
            .map_or(1, |entry| entry.id + 1);
        let name = snapshot_name(id);
        let disk = Arc::clone(&self.disk);
        let mut writer = SnapshotWriter::create(disk, &name, id, b"items", limits())?;
        let left_out = usize::from(self.bug == Bug::SnapshotTooOld).min(self.items.len());
        for item in &self.items[..self.items.len() - left_out] {
            writer.block(item)?;
        }
        writer.finish()?;
        if self.bug == Bug::DropBeforeManifest {
            self.log.drop_before(lsn)?;
        }
        let next = Manifest {
            log_start: lsn,
            snapshots: vec![SnapshotEntry { name, id, lsn }],
            ..self.manifest.clone()
        };
        next.store(self.disk.as_ref(), &limits())?;
        let old = std::mem::replace(&mut self.manifest, next);
        self.log.drop_before(lsn)?;
        for entry in old.snapshots {
            let removed = self.disk.remove(&entry.name);
            removed.map_err(|error| StoreError::Io {
                file: entry.name,
                operation: "remove",
                offset: 0,
                error: Arc::new(error),
            })?;
        }
        Ok(())
    }
}

/// The two planted readers: they walk the frames without the checks that matter.
fn careless_records(sim: &SimDisk, start: Lsn, bug: Bug, items: &mut Vec<Vec<u8>>) {
    let files = sim.files();
    let segments = files.iter().filter(|(name, _)| name.ends_with(".mlog"));
    for (name, bytes) in segments {
        let first = u64::from_str_radix(&name[4..20], 16).expect("a segment's name");
        let mut at = 36;
        while let Some(header) = bytes.get(at..at + 24) {
            let length = u32::from_le_bytes(header[4..8].try_into().expect("four")) as usize;
            let sum = u32::from_le_bytes(header[16..20].try_into().expect("four"));
            let payload = bytes.get(at + 24..at + 24 + length);
            let is_frame = header[0] == 0xF1 && length > 0;
            let is_good = payload.is_some_and(|payload| {
                is_frame && (bug == Bug::NoPayloadCheck || crc32c::crc32c(payload) == sum)
            });
            if is_good {
                if first + at as u64 - 36 >= start.get() {
                    items.extend(payload.map(<[u8]>::to_vec));
                }
                at += 24 + length;
            } else if bug == Bug::SkipBadFrame || length == 0 && header[0] == 0xF1 {
                at += 1;
            } else {
                break;
            }
        }
    }
}

/// A disk that does not do all that it says it does.
struct Lying {
    inner: SimDisk,
    bug: Bug,
    is_opening: bool,
}

struct LyingFile {
    inner: Arc<dyn DiskFile>,
    is_lying: bool,
}

impl Lying {
    fn wrap(&self, name: &str, inner: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        let is_lying = self.is_opening
            || match self.bug {
                Bug::NoLogSync => name.ends_with(".mlog"),
                Bug::NoUnfinishedSync => name.ends_with(".tmp"),
                _ => false,
            };
        Arc::new(LyingFile { inner, is_lying })
    }
}

impl Disk for Lying {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(name, self.inner.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(name, self.inner.open(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }

    fn sync_dir(&self) -> io::Result<()> {
        if self.bug == Bug::NoDirSync || self.is_opening {
            Ok(())
        } else {
            self.inner.sync_dir()
        }
    }
}

impl DiskFile for LyingFile {
    fn size(&self) -> io::Result<u64> {
        self.inner.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write_at(offset, bytes)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.inner.truncate(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.is_lying {
            Ok(())
        } else {
            self.inner.sync_data()
        }
    }
}
