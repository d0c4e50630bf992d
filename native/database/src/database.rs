//! An open database: tables, and the way of each write through the log into them.
//!
//! A write on a durable table is one record: appended to the log (one write into the page
//! cache, which survives the death of the process), applied to the tables under the log's lock
//! so that memory and log have one order, and, where asked, synced in a group with others. A
//! database without a directory has the same operations and no log.
//!
//! Never here: locks on records (the caller holds them), terms of a host.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use magnesia_engine::apply::{Op, apply, apply_op};
use magnesia_engine::commit::Recorder;
use magnesia_engine::engine::Published;
use magnesia_engine::locks::Wake;
use magnesia_engine::table::Detached;
use magnesia_engine::txn::{Overlay, OwnTable};
use magnesia_engine::{Engine, Table, TableError, counter, unique};
use magnesia_store::{Disk, Keeper, Limits, LockFile, Log, Lsn, SnapshotEntry, StoreError};
use magnesia_term::Row;
use parking_lot::Mutex;

use crate::catalog::Catalog;
use crate::error::DatabaseError;
use crate::gate::Gate;
use crate::promises::{Claim, Promise, Promises};
use crate::rows_sled::SledRows;

/// Log that accumulates, in bytes, before a dump is begun in the background.
pub const DUMP_LOG_BYTES: u64 = 64 << 20;

/// Bytes of writes to tables on disk that are held, before they go to their storage in the
/// background.
pub const SETTLE_BYTES: usize = 4 << 20;

/// Bytes of such writes from which on a writer takes part in that, and so waits for the disk.
pub const HELD_BYTES_MAX: usize = 64 << 20;

/// The position of a counter in its record.
const COUNTER: usize = 3;

/// Called once with the outcome of a sync, from the store's thread.
pub type Completion = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// An operation that is logged before it is done, and its table.
pub type Ahead<'a> = (Arc<Table>, Op<'a>);

/// What a commit that was acknowledged survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The death of the process.
    Process,
    /// A power cut.
    Power,
}

/// The schema as memory has it, and the snapshots that the manifest names.
#[derive(Clone, Default)]
pub(crate) struct Schema {
    pub(crate) catalog: Catalog,
    pub(crate) snapshots: Vec<SnapshotEntry>,
    pub(crate) log_start: Lsn,
}

/// What a database with a directory has besides.
pub(crate) struct Durable {
    pub(crate) dir: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) limits: Limits,
    pub(crate) log: Arc<Log>,
    pub(crate) keeper: Keeper,
    pub(crate) sled: SledRows,
    pub(crate) log_id: u64,
    /// Bytes appended since the last dump began.
    pub(crate) undumped: AtomicU64,
    pub(crate) is_dumping: AtomicBool,
    pub(crate) is_settling: AtomicBool,
    /// Held for as long as the directory is ours; dropped last.
    pub(crate) _lock: Option<LockFile>,
}

/// Tables, in memory or in a directory.
pub struct Database {
    engine: Engine,
    pub(crate) durable: ArcSwapOption<Durable>,
    pub(crate) schema: Mutex<Schema>,
    /// Held by a dump from its first step to its last.
    pub(crate) dumping: Mutex<()>,
    pub(crate) promises: Promises,
    /// Held while all rows of a table go, and while lines are drawn.
    pub(crate) clearing: Mutex<()>,
    /// Passed by every commit, shut while a checkpoint draws its lines.
    pub(crate) gate: Gate,
    pub(crate) this: Weak<Self>,
}

thread_local! {
    /// Records are made in memory that is kept, one per thread.
    static RECORDER: RefCell<Recorder> = RefCell::default();
}

