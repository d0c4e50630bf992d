//! A disk in memory that behaves as badly as a real one may.
//!
//! It sees what is written at once, as the operating system's page cache does, and keeps a
//! journal of all that was done to it. [`SimDisk::crash`] makes from any point of that journal
//! a disk as a power cut at that point may have left it. Faults can be planned for the nth
//! operation of a kind. All chance comes from seeds: the same calls give the same disk.
//!
//! For tests of this crate and of those above it. Never used by the product itself.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::disk::{Disk, DiskFile, is_plain_name};
use crate::size::{narrow, wide};

mod platter;
mod random;
mod watched;

pub use platter::Image;
use platter::{Op, Platter};
pub use random::Random;
pub use watched::{Pass, Watched, Watcher};

/// Kinds of operation that a fault can be planned for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OpKind {
    /// Creating a file.
    Create,
    /// Opening a file.
    Open,
    /// Asking for a file's length.
    Size,
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Cutting a file.
    Truncate,
    /// Syncing a file.
    Sync,
    /// Renaming a file.
    Rename,
    /// Removing a file.
    Remove,
    /// Listing the directory.
    List,
    /// Syncing the directory.
    SyncDir,
}

impl OpKind {
    /// All kinds.
    pub const ALL: [Self; 11] = [
        Self::Create,
        Self::Open,
        Self::Size,
        Self::Read,
        Self::Write,
        Self::Truncate,
        Self::Sync,
        Self::Rename,
        Self::Remove,
        Self::List,
        Self::SyncDir,
    ];
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An input/output error. A write has written a part; a sync has lost, for good and
    /// unseen, some of what it should have put on disk.
    Io,
    /// No room. A write has written a part.
    Full,
    /// A write writes this many bytes and says so.
    Short(usize),
}

/// A disk in memory. Cloning gives another handle to the same disk.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

struct State {
    /// What was on the platter at the beginning.
    base: BTreeMap<String, Vec<u8>>,
    /// What a program sees: names, and contents by number.
    names: BTreeMap<String, usize>,
    files: Vec<Vec<u8>>,
    journal: Vec<Op>,
    counts: BTreeMap<OpKind, u64>,
    planned: Vec<(OpKind, u64, Fault)>,
    capacity: Option<u64>,
    random: Random,
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_files(BTreeMap::new(), seed)
    }

    /// A disk with these files, all of them durable.
    #[must_use]
    pub fn with_files(files: BTreeMap<String, Vec<u8>>, seed: u64) -> Self {
        let names = files.keys().cloned().zip(0..).collect();
        let state = State {
            names,
            files: files.values().cloned().collect(),
            base: files,
            journal: Vec::new(),
            counts: BTreeMap::new(),
            planned: Vec::new(),
            capacity: None,
            random: Random::new(seed),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// All files as a program sees them now.
    #[must_use]
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.state.lock();
        let content = |number: &usize| state.files.get(*number).cloned().unwrap_or_default();
        state
            .names
            .iter()
            .map(|(name, number)| (name.clone(), content(number)))
            .collect()
    }

    /// How many operations have changed, or tried to change, the disk.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.state.lock().journal.len()
    }

    /// How many operations of one kind there have been.
    #[must_use]
    pub fn count(&self, kind: OpKind) -> u64 {
        self.state
            .lock()
            .counts
            .get(&kind)
            .copied()
            .unwrap_or_default()
    }

    /// Plans a fault for the `nth` operation of a kind from now on, 0 being the next.
    pub fn plan(&self, kind: OpKind, nth: u64, fault: Fault) {
        let mut state = self.state.lock();
        let done = state.counts.get(&kind).copied().unwrap_or_default();
        state.planned.push((kind, done.saturating_add(nth), fault));
    }

    /// Leaves room for so many bytes more, or removes the bound.
    pub fn set_room(&self, bytes: Option<u64>) {
        let mut state = self.state.lock();
        state.capacity = bytes.map(|bytes| state.used().saturating_add(bytes));
    }

    /// A disk as a power cut after the first `operations` operations may have left it.
    #[must_use]
    pub fn crash(&self, operations: usize, image: Image, seed: u64) -> Self {
        let state = self.state.lock();
        let mut platter = Platter::new(&state.base);
        for op in state.journal.iter().take(operations) {
            platter.step(op);
        }
        Self::with_files(platter.image(image, &mut Random::new(seed)), seed)
    }
}

impl State {
    fn used(&self) -> u64 {
        let sizes = self
            .names
            .values()
            .filter_map(|number| self.files.get(*number));
        sizes
            .map(|file| wide(file.len()))
            .fold(0, u64::saturating_add)
    }

