//! Salvage: all that is intact of a directory, damaged or not, as tables that can be walked.
//!
//! Where the manifest is intact it says which tables there are: each is its snapshot's intact
//! blocks, then all intact records of the log after it, in order. Where it is not, every
//! snapshot in the directory describes its own table (of two that have one table number the
//! one with less damage counts, then the one with more rows), all of the log is replayed over
//! them, and rows of tables that no snapshot describes become tables `table_<number>`: bags,
//! so that no version of a row is lost. A newer format is refused.
//!
//! Tables on disk are read from a copy of sled's files, because sled writes when it opens.
//!
//! Never here: a change of the directory. Never used to open a database.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use magnesia_engine::apply::{Op, apply_op};
use magnesia_engine::commit::replay;
use magnesia_engine::schema::{AccessMode, Definition, Kind, Shape, Storage};
use magnesia_engine::table::{Body, Direction, Position};
use magnesia_engine::{Table, TableError};
use magnesia_store::snapshot::{SNAPSHOT_SUFFIX, snapshot_name};
use magnesia_store::{Disk, LockFile, Log, Lsn, Manifest, RealDisk, SnapshotReader, StoreError};
use magnesia_term::{Atom, Packer, Row};

use crate::catalog::{Catalog, Entry};
use crate::dump::read_block;
use crate::error::DatabaseError;
use crate::open::limits;
use crate::rows_sled::SledRows;

/// Rows that [`Salvage::rows`] returns at once; more only where one key of a bag has more.
pub const ROWS_AT_ONCE: usize = 1000;

/// What is intact of a directory, and what is not.
pub struct Salvage {
    tables: Vec<Arc<Table>>,
    damage: Vec<String>,
    // Closed before the copy that they are in is removed.
    _sled: Option<SledRows>,
    _copy: Option<SledCopy>,
    _lock: Option<LockFile>,
}

impl Salvage {
    /// Reads a directory that nobody has open.
    ///
    /// - `scratch`: a path that is not there yet; a copy of the rows on disk is made there
    ///   where there are such tables, and removed with this value.
    ///
    /// # Errors
    /// [`DatabaseError::NoDatabase`]; when another process has the directory open, when it is
    /// of a newer format, when the copy can't be made.
    pub fn open(dir: &Path, scratch: &Path) -> Result<Self, DatabaseError> {
        let disk = RealDisk::open(dir)?;
        let lock = LockFile::acquire_unchanged(dir)?;
        let mut reading = Reading::new(&disk);
        let mut rows = None;
        match reading.manifest()? {
            Some((manifest, catalog)) => {
                rows = on_disk(&catalog, dir, scratch)?;
                let sled = rows.as_ref().map(|(sled, _)| sled);
                reading.described(&manifest, &catalog, sled)?;
                reading.log(manifest.log_id, manifest.log_start, false)?;
            }
            None => reading.undescribed(dir)?,
        }
        let (sled, copy) = rows.unzip();
        let tables = reading.named_once();
        Ok(Self {
            tables,
            damage: reading.damage,
            _sled: sled,
            _copy: copy,
            _lock: lock,
        })
    }

    /// The tables.
    #[must_use]
    pub fn tables(&self) -> &[Arc<Table>] {
        &self.tables
    }

    /// Everything that should have been there and was not: file, offset, what is wrong.
    #[must_use]
    pub fn damage(&self) -> &[String] {
        &self.damage
    }

    /// Some rows of a table from a position on, and the position that follows them.
    ///
    /// # Errors
    /// [`DatabaseError::NoTable`]; when rows on disk can't be read.
    pub fn rows(
        &self,
        name: Atom,
        from: &Position,
    ) -> Result<(Vec<Row>, Option<Position>), DatabaseError> {
        let mut tables = self.tables.iter();
        let table = tables
            .find(|table| table.definition().name == name)
            .ok_or(DatabaseError::NoTable)?;
        let mut rows: Vec<Row> = Vec::new();
        let mut position = Some(from.clone());
        while let Some(at) = position.take_if(|_| rows.len() < ROWS_AT_ONCE) {
            position = table.body().walk(&at, Direction::Up, &mut |row| {
                rows.push(row.clone());
                rows.len() < ROWS_AT_ONCE
            })?;
            if let Some(last) = rows.get(ROWS_AT_ONCE - 1..).and_then(<[Row]>::last) {
                position = Some(table.body().beyond(last));
            }
        }
        Ok((rows, position))
    }
}

