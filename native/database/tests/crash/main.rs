//! A database whose disk is cut off after every operation, and one whose disk fails.
//!
//! A script of transactions, dirty writes, counters, dumps and schema changes runs on a
//! simulated disk that journals everything. For each operation and each kind of image the disk
//! is made as a power cut may have left it and opened again: what is there must be, whole and
//! with its indexes, a state that the script went through, none earlier than the last that was
//! acknowledged as durable. Then each operation fails in turn, and memory and disk must agree.
//!
//! `MAGNESIA_CASES` sets the number of scripts, `MAGNESIA_SEED` the first seed.

#![allow(missing_docs, unreachable_pub, reason = "a test")]

mod faulty;
mod model;
mod script;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use magnesia_database::{Database, DatabaseError};
use magnesia_engine::schema::{Kind, Storage};
use magnesia_store::sim::{Fault, Image, OpKind, Random, SimDisk};
use magnesia_store::{Disk, StoreError};

use faulty::{Bug, faulty};
use model::{Change, Model, Seen, Step};
use script::{choose, create, observe, open, perform};

const SCRIPTS: u64 = 40;
const STEPS: usize = 26;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

/// A state that the script went through.
struct Moment {
    /// Operations of the disk before the step that led here.
    before: usize,
    /// Operations when it was known to be durable, if it was.
    durable: Option<usize>,
    step: Option<Step>,
    /// What an opening shows of it.
    seen: Seen,
}

/// What a script did, as far as its caller was told.
struct Run {
    disk: SimDisk,
    /// Operations that made the empty database.
    created: usize,
    moments: Vec<Moment>,
}

impl Run {
    fn push(&mut self, before: usize, step: Option<Step>, model: &Model) {
        let seen = model.reopened().seen();
        self.moments.push(Moment {
            before,
            durable: None,
            step,
            seen,
        });
    }

    fn note_durable(&mut self) {
        let operations = self.disk.operations();
        if let Some(last) = self.moments.last_mut() {
            last.durable.get_or_insert(operations);
        }
    }

    /// The states that a cut after so many operations may show.
    fn possible(&self, operations: usize) -> &[Moment] {
        let is_durable = |m: &Moment| m.durable.is_some_and(|after| after <= operations);
        let first = self.moments.iter().rposition(is_durable).unwrap_or(0);
        let last = self
            .moments
            .iter()
            .rposition(|moment| moment.before < operations)
            .unwrap_or(0);
        &self.moments[first..=last.max(first)]
    }
}

/// Whether a step, once done, is on the disk for good.
fn is_durable(step: &Step) -> bool {
    use Step::{Clear, Commit, Counter, Dirty};
    !matches!(step, Commit(_) | Dirty(..) | Clear(_) | Counter(..))
}

fn reopen(disk: &Arc<dyn Disk>) -> Result<Arc<Database>, String> {
    let opened = open(disk).map_err(|error| format!("open: {error}"))?;
    opened.ok_or_else(|| String::from("the database is gone"))
}

fn play(seed: u64, bug: Bug) -> Result<Run, String> {
    fastrand::seed(seed);
    let mut random = Random::new(seed);
    let disk = SimDisk::new(random.next());
    let below = faulty(&disk, bug);
    create(&below).map_err(|error| format!("create: {error}"))?;
    let mut run = Run {
        created: disk.operations(),
        disk,
        moments: Vec::new(),
    };
    let mut model = Model::default();
    let mut database = reopen(&below)?;
    run.push(0, None, &model);
    run.note_durable();
    for _ in 0..STEPS {
        let before = run.disk.operations();
        if random.percent(4) {
            database = restart(&mut run, &below, &database, &mut model, random.percent(50))?;
            continue;
        }
        let step = choose(&model, &mut random);
        bug.perform(&database, &model, &step)
            .map_err(|error| format!("{step:?}: {error}"))?;
        model.step(&step);
        let is_durable = is_durable(&step);
        run.push(before, Some(step), &model);
        if is_durable {
            run.note_durable();
        }
    }
    let seen = observe(&database)?;
    if seen != model.seen() {
        return Err(format!("in memory: {}", difference(&seen, &model.seen())));
    }
    Ok(run)
}

