//! Deliberate mistakes, in the disk or in the use of the database, each of which must be found.

use std::sync::Arc;

use magnesia_database::{Database, DatabaseError};
use magnesia_engine::apply::Op;
use magnesia_engine::apply::apply_op;
use magnesia_store::Disk;
use magnesia_store::sim::{OpKind, Pass, SimDisk, Watched};

use crate::model::{Change, Model, Step, body, name};
use crate::script::perform;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    None,
    /// The disk's fdatasync does nothing for log segments.
    NoLogSync,
    /// The directory is never synced.
    NoDirSync,
    /// A dirty write reaches memory but not the log.
    SkipRecord,
    /// A transaction is one record for each of its changes.
    HalfCommit,
    /// A dump takes no snapshot of one of the tables that changed.
    DumpForgets,
    /// A new index is defined and not there.
    NoIndex,
}

impl Bug {
    /// Performs a step in the way of the bug.
    pub fn perform(
        self,
        database: &Arc<Database>,
        model: &Model,
        step: &Step,
    ) -> Result<(), DatabaseError> {
        match (self, step) {
            (Self::SkipRecord, Step::Dirty(number, Change::Write(key, values))) => {
                let table = database
                    .engine()
                    .table(name(*number))
                    .ok_or(DatabaseError::NoTable)?;
                let row = table.body().row(1 + values.len(), &body(*key, values));
                Ok(apply_op(&table, Op::Write(row))?)
            }
            (Self::HalfCommit, Step::Commit(changes)) => {
                for change in changes {
                    perform(database, model, &Step::Commit(vec![change.clone()]))?;
                }
                Ok(())
            }
            (Self::DumpForgets, Step::Dump) => {
                for number in model.tables.keys().take(1) {
                    database
                        .engine()
                        .table(name(*number))
                        .map(|table| table.body().take_change());
                }
                perform(database, model, step)
            }
            (Self::NoIndex, Step::AddIndex(number, position)) => {
                perform(database, model, step)?;
                let table = database.engine().table(name(*number));
                table
                    .ok_or(DatabaseError::NoTable)?
                    .body()
                    .drop_index(*position);
                Ok(())
            }
            _ => perform(database, model, step),
        }
    }
}

/// A disk with a bug of its own.
pub fn faulty(disk: &SimDisk, bug: Bug) -> Arc<dyn Disk> {
    let watcher = move |kind, name: &str| match (bug, kind) {
        (Bug::NoLogSync, OpKind::Sync) if name.ends_with(".mlog") => Pass::SkipSync,
        (Bug::NoDirSync, OpKind::SyncDir) => Pass::SkipSync,
        _ => Pass::Through,
    };
    Arc::new(Watched::over(disk, Arc::new(watcher)))
}
