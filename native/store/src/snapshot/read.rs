//! Reading a snapshot back, verified block by block; and salvage of what is intact.
//!
//! Memory: one block at a time, its length checked against what is left of the file. An
//! ordinary read stops at the first damage and names it; only [`SnapshotReader::salvage`]
//! goes on, and it says what it left out.

use std::fmt;
use std::sync::Arc;

use super::block::Totals;
use super::block::{self, BLOCK_HEADER_BYTES, BlockHeader, BlockKind, SNAPSHOT_HEADER_BYTES};
use crate::cursor::Cursor;
use crate::disk::{Disk, DiskFile, read_full};
use crate::error::{DamageKind, StoreError};
use crate::head::{self, FileKind};
use crate::limits::BYTES_CEILING;
use crate::salvage::Salvage;
use crate::size::{narrow, wide};

/// How many bytes salvage looks through at a time for the next block.
const WINDOW_BYTES: usize = 64 << 10;

/// An open snapshot whose header and meta have been verified.
pub struct SnapshotReader {
    file: Arc<dyn DiskFile>,
    name: String,
    id: u64,
    size: u64,
    meta: Vec<u8>,
    /// Offset of the first data block.
    begin: u64,
}

/// One verified block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Where it lies in the file.
    pub offset: u64,
    /// Its number, from 0.
    pub index: u64,
    /// Its payload.
    pub bytes: Vec<u8>,
}

impl SnapshotReader {
    /// Opens a snapshot and reads its meta.
    ///
    /// - `id`: the one that it was written with.
    ///
    /// # Errors
    /// `Damaged` ([`DamageKind::Missing`] when there is no such file), `TooNew`, `Io`.
    pub fn open(disk: &dyn Disk, name: &str, id: u64) -> Result<Self, StoreError> {
        let mut reader = Self::open_unread(disk, name, id)?;
        reader.check_header()?;
        let (header, bytes) = reader.read_block(reader.begin)?;
        if header.kind != BlockKind::Meta || header.index != 0 {
            return Err(reader.damaged(reader.begin, DamageKind::Order));
        }
        reader.begin = after(reader.begin, &header);
        reader.meta = bytes;
        Ok(reader)
    }

