//! Every way the store can fail, with what to act on and what to do.
//!
//! Three families: the caller's mistake (`TooLarge`, `Empty`, `BadName`, `BadLimit`,
//! `NotWritten`, `Busy`, `Stopped`), the disk's fault (`Io`, `Full`, `Damaged`, `TooNew`,
//! `Broken`) and the state of the directory (`InUse`, `NoDirectory`). Errors are cheap to
//! clone, because one failed sync is told to everyone who waited for it.

use std::io;
use std::sync::Arc;

use thiserror::Error;

/// Why an operation of the store was not carried out.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused an operation.
    #[error("{file}: {operation} at byte {offset}: {error}; check the disk and the permissions")]
    Io {
        /// File within the database directory.
        file: String,
        /// What was being done: `"write"`, `"sync"`, `"rename"` …
        operation: &'static str,
        /// Where in the file, 0 where that has no meaning.
        offset: u64,
        /// The operating system's answer.
        #[source]
        error: Arc<io::Error>,
    },
    /// The disk has no room. Nothing was kept of what was to be written; it may be tried again
    /// when space has been made.
    #[error(
        "{file}: the disk is full at byte {offset} ({bytes} bytes to write); make room and retry"
    )]
    Full {
        /// File within the database directory.
        file: String,
        /// Length of the file before and after the attempt.
        offset: u64,
        /// How many bytes were to be written.
        bytes: u64,
    },
    /// A file does not hold what was written to it.
    #[error("{file}: damaged at byte {offset}: {kind}; restore the file, or export what is intact")]
    Damaged {
        /// File within the database directory.
        file: String,
        /// Offset of the frame or field that is wrong.
        offset: u64,
        /// What is wrong with it.
        kind: DamageKind,
    },
    /// A newer program wrote this file. Nothing was touched.
    #[error("{file}: format {version}, this program knows up to {known}; use a newer program")]
    TooNew {
        /// File within the database directory.
        file: String,
        /// The file's format version.
        version: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// An earlier write or sync failed, so what is on disk is not known to be what is in
    /// memory. Everything is refused until the log has been opened anew.
    #[error("the log refuses writes since {reason}; restart to recover from what is on disk")]
    Broken {
        /// The first failure.
        reason: Arc<str>,
    },
    /// A payload is over its bound.
    #[error("{what} of {bytes} bytes, at most {max} are allowed; split it or raise the limit")]
    TooLarge {
        /// `"record"`, `"block"`, `"snapshot meta"` or `"manifest"`.
        what: &'static str,
        /// Its length.
        bytes: u64,
        /// The bound.
        max: u64,
    },
    /// An empty record: nothing could be recovered from it.
    #[error("a log record must have at least one byte")]
    Empty,
    /// A sync was asked for a position that nothing has been written up to.
    #[error("position {lsn} was never written; the log ends at {end}")]
    NotWritten {
        /// What was asked for.
        lsn: u64,
        /// Where the log ends.
        end: u64,
    },
    /// Another process (or another handle in this one) owns the directory.
    #[error("{dir}: in use by process {pid} ({owner}); stop it, or choose another directory")]
    InUse {
        /// The database directory.
        dir: String,
        /// The owner's process id, 0 if it could not be read.
        pid: u32,
        /// How the owner described itself.
        owner: String,
    },
    /// The directory is not there.
    #[error("{dir}: no such directory; create the database first")]
    NoDirectory {
        /// The database directory.
        dir: String,
    },
    /// A file name with a slash, a zero byte, a leading dot, or of a bad length.
    #[error("{name:?} is not a plain file name")]
    BadName {
        /// The name.
        name: String,
    },
    /// A limit is zero or past its ceiling.
    #[error("limit {name} is {value}, must be 1 to {max}")]
    BadLimit {
        /// The field of `Limits`.
        name: &'static str,
        /// Its value.
        value: u64,
        /// Its ceiling.
        max: u64,
    },
    /// A queue of the keeper is full.
    #[error("{max} {queue} requests are waiting already; the disk does not keep up, retry later")]
    Busy {
        /// `"sync"` or `"job"`.
        queue: &'static str,
        /// The bound.
        max: usize,
    },
    /// The keeper has been stopped.
    #[error("the storage thread has been stopped")]
    Stopped,
}

/// What is wrong with a damaged file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DamageKind {
    /// The file ends before what it announces.
    #[error("the file ends too early")]
    Short,
    /// The file is longer than any file of its kind.
    #[error("the file is too long")]
    Long,
    /// The file, or the frame, does not begin as it must.
    #[error("not the expected first bytes")]
    Magic,
    /// A version that never was.
    #[error("an impossible format version")]
    Version,
    /// The checksum of a header does not match.
    #[error("header checksum mismatch")]
    HeaderChecksum,
    /// The checksum of a payload does not match.
    #[error("payload checksum mismatch")]
    PayloadChecksum,
    /// A field has a value that is never written.
    #[error("a field with an impossible value")]
    Field,
    /// The file belongs to another log or snapshot.
    #[error("the file belongs to another database")]
    Foreign,
    /// The header's position is not the one in the file's name.
    #[error("the file's name and its header disagree")]
    Misplaced,
    /// A segment is not there: the log has a gap from this position on.
    #[error("the log segment that begins at position {0} is missing")]
    MissingSegment(u64),
    /// The log ends before a position that was known to be on disk.
    #[error("the log must reach position {0} and ends before it")]
    EndsBefore(u64),
    /// Recovery was asked to begin in the middle of a record.
    #[error("position {0} is not the beginning of a record")]
    NotABoundary(u64),
    /// There are log records, but no manifest says what they are.
    #[error("log records without a manifest")]
    NoManifest,
    /// A block, or the end mark, is missing or not where it belongs.
    #[error("a block is missing or out of order")]
    Order,
    /// The end mark does not agree with what came before it.
    #[error("the end mark does not agree with the blocks")]
    Totals,
    /// Bytes after the end.
    #[error("bytes after the end")]
    Trailing,
    /// A file that the manifest names is not there.
    #[error("the file is missing")]
    Missing,
}

impl StoreError {
    pub(crate) fn io(file: &str, operation: &'static str, offset: u64, error: io::Error) -> Self {
        Self::Io {
            file: file.to_owned(),
            operation,
            offset,
            error: Arc::new(error),
        }
    }

    pub(crate) fn damaged(file: &str, offset: u64, kind: DamageKind) -> Self {
        Self::Damaged {
            file: file.to_owned(),
            offset,
            kind,
        }
    }

    /// A failed write: `Full` when the disk has no room, `Io` otherwise.
    pub(crate) fn write(file: &str, offset: u64, bytes: u64, error: io::Error) -> Self {
        if is_full(&error) {
            Self::Full {
                file: file.to_owned(),
                offset,
                bytes,
            }
        } else {
            Self::io(file, "write", offset, error)
        }
    }
}

/// Whether the operating system said that there is no room (or that a quota is used up, or that
/// the process may not make a file so large).
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