/// The process ends, in good order or not, and another opens the same disk.
fn restart(
    run: &mut Run,
    disk: &Arc<dyn Disk>,
    database: &Database,
    model: &mut Model,
    is_orderly: bool,
) -> Result<Arc<Database>, String> {
    let before = run.disk.operations();
    if is_orderly {
        database
            .close()
            .map_err(|error| format!("close: {error}"))?;
    }
    let database = reopen(disk)?;
    *model = model.reopened();
    let seen = observe(&database)?;
    if seen != model.seen() {
        return Err(format!(
            "after a restart: {}",
            difference(&seen, &model.seen())
        ));
    }
    run.push(before, None, model);
    run.note_durable();
    Ok(database)
}

fn difference(found: &Seen, wanted: &Seen) -> String {
    if found.properties != wanted.properties {
        return String::from("the schema's properties");
    }
    let names = found.tables.keys().chain(wanted.tables.keys());
    let differs = |name: &&String| found.tables.get(*name) != wanted.tables.get(*name);
    let Some(name) = names.into_iter().find(differs) else {
        return String::from("nothing");
    };
    format!(
        "{name}: {:?}, not {:?}",
        found.tables.get(name),
        wanted.tables.get(name)
    )
}

/// Opens `cut` and holds what is there against what may be.
fn check(run: &Run, cut: &SimDisk, operations: usize) -> Result<Option<Arc<Database>>, String> {
    let disk: Arc<dyn Disk> = Arc::new(cut.clone());
    let opened = open(&disk).map_err(|error| format!("open: {error}"))?;
    let Some(database) = opened else {
        return if operations < run.created {
            Ok(None)
        } else {
            Err(String::from("no database"))
        };
    };
    let seen = observe(&database)?;
    let possible = run.possible(operations);
    if possible.iter().any(|moment| moment.seen == seen) {
        return Ok(Some(database));
    }
    let is_past = |m: &Moment| m.before < operations && m.seen == seen;
    if run.moments.iter().any(is_past) {
        return Err(String::from("an acknowledged step is lost"));
    }
    let last = &possible[possible.len() - 1];
    let what = difference(&seen, &last.seen);
    Err(format!(
        "no state of the script; amid {:?}: {what}",
        last.step
    ))
}

/// Life after the cut: one more step, made durable, is there after the next cut.
fn go_on(database: &Arc<Database>, cut: &SimDisk, seed: u64) -> Result<(), String> {
    let step = Step::Properties(424_242);
    let failed = |error: DatabaseError| format!("after the cut: {error}");
    perform(database, &Model::default(), &step).map_err(failed)?;
    let seen = observe(database)?;
    let again = cut.crash(cut.operations(), Image::ALL[(seed % 4) as usize], seed);
    let disk: Arc<dyn Disk> = Arc::new(again);
    let found = observe(&*reopen(&disk)?)?;
    // Tables in memory keep what their images had, so nothing has changed since the opening.
    if found == seen {
        Ok(())
    } else {
        Err(format!("second cut: {}", difference(&found, &seen)))
    }
}

/// All cuts of one script. Returns how many times a disk was opened.
fn explore(seed: u64, bug: Bug) -> Result<u64, String> {
    let run = play(seed, bug)?;
    let mut opened = 0;
    for operations in 0..=run.disk.operations() {
        for image in Image::ALL {
            let chance = seed.wrapping_mul(31).wrapping_add(operations as u64);
            let cut = run.disk.crash(operations, image, chance);
            let context = |error| format!("operation {operations}, {image:?}: {error}");
            let database = check(&run, &cut, operations).map_err(context)?;
            opened += 1;
            if let Some(database) = database.filter(|_| chance.is_multiple_of(8)) {
                go_on(&database, &cut, chance).map_err(context)?;
            }
        }
    }
    Ok(opened)
}

fn report(seed: u64, error: &str, test: &str) -> String {
    format!(
        "seed {seed}: {error}\nrepeat: MAGNESIA_SEED={seed} MAGNESIA_CASES=1 \
         cargo test -p magnesia-database --test crash {test}"
    )
}

#[test]
fn survives_a_power_cut_after_every_operation() {
    let (first, scripts) = (
        setting("MAGNESIA_SEED", 1),
        setting("MAGNESIA_CASES", SCRIPTS),
    );
    let mut opened = 0;
    for seed in first..first + scripts {
        match explore(seed, Bug::None) {
            Ok(count) => opened += count,
            Err(error) => panic!("{}", report(seed, &error, "survives")),
        }
    }
    println!("{scripts} scripts from seed {first}: {opened} reopenings");
    assert!(opened > scripts, "scripts that reopen nothing test nothing");
}

