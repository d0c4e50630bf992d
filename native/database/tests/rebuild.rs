//! Tables made anew and put in place at once: after a cut of power at any point the disk has
//! all of the old ones or all of the new ones; a full disk changes nothing.

#![allow(missing_docs, reason = "a test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use magnesia_database::backup_file;
use magnesia_database::checkpoint::{Item, Of};
use magnesia_database::open::{create_in, open_in};
use magnesia_database::rebuild::Rebuild;
use magnesia_database::{Database, DatabaseError};
use magnesia_engine::apply::Op;
use magnesia_engine::locks::{OwnerId, Wake, Wakeup};
use magnesia_engine::schema::{AccessMode, Definition, Kind, Shape, Storage};
use magnesia_engine::table::{Direction, Position};
use magnesia_store::sim::{Image, SimDisk};
use magnesia_store::{Disk, Limits, Manifest, StoreError};
use magnesia_term::{Atom, Packer, Row};

struct Nobody;

impl Wake for Nobody {
    fn wake(&self, _: OwnerId, _: u64, _: Wakeup) {}
}

fn atom(text: &str) -> Atom {
    Atom::intern(text).expect("a short name")
}

fn int(value: i64) -> Vec<u8> {
    let mut packer = Packer::new();
    packer.int(value);
    packer.into_bytes()
}

fn definition(text: &str, kind: Kind) -> Definition {
    Definition {
        name: atom(text),
        kind,
        storage: Storage::Disc,
        record_name: atom(text),
        arity: 3,
        shape: Shape::Exact,
        indexes: vec![3],
        access_mode: AccessMode::ReadWrite,
        properties: int(7),
    }
}

fn opened(disk: &SimDisk) -> Arc<Database> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let manifest = Manifest::load(&*disk, &Limits::default()).expect("a good manifest");
    let nowhere = Path::new("/nonexistent/magnesia-rebuild-test");
    let manifest = manifest.expect("a database");
    let seen_by = Box::new(|_: &_| ());
    open_in(nowhere, disk, None, &manifest, Arc::new(Nobody), seen_by).expect("a good disk")
}

/// Old rows in `a`, `kept` and `gone`.
fn made() -> (SimDisk, Arc<Database>) {
    let disk = SimDisk::new(5);
    let below: Arc<dyn Disk> = Arc::new(disk.clone());
    create_in(&below).expect("an empty disk");
    let database = opened(&disk);
    for (name, kind) in [
        ("a", Kind::Set),
        ("kept", Kind::Bag),
        ("gone", Kind::OrderedSet),
    ] {
        let made = database.create_table(definition(name, kind));
        made.expect("a good disk");
        for key in 0..200 {
            let table = database.engine().table(atom(name)).expect("it was made");
            let row = table.row(2, &[int(key), int(0)].concat()).expect("small");
            database.write(&table, Op::Write(row)).expect("a good disk");
        }
    }
    database.dump().expect("a good disk");
    (disk, database)
}

/// Names, and of each the values under a key.
fn seen(database: &Database) -> BTreeMap<String, BTreeMap<Vec<u8>, Vec<Vec<u8>>>> {
    let mut all = BTreeMap::new();
    for (name, table) in database.engine().tables().iter() {
        let mut rows: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        let mut position = Some(Position::START);
        while let Some(from) = position {
            let mut each = |row: &Row| {
                let value = row.at(3).unwrap_or_default().to_vec();
                rows.entry(row.key().to_vec()).or_default().push(value);
                true
            };
            let walked = table.body().walk(&from, Direction::Up, &mut each);
            position = walked.expect("memory");
        }
        let count: usize = rows.values().map(Vec::len).sum();
        assert_eq!(table.rows(), count, "the size of {}", name.name());
        all.insert(name.name().to_owned(), rows);
    }
    all
}

/// A part of a backup file: rows of value 1 for three tables, and a deletion in each.
fn bytes() -> Vec<u8> {
    let mut bytes = Vec::new();
    for name in ["a", "kept", "new"] {
        for key in 0..100 {
            let row = Row::new(0, 2, &[int(key), int(1)].concat());
            backup_file::record(&mut bytes, atom(name), &row);
        }
        backup_file::gone(&mut bytes, atom(name), &int(50));
        let row = Row::new(0, 2, &[int(60), int(2)].concat());
        backup_file::record(&mut bytes, atom(name), &row);
    }
    bytes
}

