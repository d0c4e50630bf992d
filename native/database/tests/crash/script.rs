//! Steps performed on a real database, chosen by chance, and what is seen of it afterwards.
//!
//! Never here: what should be there (see `model`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use magnesia_database::open::{create_in, open_in};
use magnesia_database::transform::Transform;
use magnesia_database::{Database, DatabaseError};
use magnesia_engine::Table;
use magnesia_engine::apply::Op;
use magnesia_engine::locks::{OwnerId, Wake, Wakeup};
use magnesia_engine::schema::{AccessMode, Kind, Storage};
use magnesia_engine::table::{Direction, Position};
use magnesia_engine::txn::Overlay;
use magnesia_store::sim::Random;
use magnesia_store::{Disk, Limits, Manifest};
use magnesia_term::Row;

use crate::model::{
    COUNTERS, Change, Model, ModelTable, Seen, SeenTable, Step, TABLES, Values, body, name,
    packed_int,
};

/// Keys of a table: few, so that steps meet.
const KEYS: u64 = 6;

struct Nobody;

impl Wake for Nobody {
    fn wake(&self, _: OwnerId, _: u64, _: Wakeup) {}
}

/// Makes an empty database on a disk.
pub fn create(disk: &Arc<dyn Disk>) -> Result<(), DatabaseError> {
    create_in(disk).map(drop)
}

/// Opens the database of a disk; none when there is no manifest.
pub fn open(disk: &Arc<dyn Disk>) -> Result<Option<Arc<Database>>, DatabaseError> {
    let Some(manifest) = Manifest::load(&**disk, &Limits::default())? else {
        return Ok(None);
    };
    // No table of a script has its rows on disk, so nothing is ever made in this folder.
    let nowhere = Path::new("/nonexistent/magnesia-crash-test");
    let seen_by = Box::new(|_: &_| ());
    open_in(
        nowhere,
        Arc::clone(disk),
        None,
        &manifest,
        Arc::new(Nobody),
        seen_by,
    )
    .map(Some)
}

fn values(random: &mut Random, count: usize) -> Values {
    let value = |random: &mut Random| match random.below(5) {
        0 => -1 - i64::try_from(random.below(4)).unwrap_or(0),
        1 => 1000 + i64::try_from(random.below(200)).unwrap_or(0),
        _ => i64::try_from(random.below(4)).unwrap_or(0),
    };
    (0..count).map(|_| value(random)).collect()
}

fn key(random: &mut Random) -> i64 {
    i64::try_from(random.below(KEYS)).unwrap_or(0)
}

fn change(model: &ModelTable, random: &mut Random) -> Change {
    let key = key(random);
    let known = model.rows.get(&key).and_then(|rows| rows.last()).cloned();
    match (random.below(10), known) {
        (0, _) => Change::Delete(key),
        (1 | 2, Some(values)) => Change::DeleteObject(key, values),
        // The same row again: a bag keeps it in its place.
        (3, Some(values)) => Change::Write(key, values),
        _ => Change::Write(key, values(random, model.arity - 2)),
    }
}

fn create_step(table: usize, random: &mut Random) -> Step {
    let kinds = [Kind::Set, Kind::OrderedSet, Kind::Bag];
    let kind = kinds[random.below_length(if table == COUNTERS { 2 } else { 3 })];
    let storage = if random.percent(25) {
        Storage::Ram
    } else {
        Storage::Disc
    };
    let indexes = if random.percent(50) {
        vec![3]
    } else {
        Vec::new()
    };
    Step::Create(table, kind, storage, indexes)
}

