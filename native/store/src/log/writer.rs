//! Appending to the log, and making it durable for many at once.
//!
//! One lock orders the appends; a second lets those who wait for the disk share one fdatasync.
//! Lock order: writer, then group; the group lock is never held while the disk is waited for.
//! After a failed write that could not be undone, or any failed sync, the log is broken for
//! good: it refuses everything until it is opened anew.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::Lsn;
use super::reader::list_segments;
use super::record::{self, SEGMENT_HEADER_BYTES, frame_bytes, segment_header, segment_name};
use super::recover::{self, Recovered, Tail};
use crate::disk::{Disk, DiskFile, write_all};
use crate::error::{DamageKind, StoreError, is_full};
use crate::limits::Limits;
use crate::size::wide;

/// The append buffer is given back to the allocator when a record made it longer than this.
const BUFFER_BYTES_KEPT: usize = 1 << 20;
/// How often a short write is tried before the disk counts as full.
const WRITE_TRIES: usize = 2;

/// An open log. Shared by reference; all methods may be called from many threads.
pub struct Log {
    disk: Arc<dyn Disk>,
    id: u64,
    limits: Limits,
    writer: Mutex<Writer>,
    group: Mutex<Group>,
    wake: Condvar,
    /// All before this position is on disk; written under the group lock only.
    synced: AtomicU64,
    /// Bytes of frames in the current segment, for those who only want to know.
    segment_length: AtomicU64,
    broken: OnceLock<Arc<str>>,
}

/// The segment that is appended to.
struct Writer {
    file: Arc<dyn DiskFile>,
    name: String,
    first: u64,
    end: u64,
    buffer: Vec<u8>,
    /// Beginnings of all segments, this one last.
    segments: Vec<u64>,
}

/// Those who wait for the disk; one of them leads.
struct Group {
    has_leader: bool,
}

impl Log {
    /// Makes a new, empty log, durably.
    ///
    /// - `id`: a number of the database's own, stored in the manifest and in every segment;
    ///   random, so that no segment of another database passes for one of this.
    /// - Errors: [`DamageKind::NoManifest`] when there are records already; empty segments that
    ///   an interrupted creation left are removed.
    ///
    /// # Errors
    /// `Damaged`, `Io`, `Full`, `BadLimit`.
    pub fn create(disk: Arc<dyn Disk>, id: u64, limits: Limits) -> Result<Self, StoreError> {
        limits.check()?;
        for first in list_segments(disk.as_ref())? {
            let name = segment_name(first);
            let file = disk
                .open(&name)
                .map_err(|e| StoreError::io(&name, "open", 0, e))?;
            let size = file
                .size()
                .map_err(|e| StoreError::io(&name, "size", 0, e))?;
            if let Err(error @ StoreError::TooNew { .. }) = recover::check(file.as_ref(), &name) {
                return Err(error);
            }
            if size > wide(SEGMENT_HEADER_BYTES) {
                return Err(StoreError::damaged(&name, 0, DamageKind::NoManifest));
            }
            disk.remove(&name)
                .map_err(|e| StoreError::io(&name, "remove", 0, e))?;
        }
        let file = new_segment(disk.as_ref(), id, 0)?;
        let tail = Tail {
            file,
            first: 0,
            end: 0,
            segments: vec![0],
        };
        Ok(Self::new(disk, id, limits, tail))
    }

    /// Opens an existing log and hands every record from `start` on to `on_record`, in order,
    /// with the position after it. A torn end is cut off and reported; damage is an error.
    ///
    /// - `start`: where the snapshots end, the beginning of a record; [`Lsn::START`] for all.
    /// - Cost: reads one segment at a time into memory; one sync.
    /// - Crash: may be repeated at will; changes nothing but the torn end.
    ///
    /// # Errors
    /// `Damaged` (nothing was changed), `TooNew` (nothing was changed), `Io`, `Full`,
    /// `BadLimit`, or what `on_record` returns. What was handed out before an error is void.
    pub fn open<E: From<StoreError>>(
        disk: Arc<dyn Disk>,
        id: u64,
        start: Lsn,
        limits: Limits,
        on_record: impl FnMut(Lsn, &[u8]) -> Result<(), E>,
    ) -> Result<(Self, Recovered), E> {
        limits.check()?;
        let (tail, recovered) = recover::run(disk.as_ref(), id, start, on_record)?;
        Ok((Self::new(disk, id, limits, tail), recovered))
    }