/// A table and up to where the log is in its snapshot.
struct Found {
    table: Arc<Table>,
    lsn: Lsn,
}

struct Reading<'a> {
    disk: &'a RealDisk,
    tables: RefCell<BTreeMap<u32, Found>>,
    damage: Vec<String>,
}

impl<'a> Reading<'a> {
    fn new(disk: &'a RealDisk) -> Self {
        Self {
            disk,
            tables: RefCell::default(),
            damage: Vec::new(),
        }
    }

    /// Notes damage; a file of a newer format ends it all.
    fn note(&mut self, error: &StoreError) -> Result<(), DatabaseError> {
        self.damage.push(match error {
            StoreError::TooNew { .. } => return Err(error.clone().into()),
            StoreError::Damaged { file, offset, kind } => {
                format!("{file}: damaged at byte {offset}: {kind}")
            }
            other => other.to_string(),
        });
        Ok(())
    }

    fn manifest(&mut self) -> Result<Option<(Manifest, Catalog)>, DatabaseError> {
        let manifest = match Manifest::load(self.disk, &limits()) {
            Ok(Some(manifest)) => manifest,
            Ok(None) => {
                self.damage.push("MANIFEST: the file is missing".to_owned());
                return Ok(None);
            }
            Err(error) => return self.note(&error).map(|()| None),
        };
        match Catalog::decode(&manifest.payload) {
            Ok(catalog) => Ok(Some((manifest, catalog))),
            Err(error) => {
                self.damage.push(format!("MANIFEST: {error}"));
                Ok(None)
            }
        }
    }

    /// The tables that the manifest has.
    fn described(
        &mut self,
        manifest: &Manifest,
        catalog: &Catalog,
        sled: Option<&SledRows>,
    ) -> Result<(), DatabaseError> {
        for entry in &catalog.tables {
            let body = self.body(entry, sled);
            let table = Table::new(entry.id, entry.definition.clone(), Arc::new(body));
            let mut found = Found {
                table: Arc::new(table),
                lsn: Lsn::START,
            };
            let mut snapshots = manifest.snapshots.iter();
            if let Some(snapshot) = snapshots.find(|s| Some(s.id) == entry.snapshot) {
                found.lsn = snapshot.lsn;
                let known = Some(Arc::clone(&found.table));
                self.snapshot(&snapshot.name, snapshot.id, known)?;
            }
            self.tables.get_mut().insert(entry.id, found);
        }
        Ok(())
    }

    /// An empty body, or the rows on disk; sled may well panic on what is damaged.
    fn body(&mut self, entry: &Entry, sled: Option<&SledRows>) -> Body {
        let kind = entry.definition.kind;
        if let Some(sled) = sled.filter(|_| entry.definition.storage == Storage::DiscOnly) {
            let open = || Body::on_disk(kind, sled.table(entry.id)?);
            let reason = match catch_unwind(AssertUnwindSafe(open)) {
                Ok(Ok(body)) => return body,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "sled can't read it".to_owned(),
            };
            let number = entry.id;
            self.damage.push(format!(
                "rows: table number {number}, only what the log has: {reason}"
            ));
        }
        Body::in_memory(kind)
    }

