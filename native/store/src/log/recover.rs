//! Opening a log: hands out the records, cuts a torn tail, refuses damage.
//!
//! A bad frame is *torn* when a power cut can have made it: it is in the last segment, nothing
//! intact says that its place was ever on disk, and either nothing intact follows or the place
//! shows a sector that was never written. Everything else is damage and is reported, never
//! passed over. What is not known to be on disk is written again and synced before the log is
//! used, because after a failed sync the memory of the operating system can hold bytes that
//! the disk does not, and believe them clean.

use std::sync::Arc;

use super::Lsn;
use super::reader::{Frame, Segment, list_segments, read_segment};
use super::record::{FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES, check_segment_header, segment_name};
use crate::cursor::Cursor;
use crate::disk::{Disk, DiskFile, read_full, write_all};
use crate::error::{DamageKind, StoreError};
use crate::head::{self, FileKind};
use crate::size::{narrow, wide};
use crate::snapshot::{UNFINISHED_SUFFIX, open_fresh};

/// What recovery found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Records handed out.
    pub records: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Where the log ends now.
    pub end: Lsn,
    /// Segments that were read.
    pub segments: u64,
    /// Whether the log had been closed with [`Log::close`](super::Log::close).
    pub was_closed: bool,
    /// What was cut off the end, if anything.
    pub cut: Option<Cut>,
}

/// A torn end that was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The segment's file name.
    pub file: String,
    /// Where the intact part ends.
    pub offset: u64,
    /// How many bytes were removed.
    pub bytes: u64,
}

/// The last segment, ready to be appended to.
pub(crate) struct Tail {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) first: u64,
    pub(crate) end: u64,
    pub(crate) segments: Vec<u64>,
}

/// Where the intact part of a segment ends.
struct Scan {
    /// Offset in the file after the last intact frame.
    offset: usize,
    /// The position at that offset.
    end: u64,
    /// Up to where the frames say that the log was on disk.
    durable: u64,
    is_closed: bool,
    bad: Option<DamageKind>,
}

/// Reads the log from `start` on and makes it ready for appending.
///
/// A record is handed out only when it is on disk: what is made of it may be there for good.
/// So the last segment is checked and put on disk before its records are handed out.
pub(crate) fn run<E: From<StoreError>>(
    disk: &dyn Disk,
    id: u64,
    start: Lsn,
    mut on_record: impl FnMut(Lsn, &[u8]) -> Result<(), E>,
) -> Result<(Tail, Recovered), E> {
    let mut segments = list_segments(disk)?;
    let used = segments.iter().rposition(|first| *first <= start.get());
    let missing = || {
        let name = segment_name(start.get());
        StoreError::damaged(&name, 0, DamageKind::MissingSegment(start.get()))
    };
    let begin = used.ok_or_else(missing)?;
    let torn_header = check_headers(disk, id, segments.get(begin..).unwrap_or_default())?;
    let torn = torn_header.and_then(|_| segments.pop());
    let mut found = Recovered::default();
    let mut expected = None;
    let (last, earlier) = segments.split_last().ok_or_else(missing)?;
    for first in earlier.iter().copied().skip(begin) {
        let (name, file, bytes) = read(disk, id, first, expected)?;
        drop(file);
        let segment = Segment {
            id,
            first,
            bytes: &bytes,
        };
        let scan = scan(&segment, &name, start.get(), &mut found, &mut on_record)?;
        if let Some(kind) = scan.bad {
            return Err(StoreError::damaged(&name, wide(scan.offset), kind).into());
        }
        expected = Some(scan.end);
    }
    let first = *last;
    let (name, file, bytes) = read(disk, id, first, expected)?;
    let segment = Segment {
        id,
        first,
        bytes: &bytes,
    };
    let tail = settle(disk, file, &name, &segment, start, torn, &mut found)?;
    scan(&segment, &name, start.get(), &mut found, &mut on_record)?;
    found.segments = wide(segments.len().saturating_sub(begin));
    Ok((Tail { segments, ..tail }, found))
}

/// Reads one segment, which must begin where the one before ended.
fn read(
    disk: &dyn Disk,
    id: u64,
    first: u64,
    expected: Option<u64>,
) -> Result<(String, Arc<dyn DiskFile>, Vec<u8>), StoreError> {
    if let Some(expected) = expected.filter(|expected| *expected != first) {
        let kind = DamageKind::MissingSegment(expected);
        return Err(StoreError::damaged(&segment_name(expected), 0, kind));
    }
    let name = segment_name(first);
    let file = disk
        .open(&name)
        .map_err(|e| StoreError::io(&name, "open", 0, e))?;
    let bytes = read_segment(file.as_ref(), &name)?;
    check_segment_header(&name, &bytes, id, first)?;
    Ok((name, file, bytes))
}

