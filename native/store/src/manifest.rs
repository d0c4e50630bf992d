//! Which files make the database. One small file, replaced by rename only.
//!
//! The manifest is the one place that says from where the log counts and which snapshots are
//! valid; a file that it does not name does not exist for the database. Never here: what its
//! payload means (the database keeps its schema there).

use std::collections::BTreeSet;
use std::io::ErrorKind;

use crate::cursor::Cursor;
use crate::disk::{Disk, is_plain_name, read_full, write_all};
use crate::error::{DamageKind, StoreError};
use crate::head::{self, FileKind, HEAD_BYTES};
use crate::limits::Limits;
use crate::log::Lsn;
use crate::size::{narrow, short, wide};
use crate::snapshot::{SNAPSHOT_SUFFIX, UNFINISHED_SUFFIX};

/// The manifest's file name.
pub const MANIFEST_NAME: &str = "MANIFEST";
const TEMPORARY_NAME: &str = "MANIFEST.tmp";
/// Offset of the body: head, length, checksum.
const BODY_OFFSET: usize = HEAD_BYTES + 8;

/// One snapshot that belongs to the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotEntry {
    /// File name.
    pub name: String,
    /// The id it was written with.
    pub id: u64,
    /// It holds everything before this position of the log.
    pub lsn: Lsn,
}

/// What makes the database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    /// The id of the log, as given to [`Log::create`](crate::Log::create).
    pub log_id: u64,
    /// Recovery reads the log from here on.
    pub log_start: Lsn,
    /// The valid snapshots.
    pub snapshots: Vec<SnapshotEntry>,
    /// The database's own: schema, table list.
    pub payload: Vec<u8>,
}