    /// The tables that the snapshots describe, and all of the log over them.
    fn undescribed(&mut self, dir: &Path) -> Result<(), DatabaseError> {
        let names = self.disk.list().map_err(|error| failed(dir, &error))?;
        let log = Log::identify(self.disk)?;
        let mut ids: Vec<u64> = names.iter().filter_map(|n| snapshot_id(n)).collect();
        ids.sort_unstable();
        if log.is_none() && ids.is_empty() {
            return Err(DatabaseError::NoDatabase {
                dir: dir.display().to_string(),
            });
        }
        let mut best: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
        for id in ids {
            let known_damage = self.damage.len();
            let Some(table) = self.snapshot(&snapshot_name(id), id, None)? else {
                continue;
            };
            // Fewer places of damage first, more rows then.
            let worth = (
                usize::MAX - (self.damage.len() - known_damage),
                table.rows(),
            );
            if best.get(&table.id()).is_none_or(|there| worth > *there) {
                best.insert(table.id(), worth);
                let lsn = Lsn::START;
                let number = table.id();
                self.tables.get_mut().insert(number, Found { table, lsn });
            }
        }
        if dir.join("rows").is_dir() {
            let text = "rows: tables on disk only can't be told without the manifest";
            self.damage
                .push(format!("{text}; only what the log has of them is saved"));
        }
        match log {
            Some((id, start)) => self.log(id, start, true),
            None => Ok(()),
        }
    }

    /// Reads a snapshot into its table: the known one, or the one that its meta describes.
    fn snapshot(
        &mut self,
        name: &str,
        id: u64,
        known: Option<Arc<Table>>,
    ) -> Result<Option<Arc<Table>>, DatabaseError> {
        let mut table = known;
        let mut malformed = Vec::new();
        let read = SnapshotReader::salvage(self.disk, name, id, |index, bytes| {
            let stored = match index {
                None if table.is_none() => described_by(bytes).map(|found| table = Some(found)),
                None => Ok(()),
                Some(index) => {
                    if table.is_none() {
                        let number = u32::MAX - u32::try_from(id % 0xFFFF).unwrap_or(0);
                        table = unnamed(&format!("snapshot_{id:016x}"), number, arity(bytes));
                    }
                    let stored = table.as_ref().map_or(Ok(()), |table| store(table, bytes));
                    stored.map_err(|error| format!("block {index}: {error}"))
                }
            };
            if let Err(reason) = stored {
                malformed.push(format!("{name}: {reason}"));
            }
            Ok::<_, StoreError>(())
        });
        match read {
            Ok(found) => found.damaged.iter().try_for_each(|e| self.note(e))?,
            Err(error) => self.note(&error)?,
        }
        self.damage.append(&mut malformed);
        Ok(table)
    }

    /// Replays the log; `is_inventive` makes tables for rows of those that nothing describes.
    fn log(&mut self, id: u64, start: Lsn, is_inventive: bool) -> Result<(), DatabaseError> {
        let mut malformed = Vec::new();
        let tables = &self.tables;
        let read = Log::salvage(self.disk, id, start, |lsn, record| {
            if let Err(error) = replay_record(tables, lsn, record, is_inventive) {
                malformed.push(format!("the log's record before position {lsn}: {error}"));
            }
            Ok::<_, StoreError>(())
        });
        match read {
            Ok(found) => found.damaged.iter().try_for_each(|e| self.note(e))?,
            Err(error) => self.note(&error)?,
        }
        self.damage.append(&mut malformed);
        Ok(())
    }

    /// The tables, of those of one name the newest.
    fn named_once(&mut self) -> Vec<Arc<Table>> {
        let mut tables: Vec<Arc<Table>> = Vec::new();
        for (number, found) in std::mem::take(self.tables.get_mut()).into_iter().rev() {
            let name = found.table.definition().name;
            if tables.iter().any(|table| table.definition().name == name) {
                let name = name.name();
                self.damage.push(format!(
                    "table {name}: number {number} is left out, a newer table has its name"
                ));
            } else {
                tables.push(found.table);
            }
        }
        tables.sort_by_key(|table| table.definition().name.name());
        tables
    }
}

