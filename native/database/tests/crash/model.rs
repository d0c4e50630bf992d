//! What a database should hold: plain maps that every step of a script changes as it says.
//!
//! Never here: the database; `script` performs the same steps there.

use std::collections::BTreeMap;

use magnesia_engine::schema::{AccessMode, Definition, Kind, Shape, Storage};
use magnesia_term::{Atom, Packer};

/// Tables that scripts use, by number; the last one is for counters.
pub const TABLES: usize = 5;
pub const COUNTERS: usize = TABLES - 1;

pub type Values = Vec<i64>;

/// One change of a row.
#[derive(Debug, Clone)]
pub enum Change {
    Write(i64, Values),
    Delete(i64),
    DeleteObject(i64, Values),
}

/// One step of a script.
#[derive(Debug, Clone)]
pub enum Step {
    Commit(Vec<(usize, Change)>),
    Dirty(usize, Change),
    Clear(usize),
    Counter(usize, i64, i64),
    Sync,
    Dump,
    Images(Vec<usize>),
    Create(usize, Kind, Storage, Vec<usize>),
    Delete(usize),
    AddIndex(usize, usize),
    DropIndex(usize, usize),
    Define(usize, i64),
    Properties(i64),
    SetStorage(usize, Storage),
    Transform(usize),
}

#[derive(Debug, Clone)]
pub struct ModelTable {
    pub kind: Kind,
    pub storage: Storage,
    pub arity: usize,
    pub indexes: Vec<usize>,
    pub properties: i64,
    pub rows: BTreeMap<i64, Vec<Values>>,
    /// Rows of a table in memory that the next opening shows.
    image: BTreeMap<i64, Vec<Values>>,
}

#[derive(Debug, Clone, Default)]
pub struct Model {
    pub tables: BTreeMap<usize, ModelTable>,
    properties: Option<i64>,
}

/// What can be seen of a database: definitions, and rows by packed key in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub properties: Vec<u8>,
    pub tables: BTreeMap<String, SeenTable>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenTable {
    pub definition: Definition,
    pub rows: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
}

pub fn name(table: usize) -> Atom {
    Atom::intern(&format!("table_{table}")).expect("a short name")
}

pub fn packed_int(value: i64) -> Vec<u8> {
    let mut packer = Packer::new();
    packer.int(value);
    packer.into_bytes()
}

/// Small numbers stand for themselves, negative ones for atoms, large ones for binaries.
fn pack(value: i64, packer: &mut Packer) {
    match value {
        ..0 => packer.atom(Atom::intern(&format!("atom_{value}")).expect("a short name")),
        0..1000 => packer.int(value),
        _ => packer.binary(&vec![
            7;
            usize::try_from(value - 1000).expect("not negative")
        ]),
    }
}

/// The packed elements of a row.
pub fn body(key: i64, values: &Values) -> Vec<u8> {
    let mut packer = Packer::new();
    packer.int(key);
    values.iter().for_each(|value| pack(*value, &mut packer));
    packer.into_bytes()
}

impl ModelTable {
    pub fn new(kind: Kind, storage: Storage, arity: usize, indexes: Vec<usize>) -> Self {
        let (rows, image) = (BTreeMap::new(), BTreeMap::new());
        Self {
            kind,
            storage,
            arity,
            indexes,
            properties: 0,
            rows,
            image,
        }
    }

