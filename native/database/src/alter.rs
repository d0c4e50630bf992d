//! Changes of the schema: tables made and deleted, definitions, indexes, storage.
//!
//! Each change is durable before it is seen: the manifest is stored first, then the engine
//! publishes the table. Where rows must follow, they are written before the manifest names
//! them, so a crash at any point leaves the old schema or the new one, each with its rows. The
//! caller keeps transactions away from a table that changes, by its lock.
//!
//! Never here: which options are legal; hosts check.

use std::sync::Arc;

use magnesia_engine::schema::{AccessMode, Definition, Storage};
use magnesia_engine::table::{Body, Direction, Position};
use magnesia_engine::{Table, unique};
use magnesia_term::Atom;

use crate::catalog::{Catalog, Entry};
use crate::database::{Database, Durable};
use crate::dump::write_snapshots;
use crate::error::DatabaseError;
use crate::open::{body_of, entry_of};

impl Database {
    /// The host's own term about the schema, packed.
    #[must_use]
    pub fn schema_properties(&self) -> Vec<u8> {
        self.schema.lock().catalog.properties.clone()
    }

    /// Replaces the host's own term about the schema.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn set_schema_properties(&self, properties: Vec<u8>) -> Result<(), DatabaseError> {
        self.change(|catalog| {
            catalog.properties = properties;
            Ok(())
        })
    }

    /// Makes an empty table.
    ///
    /// # Errors
    /// [`DatabaseError::Exists`]; [`DatabaseError::NoDirectory`] for a durable table of a
    /// database in memory; when the disk fails.
    pub fn create_table(&self, definition: Definition) -> Result<(), DatabaseError> {
        if self.engine().table(definition.name).is_some() {
            return Err(DatabaseError::Exists);
        }
        let durable = self.durable.load_full();
        if definition.storage.is_durable() && durable.is_none() {
            return Err(DatabaseError::NoDirectory);
        }
        let id = self.reserve_id();
        let body = Arc::new(empty_body(&definition, id, durable.as_deref())?);
        for &position in &definition.indexes {
            body.add_index(position)?;
        }
        if let Some(durable) = durable.as_deref() {
            durable.sled.hold_back(id);
        }
        self.change(|catalog| {
            let definition = definition.clone();
            catalog.tables.push(Entry {
                id,
                definition,
                snapshot: None,
            });
            Ok(())
        })?;
        self.engine()
            .put_table(Arc::new(Table::new(id, definition, body)));
        Ok(())
    }

    /// A number that no table has had.
    pub(crate) fn reserve_id(&self) -> u32 {
        let mut schema = self.schema.lock();
        let id = schema.catalog.next_table;
        schema.catalog.next_table += 1;
        id
    }

    /// Deletes a table and its rows.
    ///
    /// # Errors
    /// [`DatabaseError::NoTable`]; when the disk fails.
    pub fn delete_table(&self, name: Atom) -> Result<(), DatabaseError> {
        let table = self.engine().table(name).ok_or(DatabaseError::NoTable)?;
        self.change(|catalog| {
            catalog.tables.retain(|entry| entry.id != table.id());
            Ok(())
        })?;
        self.engine().remove_table(name);
        if table.definition().storage == Storage::DiscOnly
            && let Some(durable) = self.durable.load().as_ref()
        {
            durable.sled.remove(table.id())?;
        }
        Ok(())
    }

    /// Deletes all rows of a table.
    ///
    /// # Errors
    /// [`DatabaseError::NoTable`]; as [`Database::commit`].
    pub fn clear_table(&self, name: Atom) -> Result<(), DatabaseError> {
        let table = self.engine().table(name).ok_or(DatabaseError::NoTable)?;
        self.clear(&table)
    }

    /// Replaces the part of a definition that doesn't touch rows.
    ///
    /// # Errors
    /// [`DatabaseError::NoTable`]; when the disk fails.
    pub fn define(
        &self,
        name: Atom,
        access_mode: AccessMode,
        properties: Vec<u8>,
    ) -> Result<(), DatabaseError> {
        self.redefine(name, |definition| {
            definition.access_mode = access_mode;
            definition.properties = properties;
        })
    }

    /// Says that records have another name and arity from now on; the rows there are stay as
    /// they are.
    ///
    /// # Errors
    /// [`DatabaseError::NoTable`]; when the disk fails.
    pub fn reshape(
        &self,
        name: Atom,
        record_name: Atom,
        arity: usize,
        properties: Vec<u8>,
    ) -> Result<(), DatabaseError> {
        self.redefine(name, |definition| {
            definition.record_name = record_name;
            definition.arity = arity;
            definition.properties = properties;
        })
    }

    /// Adds an index and fills it.
    ///
    /// # Errors
    /// [`DatabaseError::NoTable`], [`DatabaseError::Exists`]; when its values are to be unique and
    /// are not; when the disk fails.
    pub fn add_index(
        &self,
        name: Atom,
        position: usize,
        properties: Vec<u8>,
    ) -> Result<(), DatabaseError> {
        let table = self.engine().table(name).ok_or(DatabaseError::NoTable)?;
        if table.index(position).is_some() {
            return Err(DatabaseError::Exists);
        }
        table.body().add_index(position)?;
        let verified = unique::verify(&table).map_err(DatabaseError::from);
        let defined = verified.and_then(|()| {
            self.redefine(name, |definition| {
                definition.indexes.push(position);
                definition.indexes.sort_unstable();
                definition.properties = properties;
            })
        });
        defined.inspect_err(|_| table.body().drop_index(position))
    }

    /// Drops an index.
    ///
    /// # Errors
    /// [`DatabaseError::NoTable`], [`DatabaseError::NoIndex`]; when the disk fails.
    pub fn drop_index(
        &self,
        name: Atom,
        position: usize,
        properties: Vec<u8>,
    ) -> Result<(), DatabaseError> {
        let table = self.engine().table(name).ok_or(DatabaseError::NoTable)?;
        if table.index(position).is_none() {
            return Err(DatabaseError::NoIndex);
        }
        self.redefine(name, |definition| {
            definition.indexes.retain(|&there| there != position);
            definition.properties = properties;
        })?;
        table.body().drop_index(position);
        Ok(())
    }

    /// Moves a table to another storage, with its rows.
    ///
    /// # Errors
    /// [`DatabaseError::NoTable`], [`DatabaseError::NoDirectory`]; when the disk fails.
    pub fn set_storage(
        &self,
        name: Atom,
        storage: Storage,
        properties: Vec<u8>,
    ) -> Result<(), DatabaseError> {
        let table = self.engine().table(name).ok_or(DatabaseError::NoTable)?;
        let durable = self.durable.load_full();
        if storage.is_durable() && durable.is_none() {
            return Err(DatabaseError::NoDirectory);
        }
        let old = table.definition();
        let definition = Definition {
            storage,
            properties,
            ..old.clone()
        };
        match durable.as_deref() {
            Some(durable) if old.storage == Storage::DiscOnly || storage == Storage::DiscOnly => {
                self.replace_rows(durable, &table, definition, |_, row| Ok(row.to_vec()))
            }
            Some(durable) if storage == Storage::Disc => {
                self.make_durable(durable, &table, definition)
            }
            // What the log and the snapshots have of it is no table's any more.
            _ => self.reenter(&table, definition, |entry| entry.snapshot = None),
        }
    }

    /// Writes are logged from here on; then the rows there are go to a snapshot that begins
    /// here, and only the manifest makes the table one of the log's.
    fn make_durable(
        &self,
        durable: &Durable,
        table: &Arc<Table>,
        definition: Definition,
    ) -> Result<(), DatabaseError> {
        // A dump that draws a later line for this table meanwhile would be undone by this one.
        let dumping = self.dumping.lock();
        let line = durable.log.end();
        let next = Arc::new(table.with_definition(definition.clone()));
        self.engine().put_table(Arc::clone(&next));
        let written = write_snapshots(durable, line, std::slice::from_ref(&next)).and_then(|new| {
            let mut schema = self.schema.lock();
            let start = schema.log_start;
            schema.publish(durable, start, new, |catalog| {
                entry_of(catalog, table.id())?.definition = definition;
                Ok(())
            })
        });
        drop(dumping);
        written.inspect_err(|_| self.engine().put_table(Arc::clone(table)))
    }

    /// Puts the rows of a table, each through `change`, under a new definition and a new
    /// number: a crash leaves the old table or the new one, whole.
    pub(crate) fn replace_rows(
        &self,
        durable: &Durable,
        table: &Arc<Table>,
        definition: Definition,
        change: impl Fn(usize, &[u8]) -> Result<Vec<u8>, DatabaseError>,
    ) -> Result<(), DatabaseError> {
        let id = self.reserve_id();
        let body = Arc::new(empty_body(&definition, id, Some(durable))?);
        for &position in &definition.indexes {
            body.add_index(position)?;
        }
        let elements = definition.arity - 1;
        let mut position = Some(Position::START);
        while let Some(from) = position {
            let mut rows = Vec::new();
            position = table.body().walk(&from, Direction::Up, &mut |row| {
                rows.push(row.clone());
                true
            })?;
            for row in rows {
                let changed = change(row.elements(), row.body())?;
                body.write(body.row(elements, &changed))?;
            }
        }
        self.install(table, Arc::new(Table::new(id, definition, body)))
    }

    /// Puts a table that is complete in the place of another, durably. What is unique there must
    /// be so here.
    pub(crate) fn install(&self, old: &Arc<Table>, new: Arc<Table>) -> Result<(), DatabaseError> {
        unique::inherit(&new, old)?;
        let entry = Entry {
            id: new.id(),
            definition: new.definition().clone(),
            snapshot: None,
        };
        let storage = new.definition().storage;
        let Some(durable) = self.durable.load_full() else {
            self.change(|catalog| replace_entry(catalog, old.id(), entry))?;
            self.engine().put_table(new);
            return Ok(());
        };
        let line = durable.log.end();
        let snapshots = match storage {
            Storage::Disc => write_snapshots(&durable, line, std::slice::from_ref(&new))?,
            Storage::DiscOnly => {
                durable.sled.sync(&durable.log)?;
                Vec::new()
            }
            Storage::Ram => Vec::new(),
        };
        let mut schema = self.schema.lock();
        let start = schema.log_start;
        schema.publish(&durable, start, snapshots, |catalog| {
            replace_entry(catalog, old.id(), entry)
        })?;
        drop(schema);
        durable.sled.hold_back(new.id());
        self.engine().put_table(new);
        if old.definition().storage == Storage::DiscOnly {
            durable.sled.remove(old.id())?;
        }
        Ok(())
    }

    fn redefine(
        &self,
        name: Atom,
        change: impl FnOnce(&mut Definition),
    ) -> Result<(), DatabaseError> {
        let table = self.engine().table(name).ok_or(DatabaseError::NoTable)?;
        let mut definition = table.definition().clone();
        change(&mut definition);
        self.reenter(&table, definition, |_| {})
    }

    /// Puts a definition over the same rows, and `change` on the catalog's entry with it.
    fn reenter(
        &self,
        table: &Table,
        definition: Definition,
        change: impl FnOnce(&mut Entry),
    ) -> Result<(), DatabaseError> {
        self.change(|catalog| {
            let entry = entry_of(catalog, table.id())?;
            entry.definition = definition.clone();
            change(entry);
            Ok(())
        })?;
        self.engine()
            .put_table(Arc::new(table.with_definition(definition)));
        Ok(())
    }

    /// Changes the catalog, durably where there is a directory; all or nothing.
    fn change(
        &self,
        f: impl FnOnce(&mut Catalog) -> Result<(), DatabaseError>,
    ) -> Result<(), DatabaseError> {
        let mut schema = self.schema.lock();
        if let Some(durable) = self.durable.load().as_ref() {
            let start = schema.log_start;
            return schema.publish(durable, start, Vec::new(), f);
        }
        let mut next = schema.catalog.clone();
        f(&mut next)?;
        schema.catalog = next;
        Ok(())
    }
}

fn replace_entry(catalog: &mut Catalog, old: u32, entry: Entry) -> Result<(), DatabaseError> {
    *entry_of(catalog, old)? = entry;
    Ok(())
}

/// A body without rows for a number that no table of the manifest has. A table that was given
/// up before the manifest named it may have had the number, and have left rows on disk.
pub(crate) fn empty_body(
    definition: &Definition,
    id: u32,
    durable: Option<&Durable>,
) -> Result<Body, DatabaseError> {
    match durable {
        Some(durable) if definition.storage == Storage::DiscOnly => {
            durable.sled.remove(id)?;
            Ok(body_of(definition, id, &durable.sled)?)
        }
        _ => Ok(Body::in_memory(definition.kind)),
    }
}