/// What one run under faults knows: states in order, and how many are durable for certain.
struct Told {
    seen: Vec<Seen>,
    durable: usize,
    refused: usize,
}

/// Plays a script on a disk that fails now and then; memory must agree with what was told.
fn play_on(disk: &SimDisk, seed: u64, steps: usize, room: Option<usize>) -> Result<Told, String> {
    fastrand::seed(seed);
    let mut random = Random::new(seed);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    if create(&shared).is_err() {
        create(&shared).map_err(|error| format!("a second creation: {error}"))?;
    }
    let mut model = Model::default();
    let mut database = open_twice(&shared)?;
    let mut told = Told {
        seen: vec![model.reopened().seen()],
        durable: 0,
        refused: 0,
    };
    for number in 0..steps {
        if room == Some(number) {
            disk.set_room(Some(0));
        }
        let step = choose(&model, &mut random);
        let done = perform(&database, &model, &step);
        if room == Some(number) {
            disk.set_room(None);
        }
        let mut next = model.clone();
        next.step(&step);
        match done {
            Ok(()) => {
                model = next;
                told.seen.push(model.reopened().seen());
                if is_durable(&step) {
                    told.durable = told.seen.len() - 1;
                }
            }
            Err(error) => {
                told.refused += 1;
                let seen = observe(&database)?;
                if seen != model.seen() {
                    return Err(format!(
                        "{step:?}, {error}: {}",
                        difference(&seen, &model.seen())
                    ));
                }
                if is_full(&error) {
                    continue;
                }
                (database, model) = recover(&shared, &model, &next)?;
                told.seen.push(model.seen());
                told.durable = told.seen.len() - 1;
            }
        }
    }
    Ok(told)
}

fn is_full(error: &DatabaseError) -> bool {
    matches!(error, DatabaseError::Store(StoreError::Full { .. }))
}

/// Opens; a planned fault may refuse it once.
fn open_twice(disk: &Arc<dyn Disk>) -> Result<Arc<Database>, String> {
    reopen(disk).or_else(|_| reopen(disk))
}

/// Opens after a step that failed: it is done or not.
fn recover(
    disk: &Arc<dyn Disk>,
    before: &Model,
    after: &Model,
) -> Result<(Arc<Database>, Model), String> {
    let database = open_twice(disk)?;
    let seen = observe(&database)?;
    let mut choices = [before.reopened(), after.reopened()].into_iter();
    match choices.find(|model| model.seen() == seen) {
        Some(model) => Ok((database, model)),
        None => Err(format!(
            "recovered: {}",
            difference(&seen, &before.reopened().seen())
        )),
    }
}

/// After the run and a power cut, a state is there that was told, none before the last durable.
fn check_told(disk: &SimDisk, told: &Told, seed: u64) -> Result<(), String> {
    for image in Image::ALL {
        let cut: Arc<dyn Disk> = Arc::new(disk.crash(disk.operations(), image, seed));
        let seen = observe(&*reopen(&cut)?)?;
        if !told.seen[told.durable..].contains(&seen) {
            let last = &told.seen[told.seen.len() - 1];
            return Err(format!("{image:?}: {}", difference(&seen, last)));
        }
    }
    Ok(())
}

const FAULT_STEPS: usize = 24;
const FAULT_SEEDS: u64 = 3;

#[test]
fn memory_and_disk_agree_after_each_fault_at_each_operation() {
    let first = setting("MAGNESIA_SEED", 1);
    let mut refused = 0;
    for seed in first..first + FAULT_SEEDS {
        let quiet = SimDisk::new(seed);
        play_on(&quiet, seed, FAULT_STEPS, None).expect("a good disk");
        for kind in OpKind::ALL {
            for fault in [Fault::Io, Fault::Full, Fault::Short(5)] {
                for nth in 0..quiet.count(kind) {
                    let disk = SimDisk::new(nth);
                    disk.plan(kind, nth, fault);
                    let played = play_on(&disk, seed, FAULT_STEPS, None);
                    let checked = played.and_then(|told| {
                        refused += told.refused;
                        check_told(&disk, &told, nth)
                    });
                    if let Err(error) = checked {
                        let error = format!("{fault:?} at {kind:?} {nth}: {error}");
                        panic!("{}", report(seed, &error, "memory_and_disk"));
                    }
                }
            }
        }
    }
    println!("{refused} steps refused");
    assert!(refused > 100, "faults that refuse nothing test nothing");
}

