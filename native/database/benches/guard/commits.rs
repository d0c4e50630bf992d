//! Kernels of the way of a write through the log into the tables.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use magnesia_database::Database;
use magnesia_database::open::{create_in, open_in};
use magnesia_engine::Table;
use magnesia_engine::apply::Op;
use magnesia_engine::commit::{Recorder, replay};
use magnesia_engine::schema::{Kind, Storage};
use magnesia_engine::txn::Overlay;
use magnesia_store::sim::SimDisk;
use magnesia_store::{Disk, Limits, Manifest};
use magnesia_term::Row;

use crate::values::{Nobody, definition, fill, filled, keys, name, rows};
use crate::{Kernel, repeat};

pub const KERNELS: &[Kernel] = &[
    ("record_encode", record_encode),
    ("record_replay", record_replay),
    ("dirty_write_ram", || dirty_write(Storage::Ram)),
    ("dirty_write_disc", || dirty_write(Storage::Disc)),
    ("dirty_counter_disc", dirty_counter),
    ("commit_disc", commit),
];

fn record_encode() -> usize {
    let body = filled(Kind::Set);
    let mut recorder = Recorder::default();
    repeat(&rows(&body, "a text"), |row| {
        recorder.clear();
        recorder.add(7, &Op::Write(row.clone()));
        black_box(recorder.finish());
    })
}

fn record_replay() -> usize {
    let body = filled(Kind::Set);
    let records: Vec<_> = rows(&body, "a text")
        .into_iter()
        .map(|row| {
            let mut recorder = Recorder::default();
            recorder.add(7, &Op::Write(row));
            recorder.finish()
        })
        .collect();
    let make = |_, elements, bytes: &[u8]| Some(body.row(elements, bytes));
    repeat(&records, |record| {
        let replayed = replay(record, &make, &mut |table, op| {
            black_box((table, op));
            Ok(())
        });
        replayed.expect("it was recorded");
    })
}

/// A database on the simulated disk with one table, `thing`.
fn opened(storage: Storage) -> (Arc<Database>, Arc<Table>) {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    drop(create_in(&disk).expect("an empty disk"));
    let manifest = Manifest::load(&*disk, &Limits::default())
        .expect("a good disk")
        .expect("it was made");
    let rows_on_disk = Path::new("of which this database has none");
    let published = Box::new(|_: &_| ());
    let database = open_in(
        rows_on_disk,
        disk,
        None,
        &manifest,
        Arc::new(Nobody),
        published,
    )
    .expect("a good disk");
    database
        .create_table(definition("thing", Kind::Set, storage))
        .expect("a good disk");
    let table = database.engine().table(name("thing")).expect("it was made");
    fill(table.body(), "as it was");
    (database, table)
}

fn dirty_write(storage: Storage) -> usize {
    let (database, table) = opened(storage);
    repeat(&rows(table.body(), "as it is"), |row: &Row| {
        black_box(database.write(&table, Op::Write(row.clone()))).expect("a good disk");
    })
}

fn dirty_counter() -> usize {
    let (database, table) = opened(Storage::Disc);
    let one = crate::values::int(1);
    repeat(&keys(), |key| {
        black_box(database.update_counter(&table, key, &one)).expect("a good disk");
    })
}

/// Commits of two rows.
fn commit() -> usize {
    let (database, table) = opened(Storage::Disc);
    let rows = rows(table.body(), "as it is");
    let pairs: Vec<_> = rows.chunks_exact(2).collect();
    repeat(&pairs, |pair| {
        let mut own = Overlay::default();
        pair.iter().for_each(|row| own.write(&table, row.clone()));
        black_box(database.commit(&own)).expect("a good disk");
    })
}