    pub fn definition(&self, table: usize) -> Definition {
        Definition {
            name: name(table),
            kind: self.kind,
            storage: self.storage,
            record_name: name(table),
            arity: self.arity,
            shape: Shape::Exact,
            indexes: self.indexes.clone(),
            access_mode: AccessMode::ReadWrite,
            properties: packed_int(self.properties),
        }
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Write(key, values) if self.kind == Kind::Bag => {
                let rows = self.rows.entry(*key).or_default();
                if !rows.contains(values) {
                    rows.push(values.clone());
                }
            }
            Change::Write(key, values) => drop(self.rows.insert(*key, vec![values.clone()])),
            Change::Delete(key) => drop(self.rows.remove(key)),
            Change::DeleteObject(key, values) => {
                if let Some(rows) = self.rows.get_mut(key) {
                    rows.retain(|there| there != values);
                }
                self.rows.retain(|_, rows| !rows.is_empty());
            }
        }
    }

    /// What a transformation makes of the values: one more, or the last one away.
    pub fn transformed(&self, values: &Values) -> Values {
        let mut values = values.clone();
        if self.arity == 4 {
            values.push(7);
        } else {
            values.pop();
        }
        values
    }

    fn transform(&mut self) {
        let before = self.clone();
        for values in self.rows.values_mut().flatten() {
            *values = before.transformed(values);
        }
        for rows in self.rows.values_mut() {
            let mut kept: Vec<Values> = Vec::new();
            rows.iter().for_each(|row| {
                if !kept.contains(row) {
                    kept.push(row.clone());
                }
            });
            *rows = kept;
        }
        self.arity = if self.arity == 4 { 5 } else { 4 };
        self.image.clear();
    }

    fn seen(&self, table: usize) -> SeenTable {
        let row = |key: &i64, rows: &Vec<Values>| {
            (
                packed_int(*key),
                rows.iter().map(|values| body(*key, values)).collect(),
            )
        };
        let rows = self.rows.iter().map(|(key, rows)| row(key, rows)).collect();
        SeenTable {
            definition: self.definition(table),
            rows,
        }
    }
}

impl Model {
    fn table(&mut self, table: usize) -> &mut ModelTable {
        self.tables
            .get_mut(&table)
            .expect("scripts use tables that are there")
    }

    /// Does a step.
    pub fn step(&mut self, step: &Step) {
        match step {
            Step::Commit(changes) => {
                changes
                    .iter()
                    .for_each(|(table, change)| self.table(*table).change(change));
            }
            Step::Dirty(table, change) => self.table(*table).change(change),
            Step::Clear(table) => self.table(*table).rows.clear(),
            Step::Counter(table, key, increment) => {
                let rows = self.table(*table).rows.entry(*key).or_default();
                let old = rows.first().map_or(0, |values| values[0]);
                *rows = vec![vec![(old + increment).max(0)]];
            }
            Step::Sync | Step::Dump => {}
            Step::Images(tables) => {
                for table in tables {
                    let table = self.table(*table);
                    table.image.clone_from(&table.rows);
                }
            }
            Step::Create(table, kind, storage, indexes) => {
                let arity = if *table == COUNTERS { 3 } else { 4 };
                let made = ModelTable::new(*kind, *storage, arity, indexes.clone());
                self.tables.insert(*table, made);
            }
            Step::Delete(table) => drop(self.tables.remove(table)),
            Step::AddIndex(table, position) => {
                let indexes = &mut self.table(*table).indexes;
                indexes.push(*position);
                indexes.sort_unstable();
            }
            Step::DropIndex(table, position) => {
                self.table(*table).indexes.retain(|there| there != position);
            }
            Step::Define(table, properties) => self.table(*table).properties = *properties,
            Step::Properties(properties) => self.properties = Some(*properties),
            Step::SetStorage(table, storage) => {
                let table = self.table(*table);
                table.storage = *storage;
                table.image.clear();
            }
            Step::Transform(table) => self.table(*table).transform(),
        }
    }

    /// The database as it must be after the next opening: tables in memory have their images.
    pub fn reopened(&self) -> Self {
        let mut next = self.clone();
        for table in next.tables.values_mut() {
            if table.storage == Storage::Ram {
                table.rows.clone_from(&table.image);
            }
        }
        next
    }

    pub fn seen(&self) -> Seen {
        let mut nil = Packer::new();
        nil.nil();
        let properties = self.properties.map_or(nil.into_bytes(), packed_int);
        let table = |(table, model): (&usize, &ModelTable)| {
            (name(*table).name().to_owned(), model.seen(*table))
        };
        Seen {
            properties,
            tables: self.tables.iter().map(table).collect(),
        }
    }
}