#[test]
fn a_full_disk_refuses_and_lets_go_again() {
    let mut refused = 0;
    for seed in 1..20 {
        for step in 0..FAULT_STEPS {
            let disk = SimDisk::new(seed);
            let told = play_on(&disk, seed, FAULT_STEPS, Some(step));
            let told = told.unwrap_or_else(|error| panic!("seed {seed}, step {step}: {error}"));
            assert!(
                told.refused <= 1,
                "seed {seed}: not lifted after step {step}"
            );
            refused += told.refused;
            check_told(&disk, &told, seed).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        }
    }
    println!("{refused} steps refused");
    assert!(
        refused > 100,
        "a full disk that refuses nothing tests nothing"
    );
}

/// Writes of one thread: few, since a later one may hide what a dump forgot of an earlier.
const WRITES: i64 = 3;

/// Two writers and a dump in each other's way; what they told is there after a kill.
fn dump_amid_writes(seed: u64) -> Result<(), String> {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(seed));
    create(&disk).map_err(|error| error.to_string())?;
    let database = reopen(&disk)?;
    let mut model = Model::default();
    for table in 0..2 {
        let step = Step::Create(table, Kind::OrderedSet, Storage::Disc, vec![3]);
        perform(&database, &model, &step).map_err(|error| error.to_string())?;
        model.step(&step);
    }
    let is_over = AtomicBool::new(false);
    let dirty = |table: usize, key| Step::Dirty(table, Change::Write(key, vec![key % 5, 1]));
    std::thread::scope(|scope| {
        let write = |table| {
            let (database, model) = (&database, &model);
            move || (0..WRITES).try_for_each(|key| perform(database, model, &dirty(table, key)))
        };
        let dumper = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                database.dump()?;
            }
            Ok::<_, DatabaseError>(())
        });
        let writers = [scope.spawn(write(0)), scope.spawn(write(1))];
        let written = writers.map(|writer| writer.join().expect("a writer does not panic"));
        is_over.store(true, Ordering::Relaxed);
        let dumped = dumper.join().expect("a dump does not panic");
        written
            .into_iter()
            .chain([dumped])
            .collect::<Result<(), _>>()
    })
    .map_err(|error| error.to_string())?;
    // Nothing was written since: what an earlier dump forgot, this one lets go.
    database.dump().map_err(|error| error.to_string())?;
    for table in 0..2 {
        (0..WRITES).for_each(|key| model.step(&dirty(table, key)));
    }
    drop(database);
    let seen = observe(&*reopen(&disk)?)?;
    if seen == model.seen() {
        Ok(())
    } else {
        Err(difference(&seen, &model.seen()))
    }
}

#[test]
fn dumps_amid_writes_lose_nothing() {
    for seed in 0..1_500 {
        dump_amid_writes(seed).unwrap_or_else(|error| panic!("game {seed}: {error}"));
    }
}

/// How many scripts a planted bug may take to be found.
fn is_found(bug: Bug) {
    let found = (1..=60).find_map(|seed| Some((seed, explore(seed, bug).err()?)));
    let (seed, error) = found.unwrap_or_else(|| panic!("{bug:?} was not found in 60 scripts"));
    println!("{bug:?} found by seed {seed}: {error}");
}

#[test]
fn finds_a_log_that_is_not_synced() {
    is_found(Bug::NoLogSync);
}

#[test]
fn finds_a_directory_that_is_not_synced() {
    is_found(Bug::NoDirSync);
}

#[test]
fn finds_a_write_that_is_not_logged() {
    is_found(Bug::SkipRecord);
}

#[test]
fn finds_a_transaction_logged_in_two_parts() {
    is_found(Bug::HalfCommit);
}

#[test]
fn finds_a_dump_that_forgets_a_table() {
    is_found(Bug::DumpForgets);
}

#[test]
fn finds_an_index_that_is_missing() {
    is_found(Bug::NoIndex);
}
