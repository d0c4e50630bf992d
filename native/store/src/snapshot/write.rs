//! Writing a snapshot: under a temporary name until all of it is on disk.
//!
//! A snapshot that was not finished is removed when its writer is dropped; one that a crash
//! left behind is removed by [`Manifest::sweep`](crate::Manifest::sweep).

use std::fmt;
use std::sync::Arc;

use super::UNFINISHED_SUFFIX;
use super::block::{self, BlockKind, Totals};
use crate::disk::{Disk, DiskFile, is_plain_name, write_all};
use crate::error::StoreError;
use crate::head::{self, FileKind};
use crate::limits::Limits;
use crate::size::wide;

/// What a finished snapshot holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// File name.
    pub name: String,
    /// Number of blocks.
    pub blocks: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
}

/// A snapshot being written. One owner; blocks come in order.
pub struct SnapshotWriter {
    disk: Arc<dyn Disk>,
    file: Arc<dyn DiskFile>,
    name: String,
    temporary: String,
    id: u64,
    offset: u64,
    totals: Totals,
    block_bytes_max: usize,
    buffer: Vec<u8>,
    is_finished: bool,
}

impl SnapshotWriter {
    /// Begins a snapshot that will be called `name` once it is finished.
    ///
    /// - `id`: unlike that of any earlier snapshot in this directory; `SnapshotReader::open`
    ///   must be given the same.
    /// - `meta`: 0 B to `limits.block_bytes_max`; given back by the reader before any block.
    ///
    /// # Errors
    /// `BadName`, `BadLimit`, `TooLarge`, `Full`, `Io`.
    pub fn create(
        disk: Arc<dyn Disk>,
        name: &str,
        id: u64,
        meta: &[u8],
        limits: Limits,
    ) -> Result<Self, StoreError> {
        limits.check()?;
        let temporary = format!("{name}{UNFINISHED_SUFFIX}");
        if !is_plain_name(name) || !is_plain_name(&temporary) {
            return Err(StoreError::BadName {
                name: name.to_owned(),
            });
        }
        check_length("snapshot meta", meta, limits.block_bytes_max)?;
        let file = open_fresh(disk.as_ref(), &temporary)?;
        let mut writer = Self {
            disk,
            file,
            name: name.to_owned(),
            temporary,
            id,
            offset: 0,
            totals: Totals::default(),
            block_bytes_max: limits.block_bytes_max,
            buffer: Vec::new(),
            is_finished: false,
        };
        head::write(FileKind::Snapshot, &mut writer.buffer);
        writer.buffer.extend_from_slice(&id.to_le_bytes());
        let sum = crc32c::crc32c(&writer.buffer);
        writer.buffer.extend_from_slice(&sum.to_le_bytes());
        writer.flush()?;
        writer.put(BlockKind::Meta, 0, meta)?;
        Ok(writer)
    }

    /// Writes one block, 0 B to `limits.block_bytes_max`, in one write.
    ///
    /// # Errors
    /// `TooLarge` (the snapshot goes on), `Full`, `Io` (it is to be dropped).
    pub fn block(&mut self, payload: &[u8]) -> Result<(), StoreError> {
        check_length("block", payload, self.block_bytes_max)?;
        let sum = self.put(BlockKind::Data, self.totals.blocks, payload)?;
        self.totals.add(payload.len(), sum);
        Ok(())
    }

    /// Writes the end mark, syncs, renames the file to its name and syncs the directory.
    ///
    /// - Crash: after `Ok` the whole snapshot is on disk; before, there is none of this name
    ///   (or the older one) or all of it.
    ///
    /// # Errors
    /// `Full`, `Io`.
    pub fn finish(mut self) -> Result<SnapshotInfo, StoreError> {
        let end = self.totals.to_bytes();
        self.put(BlockKind::End, self.totals.blocks, &end)?;
        let name = self.temporary.as_str();
        self.file
            .sync_data()
            .map_err(|error| StoreError::io(name, "sync", 0, error))?;
        self.disk
            .rename(name, &self.name)
            .map_err(|error| StoreError::io(name, "rename", 0, error))?;
        self.is_finished = true;
        self.disk
            .sync_dir()
            .map_err(|error| StoreError::io(&self.name, "sync", 0, error))?;
        Ok(SnapshotInfo {
            name: self.name.clone(),
            blocks: self.totals.blocks,
            bytes: self.totals.bytes,
            file_bytes: self.offset,
        })
    }

    fn put(&mut self, kind: BlockKind, index: u64, payload: &[u8]) -> Result<u32, StoreError> {
        let described = block::describe(kind, index, payload);
        self.buffer
            .extend_from_slice(&block::header(self.id, self.offset, &described));
        self.buffer.extend_from_slice(payload);
        self.flush()?;
        Ok(described.payload_sum)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let bytes = wide(self.buffer.len());
        let written = write_all(self.file.as_ref(), self.offset, &self.buffer);
        self.buffer.clear();
        written.map_err(|e| StoreError::write(&self.temporary, self.offset, bytes, e))?;
        self.offset = self.offset.saturating_add(bytes);
        Ok(())
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        if !self.is_finished {
            // What cannot be removed now is swept at the next start.
            drop(self.disk.remove(&self.temporary));
        }
    }
}

impl fmt::Debug for SnapshotWriter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SnapshotWriter")
            .field("name", &self.name)
            .field("totals", &self.totals)
            .finish_non_exhaustive()
    }
}

fn check_length(what: &'static str, payload: &[u8], max: usize) -> Result<(), StoreError> {
    if payload.len() <= max {
        return Ok(());
    }
    Err(StoreError::TooLarge {
        what,
        bytes: wide(payload.len()),
        max: wide(max),
    })
}

/// Creates `name`, in the place of what an interrupted attempt may have left there.
pub(crate) fn open_fresh(disk: &dyn Disk, name: &str) -> Result<Arc<dyn DiskFile>, StoreError> {
    match disk.remove(name) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(StoreError::io(name, "remove", 0, error));
        }
        _ => {}
    }
    disk.create(name)
        .map_err(|error| StoreError::write(name, 0, 0, error))
}
