//! Tables whose rows stay on disk: sled behind the engine's `Rows`.
//!
//! One sled database lies in the folder `rows` of the directory and is opened when the first
//! such table is; each table is a tree of it. sled is never the only holder of an acknowledged
//! write: the log keeps every record until [`SledRows::sync`] has made sled's files durable.
//! Nor is it ever ahead of the log: writes are held in memory until [`SledRows::settle`] has
//! synced the log, and only then given to sled.
//!
//! Never here: what the bytes mean.

use std::fs::{self, File};
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use magnesia_engine::TableError;
use magnesia_engine::rows::{Rows, Visit};
use magnesia_store::{Log, StoreError};
use parking_lot::{Mutex, RwLock};

use crate::held::Held;

/// Memory that sled may use to keep pages, in bytes.
pub const CACHE_BYTES: u64 = 256 << 20;

/// How long what was closed may take to end.
const ENDING_MAX: Duration = Duration::from_secs(10);

/// Where tables on disk have their rows.
pub struct SledRows {
    folder: PathBuf,
    db: Mutex<Option<sled::Db>>,
    /// The trees that were given out, to be taken back at the end.
    trees: Mutex<Vec<Weak<Tree>>>,
    /// Bytes of all writes that are held.
    held: Arc<AtomicUsize>,
    /// Held while writes move on into sled.
    settling: Mutex<()>,
}

impl SledRows {
    /// Nothing is opened yet.
    #[must_use]
    pub fn in_dir(dir: &Path) -> Self {
        Self {
            folder: dir.join("rows"),
            db: Mutex::new(None),
            trees: Mutex::default(),
            held: Arc::default(),
            settling: Mutex::default(),
        }
    }

    fn db(&self) -> Result<sled::Db, TableError> {
        let mut held = self.db.lock();
        if let Some(db) = held.as_ref() {
            return Ok(db.clone());
        }
        let db = open(&self.folder).map_err(|error| failed(&self.folder, &error))?;
        *held = Some(db.clone());
        Ok(db)
    }

    /// The rows of the table with this number. Writes go to sled at once: right for rows whose
    /// records are on disk, and for a table that no manifest names yet.
    ///
    /// # Errors
    /// When sled can't be opened.
    pub fn table(&self, id: u32) -> Result<Box<dyn Rows>, TableError> {
        let db = self.db()?;
        let tree = db
            .open_tree(name(id))
            .map_err(|error| failed(&self.folder, &error))?;
        let tree = Arc::new(Tree {
            id,
            tree: RwLock::new(Some(tree)),
            held: Held::new(Arc::clone(&self.held)),
            folder: self.folder.clone(),
        });
        let mut trees = self.trees.lock();
        trees.retain(|tree| tree.strong_count() > 0);
        trees.push(Arc::downgrade(&tree));
        Ok(Box::new(Handle(tree)))
    }

    /// From now on, writes to the table with this number wait for their records.
    pub fn hold_back(&self, id: u32) {
        for tree in self.given().iter().filter(|tree| tree.id == id) {
            tree.held.begin();
        }
    }

    /// Bytes of writes that wait for their records.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    fn given(&self) -> Vec<Arc<Tree>> {
        self.trees.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// Gives sled the writes that were held so far, when the log has been synced up to them.
    ///
    /// # Errors
    /// When the log, sled or the disk fails; what sled has not got is held still.
    pub fn settle(&self, log: &Log) -> Result<(), TableError> {
        let settling = self.settling.lock();
        let mut trees = self.given();
        trees.retain(|tree| tree.held.freeze());
        if trees.is_empty() {
            return Ok(());
        }
        // A write is held after its record was appended, so the end is not before any of them.
        log.sync(log.end())
            .map_err(|error: StoreError| failed(&self.folder, &error))?;
        for tree in trees {
            tree.settle()?;
        }
        drop(settling);
        Ok(())
    }

    /// Takes back all trees and lets go of sled, so that the directory may be opened again at
    /// once: whoever still holds a table is refused from now on.
    pub fn close(&self) {
        for tree in self.trees.lock().drain(..) {
            if let Some(tree) = tree.upgrade() {
                drop(tree.tree.write().take());
            }
        }
        drop(self.db.lock().take());
    }

    /// Removes the rows of the table with this number; whoever still holds it is refused.
    ///
    /// # Errors
    /// When sled fails.
    pub fn remove(&self, id: u32) -> Result<(), TableError> {
        let db = self.db()?;
        for tree in self.given().iter().filter(|tree| tree.id == id) {
            drop(tree.tree.write().take());
        }
        db.drop_tree(name(id))
            .map_err(|error| failed(&self.folder, &error))?;
        Ok(())
    }

    /// Makes everything written so far survive a power cut, the log first.
    ///
    /// # Errors
    /// When the log, sled or the disk fails.
    pub fn sync(&self, log: &Log) -> Result<(), TableError> {
        self.settle(log)?;
        let Some(db) = self.db.lock().clone() else {
            return Ok(());
        };
        flush(&db, &self.folder)
    }
}