    fn open_unread(disk: &dyn Disk, name: &str, id: u64) -> Result<Self, StoreError> {
        let file = disk.open(name).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => StoreError::damaged(name, 0, DamageKind::Missing),
            _ => StoreError::io(name, "open", 0, error),
        })?;
        let size = file
            .size()
            .map_err(|error| StoreError::io(name, "size", 0, error))?;
        let begin = wide(SNAPSHOT_HEADER_BYTES);
        let name = name.to_owned();
        Ok(Self {
            file,
            name,
            id,
            size,
            meta: Vec::new(),
            begin,
        })
    }

    fn check_header(&self) -> Result<(), StoreError> {
        let bytes = self.read(0, SNAPSHOT_HEADER_BYTES)?;
        let mut cursor = Cursor::new(&bytes);
        head::read(FileKind::Snapshot, &self.name, &mut cursor)?;
        let (Some(id), Some(sum)) = (cursor.u64(), cursor.u32()) else {
            return Err(self.damaged(0, DamageKind::Short));
        };
        let covered = bytes.get(..SNAPSHOT_HEADER_BYTES - 4).unwrap_or_default();
        if crc32c::crc32c(covered) != sum {
            return Err(self.damaged(0, DamageKind::HeaderChecksum));
        }
        if id != self.id {
            return Err(self.damaged(16, DamageKind::Foreign));
        }
        Ok(())
    }

    /// The bytes given to [`SnapshotWriter::create`](super::SnapshotWriter::create).
    #[must_use]
    pub fn meta(&self) -> &[u8] {
        &self.meta
    }

    /// Bytes of the file.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.size
    }

    /// All blocks in order. The iterator ends after the first error; without one it has also
    /// verified the end mark.
    #[must_use]
    pub fn blocks(&self) -> Blocks<'_> {
        Blocks {
            reader: self,
            offset: self.begin,
            totals: Totals::default(),
            is_done: false,
        }
    }

    /// Hands out every intact block, in order, and lists the damage. The file's header and the
    /// meta may be damaged as well: the meta is handed out first when it is intact, as `None`
    /// index, and each block's checksum tells that it is one of this snapshot.
    ///
    /// - Never hands out a block whose checksum does not match.
    ///
    /// # Errors
    /// `Damaged` when there is no such file, `TooNew`, `Io`, or what `on_block` returns.
    pub fn salvage<E: From<StoreError>>(
        disk: &dyn Disk,
        name: &str,
        id: u64,
        mut on_block: impl FnMut(Option<u64>, &[u8]) -> Result<(), E>,
    ) -> Result<Salvage, E> {
        let reader = Self::open_unread(disk, name, id)?;
        let mut found = Salvage::default();
        match reader.check_header() {
            Err(error @ StoreError::Damaged { .. }) => found.damaged.push(error),
            other => other?,
        }
        let mut offset = reader.begin;
        while offset < reader.size {
            match reader.read_block(offset) {
                Ok((header, bytes)) => {
                    match header.kind {
                        BlockKind::Meta => on_block(None, &bytes)?,
                        BlockKind::Data => {
                            on_block(Some(header.index), &bytes)?;
                            found.intact = found.intact.saturating_add(1);
                        }
                        BlockKind::End => return Ok(found),
                    }
                    offset = after(offset, &header);
                }
                Err(error @ StoreError::Damaged { .. }) => {
                    found.damaged.push(error);
                    offset = reader.next_header(offset.saturating_add(1))?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        found
            .damaged
            .push(reader.damaged(reader.size, DamageKind::Short));
        Ok(found)
    }

    /// The offset of the next intact block header from `from` on; the end of the file if none.
    fn next_header(&self, from: u64) -> Result<u64, StoreError> {
        let mut base = from;
        while base < self.size {
            let length = self.size.saturating_sub(base).min(wide(WINDOW_BYTES));
            let window = self.read(base, narrow(length))?;
            for at in 0..window.len() {
                let rest = window.get(at..).unwrap_or_default();
                let offset = base.saturating_add(wide(at));
                if block::parse(self.id, offset, rest).is_ok() {
                    return Ok(offset);
                }
            }
            let step = window.len().saturating_sub(BLOCK_HEADER_BYTES - 1).max(1);
            base = base.saturating_add(wide(step));
        }
        Ok(self.size)
    }

    /// One verified block of any kind.
    fn read_block(&self, offset: u64) -> Result<(BlockHeader, Vec<u8>), StoreError> {
        let bytes = self.read(offset, BLOCK_HEADER_BYTES)?;
        let header =
            block::parse(self.id, offset, &bytes).map_err(|kind| self.damaged(offset, kind))?;
        if u64::from(header.length) > BYTES_CEILING {
            return Err(self.damaged(offset, DamageKind::Field));
        }
        let from = offset.saturating_add(wide(BLOCK_HEADER_BYTES));
        let length = narrow(u64::from(header.length));
        if u64::from(header.length) > self.size.saturating_sub(from) {
            return Err(self.damaged(offset, DamageKind::Short));
        }
        let payload = self.read(from, length)?;
        if payload.len() < length {
            return Err(self.damaged(offset, DamageKind::Short));
        }
        if crc32c::crc32c(&payload) != header.payload_sum {
            return Err(self.damaged(offset, DamageKind::PayloadChecksum));
        }
        Ok((header, payload))
    }

    /// Up to `length` bytes; fewer at the end of the file.
    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        let left = narrow(self.size.saturating_sub(offset));
        let mut bytes = vec![0u8; length.min(left)];
        let read = read_full(self.file.as_ref(), offset, &mut bytes)
            .map_err(|error| StoreError::io(&self.name, "read", offset, error))?;
        bytes.truncate(read);
        Ok(bytes)
    }

    fn damaged(&self, offset: u64, kind: DamageKind) -> StoreError {
        StoreError::damaged(&self.name, offset, kind)
    }
}

/// Where the block after this one begins.
fn after(offset: u64, header: &BlockHeader) -> u64 {
    offset
        .saturating_add(wide(BLOCK_HEADER_BYTES))
        .saturating_add(u64::from(header.length))
}

/// Iterator over the blocks of a snapshot.
#[derive(Debug)]
pub struct Blocks<'a> {
    reader: &'a SnapshotReader,
    offset: u64,
    totals: Totals,
    is_done: bool,
}

impl Blocks<'_> {
    fn step(&mut self) -> Result<Option<Block>, StoreError> {
        let (reader, offset) = (self.reader, self.offset);
        let (header, bytes) = reader.read_block(offset)?;
        if header.index != self.totals.blocks || header.kind == BlockKind::Meta {
            return Err(reader.damaged(offset, DamageKind::Order));
        }
        self.offset = after(offset, &header);
        if header.kind == BlockKind::Data {
            self.totals.add(bytes.len(), header.payload_sum);
            return Ok(Some(Block {
                offset,
                index: header.index,
                bytes,
            }));
        }
        if bytes != self.totals.to_bytes() {
            return Err(reader.damaged(offset, DamageKind::Totals));
        }
        if self.offset != reader.size {
            return Err(reader.damaged(self.offset, DamageKind::Trailing));
        }
        Ok(None)
    }
}

impl Iterator for Blocks<'_> {
    type Item = Result<Block, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let item = self.step().transpose();
        self.is_done = !matches!(item, Some(Ok(_)));
        item
    }
}

impl fmt::Debug for SnapshotReader {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SnapshotReader")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
