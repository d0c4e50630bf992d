//! The order of one key's rows in a bag, after a dump amid writes and a kill.
//!
//! A disk that runs something of the test's whenever a snapshot is made or written puts writes
//! exactly where a dump is under way. What is there afterwards must be there, in the same order,
//! when the directory is opened again. `MAGNESIA_SEED` sets the first seed.

#![allow(missing_docs, reason = "a test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use magnesia_database::Database;
use magnesia_engine::apply::Op;
use magnesia_engine::schema::Kind;
use magnesia_store::Disk;
use magnesia_store::sim::{OpKind, Pass, Random, SimDisk, Watched};
use parking_lot::Mutex;

mod simulated;

use simulated::{int, opened, row, seen, started, table};

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
        if matches!(kind, OpKind::Create | OpKind::Write)
            && name.starts_with("snap-")
            && let Some(hook) = kept.lock().as_mut()
        {
            hook();
        }
        Pass::Through
    };
    let disk = Arc::new(Watched::over(&SimDisk::new(1), Arc::new(watcher)));
    Hooked { disk, hook }
}

fn with_a_bag() -> (Hooked, Arc<Database>) {
    let disk = hooked();
    let database = started(&disk.disk, &[("b", Kind::Bag)]);
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
    let table = table(database, "b");
    let row = |key, value| row(&table, key, value);
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

fn dump_amid(disk: &Hooked, database: &Arc<Database>, hook: Hook) {
    *disk.hook.lock() = Some(hook);
    database.dump().expect("a good disk");
    *disk.hook.lock() = None;
}

#[test]
fn a_row_that_left_and_came_back_amid_a_dump_keeps_its_place() {
    let (disk, database) = with_a_bag();
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
    assert_eq!(seen(&database, "b"), wanted);
    drop(database);
    assert_eq!(seen(&opened(&disk.disk), "b"), wanted);
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
        let (disk, database) = with_a_bag();
        for _ in 0..3 {
            (0..8).for_each(|_| perform(&database, step(&mut random)));
            let writer = Arc::clone(&database);
            let mut own = Random::new(random.next());
            let hook = move || (0..own.below(6)).for_each(|_| perform(&writer, step(&mut own)));
            dump_amid(&disk, &database, Box::new(hook));
        }
        let wanted = seen(&database, "b");
        drop(database);
        assert_eq!(
            seen(&opened(&disk.disk), "b"),
            wanted,
            "repeat: MAGNESIA_SEED={seed} cargo test -p magnesia-database --test bag_order"
        );
    }
}