/// Opens sled. A database has its directory alone, so what has sled's lock is what an earlier
/// one of this process has not let go of: a write under way, sled's own threads.
fn open(folder: &Path) -> sled::Result<sled::Db> {
    let config = sled::Config::new()
        .path(folder)
        .cache_capacity(CACHE_BYTES)
        .flush_every_ms(None);
    let deadline = Instant::now() + ENDING_MAX;
    loop {
        match config.open() {
            Err(sled::Error::Io(error)) if is_locked(&error) && Instant::now() < deadline => {
                thread::park_timeout(Duration::from_millis(5));
            }
            opened => return opened,
        }
    }
}

/// Sled gives its lock's error no kind of its own.
fn is_locked(error: &io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

fn name(id: u32) -> [u8; 4] {
    id.to_be_bytes()
}

fn failed(folder: &Path, error: &dyn std::fmt::Display) -> TableError {
    TableError::Storage {
        reason: format!("{}: {error}", folder.display()),
    }
}

/// sled's own flush returns before the bytes are on the disk, so its files are synced besides.
fn flush(db: &sled::Db, folder: &Path) -> Result<(), TableError> {
    db.flush().map_err(|error| failed(folder, &error))?;
    sync_folder(folder).map_err(|error| failed(folder, &error))
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                File::open(entry.path())?.sync_all()?;
            }
        }
        File::open(&folder)?.sync_all()?;
    }
    Ok(())
}

struct Tree {
    id: u32,
    /// None once the database was closed, or the table deleted.
    tree: RwLock<Option<sled::Tree>>,
    held: Held,
    folder: PathBuf,
}

impl Tree {
    fn failed(&self, error: &sled::Error) -> TableError {
        failed(&self.folder, error)
    }

    fn with<R>(&self, f: impl FnOnce(&sled::Tree) -> sled::Result<R>) -> Result<R, TableError> {
        match self.tree.read().as_ref() {
            Some(tree) => f(tree).map_err(|error| self.failed(&error)),
            None => Err(failed(&self.folder, &"the table was closed")),
        }
    }

    /// Gives sled the old layer of writes. A table that is gone has no use for them.
    fn settle(&self) -> Result<(), TableError> {
        let old = self.held.old();
        if let Some(tree) = self.tree.read().as_ref() {
            let given = || {
                if old.is_cleared {
                    tree.clear()?;
                }
                for (key, value) in &old.entries {
                    match value {
                        Some(value) => tree.insert(key, value.as_slice())?,
                        None => tree.remove(key)?,
                    };
                }
                Ok(())
            };
            given().map_err(|error| self.failed(&error))?;
        }
        drop(old);
        self.held.release();
        Ok(())
    }
}

/// A tree as a table holds it.
struct Handle(Arc<Tree>);

impl Rows for Handle {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        self.0.with(|tree| match self.0.held.get(key) {
            Some(value) => Ok(value),
            None => Ok(tree.get(key)?.map(|value| value.to_vec())),
        })
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), TableError> {
        self.0.with(|tree| {
            if !self.0.held.put(key, Some(value)) {
                tree.insert(key, value)?;
            }
            Ok(())
        })
    }

    fn remove(&self, key: &[u8]) -> Result<(), TableError> {
        self.0.with(|tree| {
            if !self.0.held.put(key, None) {
                tree.remove(key)?;
            }
            Ok(())
        })
    }

    fn range(
        &self,
        from: Bound<&[u8]>,
        is_up: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), TableError> {
        let steady = self.0.held.steady();
        let visited = self.0.with(|tree| {
            if is_up {
                let below = tree.range::<&[u8], _>((from, Bound::Unbounded));
                merge(&self.0.held, below, from, is_up, visit)
            } else {
                let below = tree.range::<&[u8], _>((Bound::Unbounded, from)).rev();
                merge(&self.0.held, below, from, is_up, visit)
            }
        });
        drop(steady);
        visited
    }

    fn clear(&self) -> Result<(), TableError> {
        self.0.with(|tree| {
            if self.0.held.clear() {
                Ok(())
            } else {
                tree.clear()
            }
        })
    }

    fn disk_bytes(&self) -> u64 {
        let files = fs::read_dir(&self.0.folder).into_iter().flatten().flatten();
        files
            .filter_map(|file| file.metadata().ok())
            .map(|meta| meta.len())
            .sum()
    }
}

