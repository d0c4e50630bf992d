//! Commits that are logged ahead and done one operation at a time, with dumps amid them.
//!
//! A kill at any moment leaves such a commit whole or not there, and others' writes in their
//! order. `MAGNESIA_SEED` sets the first seed.

#![allow(missing_docs, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use magnesia_database::Database;
use magnesia_engine::apply::Op;
use magnesia_engine::schema::Kind;
use magnesia_store::Disk;
use magnesia_store::sim::{Random, SimDisk};

mod simulated;

use simulated::{Seen, int, opened, row, seen, started, table};

const TABLES: [(&str, Kind); 3] = [
    ("set", Kind::Set),
    ("ordered", Kind::OrderedSet),
    ("bag", Kind::Bag),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Write(i64, i64),
    Delete(i64),
    DeleteObject(i64, i64),
}

type Changes = Vec<(usize, Change)>;

fn disk() -> Arc<dyn Disk> {
    Arc::new(SimDisk::new(1))
}

/// Hands the operation of a change to `f`.
fn with_op<R>(database: &Database, change: (usize, Change), f: impl FnOnce(Op<'_>) -> R) -> R {
    let table = table(database, TABLES[change.0].0);
    match change.1 {
        Change::Write(key, value) => f(Op::Write(row(&table, key, value))),
        Change::Delete(key) => f(Op::Delete(&int(key))),
        Change::DeleteObject(key, value) => f(Op::DeleteObject(row(&table, key, value))),
    }
}

fn perform(database: &Database, change: (usize, Change)) {
    let table = table(database, TABLES[change.0].0);
    with_op(database, change, |op| database.write(&table, op)).expect("a good disk");
}

fn log_ahead(database: &Database, owner: u64, changes: &[(usize, Change)]) {
    let keys: Vec<Vec<u8>> = changes.iter().map(|change| int(key_of(change.1))).collect();
    let ops: Vec<_> = changes
        .iter()
        .zip(&keys)
        .map(|(&(at, change), key)| {
            let table = table(database, TABLES[at].0);
            let op = match change {
                Change::Write(key, value) => Op::Write(row(&table, key, value)),
                Change::Delete(_) => Op::Delete(key),
                Change::DeleteObject(key, value) => Op::DeleteObject(row(&table, key, value)),
            };
            (table, op)
        })
        .collect();
    database.log_ahead(owner, &ops).expect("a good disk");
}

fn key_of(change: Change) -> i64 {
    match change {
        Change::Write(key, _) | Change::Delete(key) | Change::DeleteObject(key, _) => key,
    }
}

/// What is there; the rows of a bag's key in no order, as they race with each other.
fn all(database: &Database) -> Vec<Seen> {
    let mut all: Vec<Seen> = TABLES
        .iter()
        .map(|(name, _)| seen(database, name))
        .collect();
    all.iter_mut()
        .flat_map(BTreeMap::values_mut)
        .for_each(|values| values.sort());
    all
}

fn killed(database: Arc<Database>, disk: &Arc<dyn Disk>) -> Arc<Database> {
    drop(database);
    opened(disk)
}

#[test]
fn a_dump_amid_a_commit_leaves_it_whole() {
    let changes = [(0, Change::Write(1, 10)), (1, Change::Write(2, 20))];
    for done in 0..=changes.len() {
        for before in 0..=done {
            let disk = disk();
            let database = started(&disk, &TABLES);
            log_ahead(&database, 1, &changes);
            changes[..before]
                .iter()
                .for_each(|c| perform(&database, *c));
            database.dump().expect("a good disk");
            changes[before..done]
                .iter()
                .for_each(|c| perform(&database, *c));
            let found = all(&killed(database, &disk));
            let wanted = |key, value| Seen::from([(int(key), vec![int(value)])]);
            assert_eq!(
                found[..2],
                [wanted(1, 10), wanted(2, 20)],
                "{before} operations before the dump, {done} in all"
            );
        }
    }
}

#[test]
fn a_key_with_several_operations_gets_all_of_them() {
    let changes = [
        (2, Change::Delete(1)),
        (2, Change::Write(1, 10)),
        (2, Change::Write(1, 20)),
        (2, Change::DeleteObject(1, 30)),
    ];
    let wanted = Seen::from([(int(1), vec![int(10), int(20)])]);
    for done in 0..=changes.len() {
        for is_raced in [false, true] {
            let disk = disk();
            let database = started(&disk, &TABLES);
            perform(&database, (2, Change::Write(1, 30)));
            log_ahead(&database, 1, &changes);
            if is_raced {
                // A dirty writer, just before the commit deletes the key.
                perform(&database, (2, Change::Write(1, 30)));
            }
            changes[..done].iter().for_each(|c| perform(&database, *c));
            let mut found = seen(&killed(database, &disk), "bag");
            if is_raced && done == 0 {
                // Nothing says yet that it came first.
                found
                    .values_mut()
                    .for_each(|values| values.retain(|v| *v != int(30)));
            }
            assert_eq!(found, wanted, "{done} operations, raced: {is_raced}");
        }
    }
}

#[test]
fn what_others_wrote_since_is_not_taken_back() {
    let disk = disk();
    let database = started(&disk, &TABLES);
    log_ahead(
        &database,
        1,
        &[(0, Change::Write(1, 10)), (0, Change::Write(2, 20))],
    );
    perform(&database, (0, Change::Write(2, 99)));
    perform(&database, (0, Change::Write(1, 10)));
    perform(&database, (0, Change::Delete(1)));
    database.dump().expect("a good disk");
    let found = seen(&killed(database, &disk), "set");
    assert_eq!(found, Seen::from([(int(2), vec![int(99)])]));
}

#[test]
fn a_commit_that_ended_or_whose_owner_died_is_owed_no_more() {
    let disk = disk();
    let database = started(&disk, &TABLES);
    let two = [(0, Change::Write(1, 10)), (0, Change::Write(2, 20))];
    log_ahead(&database, 7, &two);
    assert_eq!(database.owing(), [7]);
    two.iter().for_each(|change| perform(&database, *change));
    assert_eq!(database.owing(), [0u64; 0]);
    log_ahead(
        &database,
        7,
        &[(0, Change::Write(1, 11)), (0, Change::Write(2, 21))],
    );
    // The next commit of the same owner, and its death.
    log_ahead(
        &database,
        7,
        &[(1, Change::Write(1, 12)), (1, Change::Write(2, 22))],
    );
    database.forget_owed(7);
    assert_eq!(database.owing(), [0u64; 0]);
    database.dump().expect("a good disk");
    let found = all(&killed(database, &disk));
    let kept = Seen::from([(int(1), vec![int(10)]), (int(2), vec![int(20)])]);
    assert_eq!(found, [kept, Seen::new(), Seen::new()]);
}

/// What a script's tables must have after a kill, and what of its commits is not done.
#[derive(Default)]
struct Script {
    model: [BTreeMap<i64, BTreeSet<i64>>; 3],
    rest: BTreeMap<u64, VecDeque<(usize, Change)>>,
    /// Keys of commits that are not done, and whether others wrote them since.
    locked: BTreeMap<(usize, i64), (u64, bool)>,
}

fn change(random: &mut Random) -> (usize, Change) {
    let mut below = |most| i64::try_from(random.below(most)).unwrap_or(0);
    let (at, kind, key, value) = (below(3), below(6), below(5), below(4));
    let change = match kind {
        0 => Change::Delete(key),
        1 => Change::DeleteObject(key, value),
        _ => Change::Write(key, value),
    };
    (usize::try_from(at).unwrap_or(0), change)
}

/// The operations that Mnesia has for a key when some were asked for.
fn add_as_mnesia(changes: &mut Changes, (at, change): (usize, Change)) {
    let is_bag = TABLES[at].1 == Kind::Bag;
    match change {
        Change::Write(key, value) if is_bag => changes.retain(|&(of, other)| {
            (of, other) != (at, Change::Write(key, value))
                && (of, other) != (at, Change::DeleteObject(key, value))
        }),
        Change::Write(key, _) | Change::Delete(key) => {
            changes.retain(|&(of, other)| of != at || key_of(other) != key);
        }
        Change::DeleteObject(key, value) => changes.retain(|&(of, other)| {
            (of, other) != (at, Change::Write(key, value))
                && (of, other) != (at, Change::DeleteObject(key, value))
        }),
    }
    changes.push((at, change));
}

impl Script {
    fn apply(&mut self, (at, change): (usize, Change)) {
        let is_bag = TABLES[at].1 == Kind::Bag;
        let rows = self.model[at].entry(key_of(change)).or_default();
        match change {
            Change::Write(_, value) => {
                if !is_bag {
                    rows.clear();
                }
                rows.insert(value);
            }
            Change::Delete(_) => rows.clear(),
            Change::DeleteObject(_, value) => drop(rows.remove(&value)),
        }
    }

    fn step(&mut self, random: &mut Random, database: &Database) {
        let owner = random.below(3);
        let is_open = self.rest.contains_key(&owner);
        if is_open && random.below(3) > 0 {
            self.go_on(owner, database);
        } else if !is_open && random.below(2) > 0 {
            self.begin(owner, random, database);
        } else {
            let change = change(random);
            match self.locked.get_mut(&(change.0, key_of(change.1))) {
                // Which of the two comes first is for nobody to say.
                Some(_) if TABLES[change.0].1 == Kind::Bag => return,
                Some(_) if matches!(change.1, Change::DeleteObject(..)) => return,
                Some((_, is_touched)) => *is_touched = true,
                None => {}
            }
            perform(database, change);
            self.apply(change);
        }
    }

    fn begin(&mut self, owner: u64, random: &mut Random, database: &Database) {
        let mut changes = Changes::new();
        for _ in 0..2 + random.below(5) {
            add_as_mnesia(&mut changes, change(random));
        }
        let place = |(at, change): &(usize, Change)| (*at, key_of(*change));
        if changes
            .iter()
            .any(|change| self.locked.contains_key(&place(change)))
        {
            return;
        }
        log_ahead(database, owner, &changes);
        for change in &changes {
            self.locked.insert(place(change), (owner, false));
            self.apply(*change);
        }
        self.rest.insert(owner, changes.into());
    }

    fn go_on(&mut self, owner: u64, database: &Database) {
        let rest = self.rest.get_mut(&owner).expect("it is open");
        let change = rest.pop_front().expect("not done");
        if rest.is_empty() {
            self.rest.remove(&owner);
        }
        perform(database, change);
        if self.locked.get(&(change.0, key_of(change.1))) == Some(&(owner, true)) {
            self.apply(change);
        }
        if !self.rest.contains_key(&owner) {
            self.locked.retain(|_, (of, _)| *of != owner);
        }
    }

    fn all(&self) -> Vec<Seen> {
        let packed = |rows: &BTreeMap<i64, BTreeSet<i64>>| {
            let with_rows = rows.iter().filter(|(_, values)| !values.is_empty());
            let values = |values: &BTreeSet<i64>| values.iter().map(|v| int(*v)).collect();
            with_rows.map(|(key, of)| (int(*key), values(of))).collect()
        };
        self.model.iter().map(packed).collect()
    }
}

#[test]
fn a_kill_leaves_commits_whole_whatever_is_dumped_and_written_amid_them() {
    let first = std::env::var("MAGNESIA_SEED").map_or(Ok(1), |seed| seed.parse());
    let first: u64 = first.expect("a number");
    for seed in first..first + 1000 {
        let mut random = Random::new(seed);
        let disk = disk();
        let database = started(&disk, &TABLES);
        let mut script = Script::default();
        for _ in 0..random.below(60) {
            if random.below(6) == 0 {
                database.dump().expect("a good disk");
            } else {
                script.step(&mut random, &database);
            }
        }
        let repeat = format!("MAGNESIA_SEED={seed} cargo test -p magnesia-database --test ahead");
        let wanted = script.all();
        if script.rest.is_empty() {
            assert_eq!(all(&database), wanted, "in memory; repeat: {repeat}");
        }
        let found = all(&killed(database, &disk));
        assert_eq!(found, wanted, "after a kill; repeat: {repeat}");
    }
}
