//! Reading past damage, for an export: every intact record, and a list of what is not.
//!
//! Changes nothing on disk, not even a torn end.

use super::reader::{Segment, list_segments, read_segment};
use super::record::{SEGMENT_HEADER_BYTES, check_segment_header, segment_name};
use super::{Log, Lsn};
use crate::cursor::Cursor;
use crate::disk::{Disk, read_full};
use crate::error::{DamageKind, StoreError};
use crate::head::HEAD_BYTES;
use crate::salvage::Salvage;
use crate::size::{narrow, wide};

/// Where a segment's header has the id of its log.
const ID_OFFSET: usize = HEAD_BYTES;

impl Log {
    /// The id of the log and the position of its first segment, from the newest segment with
    /// an intact header: what a damaged manifest can't tell. None where there is no such one.
    ///
    /// # Errors
    /// `Io`.
    pub fn identify(disk: &dyn Disk) -> Result<Option<(u64, Lsn)>, StoreError> {
        let segments = list_segments(disk)?;
        let Some(&begin) = segments.first() else {
            return Ok(None);
        };
        for first in segments.into_iter().rev() {
            let name = segment_name(first);
            let io = |operation| {
                let name = &name;
                move |error| StoreError::io(name, operation, 0, error)
            };
            let file = disk.open(&name).map_err(io("open"))?;
            let mut header = [0u8; SEGMENT_HEADER_BYTES];
            let read = read_full(file.as_ref(), 0, &mut header).map_err(io("read"))?;
            let header = header.get(..read).unwrap_or_default();
            let id = header.get(ID_OFFSET..).and_then(|b| Cursor::new(b).u64());
            if let Some(id) = id
                && check_segment_header(&name, header, id, first).is_ok()
            {
                return Ok(Some((id, Lsn::new(begin))));
            }
        }
        Ok(None)
    }

    /// Hands out every intact record from `start` on, in order, with the position after it,
    /// and lists the damage: bad frames, bad segment headers, missing segments, a torn end.
    ///
    /// - Never hands out a record whose checksum does not match.
    /// - Writes nothing.
    ///
    /// # Errors
    /// `TooNew`, `Io`, or what `on_record` returns.
    pub fn salvage<E: From<StoreError>>(
        disk: &dyn Disk,
        id: u64,
        start: Lsn,
        mut on_record: impl FnMut(Lsn, &[u8]) -> Result<(), E>,
    ) -> Result<Salvage, E> {
        let segments = list_segments(disk)?;
        let begin = segments
            .iter()
            .rposition(|first| *first <= start.get())
            .unwrap_or(0);
        let mut found = Salvage::default();
        let mut expected = start.get();
        for first in segments.into_iter().skip(begin) {
            if first > expected {
                let kind = DamageKind::MissingSegment(expected);
                found
                    .damaged
                    .push(StoreError::damaged(&segment_name(expected), 0, kind));
            }
            let name = segment_name(first);
            let file = disk
                .open(&name)
                .map_err(|e| StoreError::io(&name, "open", 0, e))?;
            let bytes = read_segment(file.as_ref(), &name)?;
            match check_segment_header(&name, &bytes, id, first) {
                Err(error @ StoreError::Damaged { .. }) => found.damaged.push(error),
                other => other?,
            }
            let segment = Segment {
                id,
                first,
                bytes: &bytes,
            };
            expected = one(&segment, &name, start.get(), &mut found, &mut on_record)?;
        }
        Ok(found)
    }
}

/// Salvages one segment; returns the position after its last intact frame.
fn one<E>(
    segment: &Segment<'_>,
    name: &str,
    start: u64,
    found: &mut Salvage,
    on_record: &mut impl FnMut(Lsn, &[u8]) -> Result<(), E>,
) -> Result<u64, E> {
    let mut offset = SEGMENT_HEADER_BYTES;
    let mut end = segment.first;
    loop {
        match segment.frame(offset) {
            Ok(None) => return Ok(end),
            Ok(Some(frame)) => {
                end = frame.end;
                offset = offset.saturating_add(narrow(frame.end.saturating_sub(frame.start)));
                if frame.start >= start && !frame.payload.is_empty() {
                    found.intact = found.intact.saturating_add(1);
                    on_record(Lsn::new(frame.end), frame.payload)?;
                }
            }
            Err(kind) => {
                found
                    .damaged
                    .push(StoreError::damaged(name, wide(offset), kind));
                let Some(next) = segment.beyond(offset).intact else {
                    return Ok(end);
                };
                offset = next;
            }
        }
    }
}
