//! Deliberate mistakes, in the disk or in the use of the database, each of which must be found.

use std::io;
use std::sync::Arc;

use magnesia_database::{Database, DatabaseError};
use magnesia_engine::apply::Op;
use magnesia_engine::apply::apply_op;
use magnesia_store::sim::SimDisk;
use magnesia_store::{Disk, DiskFile};

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
pub struct Faulty {
    disk: SimDisk,
    bug: Bug,
}

impl Faulty {
    pub fn over(disk: &SimDisk, bug: Bug) -> Arc<dyn Disk> {
        Arc::new(Self {
            disk: disk.clone(),
            bug,
        })
    }

    fn file(&self, name: &str, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        if self.bug == Bug::NoLogSync && name.ends_with(".mlog") {
            Arc::new(Unsynced(file))
        } else {
            file
        }
    }
}

impl Disk for Faulty {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(name, self.disk.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(name, self.disk.open(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn sync_dir(&self) -> io::Result<()> {
        if self.bug == Bug::NoDirSync {
            Ok(())
        } else {
            self.disk.sync_dir()
        }
    }
}

struct Unsynced(Arc<dyn DiskFile>);

impl DiskFile for Unsynced {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_at(offset, bytes)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.truncate(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
}