/// Checks the last segment and puts what is intact of it on disk, and the directory.
fn settle(
    disk: &dyn Disk,
    file: Arc<dyn DiskFile>,
    name: &str,
    segment: &Segment<'_>,
    start: Lsn,
    torn: Option<u64>,
    found: &mut Recovered,
) -> Result<Tail, StoreError> {
    let pass = &mut |_: Lsn, _: &[u8]| Ok::<_, StoreError>(());
    let scan = scan(segment, name, start.get(), &mut Recovered::default(), pass)?;
    check_tail(segment, name, &scan, start.get().max(torn.unwrap_or(0)))?;
    let (file, cut) = repair(disk, file, name, segment, &scan)?;
    found.cut = cut;
    found.end = Lsn::new(scan.end);
    found.was_closed = scan.is_closed && scan.bad.is_none() && torn.is_none();
    if let Some(first) = torn {
        let cut = remove_torn(disk, first)?;
        found.cut = found.cut.take().or(Some(cut));
    }
    disk.sync_dir()
        .map_err(|error| StoreError::io("", "sync", 0, error))?;
    Ok(Tail {
        file,
        first: segment.first,
        end: scan.end,
        segments: Vec::new(),
    })
}

/// Checks the headers of all segments that will be used, before anything is touched.
///
/// Returns the position of the last segment when its header was never finished: a rotation
/// that was cut off before the segment was used.
fn check_headers(disk: &dyn Disk, id: u64, firsts: &[u64]) -> Result<Option<u64>, StoreError> {
    let mut torn = None;
    for (index, first) in firsts.iter().copied().enumerate() {
        let name = segment_name(first);
        let file = disk
            .open(&name)
            .map_err(|e| StoreError::io(&name, "open", 0, e))?;
        let size = file
            .size()
            .map_err(|e| StoreError::io(&name, "size", 0, e))?;
        let header = read_header(file.as_ref(), &name)?;
        match check_segment_header(&name, &header, id, first) {
            Ok(()) => {}
            Err(StoreError::Damaged {
                kind: DamageKind::Short | DamageKind::Magic | DamageKind::HeaderChecksum,
                ..
            }) if index > 0
                && index.saturating_add(1) == firsts.len()
                && size <= wide(SEGMENT_HEADER_BYTES) =>
            {
                torn = Some(first);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(torn)
}

fn read_header(file: &dyn DiskFile, name: &str) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![0u8; SEGMENT_HEADER_BYTES];
    let read = read_full(file, 0, &mut bytes).map_err(|e| StoreError::io(name, "read", 0, e))?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Checks the head of a segment whose log is not known: magic and version.
pub(crate) fn check(file: &dyn DiskFile, name: &str) -> Result<(), StoreError> {
    let header = read_header(file, name)?;
    head::read(FileKind::Log, name, &mut Cursor::new(&header))
}

/// Hands out the records of one segment from `start` on.
fn scan<E: From<StoreError>>(
    segment: &Segment<'_>,
    name: &str,
    start: u64,
    found: &mut Recovered,
    on_record: &mut impl FnMut(Lsn, &[u8]) -> Result<(), E>,
) -> Result<Scan, E> {
    let mut offset = SEGMENT_HEADER_BYTES;
    let mut durable = segment.first;
    let mut is_closed = false;
    loop {
        let end = segment.lsn(offset);
        let frame = match segment.frame(offset) {
            Ok(Some(frame)) => frame,
            Ok(None) => {
                return Ok(Scan {
                    offset,
                    end,
                    durable,
                    is_closed,
                    bad: None,
                });
            }
            Err(kind) => {
                return Ok(Scan {
                    offset,
                    end,
                    durable,
                    is_closed,
                    bad: Some(kind),
                });
            }
        };
        if frame.start < start && start < frame.end {
            let kind = DamageKind::NotABoundary(start);
            return Err(StoreError::damaged(name, wide(offset), kind).into());
        }
        durable = durable.max(frame.durable);
        is_closed = frame.payload.is_empty();
        offset = offset.saturating_add(narrow(frame.end.saturating_sub(frame.start)));
        if frame.start >= start {
            hand_out(&frame, found, on_record)?;
        }
    }
}

fn hand_out<E>(
    frame: &Frame<'_>,
    found: &mut Recovered,
    on_record: &mut impl FnMut(Lsn, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    if frame.payload.is_empty() {
        return Ok(());
    }
    found.records = found.records.saturating_add(1);
    found.bytes = found.bytes.saturating_add(wide(frame.payload.len()));
    on_record(Lsn::new(frame.end), frame.payload)
}

/// Decides whether the last segment's end is torn (fine) or damaged. `known` is a position
/// that other files say was on disk.
fn check_tail(
    segment: &Segment<'_>,
    name: &str,
    scan: &Scan,
    known: u64,
) -> Result<(), StoreError> {
    let damaged = |kind| Err(StoreError::damaged(name, wide(scan.offset), kind));
    if let Some(kind) = scan.bad {
        let beyond = segment.beyond(scan.offset);
        if known.max(beyond.durable).max(scan.durable) > scan.end {
            return damaged(kind);
        }
        if let Some(intact) = beyond.intact
            && !segment.has_lost_sector(scan.offset, intact)
        {
            return damaged(kind);
        }
    }
    if scan.end < known {
        return damaged(DamageKind::EndsBefore(known));
    }
    Ok(())
}

/// Puts the intact part of the last segment on disk, without what follows it. Returns the file
/// to append to.
///
/// What may be in memory only is written again to a new file that then takes the segment's
/// place: overwriting in place could tear what had been on disk. The mark of a clean close
/// alone, a torn end alone, and a disk without room for a copy are dealt with in place.
fn repair(
    disk: &dyn Disk,
    file: Arc<dyn DiskFile>,
    name: &str,
    segment: &Segment<'_>,
    scan: &Scan,
) -> Result<(Arc<dyn DiskFile>, Option<Cut>), StoreError> {
    let removed = segment.bytes.len().saturating_sub(scan.offset);
    let offset = wide(scan.offset);
    let cut = (removed > 0).then(|| Cut {
        file: name.to_owned(),
        offset,
        bytes: wide(removed),
    });
    let from = if scan.durable > segment.first {
        SEGMENT_HEADER_BYTES.saturating_add(narrow(scan.durable.saturating_sub(segment.first)))
    } else {
        0
    };
    let intact = segment.bytes.get(..scan.offset).unwrap_or_default();
    let doubtful = intact.get(from..).unwrap_or_default();
    let is_mark_only = scan.is_closed && doubtful.len() == FRAME_HEADER_BYTES;
    if !doubtful.is_empty() && !is_mark_only {
        match replace(disk, name, intact) {
            Err(StoreError::Full { .. }) => {}
            other => return Ok((other?, cut)),
        }
    }
    write_all(file.as_ref(), wide(from), doubtful)
        .map_err(|error| StoreError::write(name, wide(from), wide(doubtful.len()), error))?;
    if removed > 0 {
        file.truncate(offset)
            .map_err(|error| StoreError::io(name, "truncate", offset, error))?;
    }
    file.sync_data()
        .map_err(|error| StoreError::io(name, "sync", offset, error))?;
    Ok((file, cut))
}

/// Puts a new file with these bytes in the place of `name`, durably but for the directory.
fn replace(disk: &dyn Disk, name: &str, bytes: &[u8]) -> Result<Arc<dyn DiskFile>, StoreError> {
    let temporary = format!("{name}{UNFINISHED_SUFFIX}");
    let file = open_fresh(disk, &temporary)?;
    if let Err(error) = write_all(file.as_ref(), 0, bytes) {
        // What cannot be removed now is swept at the next start.
        drop(disk.remove(&temporary));
        return Err(StoreError::write(&temporary, 0, wide(bytes.len()), error));
    }
    file.sync_data()
        .map_err(|error| StoreError::io(&temporary, "sync", 0, error))?;
    disk.rename(&temporary, name)
        .map_err(|e| StoreError::io(&temporary, "rename", 0, e))?;
    Ok(file)
}

fn remove_torn(disk: &dyn Disk, first: u64) -> Result<Cut, StoreError> {
    let name = segment_name(first);
    let file = disk
        .open(&name)
        .map_err(|error| StoreError::io(&name, "open", 0, error))?;
    let bytes = file
        .size()
        .map_err(|error| StoreError::io(&name, "size", 0, error))?;
    disk.remove(&name)
        .map_err(|error| StoreError::io(&name, "remove", 0, error))?;
    Ok(Cut {
        file: name,
        offset: 0,
        bytes,
    })
}
