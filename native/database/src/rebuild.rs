//! Tables made anew beside those there are, and put in their place all at once.
//!
//! A restore names the tables, streams their rows in and finishes: one manifest makes all of
//! them durable, so a crash at any point leaves every table as it was or every table as it is to
//! be. Dropped before that, nothing has changed.
//!
//! Never here: files of a backup, keeping transactions away from the tables.

use std::collections::HashMap;
use std::sync::Arc;

use magnesia_engine::schema::{Definition, Storage};
use magnesia_engine::table::load::Bulk;
use magnesia_engine::table::{Direction, Position};
use magnesia_engine::{Table, TableError, unique};
use magnesia_term::{Atom, Packer, Row, View, etf, packed};

use crate::alter::empty_body;
use crate::backup_file;
use crate::catalog::{Catalog, Entry};
use crate::database::{Database, Durable};
use crate::dump::write_snapshots;
use crate::error::DatabaseError;

/// Tables on their way.
pub struct Rebuild {
    database: Arc<Database>,
    making: HashMap<Atom, Making>,
    dropped: Vec<Atom>,
    packer: Packer,
}

struct Making {
    new: Arc<Table>,
    /// Rows for a set in memory without rows so far, which is filled in bulk.
    bulk: Option<Vec<Row>>,
}

/// What some bytes of a backup had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Bytes of whole items.
    pub bytes: usize,
    /// Number of those items.
    pub items: usize,
    /// How many of them were rows of the tables that are made.
    pub rows: usize,
}

/// An item that can't be taken: where it begins, and why.
#[derive(Debug)]
pub struct Refused {
    /// What was taken before it.
    pub before: Taken,
    /// What is wrong with it.
    pub reason: String,
    /// Whether the table or its disk refused, rather than the item being damaged.
    pub is_fit: bool,
}

impl Rebuild {
    /// Begins to make tables; none so far.
    #[must_use]
    pub fn begin(database: &Arc<Database>) -> Self {
        Self {
            database: Arc::clone(database),
            making: HashMap::new(),
            dropped: Vec::new(),
            packer: Packer::new(),
        }
    }

    /// Begins to make a table, with the rows of the one there is where they are to be kept.
    ///
    /// # Errors
    /// [`DatabaseError::Exists`] when it was begun before; [`DatabaseError::NoDirectory`] for a
    /// durable table of a database in memory; when the disk fails.
    pub fn table(&mut self, definition: Definition, is_kept: bool) -> Result<(), DatabaseError> {
        let name = definition.name;
        let durable = self.database.durable.load_full();
        if definition.storage.is_durable() && durable.is_none() {
            return Err(DatabaseError::NoDirectory);
        }
        if self.making.contains_key(&name) {
            return Err(DatabaseError::Exists);
        }
        let id = self.database.reserve_id();
        let body = Arc::new(empty_body(&definition, id, durable.as_deref())?);
        let bulk = Bulk::of(&body).map(|_| Vec::new());
        let new = Arc::new(Table::new(id, definition, body));
        let mut making = Making { new, bulk };
        if let Some(old) = self.database.engine().table(name).filter(|_| is_kept) {
            making.copy(&old)?;
        }
        self.making.insert(name, making);
        Ok(())
    }

    /// Has a table go.
    pub fn drop_table(&mut self, name: Atom) {
        self.making.remove(&name);
        self.dropped.push(name);
    }

    /// The table to be of this name.
    #[must_use]
    pub fn making(&self, name: Atom) -> Option<Arc<Table>> {
        self.making.get(&name).map(|making| Arc::clone(&making.new))
    }

    /// Adds a row, made by [`Rebuild::making`].
    ///
    /// # Errors
    /// When the disk fails.
    pub fn write(&mut self, name: Atom, row: Row) -> Result<(), TableError> {
        match self.making.get_mut(&name) {
            Some(making) => making.write(row),
            None => Ok(()),
        }
    }