    fn new(disk: Arc<dyn Disk>, id: u64, limits: Limits, tail: Tail) -> Self {
        let writer = Writer {
            file: tail.file,
            name: segment_name(tail.first),
            first: tail.first,
            end: tail.end,
            buffer: Vec::new(),
            segments: tail.segments,
        };
        Self {
            disk,
            id,
            limits,
            synced: AtomicU64::new(tail.end),
            segment_length: AtomicU64::new(tail.end.saturating_sub(tail.first)),
            writer: Mutex::new(writer),
            group: Mutex::new(Group { has_leader: false }),
            wake: Condvar::new(),
            broken: OnceLock::new(),
        }
    }

    /// Appends one record. Returns the position after it.
    ///
    /// - `payload`: 1 B to `limits.record_bytes_max`.
    /// - Cost: one write into the page cache; a sync when a segment is full.
    /// - Crash: after `Ok` the record survives the death of the process; power loss only after
    ///   [`Log::sync`]. Whole or absent in either case.
    ///
    /// # Errors
    /// `TooLarge`, `Empty`; `Full` (nothing was kept, the log goes on); `Io` (from now on
    /// everything is `Broken`); `Broken`.
    pub fn append(&self, payload: &[u8]) -> Result<Lsn, StoreError> {
        self.append_with(payload, |lsn| lsn)
    }

    /// As [`Log::append`], then runs `apply` with the position while no other append can come
    /// in between: what is applied to memory there is applied in the order of the log.
    /// `apply` must not call the log.
    ///
    /// # Errors
    /// As [`Log::append`]; `apply` was then not run.
    pub fn append_with<T>(
        &self,
        payload: &[u8],
        apply: impl FnOnce(Lsn) -> T,
    ) -> Result<T, StoreError> {
        self.append_made(|| Ok(Some(payload)), |_, lsn| apply(lsn))
    }

    /// As [`Log::append_with`], for a record that depends on what was appended before: `make`
    /// makes it, and no other append can come in between that and `apply`, which gets it back.
    /// Where it makes none nothing is appended. Neither may call the log.
    ///
    /// # Errors
    /// What `make` returns; as [`Log::append`]. `apply` was then not run.
    pub fn append_made<P: AsRef<[u8]>, T, E: From<StoreError>>(
        &self,
        make: impl FnOnce() -> Result<Option<P>, E>,
        apply: impl FnOnce(Option<P>, Lsn) -> T,
    ) -> Result<T, E> {
        let mut writer = self.writer.lock();
        self.check_broken()?;
        let Some(made) = make()? else {
            return Ok(apply(None, Lsn::new(writer.end)));
        };
        let payload = made.as_ref();
        self.check_size(payload)?;
        if writer.end.saturating_sub(writer.first) >= self.limits.segment_bytes {
            self.rotate_locked(&mut writer)?;
        }
        let sum = crc32c::crc32c(payload);
        let end = self.append_locked(&mut writer, payload, sum)?;
        Ok(apply(Some(made), end))
    }

    fn check_size(&self, payload: &[u8]) -> Result<(), StoreError> {
        if payload.is_empty() {
            return Err(StoreError::Empty);
        }
        if payload.len() > self.limits.record_bytes_max {
            return Err(StoreError::TooLarge {
                what: "record",
                bytes: wide(payload.len()),
                max: wide(self.limits.record_bytes_max),
            });
        }
        Ok(())
    }

    fn append_locked(
        &self,
        writer: &mut Writer,
        payload: &[u8],
        sum: u32,
    ) -> Result<Lsn, StoreError> {
        let durable = self.synced.load(Ordering::Acquire);
        let mut buffer = std::mem::take(&mut writer.buffer);
        buffer.clear();
        record::frame(self.id, writer.end, durable, payload, sum, &mut buffer);
        let written = self.write(writer, &buffer);
        if buffer.capacity() <= BUFFER_BYTES_KEPT {
            writer.buffer = buffer;
        }
        written?;
        let end = writer.end.saturating_add(frame_bytes(payload.len()));
        assert!(end > writer.end, "positions only grow");
        writer.end = end;
        self.segment_length
            .store(end.saturating_sub(writer.first), Ordering::Relaxed);
        Ok(Lsn::new(end))
    }