impl Manifest {
    /// Reads the manifest; `None` when there is none.
    ///
    /// # Errors
    /// `Damaged`, `TooNew`, `Io`. Nothing is touched in any case.
    pub fn load(disk: &dyn Disk, limits: &Limits) -> Result<Option<Self>, StoreError> {
        limits.check()?;
        let file = match disk.open(MANIFEST_NAME) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| io("open", error))?,
        };
        let size = file.size().map_err(|error| io("size", error))?;
        let mut start = [0u8; HEAD_BYTES];
        let read = read_full(file.as_ref(), 0, &mut start).map_err(|e| io("read", e))?;
        let head = start.get(..read).unwrap_or_default();
        head::read(FileKind::Manifest, MANIFEST_NAME, &mut Cursor::new(head))?;
        if size > wide(limits.manifest_bytes_max) {
            return Err(damaged(0, DamageKind::Long));
        }
        let mut bytes = vec![0u8; narrow(size)];
        let read = read_full(file.as_ref(), 0, &mut bytes).map_err(|e| io("read", e))?;
        bytes.truncate(read);
        Self::parse(&bytes).map(Some)
    }

    /// Puts this manifest in the place of the one on disk.
    ///
    /// - Crash: after `Ok` the new one is on disk; before, the old one or the new one, whole.
    ///
    /// # Errors
    /// `TooLarge`, `BadName` (nothing was done); `Full` (the old one is in place); `Io` (the
    /// old or the new one is in place: whoever goes on must reopen first).
    pub fn store(&self, disk: &dyn Disk, limits: &Limits) -> Result<(), StoreError> {
        let bytes = self.to_bytes()?;
        if bytes.len() > limits.manifest_bytes_max {
            return Err(StoreError::TooLarge {
                what: "manifest",
                bytes: wide(bytes.len()),
                max: wide(limits.manifest_bytes_max),
            });
        }
        let file = crate::snapshot::open_fresh(disk, TEMPORARY_NAME)?;
        if let Err(error) = write_all(file.as_ref(), 0, &bytes) {
            // What cannot be removed now is swept at the next start.
            drop(disk.remove(TEMPORARY_NAME));
            return Err(StoreError::write(
                TEMPORARY_NAME,
                0,
                wide(bytes.len()),
                error,
            ));
        }
        file.sync_data()
            .map_err(|error| StoreError::io(TEMPORARY_NAME, "sync", 0, error))?;
        disk.rename(TEMPORARY_NAME, MANIFEST_NAME)
            .map_err(|error| io("rename", error))?;
        disk.sync_dir().map_err(|error| io("sync", error))
    }

    /// Removes snapshots that this manifest does not name and files that were never finished.
    /// To be called at opening, before anything is written. Returns their names.
    ///
    /// # Errors
    /// `Io`.
    pub fn sweep(&self, disk: &dyn Disk) -> Result<Vec<String>, StoreError> {
        let kept: BTreeSet<&str> = self
            .snapshots
            .iter()
            .map(|entry| entry.name.as_str())
            .collect();
        let names = disk.list().map_err(|error| io("list", error))?;
        let is_ours =
            |name: &String| name.ends_with(SNAPSHOT_SUFFIX) || name.ends_with(UNFINISHED_SUFFIX);
        let mut swept: Vec<String> = names
            .into_iter()
            .filter(|name| is_ours(name) && !kept.contains(name.as_str()))
            .collect();
        if swept.is_empty() {
            return Ok(swept);
        }
        // The manifest that was read may not be on disk under its name yet, and the one that
        // is may need what is removed here.
        disk.sync_dir().map_err(|error| io("sync", error))?;
        for name in &swept {
            disk.remove(name)
                .map_err(|error| StoreError::io(name, "remove", 0, error))?;
        }
        disk.sync_dir().map_err(|error| io("sync", error))?;
        swept.sort();
        Ok(swept)
    }

    fn to_bytes(&self) -> Result<Vec<u8>, StoreError> {
        let mut body = Vec::new();
        body.extend_from_slice(&self.log_id.to_le_bytes());
        body.extend_from_slice(&self.log_start.get().to_le_bytes());
        body.extend_from_slice(&short(self.snapshots.len()).to_le_bytes());
        for entry in &self.snapshots {
            let length = u16::try_from(entry.name.len()).ok();
            let Some(length) = length.filter(|_| is_plain_name(&entry.name)) else {
                return Err(StoreError::BadName {
                    name: entry.name.clone(),
                });
            };
            body.extend_from_slice(&entry.id.to_le_bytes());
            body.extend_from_slice(&entry.lsn.get().to_le_bytes());
            body.extend_from_slice(&length.to_le_bytes());
            body.extend_from_slice(entry.name.as_bytes());
        }
        body.extend_from_slice(&short(self.payload.len()).to_le_bytes());
        body.extend_from_slice(&self.payload);
        let mut out = Vec::with_capacity(body.len().saturating_add(BODY_OFFSET));
        head::write(FileKind::Manifest, &mut out);
        out.extend_from_slice(&short(body.len()).to_le_bytes());
        out.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
        out.extend_from_slice(&body);
        Ok(out)
    }

    fn parse(bytes: &[u8]) -> Result<Self, StoreError> {
        let mut cursor = Cursor::new(bytes);
        head::read(FileKind::Manifest, MANIFEST_NAME, &mut cursor)?;
        let (Some(length), Some(sum)) = (cursor.u32(), cursor.u32()) else {
            return Err(damaged(wide(HEAD_BYTES), DamageKind::Short));
        };
        let offset = wide(BODY_OFFSET);
        let body = cursor.take(narrow(u64::from(length)));
        let body = body.ok_or_else(|| damaged(offset, DamageKind::Short))?;
        if !cursor.rest().is_empty() {
            return Err(damaged(
                offset.saturating_add(wide(body.len())),
                DamageKind::Trailing,
            ));
        }
        if crc32c::crc32c(body) != sum {
            return Err(damaged(offset, DamageKind::PayloadChecksum));
        }
        Self::parse_body(body).ok_or_else(|| damaged(offset, DamageKind::Field))
    }

    fn parse_body(body: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(body);
        let log_id = cursor.u64()?;
        let log_start = Lsn::new(cursor.u64()?);
        let count = cursor.u32()?;
        let mut snapshots = Vec::new();
        for _ in 0..count {
            let id = cursor.u64()?;
            let lsn = Lsn::new(cursor.u64()?);
            let length = cursor.u16()?;
            let name = std::str::from_utf8(cursor.take(usize::from(length))?).ok()?;
            if !is_plain_name(name) {
                return None;
            }
            snapshots.push(SnapshotEntry {
                name: name.to_owned(),
                id,
                lsn,
            });
        }
        let length = cursor.u32()?;
        let payload = cursor.take(narrow(u64::from(length)))?.to_vec();
        cursor.rest().is_empty().then_some(Self {
            log_id,
            log_start,
            snapshots,
            payload,
        })
    }
}

fn io(operation: &'static str, error: std::io::Error) -> StoreError {
    StoreError::io(MANIFEST_NAME, operation, 0, error)
}

fn damaged(offset: u64, kind: DamageKind) -> StoreError {
    StoreError::damaged(MANIFEST_NAME, offset, kind)
}