impl Database {
    /// An empty database in memory; `wake` tells the processes that wait for locks, `published`
    /// gets every map of its tables.
    #[must_use]
    pub fn in_memory(wake: Arc<dyn Wake>, published: Published) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            engine: Engine::new(wake, published),
            durable: ArcSwapOption::empty(),
            schema: Mutex::default(),
            dumping: Mutex::new(()),
            promises: Promises::default(),
            clearing: Mutex::new(()),
            gate: Gate::default(),
            this: Weak::clone(this),
        })
    }

    /// The engine.
    #[must_use]
    #[inline]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The directory, if there is one.
    #[must_use]
    pub fn dir(&self) -> Option<PathBuf> {
        self.durable
            .load()
            .as_ref()
            .map(|durable| durable.dir.clone())
    }

    /// Whether the database is kept in `dir`.
    #[must_use]
    pub fn is_in(&self, dir: &Path) -> bool {
        self.durable
            .load()
            .as_ref()
            .is_some_and(|durable| durable.dir == dir)
    }

    /// Logs and applies a transaction's writes, whole or not at all.
    ///
    /// Returns the position of its record in the log, or `None` when nothing needed one.
    ///
    /// # Errors
    /// When the log refuses, or a value is not unique, nothing was applied. When a table on disk
    /// fails after the record was written, the log refuses everything from then on, and the next
    /// opening applies it.
    pub fn commit(&self, own: &Overlay) -> Result<Option<Lsn>, DatabaseError> {
        self.gate.pass(|| self.commit_whole(own))
    }

    fn commit_whole(&self, own: &Overlay) -> Result<Option<Lsn>, DatabaseError> {
        let _gates = unique::admit_all(own)?;
        let is_logged = |own: &OwnTable| own.table().definition().storage.is_durable();
        if !own.tables().iter().any(is_logged) {
            apply(own)?;
            return Ok(None);
        }
        let durable = self.durable.load();
        // A database that was closed meanwhile has no log, and takes no durable write either.
        let durable = durable.as_ref().ok_or(DatabaseError::NoDirectory)?;
        RECORDER.with_borrow_mut(|recorder| {
            recorder.clear();
            recorder.add_overlay(own);
            let apply = || {
                own.tables()
                    .iter()
                    .for_each(|own| own.table().body().note_change());
                apply(own)
            };
            let (lsn, ()) = self.append(durable, recorder, apply)?;
            Ok(Some(lsn))
        })
    }

    /// Logs and applies one operation on a table.
    ///
    /// # Errors
    /// As [`Database::commit`].
    #[inline]
    pub fn write(&self, table: &Table, op: Op<'_>) -> Result<Option<Lsn>, DatabaseError> {
        let _gate = unique::admit(table, &op)?;
        if !table.definition().storage.is_durable() {
            apply_op(table, op)?;
            return Ok(None);
        }
        self.write_durable(table, op)
    }

    /// Logs operations on durable tables that the caller is about to do one by one with
    /// [`Database::write`]: should the process die between two of them, the next opening does
    /// them all. They are not logged again when they are done.
    ///
    /// - `owner`: whoever does them. One owner does one such commit at a time; what it has not
    ///   done of an earlier one is not waited for any more.
    ///
    /// # Errors
    /// When the log refuses.
    pub fn log_ahead(&self, owner: u64, ops: &[Ahead<'_>]) -> Result<(), DatabaseError> {
        let durable = self.durable.load();
        let durable = durable.as_ref().ok_or(DatabaseError::NoDirectory)?;
        let promise = Promise::new(owner, ops);
        RECORDER.with_borrow_mut(|recorder| {
            recorder.clear();
            for (table, op) in ops {
                recorder.add(table.id(), op);
            }
            let note = || {
                ops.iter().for_each(|(table, _)| table.body().note_change());
                self.promises.make(promise, ops);
                Ok(())
            };
            self.append(durable, recorder, note).map(drop)
        })
    }

    /// The owners of commits that were logged ahead and are not done.
    #[must_use]
    pub fn owing(&self) -> Vec<u64> {
        self.promises.owners()
    }

    /// Waits no more for what an owner has not done: of one that died.
    pub fn forget_owed(&self, owner: u64) {
        self.promises.forget(owner);
    }

    fn write_durable(&self, table: &Table, op: Op<'_>) -> Result<Option<Lsn>, DatabaseError> {
        let (lsn, ()) = self.log_op(table, &op.clone(), || apply_op(table, op))?;
        Ok(Some(lsn))
    }

    /// Logs an operation on a table and runs `apply` for it, in the order of the log.
    fn log_op<T>(
        &self,
        table: &Table,
        op: &Op<'_>,
        apply: impl FnOnce() -> Result<T, TableError>,
    ) -> Result<(Lsn, T), DatabaseError> {
        let durable = self.durable.load();
        let durable = durable.as_ref().ok_or(DatabaseError::NoDirectory)?;
        if self.promises.is_any() {
            return self.log_owed(durable, table, op, apply);
        }
        RECORDER.with_borrow_mut(|recorder| {
            recorder.clear();
            recorder.add(table.id(), op);
            self.append(durable, recorder, || {
                table.body().note_change();
                self.promises.note(table, op);
                apply()
            })
        })
    }

    /// As [`Database::log_op`] while there are commits that were logged ahead; the operation may
    /// be one of theirs, which the log has already.
    fn log_owed<T>(
        &self,
        durable: &Durable,
        table: &Table,
        op: &Op<'_>,
        apply: impl FnOnce() -> Result<T, TableError>,
    ) -> Result<(Lsn, T), DatabaseError> {
        let is_unowed = Cell::new(false);
        let make = || {
            Ok::<_, DatabaseError>(match self.promises.claim(table, op) {
                Claim::Logged => None,
                Claim::Behind(record) => Some(record),
                Claim::Unowed => {
                    is_unowed.set(true);
                    let mut recorder = Recorder::default();
                    recorder.add(table.id(), op);
                    Some(recorder.finish())
                }
            })
        };
        let (lsn, length, applied) = durable.log.append_made(make, |record, lsn| {
            table.body().note_change();
            if is_unowed.get() {
                self.promises.note(table, op);
            }
            (lsn, record.map(|record| record.len()), apply())
        })?;
        let result = applied.map_err(|error| broken(durable, error))?;
        match length {
            Some(length) => self.note_append(durable, length),
            None => self.note_held(durable),
        }
        Ok((lsn, result))
    }

    /// Deletes all rows of a table, as one logged write. The rows are out of the table under
    /// the log's lock; freeing them takes as long as there are rows, and is done after it. What
    /// a checkpoint is to see of them is kept before.
    ///
    /// # Errors
    /// As [`Database::commit`].
    pub fn clear(&self, table: &Table) -> Result<(), DatabaseError> {
        let clearing = self.clearing.lock();
        table.body().keep_all()?;
        let detach = || table.body().detach();
        let rows = if table.definition().storage.is_durable() {
            self.log_op(table, &Op::Clear, detach)?.1
        } else {
            detach()?
        };
        drop(clearing);
        table.body().release(rows);
        Ok(())
    }

    /// Deletes all rows of a table and applies other writes, all as one logged write.
    ///
    /// # Errors
    /// As [`Database::commit`].
    pub fn clear_with(&self, table: &Table, own: &Overlay) -> Result<(), DatabaseError> {
        let clearing = self.clearing.lock();
        table.body().keep_all()?;
        let rows = self.gate.pass(|| self.detach_with(table, own))?;
        drop(clearing);
        table.body().release(rows);
        Ok(())
    }

    fn detach_with(&self, table: &Table, own: &Overlay) -> Result<Detached, DatabaseError> {
        let clear = || {
            let rows = table.body().detach()?;
            apply(own)?;
            Ok(rows)
        };
        let is_durable = |table: &Table| table.definition().storage.is_durable();
        if !is_durable(table) && !own.tables().iter().any(|own| is_durable(own.table())) {
            return Ok(clear()?);
        }
        let durable = self.durable.load();
        let durable = durable.as_ref().ok_or(DatabaseError::NoDirectory)?;
        let mut recorder = Recorder::default();
        if is_durable(table) {
            recorder.add(table.id(), &Op::Clear);
        }
        recorder.add_overlay(own);
        let clear_noted = || {
            table.body().note_change();
            let others = own.tables().iter();
            others.for_each(|own| own.table().body().note_change());
            clear()
        };
        Ok(self.append(durable, &recorder, clear_noted)?.1)
    }

    /// Adds to a counter, as one logged write; returns the row that is there now.
    ///
    /// # Errors
    /// As [`Database::commit`].
    pub fn update_counter(
        &self,
        table: &Table,
        key: &[u8],
        increment: &[u8],
    ) -> Result<Row, DatabaseError> {
        if table.body().unique().is_on() {
            // The values of counters are not looked at, so none of them can be unique.
            let (table, position) = (table.definition().name, COUNTER);
            return Err(TableError::NotUnique { table, position }.into());
        }
        if !table.definition().storage.is_durable() {
            return Ok(counter::update(table, key, increment)?);
        }
        let durable = self.durable.load();
        let durable = durable.as_ref().ok_or(DatabaseError::NoDirectory)?;
        let made = RefCell::new(None);
        let mut recorder = Recorder::default();
        let make = || {
            let next = counter::next(table, key, increment)?;
            recorder.add(table.id(), &Op::Write(next.clone()));
            made.replace(Some(next));
            Ok::<_, DatabaseError>(Some(recorder.finish()))
        };
        let applied = durable.log.append_made(make, |record, _| {
            let row: Row = made.take().ok_or(TableError::NoSuchKey)?;
            table.body().note_change();
            self.promises.note(table, &Op::Write(row.clone()));
            table.body().write(row.clone())?;
            Ok((row, record.map_or(0, |record| record.len())))
        });
        match applied? {
            Ok((row, length)) => {
                self.note_append(durable, length);
                Ok(row)
            }
            Err(error) => Err(broken(durable, error)),
        }
    }

    /// Appends a record and runs `apply` under the log's lock. The note of a change belongs in
    /// there: a dump takes the notes under the same lock, with the line that it draws.
    fn append<T>(
        &self,
        durable: &Durable,
        recorder: &Recorder,
        apply: impl FnOnce() -> Result<T, TableError>,
    ) -> Result<(Lsn, T), DatabaseError> {
        let record = recorder.finish();
        let (lsn, applied) = durable.log.append_with(&record, |lsn| (lsn, apply()))?;
        let result = applied.map_err(|error| broken(durable, error))?;
        self.note_append(durable, record.len());
        Ok((lsn, result))
    }

    fn note_append(&self, durable: &Durable, length: usize) {
        self.engine
            .counters()
            .log_writes
            .fetch_add(1, Ordering::Relaxed);
        let length = length as u64;
        if durable.undumped.fetch_add(length, Ordering::Relaxed) + length > DUMP_LOG_BYTES {
            self.dump_soon(durable);
        }
        durable.keeper.rotate_ahead();
        self.note_held(durable);
    }

    fn note_held(&self, durable: &Durable) {
        let held = durable.sled.held_bytes();
        if held > HELD_BYTES_MAX {
            // What fails here has broken the log, and the next write is told.
            drop(settle(durable));
        } else if held > SETTLE_BYTES {
            self.settle_soon(durable);
        }
    }

    fn settle_soon(&self, durable: &Durable) {
        if durable.is_settling.swap(true, Ordering::AcqRel) {
            return;
        }
        let this = Weak::clone(&self.this);
        let job = move || {
            let database = this.upgrade();
            let durable = database.and_then(|database| database.durable.load_full());
            if let Some(durable) = durable {
                // As above.
                drop(settle(&durable));
                durable.is_settling.store(false, Ordering::Release);
            }
        };
        if durable.keeper.submit_short(Box::new(job)).is_err() {
            durable.is_settling.store(false, Ordering::Release);
        }
    }

    fn dump_soon(&self, durable: &Durable) {
        if durable.is_dumping.swap(true, Ordering::AcqRel) {
            return;
        }
        durable.undumped.store(0, Ordering::Relaxed);
        let this = Weak::clone(&self.this);
        let job = move || {
            let Some(database) = this.upgrade() else {
                return;
            };
            // What fails here is found again, and said, by the next dump that is asked for.
            let dumped = database.dump();
            if let Some(durable) = database.durable.load().as_ref() {
                durable.is_dumping.store(false, Ordering::Release);
            }
            drop(dumped);
        };
        if durable.keeper.submit(Box::new(job)).is_err() {
            durable.is_dumping.store(false, Ordering::Release);
        }
    }

    /// Calls `done` when everything up to `lsn` survives a power cut.
    pub fn sync(&self, lsn: Lsn, done: Completion) {
        match self.durable.load().as_ref() {
            Some(durable) => durable.keeper.request_sync(lsn, done),
            None => done(Ok(())),
        }
    }

    /// Waits until everything logged so far survives a power cut.
    ///
    /// # Errors
    /// [`DatabaseError::NoDirectory`]; when the sync fails.
    pub fn sync_log(&self) -> Result<(), DatabaseError> {
        let durable = self.durable.load();
        let durable = durable.as_ref().ok_or(DatabaseError::NoDirectory)?;
        Ok(durable.log.sync(durable.log.end())?)
    }

    /// Bytes of log that are kept.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        self.durable
            .load()
            .as_ref()
            .map_or(0, |durable| durable.log.bytes())
    }

    /// Ends the database in good order: what was logged is on disk, the directory is free.
    ///
    /// # Errors
    /// When the last dump or sync fails; the directory is free all the same.
    pub fn close(&self) -> Result<(), DatabaseError> {
        let Some(durable) = self.durable.swap(None) else {
            return Ok(());
        };
        durable.keeper.stop();
        durable.sled.close();
        Ok(durable.log.close()?)
    }
}

/// A logged write that a table on disk could not take: memory and log agree no more, so the log
/// refuses everything until it is opened anew and the write is applied again.
fn broken(durable: &Durable, error: TableError) -> DatabaseError {
    durable.log.poison(&error.to_string());
    error.into()
}

/// Gives tables on disk the writes that were held, after their records were synced.
fn settle(durable: &Durable) -> Result<(), DatabaseError> {
    let settled = durable.sled.settle(&durable.log);
    settled.map_err(|error| broken(durable, error))
}