    /// One write at the end of the segment. What a failed or short one left is cut off again,
    /// and that is synced, so that no rest of it can come back between later records; after a
    /// short one there is a second try, because only a disk that is full stays short.
    fn write(&self, writer: &Writer, bytes: &[u8]) -> Result<(), StoreError> {
        let offset = writer.offset();
        let no_room = || io::Error::from(io::ErrorKind::StorageFull);
        let mut error = no_room();
        for _ in 0..WRITE_TRIES {
            match writer.file.write_at(offset, bytes) {
                Ok(count) if count == bytes.len() => return Ok(()),
                Ok(_) => error = no_room(),
                Err(cause) => error = cause,
            }
            let undone = writer
                .file
                .truncate(offset)
                .and_then(|()| writer.file.sync_data());
            if undone.is_err() {
                return Err(self.break_with(StoreError::io(&writer.name, "write", offset, error)));
            }
            if !is_full(&error) && error.kind() != io::ErrorKind::Interrupted {
                break;
            }
        }
        match StoreError::write(&writer.name, offset, wide(bytes.len()), error) {
            refused @ StoreError::Full { .. } => Err(refused),
            other => Err(self.break_with(other)),
        }
    }

    /// Waits until everything before `lsn` is on disk. All who wait share one fdatasync.
    ///
    /// # Errors
    /// `Io` for those whose sync failed; `Broken` ever after, but for positions that had
    /// been synced before; `NotWritten` for a position past the end.
    pub fn sync(&self, lsn: Lsn) -> Result<(), StoreError> {
        let mut group = self.group.lock();
        loop {
            if self.synced.load(Ordering::Acquire) >= lsn.get() {
                return Ok(());
            }
            self.check_broken()?;
            if group.has_leader {
                self.wake.wait(&mut group);
                continue;
            }
            group.has_leader = true;
            let result = MutexGuard::unlocked(&mut group, || self.sync_now());
            group.has_leader = false;
            if let Ok(end) = result {
                self.synced.fetch_max(end, Ordering::AcqRel);
            }
            self.wake.notify_all();
            let end = result?;
            if end < lsn.get() {
                return Err(StoreError::NotWritten {
                    lsn: lsn.get(),
                    end,
                });
            }
        }
    }

    /// One fdatasync of the current segment; all older ones are on disk already.
    fn sync_now(&self) -> Result<u64, StoreError> {
        let (file, name, end) = {
            let writer = self.writer.lock();
            (Arc::clone(&writer.file), writer.name.clone(), writer.end)
        };
        self.check_broken()?;
        file.sync_data()
            .map_err(|error| self.break_with(StoreError::io(&name, "sync", 0, error)))?;
        Ok(end)
    }

    /// Closes the current segment, on disk, and begins a new one. Returns the position between
    /// the two: where a snapshot that holds everything so far ends. Does nothing when the
    /// current segment is empty but sync.
    ///
    /// # Errors
    /// `Full` (the log goes on in the old segment), `Io`, `Broken`.
    pub fn rotate(&self) -> Result<Lsn, StoreError> {
        self.rotate_with(|lsn, _| lsn)
    }

    /// As [`Log::rotate`], and runs `freeze` with the position while no append can come in
    /// between, and with a function that appends the first records after it. `freeze` must not
    /// call the log otherwise.
    ///
    /// # Errors
    /// As [`Log::rotate`]; `freeze` was then not run.
    pub fn rotate_with<T>(
        &self,
        freeze: impl FnOnce(Lsn, &mut dyn FnMut(&[u8]) -> Result<(), StoreError>) -> T,
    ) -> Result<T, StoreError> {
        // Most of the work of the sync is done before anyone is held out.
        self.sync(self.end())?;
        let mut writer = self.writer.lock();
        self.check_broken()?;
        if writer.end > writer.first {
            self.rotate_locked(&mut writer)?;
        }
        let line = Lsn::new(writer.end);
        Ok(freeze(line, &mut |payload| {
            self.check_size(payload)?;
            self.append_locked(&mut writer, payload, crc32c::crc32c(payload))
                .map(drop)
        }))
    }

    fn rotate_locked(&self, writer: &mut Writer) -> Result<(), StoreError> {
        assert!(writer.end > writer.first, "an empty segment is not closed");
        let end = writer.end;
        if self.synced.load(Ordering::Acquire) < end {
            writer
                .file
                .sync_data()
                .map_err(|e| self.break_with(StoreError::io(&writer.name, "sync", 0, e)))?;
            let _group = self.group.lock();
            self.synced.fetch_max(end, Ordering::AcqRel);
            self.wake.notify_all();
        }
        match new_segment(self.disk.as_ref(), self.id, end) {
            Ok(file) => {
                writer.file = file;
                writer.name = segment_name(end);
                writer.first = end;
                writer.segments.push(end);
                self.segment_length.store(0, Ordering::Relaxed);
                Ok(())
            }
            Err(error @ StoreError::Full { .. }) => Err(error),
            Err(error) => Err(self.break_with(error)),
        }
    }

