//! The layout of a segment's header and of a frame.
//!
//! A frame's header has a checksum of its own, over the log's id and the frame's position too:
//! a length can be trusted before its payload has been looked at, and bytes that only look like
//! a frame (a copy of a log stored as a value) are not taken for one. The header also says up
//! to where the log was known to be on disk when the frame was written, which is what tells
//! damage from a power cut.

use crate::cursor::Cursor;
use crate::error::{DamageKind, StoreError};
use crate::head::{self, FileKind};
use crate::size::{short, wide};

/// Bytes of a segment's header.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 36;
/// Bytes of a frame's header.
pub(crate) const FRAME_HEADER_BYTES: usize = 24;
/// First bytes of a frame.
pub(crate) const FRAME_MAGIC: [u8; 4] = [0xF1, b'm', b'R', 0xC7];

/// A frame's header after all checks but that of its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// Bytes of payload; 0 is the mark of a clean close.
    pub(crate) length: u32,
    /// All before this position was on disk when the frame was written.
    pub(crate) durable: u64,
    /// CRC-32C of the payload.
    pub(crate) payload_sum: u32,
}

/// The bytes of a segment's header.
pub(crate) fn segment_header(id: u64, first: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(SEGMENT_HEADER_BYTES);
    head::write(FileKind::Log, &mut out);
    out.extend_from_slice(&id.to_le_bytes());
    out.extend_from_slice(&first.to_le_bytes());
    let sum = crc32c::crc32c(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    assert_eq!(
        out.len(),
        SEGMENT_HEADER_BYTES,
        "a segment header has a fixed length"
    );
    out
}

/// Checks a segment's header and that it is the one of this log and this name.
pub(crate) fn check_segment_header(
    file: &str,
    bytes: &[u8],
    id: u64,
    first: u64,
) -> Result<(), StoreError> {
    let damaged = |offset, kind| StoreError::damaged(file, offset, kind);
    let mut cursor = Cursor::new(bytes);
    head::read(FileKind::Log, file, &mut cursor)?;
    let fields = (cursor.u64(), cursor.u64(), cursor.u32());
    let (Some(found_id), Some(found_first), Some(sum)) = fields else {
        return Err(damaged(0, DamageKind::Short));
    };
    let covered = bytes.get(..SEGMENT_HEADER_BYTES - 4).unwrap_or_default();
    if crc32c::crc32c(covered) != sum {
        return Err(damaged(0, DamageKind::HeaderChecksum));
    }
    if found_id != id {
        return Err(damaged(16, DamageKind::Foreign));
    }
    if found_first != first {
        return Err(damaged(24, DamageKind::Misplaced));
    }
    Ok(())
}

/// Appends one frame to `out`. `sum` is the CRC-32C of `payload`, taken before the lock.
pub(crate) fn frame(id: u64, lsn: u64, durable: u64, payload: &[u8], sum: u32, out: &mut Vec<u8>) {
    assert!(
        durable <= lsn,
        "nothing is durable that was not yet written"
    );
    let mut header = [0u8; FRAME_HEADER_BYTES];
    header[..4].copy_from_slice(&FRAME_MAGIC);
    header[4..8].copy_from_slice(&short(payload.len()).to_le_bytes());
    header[8..16].copy_from_slice(&durable.to_le_bytes());
    header[16..20].copy_from_slice(&sum.to_le_bytes());
    let header_sum = header_sum(id, lsn, &header[..20]);
    header[20..].copy_from_slice(&header_sum.to_le_bytes());
    out.extend_from_slice(&header);
    out.extend_from_slice(payload);
}

/// Reads the frame header at the beginning of `bytes`, which lies at position `lsn`.
pub(crate) fn frame_header(id: u64, lsn: u64, bytes: &[u8]) -> Result<FrameHeader, DamageKind> {
    let covered = bytes
        .get(..FRAME_HEADER_BYTES - 4)
        .ok_or(DamageKind::Short)?;
    let mut cursor = Cursor::new(bytes);
    if cursor.array() != Some(FRAME_MAGIC) {
        return Err(DamageKind::Magic);
    }
    let fields = (cursor.u32(), cursor.u64(), cursor.u32(), cursor.u32());
    let (Some(length), Some(durable), Some(payload_sum), Some(sum)) = fields else {
        return Err(DamageKind::Short);
    };
    if header_sum(id, lsn, covered) != sum {
        return Err(DamageKind::HeaderChecksum);
    }
    if durable > lsn {
        return Err(DamageKind::Field);
    }
    Ok(FrameHeader {
        length,
        durable,
        payload_sum,
    })
}

fn header_sum(id: u64, lsn: u64, covered: &[u8]) -> u32 {
    let mut place = [0u8; 16];
    place[..8].copy_from_slice(&id.to_le_bytes());
    place[8..].copy_from_slice(&lsn.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&place), covered)
}

/// The length that a payload takes in the log, its header included.
pub(crate) fn frame_bytes(payload: usize) -> u64 {
    wide(payload.saturating_add(FRAME_HEADER_BYTES))
}

/// The file name of the segment that begins at `first`.
pub(crate) fn segment_name(first: u64) -> String {
    format!("log-{first:016x}.mlog")
}

/// The position in a segment's file name; `None` for any other file.
pub(crate) fn parse_segment_name(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("log-")?.strip_suffix(".mlog")?;
    let first = u64::from_str_radix(digits, 16).ok()?;
    (segment_name(first) == name).then_some(first)
}

/// Whether `name` is that of a log segment.
#[must_use]
pub fn is_segment_name(name: &str) -> bool {
    parse_segment_name(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reads_back_only_at_its_own_place() {
        let mut out = Vec::new();
        frame(7, 100, 40, b"abc", crc32c::crc32c(b"abc"), &mut out);
        let read = frame_header(7, 100, &out).expect("intact");
        assert_eq!((read.length, read.durable), (3, 40));
        assert_eq!(frame_header(7, 101, &out), Err(DamageKind::HeaderChecksum));
        assert_eq!(frame_header(8, 100, &out), Err(DamageKind::HeaderChecksum));
        assert_eq!(frame_header(7, 100, &out[..23]), Err(DamageKind::Short));
    }

    #[test]
    fn names_are_of_one_form_only() {
        assert_eq!(segment_name(255), "log-00000000000000ff.mlog");
        assert_eq!(parse_segment_name("log-00000000000000ff.mlog"), Some(255));
        for name in [
            "log-ff.mlog",
            "log-00000000000000FF.mlog",
            "log-+0000000000000ff.mlog",
            "x",
        ] {
            assert_eq!(parse_segment_name(name), None, "{name}");
        }
    }
}