/// Visits the entries of sled and those held above it, in the order of their keys.
fn merge(
    held: &Held,
    below: impl Iterator<Item = sled::Result<(sled::IVec, sled::IVec)>>,
    from: Bound<&[u8]>,
    is_up: bool,
    visit: &mut Visit<'_>,
) -> sled::Result<()> {
    let mut below = below.peekable();
    let mut from = from.map(<[u8]>::to_vec);
    loop {
        let next = held.next(from.as_ref().map(Vec::as_slice), is_up);
        let peeked = if next.hides_below { None } else { below.peek() };
        let is_below = match (peeked, &next.entry) {
            (None, None) => return Ok(()),
            (None, Some(_)) => false,
            (Some(Err(_)), _) | (Some(Ok(_)), None) => true,
            (Some(Ok((key, _))), Some((above, _))) => {
                let order = key.as_ref().cmp(above.as_slice());
                if order.is_eq() {
                    below.next();
                    false
                } else {
                    order.is_lt() == is_up
                }
            }
        };
        if is_below {
            let Some(entry) = below.next() else {
                return Ok(());
            };
            let (key, value) = entry?;
            if !visit(&key, &value) {
                return Ok(());
            }
            from = Bound::Excluded(key.to_vec());
        } else if let Some((key, value)) = next.entry {
            if value.is_some_and(|value| !visit(&key, &value)) {
                return Ok(());
            }
            from = Bound::Excluded(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use magnesia_store::Limits;
    use magnesia_store::sim::{Random, SimDisk};

    use super::*;

    type Entries = Vec<(Vec<u8>, Vec<u8>)>;

    #[test]
    fn what_was_closed_is_waited_for() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let rows = SledRows::in_dir(dir.path());
        let before = open(&rows.folder).expect("a good disk");
        let ending = thread::spawn(move || {
            thread::park_timeout(Duration::from_millis(200));
            drop(before);
        });
        assert!(rows.table(1).is_ok());
        ending.join().expect("it only sleeps");
    }

    fn seen(rows: &dyn Rows, from: Bound<&[u8]>, is_up: bool, most: usize) -> Entries {
        let mut found = Entries::new();
        let visited = rows.range(from, is_up, &mut |key, value| {
            found.push((key.to_vec(), value.to_vec()));
            found.len() < most
        });
        visited.expect("a good disk");
        found
    }

    fn wanted(
        model: &BTreeMap<Vec<u8>, Vec<u8>>,
        from: Bound<&[u8]>,
        is_up: bool,
        most: usize,
    ) -> Entries {
        let owned = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        if is_up {
            let range = model.range::<[u8], _>((from, Bound::Unbounded));
            range.take(most).map(owned).collect()
        } else {
            let range = model.range::<[u8], _>((Bound::Unbounded, from));
            range.rev().take(most).map(owned).collect()
        }
    }

    /// Any order of writes, of layers moving on and of reads shows what a plain map does.
    #[test]
    fn held_writes_read_as_if_they_were_in_sled() {
        let seed = std::env::var("MAGNESIA_SEED").map_or(Ok(1), |seed| seed.parse());
        let seed: u64 = seed.expect("a number");
        println!("repeat: MAGNESIA_SEED={seed} cargo test -p magnesia-database held_writes");
        let mut random = Random::new(seed);
        let dir = tempfile::tempdir().expect("a temporary directory");
        let sled = SledRows::in_dir(dir.path());
        let rows = sled.table(1).expect("a good disk");
        let disk = Arc::new(SimDisk::new(seed));
        let log = Log::create(disk, 1, Limits::default()).expect("an empty disk");
        let mut model = BTreeMap::new();
        for number in 0..6_000u64 {
            if number == 200 {
                sled.hold_back(1);
            }
            let key = vec![b'k'; random.below_length(4) + 1];
            let key = [key.as_slice(), &[random.below_length(5) as u8]].concat();
            match random.below(100) {
                0 => {
                    rows.clear().expect("a good disk");
                    model.clear();
                }
                1..=40 => {
                    let value = number.to_le_bytes().to_vec();
                    rows.put(&key, &value).expect("a good disk");
                    model.insert(key, value);
                }
                41..=60 => {
                    rows.remove(&key).expect("a good disk");
                    model.remove(&key);
                }
                61..=64 => sled.settle(&log).expect("a good disk"),
                65..=68 => {
                    sled.given().iter().for_each(|tree| {
                        tree.held.freeze();
                    });
                }
                69..=80 => {
                    let found = rows.get(&key).expect("a good disk");
                    assert_eq!(found.as_ref(), model.get(&key), "seed {seed}, {number}");
                }
                _ => {
                    let from = match random.below(3) {
                        0 => Bound::Unbounded,
                        1 => Bound::Included(key.as_slice()),
                        _ => Bound::Excluded(key.as_slice()),
                    };
                    let (is_up, most) = (random.percent(50), random.below_length(9) + 1);
                    let found = seen(&*rows, from, is_up, most);
                    let wanted = wanted(&model, from, is_up, most);
                    assert_eq!(found, wanted, "seed {seed}, {number}");
                }
            }
        }
        sled.settle(&log).expect("a good disk");
        sled.settle(&log).expect("a good disk");
        assert_eq!(sled.held_bytes(), 0);
    }
}
