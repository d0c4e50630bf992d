//! A power cut that takes the end of the log and nothing of the rows on disk.
//!
//! sled may have put all that it was given on disk, however little of the log is there. So the
//! log is cut to what was synced, sled's files are kept whole, and the database that is opened
//! from both must be as it was after one of the writes, the log's last.

#![allow(missing_docs, reason = "a test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use magnesia_database::open::{create_in, open_in};
use magnesia_database::rows_sled::SledRows;
use magnesia_database::{Database, DatabaseError};
use magnesia_engine::apply::Op;
use magnesia_engine::locks::{OwnerId, Wake, Wakeup};
use magnesia_engine::schema::{AccessMode, Definition, Kind, Shape, Storage};
use magnesia_engine::table::{Direction, Position};
use magnesia_store::sim::{Image, OpKind, SimDisk};
use magnesia_store::{Disk, Limits, Log, Manifest};
use magnesia_term::{Atom, Packer};

struct Nobody;

impl Wake for Nobody {
    fn wake(&self, _: OwnerId, _: u64, _: Wakeup) {}
}

/// Values of each key, in order.
type Rows = BTreeMap<i64, Vec<i64>>;

/// So long that a few rows are more than what waits for its records.
const PADDING: usize = 100_000;
const KEYS: i64 = 50;
const SOME: i64 = 80;

fn int(value: i64) -> Vec<u8> {
    let mut packer = Packer::new();
    packer.int(value);
    packer.into_bytes()
}

fn opened(dir: &Path, disk: &SimDisk) -> Arc<Database> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let manifest = Manifest::load(&*disk, &Limits::default()).expect("a good disk");
    let manifest = manifest.expect("a manifest");
    open_in(
        dir,
        disk,
        None,
        &manifest,
        Arc::new(Nobody),
        Box::new(|_| ()),
    )
    .expect("a database")
}

fn create_table(database: &Database, kind: Kind) {
    let name = Atom::intern("t").expect("a short name");
    let definition = Definition {
        name,
        kind,
        storage: Storage::DiscOnly,
        record_name: name,
        arity: 4,
        shape: Shape::Exact,
        indexes: Vec::new(),
        access_mode: AccessMode::ReadWrite,
        properties: int(0),
    };
    database.create_table(definition).expect("a good disk");
}

fn write(database: &Database, key: i64, value: i64) {
    let table = database.engine().table(Atom::intern("t").expect("short"));
    let table = table.expect("the table is there");
    let mut packer = Packer::new();
    packer.binary(&vec![9; PADDING]);
    let body = [int(key), int(value), packer.into_bytes()].concat();
    let row = table.row(3, &body).expect("a small row");
    database.write(&table, Op::Write(row)).expect("a good disk");
}

fn seen(database: &Database) -> Rows {
    let table = database.engine().table(Atom::intern("t").expect("short"));
    let table = table.expect("the table is there");
    let mut rows = Rows::new();
    let keys: BTreeMap<_, _> = (0..KEYS).map(|key| (int(key), key)).collect();
    let values: BTreeMap<_, _> = (0..1_000).map(|value| (int(value), value)).collect();
    let mut position = Some(Position::START);
    while let Some(from) = position {
        let next = table.body().walk(&from, Direction::Up, &mut |row| {
            let value = values[row.at(3).expect("a value")];
            rows.entry(keys[row.key()]).or_default().push(value);
            true
        });
        position = next.expect("a good disk");
    }
    rows
}

fn step(rows: &mut Rows, kind: Kind, number: i64) {
    let values = rows.entry(number % KEYS).or_default();
    if kind != Kind::Bag {
        values.clear();
    }
    values.push(number);
}

/// The records that a log has.
fn records(disk: &SimDisk) -> i64 {
    let manifest = Manifest::load(disk, &Limits::default()).expect("a good disk");
    let manifest = manifest.expect("a manifest");
    let mut records = 0;
    let count = |_: _, _: &[u8]| {
        records += 1;
        Ok::<_, DatabaseError>(())
    };
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Log::open(
        disk,
        manifest.log_id,
        manifest.log_start,
        Limits::default(),
        count,
    )
    .expect("an intact log");
    records
}

fn lose_power(kind: Kind, image: Image) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let disk = SimDisk::new(1);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    drop(create_in(&shared).expect("an empty disk"));
    let database = opened(dir.path(), &disk);
    create_table(&database, kind);
    let syncs = disk.count(OpKind::Sync);
    (0..SOME).for_each(|number| write(&database, number % KEYS, number));
    // Some went to sled, which syncs the log first; those to come will not.
    let deadline = Instant::now() + Duration::from_secs(20);
    while disk.count(OpKind::Sync) == syncs {
        assert!(Instant::now() < deadline, "nothing goes to sled");
        thread::yield_now();
    }
    let written = SOME + 10;
    (SOME..written).for_each(|number| write(&database, number % KEYS, number));
    let mut wanted = Rows::new();
    (0..written).for_each(|number| step(&mut wanted, kind, number));
    assert_eq!(seen(&database), wanted, "{kind:?}: before the cut");
    // The storage threads end what they are about, then sled puts all it has on disk.
    drop(database);
    while SledRows::in_dir(dir.path()).table(99).is_err() {
        assert!(Instant::now() < deadline, "sled is never let go");
        thread::yield_now();
    }
    let cut = disk.crash(disk.operations(), image, 11);
    let kept = records(&cut.crash(cut.operations(), Image::Nothing, 12));
    let database = opened(dir.path(), &cut);
    let mut wanted = Rows::new();
    (0..kept).for_each(|number| step(&mut wanted, kind, number));
    assert_eq!(
        seen(&database),
        wanted,
        "{kind:?}, {image:?}: {kept} records"
    );
    assert!(
        kept > 0,
        "{kind:?}, {image:?}: what went to sled is in the log"
    );
}

#[test]
fn rows_on_disk_are_never_ahead_of_the_log() {
    for kind in [Kind::Set, Kind::OrderedSet, Kind::Bag] {
        for image in Image::ALL {
            lose_power(kind, image);
        }
    }
}