/// The next step of a script.
pub fn choose(model: &Model, random: &mut Random) -> Step {
    let table = random.below_length(TABLES);
    let Some(there) = model.tables.get(&table) else {
        return create_step(table, random);
    };
    match random.below(40) {
        0..=2 => Step::Sync,
        3..=5 => Step::Dump,
        6 => Step::Properties(key(random)),
        7 => Step::Define(table, key(random)),
        8 => Step::Delete(table),
        9 | 10 => Step::Clear(table),
        11 | 12 => {
            let position = if table == COUNTERS {
                3
            } else {
                3 + random.below_length(2)
            };
            if there.indexes.contains(&position) {
                Step::DropIndex(table, position)
            } else {
                Step::AddIndex(table, position)
            }
        }
        13 | 14 if there.storage == Storage::Ram => Step::SetStorage(table, Storage::Disc),
        13 => Step::SetStorage(table, Storage::Ram),
        15 => {
            let is_ram = |(_, table): &(&usize, &ModelTable)| table.storage == Storage::Ram;
            Step::Images(
                model
                    .tables
                    .iter()
                    .filter(is_ram)
                    .map(|(table, _)| *table)
                    .collect(),
            )
        }
        _ if table == COUNTERS => Step::Counter(table, key(random), key(random) - 2),
        16 | 17 => Step::Transform(table),
        18..=24 => Step::Dirty(table, change(there, random)),
        _ => Step::Commit(transaction(model, random)),
    }
}

fn transaction(model: &Model, random: &mut Random) -> Vec<(usize, Change)> {
    let mut model = model.clone();
    let tables: Vec<usize> = model
        .tables
        .keys()
        .copied()
        .filter(|t| *t != COUNTERS)
        .collect();
    let mut changes = Vec::new();
    for _ in 0..1 + random.below(5) {
        let table = tables[random.below_length(tables.len())];
        let change = change(&model.tables[&table], random);
        model.step(&Step::Dirty(table, change.clone()));
        changes.push((table, change));
    }
    changes
}

fn table(database: &Database, number: usize) -> Result<Arc<Table>, DatabaseError> {
    database
        .engine()
        .table(name(number))
        .ok_or(DatabaseError::NoTable)
}

fn row(table: &Table, key: i64, values: &Values) -> Row {
    table.body().row(1 + values.len(), &body(key, values))
}

fn dirty(database: &Database, number: usize, change: &Change) -> Result<(), DatabaseError> {
    let table = table(database, number)?;
    let op = match change {
        Change::Write(key, values) => Op::Write(row(&table, *key, values)),
        Change::Delete(key) => return delete(database, &table, *key),
        Change::DeleteObject(key, values) => Op::DeleteObject(row(&table, *key, values)),
    };
    database.write(&table, op).map(drop)
}

fn delete(database: &Database, table: &Table, key: i64) -> Result<(), DatabaseError> {
    database
        .write(table, Op::Delete(&packed_int(key)))
        .map(drop)
}

fn commit(database: &Database, changes: &[(usize, Change)]) -> Result<(), DatabaseError> {
    let mut own = Overlay::default();
    for (number, change) in changes {
        let table = table(database, *number)?;
        match change {
            Change::Write(key, values) => own.write(&table, row(&table, *key, values)),
            Change::Delete(key) => own.delete(&table, &packed_int(*key)),
            Change::DeleteObject(key, values) => {
                own.delete_object(&table, row(&table, *key, values));
            }
        }
    }
    database.commit(&own).map(drop)
}

fn transform(
    database: &Arc<Database>,
    number: usize,
    model: &ModelTable,
) -> Result<(), DatabaseError> {
    let arity = if model.arity == 4 { 5 } else { 4 };
    let properties = packed_int(model.properties);
    let made = Transform::begin(database, name(number), name(number), arity, properties)?;
    for (key, rows) in &model.rows {
        for values in rows {
            made.add(row(made.table(), *key, &model.transformed(values)))?;
        }
    }
    made.finish()
}

