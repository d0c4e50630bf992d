//! Creating, opening and recovering a directory.
//!
//! Opening takes the directory's lock, reads the manifest, loads each table's snapshot on a few
//! threads, replays the log over them and only then lets writes in. What is damaged is named
//! and nothing is changed; a record that a crash cut off at the very end is cut off silently.
//!
//! Never here: repair. Salvage reads what is intact into a new database.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use magnesia_engine::apply::{Op, apply_op};
use magnesia_engine::commit::replay;
use magnesia_engine::engine::Published;
use magnesia_engine::locks::Wake;
use magnesia_engine::schema::{Definition, Kind, Storage};
use magnesia_engine::table::Body;
use magnesia_engine::table::load::Bulk;
use magnesia_engine::{Table, TableError};
use magnesia_store::{
    Disk, Keeper, Limits, LockFile, Log, Lsn, Manifest, RealDisk, SnapshotEntry, SnapshotReader,
};
use parking_lot::Mutex;

use crate::catalog::{Catalog, Entry};
use crate::database::{Database, Durable, Schema};
use crate::dump::read_block;
use crate::error::DatabaseError;
use crate::rows_sled::SledRows;

/// Bytes of log before a new segment is begun on the writer's own time; dumps come earlier.
const SEGMENT_BYTES: u64 = 256 << 20;
/// Threads that load a table, at most.
pub(crate) const LOADERS_MAX: usize = 4;

pub(crate) fn limits() -> Limits {
    Limits {
        segment_bytes: SEGMENT_BYTES,
        ..Limits::default()
    }
}

/// Whether a directory holds a database.
///
/// # Errors
/// When it can't be told: the manifest is damaged, or newer than this release.
pub fn has_database(dir: &Path) -> Result<bool, DatabaseError> {
    if !dir.is_dir() {
        return Ok(false);
    }
    let disk = RealDisk::open(dir)?;
    Ok(Manifest::load(&disk, &limits())?.is_some())
}

/// Makes an empty database in a directory, and the directory where needed.
///
/// # Errors
/// [`DatabaseError::Exists`]; when the disk fails.
pub fn create(dir: &Path, owner: &str) -> Result<(), DatabaseError> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::create(dir)?);
    let lock = LockFile::acquire(dir, owner)?;
    if Manifest::load(&*disk, &limits())?.is_some() {
        return Err(DatabaseError::Exists);
    }
    create_in(&disk)?;
    drop(lock);
    Ok(())
}

/// Makes an empty log and a manifest that names it, on any disk.
///
/// # Errors
/// When there are records already; when the disk fails.
#[doc(hidden)]
pub fn create_in(disk: &Arc<dyn Disk>) -> Result<(u64, Log), DatabaseError> {
    let log_id = fastrand::u64(1..);
    let log = Log::create(Arc::clone(disk), log_id, limits())?;
    let manifest = Manifest {
        log_id,
        log_start: Lsn::START,
        snapshots: Vec::new(),
        payload: Catalog::default().encode(),
    };
    manifest.store(&**disk, &limits())?;
    Ok((log_id, log))
}

/// Removes a database's own files from a directory, and the directory when it is empty then.
///
/// # Errors
/// When another process has it open; when the disk fails.
pub fn destroy(dir: &Path, owner: &str) -> Result<(), DatabaseError> {
    if !dir.is_dir() {
        return Ok(());
    }
    let disk = RealDisk::open(dir)?;
    let lock = LockFile::acquire(dir, owner)?;
    let failed = |error: std::io::Error| {
        DatabaseError::from(TableError::Storage {
            reason: format!("{}: {error}", dir.display()),
        })
    };
    for name in disk.list().map_err(failed)? {
        // The manifest goes first, so that half a removal is no database at all.
        let is_ours = ["MANIFEST", "LOCK"].contains(&name.as_str())
            || [".mlog", ".msnap", ".tmp"]
                .iter()
                .any(|ending| name.ends_with(ending));
        if is_ours {
            disk.remove(&name).map_err(failed)?;
        }
    }
    let rows = dir.join("rows");
    if rows.is_dir() {
        std::fs::remove_dir_all(&rows).map_err(failed)?;
    }
    drop(lock);
    // Not empty: somebody keeps other things there.
    drop(std::fs::remove_dir(dir));
    Ok(())
}