    /// Deletes the rows of a packed key.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn delete(&mut self, name: Atom, key: &[u8]) -> Result<(), TableError> {
        match self.making.get_mut(&name) {
            Some(making) => {
                making.settle()?;
                making.new.body().delete(key)
            }
            None => Ok(()),
        }
    }

    /// Takes the whole items at the front of a part of a backup file. Items of other tables, and
    /// those of the schema, are passed over.
    ///
    /// # Errors
    /// [`Refused`] at the first item that is damaged or fits no table.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Taken, Refused> {
        let mut taken = Taken {
            bytes: 0,
            items: 0,
            rows: 0,
        };
        let refused = |before, reason: String, is_fit| Refused {
            before,
            reason,
            is_fit,
        };
        loop {
            let (term, length) = match backup_file::next(&bytes[taken.bytes..]) {
                Ok(Some(item)) => item,
                Ok(None) => return Ok(taken),
                Err(error) => return Err(refused(taken, error.to_string(), false)),
            };
            self.packer.clear();
            let decoded = etf::decode(term, &etf::Limits::default(), &mut self.packer);
            if let Err(error) = decoded {
                return Err(refused(taken, error.to_string(), false));
            }
            let packed = std::mem::take(&mut self.packer);
            let put = self.put(packed.as_bytes());
            self.packer = packed;
            match put {
                Ok(is_row) => taken.rows += usize::from(is_row),
                Err(error) => return Err(refused(taken, error.to_string(), true)),
            }
            taken.bytes += length;
            taken.items += 1;
        }
    }

    /// Does what a packed item says; returns whether it is a row.
    fn put(&mut self, packed: &[u8]) -> Result<bool, DatabaseError> {
        let View::Tuple(mut items) = packed::view(packed) else {
            return Err(DatabaseError::BadRecord);
        };
        let elements = items.count();
        let name = match items.next().map(packed::view) {
            Some(View::Atom(name)) if elements >= 2 => name,
            _ => return Err(DatabaseError::BadRecord),
        };
        let Some(making) = self.making.get_mut(&name) else {
            return Ok(false);
        };
        let body = items.rest();
        if elements == 2 {
            making.settle()?;
            making.new.body().delete(&body[..packed::len(body)])?;
            return Ok(false);
        }
        if elements != making.new.definition().arity {
            return Err(DatabaseError::BadRecord);
        }
        // Of bytes that may be more than the tuple's, the last element is no part.
        let row = making.new.row(elements - 1, body)?;
        making.write(row)?;
        Ok(true)
    }

    /// Puts the tables in place, and the host's term about the schema where one is given.
    ///
    /// # Errors
    /// When rows of a table that stays what it is share a value that is unique there; when the
    /// disk fails. Everything is as it was then.
    pub fn finish(mut self, properties: Option<Vec<u8>>) -> Result<(), DatabaseError> {
        let database = Arc::clone(&self.database);
        for (name, making) in &mut self.making {
            making.settle()?;
            let new = &making.new;
            for &position in &new.definition().indexes {
                new.body().add_index(position)?;
            }
            if let Some(old) = database.engine().table(*name)
                && old.definition() == new.definition()
            {
                unique::inherit(new, &old)?;
            }
        }
        let new: Vec<Arc<Table>> = self.making.values().map(|m| Arc::clone(&m.new)).collect();
        let gone = |name: &Atom| database.engine().table(*name);
        let old: Vec<Arc<Table>> = self
            .making
            .keys()
            .chain(&self.dropped)
            .filter_map(gone)
            .collect();
        let change = |catalog: &mut Catalog| {
            catalog
                .tables
                .retain(|entry| old.iter().all(|table| table.id() != entry.id));
            catalog.tables.extend(new.iter().map(|table| Entry {
                id: table.id(),
                definition: table.definition().clone(),
                snapshot: None,
            }));
            if let Some(properties) = properties {
                catalog.properties = properties;
            }
            Ok(())
        };
        match database.durable.load_full() {
            Some(durable) => publish(&database, &durable, &new, change)?,
            None => change(&mut database.schema.lock().catalog)?,
        }
        self.making.clear();
        put_in_place(&database, &self.dropped, &new, &old)
    }
}

impl Drop for Rebuild {
    /// What was written to disk for tables that are not to be.
    fn drop(&mut self) {
        let durable = self.database.durable.load_full();
        for making in self.making.values() {
            if let Some(durable) = durable.as_deref()
                && making.new.definition().storage == Storage::DiscOnly
            {
                // Whoever gets the number next removes them again.
                drop(durable.sled.remove(making.new.id()));
            }
        }
    }
}

fn publish(
    database: &Database,
    durable: &Durable,
    new: &[Arc<Table>],
    change: impl FnOnce(&mut Catalog) -> Result<(), DatabaseError>,
) -> Result<(), DatabaseError> {
    let line = durable.log.end();
    let of = |storage: Storage| {
        let is_of = move |table: &&Arc<Table>| table.definition().storage == storage;
        new.iter().filter(is_of).cloned().collect::<Vec<_>>()
    };
    let snapshots = write_snapshots(durable, line, &of(Storage::Disc))?;
    if !of(Storage::DiscOnly).is_empty() {
        durable.sled.sync(&durable.log)?;
    }
    let mut schema = database.schema.lock();
    let start = schema.log_start;
    schema.publish(durable, start, snapshots, change)
}

fn put_in_place(
    database: &Database,
    dropped: &[Atom],
    new: &[Arc<Table>],
    old: &[Arc<Table>],
) -> Result<(), DatabaseError> {
    let durable = database.durable.load_full();
    for name in dropped {
        database.engine().remove_table(*name);
    }
    for table in new {
        if let Some(durable) = durable.as_deref() {
            durable.sled.hold_back(table.id());
        }
        database.engine().put_table(Arc::clone(table));
    }
    for table in old {
        if let Some(durable) = durable.as_deref()
            && table.definition().storage == Storage::DiscOnly
        {
            durable.sled.remove(table.id())?;
        }
    }
    Ok(())
}

impl Making {
    fn copy(&mut self, old: &Table) -> Result<(), DatabaseError> {
        let mut position = Some(Position::START);
        while let Some(from) = position {
            let mut rows: Vec<Row> = Vec::new();
            position = old.body().walk(&from, Direction::Up, &mut |row| {
                rows.push(row.clone());
                true
            })?;
            for row in rows {
                self.write(self.new.row(row.elements(), row.body())?)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, row: Row) -> Result<(), TableError> {
        match &mut self.bulk {
            Some(rows) if Bulk::takes(&row) => {
                rows.push(row);
                Ok(())
            }
            // Keys that other bytes may be too are none of those in bulk.
            Some(_) => {
                self.settle()?;
                self.new.body().write(row)
            }
            None => self.new.body().write(row),
        }
    }

    /// Puts the rows that were gathered into the table; from here on they are written one by one.
    fn settle(&mut self) -> Result<(), TableError> {
        let Some(rows) = self.bulk.take() else {
            return Ok(());
        };
        let body = self.new.body();
        match Bulk::of(body) {
            Some(bulk) => {
                bulk.add(rows);
                (0..bulk.parts()).for_each(|part| bulk.settle(part));
                Ok(())
            }
            None => rows.into_iter().try_for_each(|row| body.write(row)),
        }
    }
}