fn rebuild(database: &Arc<Database>) -> Result<(), DatabaseError> {
    let mut rebuild = Rebuild::begin(database);
    rebuild.table(definition("a", Kind::Set), false)?;
    rebuild.table(definition("kept", Kind::Bag), true)?;
    rebuild.table(definition("new", Kind::OrderedSet), true)?;
    rebuild.drop_table(atom("gone"));
    let bytes = bytes();
    let taken = rebuild.take(&bytes).expect("good items");
    assert_eq!(
        (taken.bytes, taken.items, taken.rows),
        (bytes.len(), 306, 303)
    );
    rebuild.finish(Some(int(8)))
}

#[test]
fn a_cut_at_any_point_leaves_all_of_the_old_or_all_of_the_new() {
    let (disk, database) = made();
    let old = seen(&database);
    let before = disk.operations();
    rebuild(&database).expect("a good disk");
    let new = seen(&database);
    assert_eq!(new.keys().collect::<Vec<_>>(), ["a", "kept", "new"]);
    assert_eq!(new["a"].len(), 99);
    assert_eq!(new["a"][&int(60)], [int(2)], "the last row of a key counts");
    assert_eq!(new["kept"].len(), 199);
    assert_eq!(new["kept"][&int(60)], [int(0), int(1), int(2)]);
    let after = disk.operations();
    let mut met = [0, 0];
    for cut in before..=after {
        for (seed, image) in (1..).zip(Image::ALL) {
            let again = opened(&disk.crash(cut, image, seed));
            let found = seen(&again);
            let is_new = found == new;
            assert!(is_new || found == old, "cut at {cut} of {after}");
            let wanted = if is_new { int(8) } else { Vec::new() };
            assert!(!is_new || again.schema_properties() == wanted);
            met[usize::from(is_new)] += 1;
        }
    }
    assert!(met[0] > 0 && met[1] > 0, "old and new: {met:?}");
}

#[test]
fn a_full_disk_leaves_all_as_it_was_and_later_there_is_room() {
    let (disk, database) = made();
    let old = seen(&database);
    disk.set_room(Some(2_000));
    match rebuild(&database) {
        Err(DatabaseError::Store(StoreError::Full { .. })) => {}
        other => panic!("a full disk gave {other:?}"),
    }
    assert_eq!(seen(&database), old);
    disk.set_room(None);
    rebuild(&database).expect("there is room");
    assert_ne!(seen(&database), old);
}

#[test]
fn an_item_that_is_damaged_or_fits_no_table_is_refused_with_its_place() {
    let (_disk, database) = made();
    let good = bytes();
    let mut bad = good.clone();
    backup_file::record(&mut bad, atom("a"), &Row::new(0, 1, &int(1)));
    backup_file::record(
        &mut bad,
        atom("a"),
        &Row::new(0, 3, &[int(1), int(1), int(1)].concat()),
    );
    let mut rebuild = Rebuild::begin(&database);
    rebuild
        .table(definition("a", Kind::Set), false)
        .expect("memory");
    let refused = rebuild.take(&bad).expect_err("a record too long");
    assert!(refused.is_fit);
    assert_eq!(refused.before.items, 307, "{}", refused.reason);
    for at in (0..good.len()).step_by(37) {
        let mut rebuild = Rebuild::begin(&database);
        rebuild
            .table(definition("a", Kind::Set), false)
            .expect("memory");
        let taken = rebuild
            .take(&good[..at])
            .expect("what is cut is waited for");
        assert!(taken.bytes <= at);
        // The mark of the item after those.
        let mut broken = good.clone();
        broken[taken.bytes + 5] ^= 1;
        let refused = rebuild.take(&broken).expect_err("no mark");
        assert_eq!(refused.before.bytes, taken.bytes);
        assert!(!refused.is_fit);
    }
    assert!(
        seen(&database)["a"][&int(3)] == [int(0)],
        "nothing was changed"
    );
}

#[test]
fn a_checkpoint_is_over_when_it_is_dropped_and_has_no_other_tables() {
    let (_disk, database) = made();
    let none = database.checkpoint(&[(atom("missing"), Of::Rows)]);
    assert!(matches!(none, Err(DatabaseError::NoTable)));
    let checkpoint = database
        .checkpoint(&[(atom("a"), Of::Rows)])
        .expect("memory");
    assert!(checkpoint.rows(atom("kept"), false).is_none());
    rebuild(&database).expect("a good disk");
    let mut rows = checkpoint
        .rows(atom("a"), false)
        .expect("one of its tables");
    let mut count = 0;
    while let Some(part) = rows.part().expect("memory") {
        let is_old = |item: &Item| matches!(item, Item::Row(row) if row.at(3) == Some(&int(0)));
        assert!(part.iter().all(is_old));
        count += part.len();
    }
    assert_eq!(count, 200);
}