/// Opens the database of a directory.
///
/// # Errors
/// [`DatabaseError::NoDatabase`]; when another process has it open, when a file is damaged or
/// newer than this release (nothing is changed then), when the disk fails.
pub fn open(
    dir: &Path,
    owner: &str,
    wake: Arc<dyn Wake>,
    published: Published,
) -> Result<Arc<Database>, DatabaseError> {
    let no_database = || DatabaseError::NoDatabase {
        dir: dir.display().to_string(),
    };
    if !dir.is_dir() {
        return Err(no_database());
    }
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(dir)?);
    let lock = LockFile::acquire(dir, owner)?;
    let manifest = Manifest::load(&*disk, &limits())?.ok_or_else(no_database)?;
    open_in(dir, disk, Some(lock), &manifest, wake, published)
}

/// Opens what a manifest names on any disk; rows of tables on disk are under `dir`.
///
/// # Errors
/// As [`open`].
#[doc(hidden)]
pub fn open_in(
    dir: &Path,
    disk: Arc<dyn Disk>,
    lock: Option<LockFile>,
    manifest: &Manifest,
    wake: Arc<dyn Wake>,
    published: Published,
) -> Result<Arc<Database>, DatabaseError> {
    let catalog = Catalog::decode(&manifest.payload)?;
    manifest.sweep(&*disk)?;
    let sled = SledRows::in_dir(dir);
    let tables = load_tables(&*disk, &sled, &catalog, &manifest.snapshots)?;
    let (log, _) = Log::open(
        Arc::clone(&disk),
        manifest.log_id,
        manifest.log_start,
        limits(),
        |lsn, record| replay_record(&tables, lsn, record),
    )?;
    tables.keys().for_each(|&id| sled.hold_back(id));
    let durable = durable_of(dir, disk, lock, manifest.log_id, log, sled)?;
    let database = Database::in_memory(wake, published);
    for loaded in tables.values() {
        database.engine().put_table(Arc::clone(&loaded.table));
    }
    *database.schema.lock() = Schema {
        catalog,
        snapshots: manifest.snapshots.clone(),
        log_start: manifest.log_start,
    };
    database.durable.store(Some(Arc::new(durable)));
    Ok(database)
}

fn durable_of(
    dir: &Path,
    disk: Arc<dyn Disk>,
    lock: Option<LockFile>,
    log_id: u64,
    log: Log,
    sled: SledRows,
) -> Result<Durable, DatabaseError> {
    let log = Arc::new(log);
    let keeper = Keeper::start(Arc::clone(&log))?;
    Ok(Durable {
        dir: dir.to_path_buf(),
        disk,
        limits: limits(),
        keeper,
        sled,
        log_id,
        undumped: AtomicU64::new(log.bytes()),
        is_dumping: AtomicBool::new(false),
        is_settling: AtomicBool::new(false),
        log,
        _lock: lock,
    })
}

impl Database {
    /// Gives a database in memory a directory: from now on it is kept there.
    ///
    /// # Errors
    /// [`DatabaseError::Exists`] when the directory holds a database, or this one has a
    /// directory already; when the disk fails.
    pub fn attach(&self, dir: &Path, owner: &str) -> Result<(), DatabaseError> {
        if self.durable.load().is_some() {
            return Err(DatabaseError::Exists);
        }
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::create(dir)?);
        let lock = LockFile::acquire(dir, owner)?;
        if Manifest::load(&*disk, &limits())?.is_some() {
            return Err(DatabaseError::Exists);
        }
        let (log_id, log) = create_in(&disk)?;
        let durable = durable_of(dir, disk, Some(lock), log_id, log, SledRows::in_dir(dir))?;
        let mut schema = self.schema.lock();
        schema.publish(&durable, Lsn::START, Vec::new(), |_| Ok(()))?;
        self.durable.store(Some(Arc::new(durable)));
        Ok(())
    }
}

impl Database {
    /// Makes a database with a directory one in memory again and removes its files.
    ///
    /// # Errors
    /// [`DatabaseError::Exists`] while there are durable tables; when the disk fails.
    pub fn detach(&self) -> Result<(), DatabaseError> {
        let tables = self.engine().tables();
        if tables
            .values()
            .any(|table| table.definition().storage.is_durable())
        {
            return Err(DatabaseError::Exists);
        }
        let Some(dir) = self.dir() else { return Ok(()) };
        self.close()?;
        let mut schema = self.schema.lock();
        schema.snapshots.clear();
        schema.log_start = Lsn::START;
        drop(schema);
        destroy(&dir, "a database that is being detached")
    }
}

struct Loaded {
    table: Arc<Table>,
    /// Records up to here are in the snapshot.
    lsn: Lsn,
}

type LoadedTables = std::collections::HashMap<u32, Loaded>;

