//! The bytes of one segment, looked at frame by frame.
//!
//! Allocates nothing: frames are slices of the segment. A length is believed only when it fits
//! into the bytes that are left.

use super::record::{
    self, FRAME_HEADER_BYTES, FRAME_MAGIC, FrameHeader, SEGMENT_HEADER_BYTES, frame_bytes,
};
use crate::disk::{Disk, DiskFile, read_full};
use crate::error::{DamageKind, StoreError};
use crate::limits::SEGMENT_FILE_BYTES_MAX;
use crate::size::{narrow, wide};

/// The granule in which disks lose or keep bytes.
const SECTOR_BYTES: usize = 512;

/// One segment in memory; its header has been checked.
pub(crate) struct Segment<'a> {
    pub(crate) id: u64,
    pub(crate) first: u64,
    pub(crate) bytes: &'a [u8],
}

/// One intact frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) durable: u64,
    pub(crate) payload: &'a [u8],
}

/// What lies after a place where no intact frame begins.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Beyond {
    /// Offset of the next intact frame.
    pub(crate) intact: Option<usize>,
    /// The highest position that a later intact header says was on disk.
    pub(crate) durable: u64,
}

impl<'a> Segment<'a> {
    /// The position that lies at `offset` in the file.
    pub(crate) fn lsn(&self, offset: usize) -> u64 {
        self.first
            .saturating_add(wide(offset.saturating_sub(SEGMENT_HEADER_BYTES)))
    }

    fn header(&self, offset: usize) -> Result<FrameHeader, DamageKind> {
        let rest = self.bytes.get(offset..).unwrap_or_default();
        record::frame_header(self.id, self.lsn(offset), rest)
    }

    /// The frame at `offset`; `Ok(None)` exactly at the end of the file.
    pub(crate) fn frame(&self, offset: usize) -> Result<Option<Frame<'a>>, DamageKind> {
        if offset == self.bytes.len() {
            return Ok(None);
        }
        let header = self.header(offset)?;
        let length = narrow(u64::from(header.length));
        let from = offset.saturating_add(FRAME_HEADER_BYTES);
        let payload = self
            .bytes
            .get(from..from.saturating_add(length))
            .ok_or(DamageKind::Short)?;
        if crc32c::crc32c(payload) != header.payload_sum {
            return Err(DamageKind::PayloadChecksum);
        }
        let start = self.lsn(offset);
        // A position past the last one there is would make a frame without an end.
        let end = start
            .checked_add(frame_bytes(length))
            .ok_or(DamageKind::Field)?;
        Ok(Some(Frame {
            start,
            end,
            durable: header.durable,
            payload,
        }))
    }

    /// Looks for anything intact after the bad frame at `offset`.
    pub(crate) fn beyond(&self, offset: usize) -> Beyond {
        let mut beyond = Beyond::default();
        let mut at = offset.saturating_add(1);
        while let Some(found) = self.next_magic(at) {
            at = found.saturating_add(1);
            let Ok(header) = self.header(found) else {
                continue;
            };
            beyond.durable = beyond.durable.max(header.durable);
            if let Ok(Some(frame)) = self.frame(found) {
                beyond.intact = beyond.intact.or(Some(found));
                at = found.saturating_add(narrow(frame.end.saturating_sub(frame.start)));
            }
        }
        beyond
    }

    fn next_magic(&self, from: usize) -> Option<usize> {
        let rest = self.bytes.get(from..)?;
        let found = rest
            .windows(FRAME_MAGIC.len())
            .position(|bytes| bytes == FRAME_MAGIC)?;
        Some(from.saturating_add(found))
    }

    /// Whether `from..to` contains what a write that never reached the disk leaves: a sector,
    /// or the part of one that lies in the range, of nothing but zeros.
    pub(crate) fn has_lost_sector(&self, from: usize, to: usize) -> bool {
        let mut at = from;
        while at < to {
            let sector_end = (at / SECTOR_BYTES)
                .saturating_add(1)
                .saturating_mul(SECTOR_BYTES);
            let end = sector_end.min(to);
            if self
                .bytes
                .get(at..end)
                .is_some_and(|part| part.iter().all(|byte| *byte == 0))
            {
                return true;
            }
            at = end;
        }
        false
    }
}

/// Reads a whole segment file; its length is checked first.
pub(crate) fn read_segment(file: &dyn DiskFile, name: &str) -> Result<Vec<u8>, StoreError> {
    let size = file
        .size()
        .map_err(|error| StoreError::io(name, "size", 0, error))?;
    if size > SEGMENT_FILE_BYTES_MAX {
        return Err(StoreError::damaged(
            name,
            SEGMENT_FILE_BYTES_MAX,
            DamageKind::Long,
        ));
    }
    let mut bytes = vec![0u8; narrow(size)];
    let read = read_full(file, 0, &mut bytes).map_err(|e| StoreError::io(name, "read", 0, e))?;
    if read < bytes.len() {
        return Err(StoreError::damaged(name, wide(read), DamageKind::Short));
    }
    Ok(bytes)
}

/// The beginnings of all segments in the directory, in order.
pub(crate) fn list_segments(disk: &dyn Disk) -> Result<Vec<u64>, StoreError> {
    let names = disk
        .list()
        .map_err(|error| StoreError::io("", "list", 0, error))?;
    let mut firsts: Vec<u64> = names
        .iter()
        .filter_map(|name| record::parse_segment_name(name))
        .collect();
    firsts.sort_unstable();
    Ok(firsts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_beyond_the_last_position_is_no_frame() {
        let frame_at = |first: u64| {
            let mut bytes = vec![0; SEGMENT_HEADER_BYTES];
            record::frame(7, first, 0, b"abc", crc32c::crc32c(b"abc"), &mut bytes);
            let (id, bytes) = (7, &bytes);
            Segment { id, first, bytes }
                .frame(SEGMENT_HEADER_BYTES)
                .map(|frame| frame.map(|frame| frame.end))
        };
        assert_eq!(frame_at(u64::MAX - 27), Ok(Some(u64::MAX)));
        assert_eq!(frame_at(u64::MAX - 26), Err(DamageKind::Field));
        assert_eq!(frame_at(u64::MAX), Err(DamageKind::Field));
    }
}
