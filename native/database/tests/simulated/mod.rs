//! A small database on a simulated disk: making, opening, reading it.
//!
//! Never here: what a test does with it.

#![allow(dead_code, reason = "each test uses a part")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use magnesia_database::Database;
use magnesia_database::open::{create_in, open_in};
use magnesia_engine::Table;
use magnesia_engine::locks::{OwnerId, Wake, Wakeup};
use magnesia_engine::schema::{AccessMode, Definition, Kind, Shape, Storage};
use magnesia_engine::table::{Direction, Position};
use magnesia_store::{Disk, Limits, Manifest};
use magnesia_term::{Atom, Packer, Row};

struct Nobody;

impl Wake for Nobody {
    fn wake(&self, _: OwnerId, _: u64, _: Wakeup) {}
}

/// Values by key, in the order that the table has them.
pub(crate) type Seen = BTreeMap<Vec<u8>, Vec<Vec<u8>>>;

/// A packed integer.
pub(crate) fn int(value: i64) -> Vec<u8> {
    let mut packer = Packer::new();
    packer.int(value);
    packer.into_bytes()
}

/// Opens the database on a disk.
pub(crate) fn opened(disk: &Arc<dyn Disk>) -> Arc<Database> {
    let manifest = Manifest::load(&**disk, &Limits::default()).expect("a good disk");
    let manifest = manifest.expect("a manifest");
    let nowhere = Path::new("/nonexistent/magnesia-simulated");
    let published = Box::new(|_: &_| ());
    let disk = Arc::clone(disk);
    open_in(nowhere, disk, None, &manifest, Arc::new(Nobody), published).expect("a database")
}

/// Makes a database with tables of a key and a value, in memory and logged.
pub(crate) fn started(disk: &Arc<dyn Disk>, tables: &[(&str, Kind)]) -> Arc<Database> {
    drop(create_in(disk).expect("an empty disk"));
    let database = opened(disk);
    for (name, kind) in tables {
        let name = Atom::intern(name).expect("a short name");
        let definition = Definition {
            name,
            kind: *kind,
            storage: Storage::Disc,
            record_name: name,
            arity: 3,
            shape: Shape::Exact,
            indexes: Vec::new(),
            access_mode: AccessMode::ReadWrite,
            properties: int(0),
        };
        database.create_table(definition).expect("a good disk");
    }
    database
}

/// The table of a name.
pub(crate) fn table(database: &Database, name: &str) -> Arc<Table> {
    let table = database.engine().table(Atom::intern(name).expect("short"));
    table.expect("the table is there")
}

/// A row of a key and a value.
pub(crate) fn row(table: &Table, key: i64, value: i64) -> Row {
    let body = [int(key), int(value)].concat();
    table.row(2, &body).expect("small")
}

/// All that a table has.
pub(crate) fn seen(database: &Database, name: &str) -> Seen {
    let table = table(database, name);
    let mut rows = Seen::new();
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