fn load_tables(
    disk: &dyn Disk,
    sled: &SledRows,
    catalog: &Catalog,
    snapshots: &[SnapshotEntry],
) -> Result<LoadedTables, DatabaseError> {
    let mut tables = LoadedTables::new();
    for entry in &catalog.tables {
        let body = Arc::new(body_of(&entry.definition, entry.id, sled)?);
        for &position in &entry.definition.indexes {
            body.add_index(position)?;
        }
        let snapshot = snapshots
            .iter()
            .find(|snapshot| Some(snapshot.id) == entry.snapshot);
        if let Some(snapshot) = snapshot {
            // A bag's rows of one key come back in the order in which they were written.
            let threads = if entry.definition.kind == Kind::Bag {
                1
            } else {
                LOADERS_MAX
            };
            load(disk, snapshot, &body, threads)?;
        }
        let lsn = snapshot.map_or(Lsn::START, |snapshot| snapshot.lsn);
        let table = Arc::new(Table::new(entry.id, entry.definition.clone(), body));
        tables.insert(entry.id, Loaded { table, lsn });
    }
    Ok(tables)
}

/// An empty body, or the rows on disk, for a definition.
pub(crate) fn body_of(
    definition: &Definition,
    id: u32,
    sled: &SledRows,
) -> Result<Body, TableError> {
    if definition.storage == Storage::DiscOnly {
        Body::on_disk(definition.kind, sled.table(id)?)
    } else {
        Ok(Body::in_memory(definition.kind))
    }
}

/// Loads a snapshot into an empty body, several blocks at a time.
pub(crate) fn load(
    disk: &dyn Disk,
    snapshot: &SnapshotEntry,
    body: &Body,
    threads_max: usize,
) -> Result<(), DatabaseError> {
    let reader = SnapshotReader::open(disk, &snapshot.name, snapshot.id)?;
    let blocks = Mutex::new(reader.blocks());
    let failure = Mutex::new(None);
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(threads_max);
    let bulk = Bulk::of(body);
    in_parallel(threads, || {
        while failure.lock().is_none() {
            let Some(block) = blocks.lock().next() else {
                return;
            };
            let loaded = block
                .map_err(DatabaseError::from)
                .and_then(|block| load_block(&block.bytes, body, bulk.as_ref()));
            if let Err(error) = loaded {
                failure.lock().get_or_insert(error);
            }
        }
    });
    if let Some(error) = failure.into_inner() {
        return Err(error);
    }
    if let Some(bulk) = &bulk {
        let next = AtomicUsize::new(0);
        let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|p| *p < bulk.parts());
        in_parallel(threads, || {
            while let Some(part) = take() {
                bulk.settle(part);
            }
        });
    }
    Ok(())
}

/// Runs the same work on several threads, the caller's among them.
fn in_parallel(threads: usize, work: impl Fn() + Sync) {
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(&work);
        }
        work();
    });
}

/// Hands a block's rows to the bulk, or writes them one by one where there is none.
fn load_block(block: &[u8], body: &Body, bulk: Option<&Bulk<'_>>) -> Result<(), DatabaseError> {
    let Some(bulk) = bulk else {
        let mut put = |elements: usize, row: &[u8]| body.write(body.row(elements, row));
        return Ok(read_block(block, &mut put)?);
    };
    let mut rows = Vec::new();
    read_block(block, &mut |elements, row| {
        rows.push(body.row(elements, row));
        Ok(())
    })?;
    bulk.add(rows);
    Ok(())
}

fn replay_record(tables: &LoadedTables, lsn: Lsn, record: &[u8]) -> Result<(), DatabaseError> {
    // A table that was deleted, is in memory only, or has these records in its snapshot.
    let wanted = |id: u32| {
        tables
            .get(&id)
            .filter(|loaded| lsn > loaded.lsn && loaded.table.definition().storage.is_durable())
    };
    let row = |id: u32, elements: usize, body: &[u8]| {
        wanted(id).map(|loaded| loaded.table.body().row(elements, body))
    };
    let mut apply = |id: u32, op: Op<'_>| match wanted(id) {
        Some(loaded) => {
            loaded.table.body().note_change();
            apply_op(&loaded.table, op)
        }
        None => Ok(()),
    };
    Ok(replay(record, &row, &mut apply)?)
}

/// The manifest's own entry for a table.
pub(crate) fn entry_of(catalog: &mut Catalog, id: u32) -> Result<&mut Entry, DatabaseError> {
    let mut tables = catalog.tables.iter_mut();
    tables
        .find(|entry| entry.id == id)
        .ok_or(DatabaseError::NoTable)
}