    /// Whether the current segment is more than half full. A background thread that then calls
    /// [`Log::rotate`] spares the appends the wait for the disk that comes with a full segment.
    #[must_use]
    pub fn wants_rotation(&self) -> bool {
        self.segment_length.load(Ordering::Relaxed) > self.limits.segment_bytes / 2
    }

    /// Removes the segments that lie wholly before `lsn`, never the current one. To be called
    /// when a manifest that says so is on disk. Returns how many were removed.
    ///
    /// # Errors
    /// `Io`; the log goes on, the segments are removed another time.
    pub fn drop_before(&self, lsn: Lsn) -> Result<u64, StoreError> {
        let mut writer = self.writer.lock();
        let mut removed = 0u64;
        while writer
            .segments
            .get(1)
            .is_some_and(|next| *next <= lsn.get())
        {
            let name = segment_name(writer.segments.first().copied().unwrap_or_default());
            match self.disk.remove(&name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StoreError::io(&name, "remove", 0, error));
                }
                _ => {}
            }
            writer.segments.remove(0);
            removed = removed.saturating_add(1);
        }
        drop(writer);
        if removed > 0 {
            self.disk
                .sync_dir()
                .map_err(|error| StoreError::io("", "sync", 0, error))?;
        }
        Ok(removed)
    }

    /// Syncs everything and leaves a mark that the end is a wanted one. The log may still be
    /// used; to be called last all the same.
    ///
    /// # Errors
    /// As [`Log::append`] and [`Log::sync`].
    pub fn close(&self) -> Result<(), StoreError> {
        self.sync(self.end())?;
        let end = {
            let mut writer = self.writer.lock();
            self.check_broken()?;
            self.append_locked(&mut writer, &[], crc32c::crc32c(&[]))?
        };
        self.sync(end)
    }

    /// The position after the last record.
    #[must_use]
    pub fn end(&self) -> Lsn {
        Lsn::new(self.writer.lock().end)
    }

    /// Everything before this position is on disk.
    #[must_use]
    pub fn synced(&self) -> Lsn {
        Lsn::new(self.synced.load(Ordering::Acquire))
    }

    /// Bytes of log that are kept, from the first segment to the end.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let writer = self.writer.lock();
        writer
            .end
            .saturating_sub(writer.segments.first().copied().unwrap_or(writer.end))
    }

    /// The number that this log's segments carry.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The bounds that this log was opened with.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Why the log refuses everything, if it does.
    #[must_use]
    pub fn broken(&self) -> Option<Arc<str>> {
        self.broken.get().cloned()
    }

    fn check_broken(&self) -> Result<(), StoreError> {
        match self.broken.get() {
            None => Ok(()),
            Some(reason) => Err(StoreError::Broken {
                reason: Arc::clone(reason),
            }),
        }
    }

    /// Refuses everything from now on. The first reason stays.
    fn break_with(&self, error: StoreError) -> StoreError {
        self.broken.get_or_init(|| error.to_string().into());
        error
    }

    /// Marks the log as broken because a file beside it failed: from now on every append and
    /// sync is refused with `reason`.
    pub fn poison(&self, reason: &str) {
        self.broken.get_or_init(|| reason.into());
        let _group = self.group.lock();
        self.wake.notify_all();
    }
}

impl Writer {
    /// Where in the file the next frame goes.
    fn offset(&self) -> u64 {
        self.end
            .saturating_sub(self.first)
            .saturating_add(wide(SEGMENT_HEADER_BYTES))
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Log")
            .field("id", &self.id)
            .field("synced", &self.synced)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

/// Makes the segment that begins at `first`: header, then sync, then the directory. On a full
/// disk nothing stays behind.
fn new_segment(disk: &dyn Disk, id: u64, first: u64) -> Result<Arc<dyn DiskFile>, StoreError> {
    let name = segment_name(first);
    let header = segment_header(id, first);
    let bytes = wide(header.len());
    let file = disk
        .create(&name)
        .map_err(|error| StoreError::write(&name, 0, bytes, error))?;
    if let Err(error) = write_all(file.as_ref(), 0, &header) {
        disk.remove(&name)
            .map_err(|error| StoreError::io(&name, "remove", 0, error))?;
        disk.sync_dir()
            .map_err(|error| StoreError::io(&name, "sync", 0, error))?;
        return Err(StoreError::write(&name, 0, bytes, error));
    }
    file.sync_data()
        .map_err(|error| StoreError::io(&name, "sync", 0, error))?;
    disk.sync_dir()
        .map_err(|error| StoreError::io(&name, "sync", 0, error))?;
    Ok(file)
}