/// Performs a step; `model` is the state before it.
pub fn perform(database: &Arc<Database>, model: &Model, step: &Step) -> Result<(), DatabaseError> {
    match step {
        Step::Commit(changes) => commit(database, changes),
        Step::Dirty(number, change) => dirty(database, *number, change),
        Step::Clear(number) => database.clear_table(name(*number)),
        Step::Counter(number, key, increment) => {
            let table = table(database, *number)?;
            let (key, increment) = (packed_int(*key), packed_int(*increment));
            database.update_counter(&table, &key, &increment).map(drop)
        }
        Step::Sync => database.sync_log(),
        Step::Dump => database.dump(),
        Step::Images(numbers) => {
            let tables = numbers.iter().map(|number| table(database, *number));
            database.dump_images(&tables.collect::<Result<Vec<_>, _>>()?)
        }
        Step::Create(number, kind, storage, indexes) => {
            let arity = if *number == COUNTERS { 3 } else { 4 };
            let made = ModelTable::new(*kind, *storage, arity, indexes.clone());
            database.create_table(made.definition(*number))
        }
        Step::Delete(number) => database.delete_table(name(*number)),
        Step::AddIndex(number, position) => {
            let properties = packed_int(model.tables[number].properties);
            database.add_index(name(*number), *position, properties)
        }
        Step::DropIndex(number, position) => {
            let properties = packed_int(model.tables[number].properties);
            database.drop_index(name(*number), *position, properties)
        }
        Step::Define(number, properties) => database.define(
            name(*number),
            AccessMode::ReadWrite,
            packed_int(*properties),
        ),
        Step::Properties(properties) => database.set_schema_properties(packed_int(*properties)),
        Step::SetStorage(number, storage) => {
            let properties = packed_int(model.tables[number].properties);
            database.set_storage(name(*number), *storage, properties)
        }
        Step::Transform(number) => transform(database, *number, &model.tables[number]),
    }
}

/// Everything there is to see; an error when the parts of a table disagree.
pub fn observe(database: &Database) -> Result<Seen, String> {
    let mut tables = BTreeMap::new();
    for (name, table) in database.engine().tables().iter() {
        let rows = rows(table)?;
        check_indexes(table, &rows)?;
        let definition = table.definition().clone();
        tables.insert(name.name().to_owned(), SeenTable { definition, rows });
    }
    Ok(Seen {
        properties: database.schema_properties(),
        tables,
    })
}

fn rows(table: &Table) -> Result<BTreeMap<Vec<u8>, Vec<Vec<u8>>>, String> {
    let mut rows: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    let mut position = Some(Position::START);
    while let Some(from) = position {
        let mut each = |row: &Row| {
            rows.entry(row.key().to_vec())
                .or_default()
                .push(row.body().to_vec());
            true
        };
        let next = table.body().walk(&from, Direction::Up, &mut each);
        position = next.map_err(|error| error.to_string())?;
    }
    let count: usize = rows.values().map(Vec::len).sum();
    if count != table.rows() {
        return Err(format!("{count} rows, but a size of {}", table.rows()));
    }
    Ok(rows)
}

fn check_indexes(table: &Table, rows: &BTreeMap<Vec<u8>, Vec<Vec<u8>>>) -> Result<(), String> {
    let name = table.definition().name.name();
    let positions: Vec<usize> = table
        .body()
        .indexes()
        .iter()
        .map(|i| i.position())
        .collect();
    let (there, wanted): (BTreeSet<_>, BTreeSet<_>) = (
        positions.iter().collect(),
        table.definition().indexes.iter().collect(),
    );
    if there != wanted || positions.len() != wanted.len() {
        return Err(format!("{name}: indexes {positions:?}, defined {wanted:?}"));
    }
    for index in table.body().indexes().iter() {
        let mut wanted: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        for body in rows.values().flatten() {
            let row = table.body().row(table.definition().arity - 1, body);
            let value = row
                .at(index.position())
                .ok_or("a row that is too short")?
                .to_vec();
            wanted.entry(value).or_default().push(body.clone());
        }
        for (value, bodies) in wanted {
            let mut found = Vec::new();
            index.read(&value, |row| found.push(row.body().to_vec()));
            if found != bodies {
                return Err(format!("{name}: index on {} disagrees", index.position()));
            }
        }
    }
    Ok(())
}
