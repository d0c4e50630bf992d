//! Databases in real directories: tables whose rows are on disk, and rows that are large.
//!
//! What is reopened without having been closed is what a killed process leaves.

#![allow(missing_docs, reason = "a test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use magnesia_database::transform::Transform;
use magnesia_database::{Database, open};
use magnesia_engine::apply::Op;
use magnesia_engine::locks::{OwnerId, Wake, Wakeup};
use magnesia_engine::schema::{AccessMode, Definition, Kind, Shape, Storage};
use magnesia_engine::table::{Direction, Position};
use magnesia_term::{Atom, Packer};

struct Nobody;

impl Wake for Nobody {
    fn wake(&self, _: OwnerId, _: u64, _: Wakeup) {}
}

fn name(text: &str) -> Atom {
    Atom::intern(text).expect("a short name")
}

fn int(value: i64) -> Vec<u8> {
    let mut packer = Packer::new();
    packer.int(value);
    packer.into_bytes()
}

fn definition(text: &str, kind: Kind, storage: Storage) -> Definition {
    Definition {
        name: name(text),
        kind,
        storage,
        record_name: name(text),
        arity: 3,
        shape: Shape::Exact,
        indexes: vec![3],
        access_mode: AccessMode::ReadWrite,
        properties: int(0),
    }
}

fn opened(dir: &Path) -> Arc<Database> {
    open::open(dir, "a test", Arc::new(Nobody), Box::new(|_| ())).expect("a good directory")
}

fn created() -> (tempfile::TempDir, Arc<Database>) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    open::create(dir.path(), "a test").expect("an empty directory");
    let database = opened(dir.path());
    (dir, database)
}

fn write(database: &Database, table: &str, key: i64, value: &[u8]) {
    let table = database
        .engine()
        .table(name(table))
        .expect("the table is there");
    let row = table
        .row(2, &[int(key).as_slice(), value].concat())
        .expect("a small row");
    database.write(&table, Op::Write(row)).expect("a good disk");
}

/// Values by key, those of one key in their order.
fn rows(database: &Database, table: &str) -> BTreeMap<Vec<u8>, Vec<Vec<u8>>> {
    let table = database
        .engine()
        .table(name(table))
        .expect("the table is there");
    let mut rows: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    let mut position = Some(Position::START);
    while let Some(from) = position {
        let next = table.body().walk(&from, Direction::Up, &mut |row| {
            let value = row.at(3).unwrap_or_default().to_vec();
            rows.entry(row.key().to_vec()).or_default().push(value);
            true
        });
        position = next.expect("a good disk");
    }
    assert_eq!(
        table.rows(),
        rows.values().map(Vec::len).sum::<usize>(),
        "the size"
    );
    rows
}

#[test]
fn rows_on_disk_are_there_after_a_kill_and_after_a_stop() {
    let (dir, mut database) = created();
    for (table, kind) in [("s", Kind::Set), ("o", Kind::OrderedSet), ("b", Kind::Bag)] {
        database
            .create_table(definition(table, kind, Storage::DiscOnly))
            .expect("a good disk");
    }
    for round in 0..4 {
        for key in 0..20 {
            for table in ["s", "o", "b"] {
                write(&database, table, key * 3 % 20, &int(round * 100 + key));
            }
        }
        if round == 1 {
            database.dump().expect("a good disk");
        }
        let wanted = ["s", "o", "b"].map(|table| rows(&database, table));
        if round == 2 {
            database.close().expect("a good disk");
        }
        drop(database);
        database = opened(dir.path());
        assert_eq!(
            ["s", "o", "b"].map(|table| rows(&database, table)),
            wanted,
            "round {round}"
        );
        let table = database
            .engine()
            .table(name("b"))
            .expect("the table is there");
        let mut found = 0;
        table
            .index(3)
            .expect("it is defined")
            .read(&int(round * 100 + 7), |_| found += 1);
        assert_eq!(found, 1, "round {round}: the index");
    }
}

#[test]
fn a_table_made_after_a_transformation_that_was_given_up_is_empty() {
    let (dir, database) = created();
    database
        .create_table(definition("t", Kind::Set, Storage::DiscOnly))
        .expect("a good disk");
    let made = Transform::begin(&database, name("t"), name("t"), 3, int(0)).expect("it is there");
    for key in 0..50 {
        made.add(made.table().body().row(2, &[int(key), int(1)].concat()))
            .expect("a good disk");
    }
    drop(made);
    database.close().expect("a good disk");
    drop(database);
    let database = opened(dir.path());
    database
        .create_table(definition("u", Kind::Set, Storage::DiscOnly))
        .expect("a good disk");
    assert_eq!(rows(&database, "u"), BTreeMap::new());
    assert_eq!(rows(&database, "t"), BTreeMap::new());
}

#[test]
fn rows_follow_their_table_from_storage_to_storage() {
    let (dir, mut database) = created();
    database
        .create_table(definition("t", Kind::Bag, Storage::Ram))
        .expect("a good disk");
    for (round, storage) in [
        Storage::Disc,
        Storage::DiscOnly,
        Storage::Disc,
        Storage::Ram,
    ]
    .into_iter()
    .enumerate()
    {
        let value = i64::try_from(round).unwrap_or(0);
        (0..30).for_each(|key| write(&database, "t", key, &int(100 + value)));
        database
            .set_storage(name("t"), storage, int(0))
            .expect("a good disk");
        (0..30).for_each(|key| write(&database, "t", key, &int(200 + value)));
        let wanted = rows(&database, "t");
        assert_eq!(wanted.get(&int(3)).map(Vec::len), Some(2 * (round + 1)));
        drop(database);
        database = opened(dir.path());
        let wanted = if storage == Storage::Ram {
            BTreeMap::new()
        } else {
            wanted
        };
        assert_eq!(rows(&database, "t"), wanted, "{storage:?}");
    }
}

#[test]
fn a_dump_takes_rows_that_fill_many_blocks() {
    let (dir, database) = created();
    for (table, kind) in [("s", Kind::Set), ("b", Kind::Bag)] {
        database
            .create_table(definition(table, kind, Storage::Disc))
            .expect("a good disk");
    }
    let mut packer = Packer::new();
    packer.binary(&vec![5; 150_000]);
    for key in 0..500 {
        write(&database, "s", key, packer.as_bytes());
    }
    // Rows of one key in several blocks keep their order.
    for number in 0..400 {
        let mut packer = Packer::new();
        packer.binary(&[&int(number)[..], &[6; 2_000]].concat());
        write(&database, "b", number % 2, packer.as_bytes());
    }
    database
        .dump()
        .expect("75 MB in one segment's worth of rows fit many blocks");
    let wanted = ["s", "b"].map(|table| rows(&database, table));
    drop(database);
    let database = opened(dir.path());
    assert!(["s", "b"].map(|table| rows(&database, table)) == wanted);
}