    /// Counts an operation and takes the fault that was planned for it.
    fn begin(&mut self, kind: OpKind) -> Option<Fault> {
        let count = self.counts.entry(kind).or_default();
        let now = *count;
        *count = now.saturating_add(1);
        let at = self
            .planned
            .iter()
            .position(|(k, n, _)| *k == kind && *n == now)?;
        Some(self.planned.swap_remove(at).2)
    }

    /// Begins an operation that is refused whole when a fault is planned.
    fn simple(&mut self, kind: OpKind) -> io::Result<()> {
        match self.begin(kind) {
            None | Some(Fault::Short(_)) => Ok(()),
            Some(fault) => {
                self.journal.push(Op::Nothing);
                Err(error(fault))
            }
        }
    }

    fn number(&self, name: &str) -> io::Result<usize> {
        self.names
            .get(name)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn write(&mut self, number: usize, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let fault = self.begin(OpKind::Write);
        let half = bytes.len() / 2;
        let (length, result) = match fault {
            Some(Fault::Short(length)) => (length.min(bytes.len()), None),
            Some(fault) => (half, Some(error(fault))),
            None => self.fitting(number, offset, bytes.len()),
        };
        let written = bytes.get(..length).unwrap_or_default();
        if let Some(file) = self.files.get_mut(number) {
            platter::overwrite(file, offset, written);
        }
        self.journal.push(Op::Write {
            number,
            offset,
            bytes: written.to_vec(),
        });
        result.map_or(Ok(length), Err)
    }

    /// How much of a write there is room for; an error when there is none at all.
    fn fitting(&self, number: usize, offset: u64, length: usize) -> (usize, Option<io::Error>) {
        let Some(capacity) = self.capacity else {
            return (length, None);
        };
        let size = self.files.get(number).map_or(0, |file| wide(file.len()));
        let room = capacity.saturating_sub(self.used());
        let free = narrow(size.saturating_add(room).saturating_sub(offset));
        if free == 0 && length > 0 {
            return (0, Some(error(Fault::Full)));
        }
        (length.min(free), None)
    }

    fn sync(&mut self, number: usize) -> io::Result<()> {
        let failed = matches!(self.begin(OpKind::Sync), Some(Fault::Io | Fault::Full));
        let lost = failed.then(|| self.random.next());
        self.journal.push(Op::Sync { number, lost });
        if failed {
            Err(error(Fault::Io))
        } else {
            Ok(())
        }
    }
}

fn error(fault: Fault) -> io::Error {
    match fault {
        Fault::Full => io::ErrorKind::StorageFull.into(),
        _ => io::Error::other("simulated input/output error"),
    }
}

impl Disk for SimDisk {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.simple(OpKind::Create)?;
        if !is_plain_name(name) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let number = state.files.len();
        state.files.push(Vec::new());
        state.names.insert(name.to_owned(), number);
        state.journal.push(Op::Create {
            name: name.to_owned(),
        });
        Ok(Arc::new(SimFile {
            state: Arc::clone(&self.state),
            number,
        }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.simple(OpKind::Open)?;
        let number = state.number(name)?;
        Ok(Arc::new(SimFile {
            state: Arc::clone(&self.state),
            number,
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.simple(OpKind::Rename)?;
        let number = state.number(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), number);
        state.journal.push(Op::Rename {
            number,
            from: from.to_owned(),
            to: to.to_owned(),
        });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.simple(OpKind::Remove)?;
        let number = state.number(name)?;
        state.names.remove(name);
        state.journal.push(Op::Remove {
            number,
            name: name.to_owned(),
        });
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut state = self.state.lock();
        state.simple(OpKind::List)?;
        Ok(state.names.keys().cloned().collect())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.simple(OpKind::SyncDir)?;
        state.journal.push(Op::SyncDir);
        Ok(())
    }
}

struct SimFile {
    state: Arc<Mutex<State>>,
    number: usize,
}

impl DiskFile for SimFile {
    fn size(&self) -> io::Result<u64> {
        let mut state = self.state.lock();
        state.simple(OpKind::Size)?;
        Ok(state
            .files
            .get(self.number)
            .map_or(0, |file| wide(file.len())))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state.lock();
        state.simple(OpKind::Read)?;
        let file = state.files.get(self.number).map_or(&[][..], Vec::as_slice);
        let rest = file.get(narrow(offset)..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        let (from, to) = (rest.get(..length), buffer.get_mut(..length));
        if let (Some(from), Some(to)) = (from, to) {
            to.copy_from_slice(from);
        }
        Ok(length)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.state.lock().write(self.number, offset, bytes)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.simple(OpKind::Truncate)?;
        if let Some(file) = state.files.get_mut(self.number) {
            file.resize(narrow(length), 0);
        }
        let number = self.number;
        state.journal.push(Op::Truncate { number, length });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.state.lock().sync(self.number)
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        out.debug_struct("SimDisk")
            .field("names", &state.names.keys())
            .field("operations", &state.journal.len())
            .finish_non_exhaustive()
    }
}
