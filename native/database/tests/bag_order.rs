//! The order of one key's rows in a bag, after a dump amid writes and a kill.
//!
//! A disk that runs something of the test's whenever a snapshot is made or written puts writes
//! exactly where a dump is under way. What is there afterwards must be there, in the same order,
//! when the directory is opened again. `MAGNESIA_SEED` sets the first seed.

#![allow(missing_docs, reason = "a test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use magnesia_database::Database;
use magnesia_database::open::{create_in, open_in};
use magnesia_engine::apply::Op;
use magnesia_engine::locks::{OwnerId, Wake, Wakeup};
use magnesia_engine::schema::{AccessMode, Definition, Kind, Shape, Storage};
use magnesia_engine::table::{Direction, Position};
use magnesia_store::sim::{OpKind, Pass, Random, SimDisk, Watched};
use magnesia_store::{Disk, Limits, Manifest};
use magnesia_term::{Atom, Packer};
use parking_lot::Mutex;

struct Nobody;

impl Wake for Nobody {
    fn wake(&self, _: OwnerId, _: u64, _: Wakeup) {}
}

type Hook = Box<dyn FnMut() + Send>;

/// A disk with something to do amid a dump.
#[derive(Clone)]
struct Hooked {
    disk: Arc<dyn Disk>,
    hook: Arc<Mutex<Option<Hook>>>,
}

fn hooked() -> Hooked {
    let hook: Arc<Mutex<Option<Hook>>> = Arc::default();
    let kept = Arc::clone(&hook);
    let watcher = move |kind, name: &str| {
        if matches!(kind, OpKind::Create | OpKind::Write) && name.starts_with("snap-") {
            if let Some(hook) = kept.lock().as_mut() {
                hook();
            }
        }
        Pass::Through
    };
    let disk = Arc::new(Watched::over(&SimDisk::new(1), Arc::new(watcher)));
    Hooked { disk, hook }
}

fn int(value: i64) -> Vec<u8> {
    let mut packer = Packer::new();
    packer.int(value);
    packer.into_bytes()
}

fn opened(disk: &Hooked) -> Arc<Database> {
    let disk = Arc::clone(&disk.disk);
    let manifest = Manifest::load(&*disk, &Limits::default()).expect("a good disk");
    let manifest = manifest.expect("a manifest");
    let nowhere = Path::new("/nonexistent/magnesia-bag-order");
    let published = Box::new(|_: &_| ());
    open_in(nowhere, disk, None, &manifest, Arc::new(Nobody), published).expect("a database")
}

fn started() -> (Hooked, Arc<Database>) {
    let disk = hooked();
    drop(create_in(&disk.disk).expect("an empty disk"));
    let database = opened(&disk);
    let name = Atom::intern("b").expect("a short name");
    let definition = Definition {
        name,
        kind: Kind::Bag,
        storage: Storage::Disc,
        record_name: name,
        arity: 3,
        shape: Shape::Exact,
        indexes: Vec::new(),
        access_mode: AccessMode::ReadWrite,
        properties: int(0),
    };
    database.create_table(definition).expect("a good disk");
    (disk, database)
}

#[derive(Clone, Copy)]
enum Step {
    Write(i64, i64),
    Delete(i64),
    DeleteObject(i64, i64),
    Clear,
}

fn perform(database: &Database, step: Step) {
    let table = database.engine().table(Atom::intern("b").expect("short"));
    let table = table.expect("the table is there");
    let row = |key, value| {
        table
            .row(2, &[int(key), int(value)].concat())
            .expect("small")
    };
    let key;
    let op = match step {
        Step::Write(key, value) => Op::Write(row(key, value)),
        Step::Delete(of) => {
            key = int(of);
            Op::Delete(&key)
        }
        Step::DeleteObject(key, value) => Op::DeleteObject(row(key, value)),
        Step::Clear => Op::Clear,
    };
    database.write(&table, op).expect("a good disk");
}

fn seen(database: &Database) -> BTreeMap<Vec<u8>, Vec<Vec<u8>>> {
    let table = database.engine().table(Atom::intern("b").expect("short"));
    let table = table.expect("the table is there");
    let mut rows: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    let mut position = Some(Position::START);
    while let Some(from) = position {
        let next = table.body().walk(&from, Direction::Up, &mut |row| {
            let value = row.at(3).expect("a value").to_vec();
            rows.entry(row.key().to_vec()).or_default().push(value);
            true
        });
        position = next.expect("memory does not fail");
    }
    rows
}

fn dump_amid(disk: &Hooked, database: &Arc<Database>, hook: Hook) {
    *disk.hook.lock() = Some(hook);
    database.dump().expect("a good disk");
    *disk.hook.lock() = None;
}

#[test]
fn a_row_that_left_and_came_back_amid_a_dump_keeps_its_place() {
    let (disk, database) = started();
    perform(&database, Step::Write(1, 10));
    let writer = Arc::clone(&database);
    let mut steps = vec![
        Step::DeleteObject(1, 10),
        Step::Write(1, 10),
        Step::Write(1, 20),
    ];
    let hook = move || steps.drain(..).for_each(|step| perform(&writer, step));
    dump_amid(&disk, &database, Box::new(hook));
    let wanted = BTreeMap::from([(int(1), vec![int(10), int(20)])]);
    assert_eq!(seen(&database), wanted);
    drop(database);
    assert_eq!(seen(&opened(&disk)), wanted);
}

fn step(random: &mut Random) -> Step {
    let mut below = |most| i64::try_from(random.below(most)).unwrap_or(0);
    let (kind, key, value) = (below(40), below(3), below(5));
    match kind {
        0 => Step::Clear,
        1..=3 => Step::Delete(key),
        4..=18 => Step::DeleteObject(key, value),
        _ => Step::Write(key, value),
    }
}

#[test]
fn any_writes_amid_dumps_keep_their_order() {
    let first = std::env::var("MAGNESIA_SEED").map_or(Ok(1), |seed| seed.parse());
    let first: u64 = first.expect("a number");
    for seed in first..first + 300 {
        let mut random = Random::new(seed);
        let (disk, database) = started();
        for _ in 0..3 {
            (0..8).for_each(|_| perform(&database, step(&mut random)));
            let writer = Arc::clone(&database);
            let mut own = Random::new(random.next());
            let hook = move || (0..own.below(6)).for_each(|_| perform(&writer, step(&mut own)));
            dump_amid(&disk, &database, Box::new(hook));
        }
        let wanted = seen(&database);
        drop(database);
        assert_eq!(
            seen(&opened(&disk)),
            wanted,
            "repeat: MAGNESIA_SEED={seed} cargo test -p magnesia-database --test bag_order"
        );
    }
}
