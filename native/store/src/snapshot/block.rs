//! The layout of a snapshot's header and of a block.
//!
//! A block's header has a checksum of its own, over the snapshot's id and the block's place in
//! the file, so that a length can be trusted and a block is not taken for another.

use crate::cursor::Cursor;
use crate::error::DamageKind;
use crate::size::{short, wide};

/// Bytes of a snapshot's header.
pub(crate) const SNAPSHOT_HEADER_BYTES: usize = 28;
/// Bytes of a block's header.
pub(crate) const BLOCK_HEADER_BYTES: usize = 24;
/// Bytes of the end mark's payload.
pub(crate) const END_BYTES: usize = 20;

/// The kinds of block, by their first four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockKind {
    Meta,
    Data,
    End,
}

impl BlockKind {
    pub(crate) fn magic(self) -> [u8; 4] {
        match self {
            Self::Meta => [0xF2, b'm', b'S', b'M'],
            Self::Data => [0xF2, b'm', b'S', b'B'],
            Self::End => [0xF2, b'm', b'S', b'E'],
        }
    }

    fn of(magic: [u8; 4]) -> Option<Self> {
        [Self::Meta, Self::Data, Self::End]
            .into_iter()
            .find(|kind| kind.magic() == magic)
    }
}

/// A block's header after all checks but that of its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockHeader {
    pub(crate) kind: BlockKind,
    pub(crate) length: u32,
    pub(crate) index: u64,
    pub(crate) payload_sum: u32,
}

/// Writes the header of a block that lies at `offset` of snapshot `id`.
pub(crate) fn header(id: u64, offset: u64, header: &BlockHeader) -> [u8; BLOCK_HEADER_BYTES] {
    let mut out = [0u8; BLOCK_HEADER_BYTES];
    out[..4].copy_from_slice(&header.kind.magic());
    out[4..8].copy_from_slice(&header.length.to_le_bytes());
    out[8..16].copy_from_slice(&header.index.to_le_bytes());
    out[16..20].copy_from_slice(&header.payload_sum.to_le_bytes());
    let sum = header_sum(id, offset, &out[..20]);
    out[20..].copy_from_slice(&sum.to_le_bytes());
    out
}

/// Reads the block header at the beginning of `bytes`, which lies at `offset`.
pub(crate) fn parse(id: u64, offset: u64, bytes: &[u8]) -> Result<BlockHeader, DamageKind> {
    let covered = bytes
        .get(..BLOCK_HEADER_BYTES - 4)
        .ok_or(DamageKind::Short)?;
    let mut cursor = Cursor::new(bytes);
    let magic = cursor.array().ok_or(DamageKind::Short)?;
    let kind = BlockKind::of(magic).ok_or(DamageKind::Magic)?;
    let fields = (cursor.u32(), cursor.u64(), cursor.u32(), cursor.u32());
    let (Some(length), Some(index), Some(payload_sum), Some(sum)) = fields else {
        return Err(DamageKind::Short);
    };
    if header_sum(id, offset, covered) != sum {
        return Err(DamageKind::HeaderChecksum);
    }
    Ok(BlockHeader {
        kind,
        length,
        index,
        payload_sum,
    })
}

fn header_sum(id: u64, offset: u64, covered: &[u8]) -> u32 {
    let mut place = [0u8; 16];
    place[..8].copy_from_slice(&id.to_le_bytes());
    place[8..].copy_from_slice(&offset.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&place), covered)
}

/// Running totals of the data blocks, stored in the end mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    pub(crate) blocks: u64,
    pub(crate) bytes: u64,
    sums: u32,
}

impl Totals {
    /// Counts one data block.
    pub(crate) fn add(&mut self, length: usize, payload_sum: u32) {
        self.blocks = self.blocks.saturating_add(1);
        self.bytes = self.bytes.saturating_add(wide(length));
        self.sums = crc32c::crc32c_append(self.sums, &payload_sum.to_le_bytes());
    }

    /// The end mark's payload.
    pub(crate) fn to_bytes(self) -> [u8; END_BYTES] {
        let mut out = [0u8; END_BYTES];
        out[..8].copy_from_slice(&self.blocks.to_le_bytes());
        out[8..16].copy_from_slice(&self.bytes.to_le_bytes());
        out[16..].copy_from_slice(&self.sums.to_le_bytes());
        out
    }
}

/// The header of a block with this payload.
pub(crate) fn describe(kind: BlockKind, index: u64, payload: &[u8]) -> BlockHeader {
    let payload_sum = crc32c::crc32c(payload);
    BlockHeader {
        kind,
        length: short(payload.len()),
        index,
        payload_sum,
    }
}