fn replay_record(
    tables: &RefCell<BTreeMap<u32, Found>>,
    lsn: Lsn,
    record: &[u8],
    is_inventive: bool,
) -> Result<(), TableError> {
    // A record that can't be read to its end does nothing.
    replay(record, &|_, _, _| None, &mut |_, _| Ok(()))?;
    let wanted = |id: u32| {
        let tables = tables.borrow();
        let found = tables.get(&id).filter(|found| lsn > found.lsn)?;
        let is_durable = found.table.definition().storage.is_durable();
        is_durable.then(|| Arc::clone(&found.table))
    };
    let row = |id: u32, elements: usize, body: &[u8]| {
        if is_inventive && !tables.borrow().contains_key(&id) {
            let table = unnamed(&format!("table_{id}"), id, elements + 1)?;
            let lsn = Lsn::START;
            tables.borrow_mut().insert(id, Found { table, lsn });
        }
        wanted(id).map(|table| table.body().row(elements, body))
    };
    let mut apply = |id: u32, op: Op<'_>| wanted(id).map_or(Ok(()), |table| apply_op(&table, op));
    replay(record, &row, &mut apply)
}

/// The table that a snapshot's meta describes.
fn described_by(meta: &[u8]) -> Result<Arc<Table>, String> {
    let catalog = Catalog::decode(meta).map_err(|error| error.to_string())?;
    let mut tables = catalog.tables.into_iter();
    let entry = tables.next().ok_or("it describes no table")?;
    let body = Arc::new(Body::in_memory(entry.definition.kind));
    Ok(Arc::new(Table::new(entry.id, entry.definition, body)))
}

/// A table for rows whose definition is lost.
fn unnamed(name: &str, number: u32, arity: usize) -> Option<Arc<Table>> {
    let name = Atom::intern(name)?;
    let mut nil = Packer::new();
    nil.nil();
    let definition = Definition {
        name,
        kind: Kind::Bag,
        storage: Storage::Disc,
        record_name: name,
        arity,
        shape: Shape::Exact,
        indexes: Vec::new(),
        access_mode: AccessMode::ReadWrite,
        properties: nil.into_bytes(),
    };
    let body = Arc::new(Body::in_memory(Kind::Bag));
    Some(Arc::new(Table::new(number, definition, body)))
}

fn store(table: &Table, block: &[u8]) -> Result<(), TableError> {
    let body = table.body();
    read_block(block, &mut |elements, row| {
        body.write(body.row(elements, row))
    })
}

/// The arity of a block's longest record.
fn arity(block: &[u8]) -> usize {
    let mut arity = 2;
    // What is wrong with the block is told when its rows are stored.
    drop(read_block(block, &mut |elements, _| {
        arity = arity.max(elements + 1);
        Ok(())
    }));
    arity
}

/// The id in a snapshot's file name.
fn snapshot_id(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("snap-")?.strip_suffix(SNAPSHOT_SUFFIX)?;
    let id = u64::from_str_radix(digits, 16).ok()?;
    (snapshot_name(id) == name).then_some(id)
}

/// A copy of sled's files, gone with this value.
struct SledCopy(PathBuf);

impl Drop for SledCopy {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Sled over a copy of its files, where there are tables on disk.
fn on_disk(
    catalog: &Catalog,
    dir: &Path,
    scratch: &Path,
) -> Result<Option<(SledRows, SledCopy)>, DatabaseError> {
    let mut tables = catalog.tables.iter();
    if !tables.any(|entry| entry.definition.storage == Storage::DiscOnly) {
        return Ok(None);
    }
    fs::create_dir(scratch).map_err(|error| failed(scratch, &error))?;
    let copy = SledCopy(scratch.to_owned());
    copy_folder(&dir.join("rows"), &scratch.join("rows"))
        .map_err(|error| failed(scratch, &error))?;
    Ok(Some((SledRows::in_dir(scratch), copy)))
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    let mut folders = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = folders.pop() {
        fs::create_dir(&to)?;
        for entry in fs::read_dir(&from)? {
            let entry = entry?;
            let target = to.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push((entry.path(), target));
            } else {
                fs::copy(entry.path(), target)?;
            }
        }
    }
    Ok(())
}

fn failed(path: &Path, error: &io::Error) -> DatabaseError {
    DatabaseError::from(TableError::Storage {
        reason: format!("{}: {error}", path.display()),
    })
}
