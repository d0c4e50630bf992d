//! Tables whose rows stay on disk: sled behind the engine's `Rows`.
//!
//! One sled database lies in the folder `rows` of the directory and is opened when the first
//! such table is; each table is a tree of it. sled is never the only holder of an acknowledged
//! write: the log keeps every record until [`SledRows::sync`] has made sled's files durable.
//!
//! Never here: what the bytes mean.

use std::fs::{self, File};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use magnesia_engine::TableError;
use magnesia_engine::rows::{Rows, Visit};
use parking_lot::{Mutex, RwLock};

/// Memory that sled may use to keep pages, in bytes.
pub const CACHE_BYTES: u64 = 256 << 20;

/// Where tables on disk have their rows.
pub struct SledRows {
    folder: PathBuf,
    db: Mutex<Option<sled::Db>>,
    /// The trees that were given out, to be taken back at the end.
    trees: Mutex<Vec<Weak<Tree>>>,
}

impl SledRows {
    /// Nothing is opened yet.
    #[must_use]
    pub fn in_dir(dir: &Path) -> Self {
        Self {
            folder: dir.join("rows"),
            db: Mutex::new(None),
            trees: Mutex::default(),
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

    /// The rows of the table with this number.
    ///
    /// # Errors
    /// When sled can't be opened.
    pub fn table(&self, id: u32) -> Result<Box<dyn Rows>, TableError> {
        let db = self.db()?;
        let tree = db
            .open_tree(name(id))
            .map_err(|error| failed(&self.folder, &error))?;
        let tree = Arc::new(Tree {
            tree: RwLock::new(Some(tree)),
            folder: self.folder.clone(),
        });
        let mut trees = self.trees.lock();
        trees.retain(|tree| tree.strong_count() > 0);
        trees.push(Arc::downgrade(&tree));
        Ok(Box::new(Handle(tree)))
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

    /// Removes the rows of the table with this number.
    ///
    /// # Errors
    /// When sled fails.
    pub fn remove(&self, id: u32) -> Result<(), TableError> {
        let db = self.db()?;
        db.drop_tree(name(id))
            .map_err(|error| failed(&self.folder, &error))?;
        Ok(())
    }

    /// Makes everything written so far survive a power cut.
    ///
    /// # Errors
    /// When sled or the disk fails.
    pub fn sync(&self) -> Result<(), TableError> {
        let Some(db) = self.db.lock().clone() else {
            return Ok(());
        };
        flush(&db, &self.folder)
    }
}

fn open(folder: &Path) -> sled::Result<sled::Db> {
    sled::Config::new()
        .path(folder)
        .cache_capacity(CACHE_BYTES)
        .flush_every_ms(None)
        .open()
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

fn sync_folder(folder: &Path) -> std::io::Result<()> {
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
    /// None once the database was closed.
    tree: RwLock<Option<sled::Tree>>,
    folder: PathBuf,
}

impl Tree {
    fn failed(&self, error: &sled::Error) -> TableError {
        failed(&self.folder, error)
    }

    fn with<R>(&self, f: impl FnOnce(&sled::Tree) -> sled::Result<R>) -> Result<R, TableError> {
        match self.tree.read().as_ref() {
            Some(tree) => f(tree).map_err(|error| self.failed(&error)),
            None => Err(failed(&self.folder, &"the database was closed")),
        }
    }
}

fn bytes(value: Option<sled::IVec>) -> Option<Vec<u8>> {
    value.map(|value| value.to_vec())
}

/// A tree as a table holds it.
struct Handle(Arc<Tree>);

impl Rows for Handle {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        self.0.with(|tree| tree.get(key)).map(bytes)
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        self.0.with(|tree| tree.insert(key, value)).map(bytes)
    }

    fn remove(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        self.0.with(|tree| tree.remove(key)).map(bytes)
    }

    fn range(
        &self,
        from: Bound<&[u8]>,
        is_up: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), TableError> {
        let mut each = |entry: sled::Result<(sled::IVec, sled::IVec)>| {
            let (key, value) = entry?;
            Ok::<_, sled::Error>(visit(&key, &value))
        };
        self.0.with(|tree| {
            if is_up {
                for entry in tree.range::<&[u8], _>((from, Bound::Unbounded)) {
                    if !each(entry)? {
                        break;
                    }
                }
            } else {
                for entry in tree.range::<&[u8], _>((Bound::Unbounded, from)).rev() {
                    if !each(entry)? {
                        break;
                    }
                }
            }
            Ok(())
        })
    }

    fn clear(&self) -> Result<(), TableError> {
        self.0.with(sled::Tree::clear)
    }

    fn disk_bytes(&self) -> u64 {
        let files = fs::read_dir(&self.0.folder).into_iter().flatten().flatten();
        files
            .filter_map(|file| file.metadata().ok())
            .map(|meta| meta.len())
            .sum()
    }

    fn sync(&self) -> Result<(), TableError> {
        self.0.with(|tree| tree.flush().map(drop))?;
        sync_folder(&self.0.folder).map_err(|error| failed(&self.0.folder, &error))
    }
}
