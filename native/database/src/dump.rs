//! Dumps: snapshots of the tables that changed, so that the log before them can go.
//!
//! A dump draws a line in the log and then writes every changed table as it is met, while
//! writes go on; records after the line are replayed over the snapshot at opening, and since
//! replaying a record twice gives the same rows, it does not matter which of them the snapshot
//! has seen. Only the order of a bag's rows could tell, so of a bag's keys that change meanwhile
//! the rows are written that the line saw. What commits that were logged ahead have not done at
//! the line is logged again behind it (see `promises`). The manifest is the moment at which the
//! new snapshots count.
//!
//! Never here: reading snapshots (see `open`).

use std::sync::Arc;

use magnesia_engine::schema::{Kind, Storage};
use magnesia_engine::table::{Direction, Position};
use magnesia_engine::{Table, TableError};
use magnesia_store::snapshot::snapshot_name;
use magnesia_store::{Lsn, Manifest, SnapshotEntry, SnapshotWriter, StoreError};
use magnesia_term::Row;
use magnesia_term::portable::{self, Dictionary};

use crate::catalog::{Catalog, Entry};
use crate::database::{Database, Durable, Schema};
use crate::error::DatabaseError;

/// Bytes of rows that a snapshot's block is filled to.
const BLOCK_BYTES: usize = 256 << 10;

impl Database {
    /// Writes snapshots of all tables that changed and shortens the log.
    ///
    /// # Errors
    /// When the disk fails; the log is kept then and nothing is lost.
    pub fn dump(&self) -> Result<(), DatabaseError> {
        let durable = self.durable.load_full().ok_or(DatabaseError::NoDirectory)?;
        let dumping = self.dumping.lock();
        // What the rotation has to sync under the log's lock is little then.
        durable.log.sync(durable.log.end())?;
        let (line, changed) = durable.log.rotate_with(|line, append| {
            let owed = self.promises.records();
            owed.iter().try_for_each(|record| append(record))?;
            Ok::<_, StoreError>((line, self.take_changed()))
        })??;
        let dumped = self.dump_tables(&durable, line, &changed);
        if dumped.is_err() {
            changed.iter().for_each(|table| table.body().note_change());
        }
        changed.iter().for_each(|table| table.body().forget_line());
        drop(dumping);
        dumped
    }

    /// Writes images of tables in memory, which the next opening loads.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn dump_images(&self, tables: &[Arc<Table>]) -> Result<(), DatabaseError> {
        let durable = self.durable.load_full().ok_or(DatabaseError::NoDirectory)?;
        let dumping = self.dumping.lock();
        let snapshots = write_snapshots(&durable, durable.log.end(), tables)?;
        let mut schema = self.schema.lock();
        let start = schema.log_start;
        let published = schema.publish(&durable, start, snapshots, |_| Ok(()));
        drop(dumping);
        published
    }

    fn take_changed(&self) -> Vec<Arc<Table>> {
        let tables = self.engine().tables();
        let durable = tables
            .values()
            .filter(|table| table.definition().storage.is_durable());
        let changed: Vec<_> = durable
            .filter(|table| table.body().take_change())
            .cloned()
            .collect();
        changed.iter().for_each(|table| table.body().draw_line());
        changed
    }

    fn dump_tables(
        &self,
        durable: &Durable,
        line: Lsn,
        changed: &[Arc<Table>],
    ) -> Result<(), DatabaseError> {
        let (on_disk, in_memory): (Vec<_>, Vec<_>) = changed
            .iter()
            .cloned()
            .partition(|table| table.definition().storage == Storage::DiscOnly);
        let snapshots = write_snapshots(durable, line, &in_memory)?;
        if !on_disk.is_empty() {
            durable.sled.sync(&durable.log)?;
        }
        let mut schema = self.schema.lock();
        schema.publish(durable, line, snapshots, |_| Ok(()))?;
        durable.log.drop_before(line)?;
        Ok(())
    }
}

impl Schema {
    /// Changes the catalog and makes the manifest say so, with new snapshots in the place of
    /// old ones; memory follows when the manifest is on disk, and not at all otherwise.
    ///
    /// The log is synced first: a snapshot has rows of transactions whose record may be in the
    /// page cache only, and those must not be there by half after a power cut.
    ///
    /// # Errors
    /// What `change` returns. When the disk is full, the old manifest is in place and all goes
    /// on; when it fails, which of the two is there is unknown, so the log refuses everything
    /// until it is opened anew.
    pub(crate) fn publish(
        &mut self,
        durable: &Durable,
        log_start: Lsn,
        new: Vec<(u32, SnapshotEntry)>,
        change: impl FnOnce(&mut Catalog) -> Result<(), DatabaseError>,
    ) -> Result<(), DatabaseError> {
        let mut next = Self {
            log_start,
            ..self.clone()
        };
        change(&mut next.catalog)?;
        let names: Vec<String> = new
            .iter()
            .map(|(_, snapshot)| snapshot.name.clone())
            .collect();
        let gone = next.adopt(new);
        match next.store(durable) {
            Ok(()) => {
                *self = next;
                gone.iter()
                    .for_each(|snapshot| discard(durable, &snapshot.name));
                Ok(())
            }
            Err(error @ StoreError::Full { .. }) => {
                names.iter().for_each(|name| discard(durable, name));
                Err(error.into())
            }
            Err(error) => {
                durable.log.poison(&error.to_string());
                Err(error.into())
            }
        }
    }

    /// Gives tables their new snapshots; returns those that no table has any more.
    fn adopt(&mut self, new: Vec<(u32, SnapshotEntry)>) -> Vec<SnapshotEntry> {
        for (table, snapshot) in new {
            // A table that was deleted meanwhile has no entry, and no use for its snapshot.
            if let Some(entry) = self
                .catalog
                .tables
                .iter_mut()
                .find(|entry| entry.id == table)
            {
                entry.snapshot = Some(snapshot.id);
            }
            self.snapshots.push(snapshot);
        }
        let is_named = |id: u64| self.catalog.tables.iter().any(|e| e.snapshot == Some(id));
        let (kept, gone) = std::mem::take(&mut self.snapshots)
            .into_iter()
            .partition(|s| is_named(s.id));
        self.snapshots = kept;
        gone
    }

    fn store(&self, durable: &Durable) -> Result<(), StoreError> {
        if let Some(reason) = durable.log.broken() {
            return Err(StoreError::Broken { reason });
        }
        durable.log.sync(durable.log.end())?;
        let manifest = Manifest {
            log_id: durable.log_id,
            log_start: self.log_start,
            snapshots: self.snapshots.clone(),
            payload: self.catalog.encode(),
        };
        manifest.store(&*durable.disk, &durable.limits)
    }
}

/// Removes a snapshot that no manifest names; one that can't be removed now is swept at the
/// next opening.
fn discard(durable: &Durable, name: &str) {
    drop(durable.disk.remove(name));
}

pub(crate) fn write_snapshots(
    durable: &Durable,
    line: Lsn,
    tables: &[Arc<Table>],
) -> Result<Vec<(u32, SnapshotEntry)>, DatabaseError> {
    let mut written: Vec<(u32, SnapshotEntry)> = Vec::with_capacity(tables.len());
    for table in tables {
        match write_snapshot(durable, line, table) {
            Ok(snapshot) => written.push((table.id(), snapshot)),
            Err(error) => {
                written
                    .iter()
                    .for_each(|(_, snapshot)| discard(durable, &snapshot.name));
                return Err(error);
            }
        }
    }
    Ok(written)
}

fn write_snapshot(
    durable: &Durable,
    line: Lsn,
    table: &Table,
) -> Result<SnapshotEntry, DatabaseError> {
    let id = fastrand::u64(1..);
    let name = snapshot_name(id);
    let meta = Catalog {
        tables: vec![Entry {
            id: table.id(),
            definition: table.definition().clone(),
            snapshot: None,
        }],
        ..Catalog::default()
    };
    let disk = Arc::clone(&durable.disk);
    let mut writer = SnapshotWriter::create(disk, &name, id, &meta.encode(), durable.limits)?;
    let mut block = Block::default();
    let mut position = Some(Position::START);
    while let Some(from) = position {
        let mut rows: Vec<Row> = Vec::new();
        position = table.body().walk(&from, Direction::Up, &mut |row| {
            rows.push(row.clone());
            true
        })?;
        if table.definition().kind == Kind::Bag {
            rows = as_the_line_saw(table, &rows);
        }
        for row in &rows {
            block.add(row);
            if block.rows.len() >= BLOCK_BYTES {
                writer.block(&block.finish())?;
                block = Block::default();
            }
        }
    }
    if block.count > 0 {
        writer.block(&block.finish())?;
    }
    writer.finish()?;
    Ok(SnapshotEntry {
        name,
        id,
        lsn: line,
    })
}

/// Puts the rows that the line saw in the place of those of keys that were changed since.
fn as_the_line_saw(table: &Table, rows: &[Row]) -> Vec<Row> {
    let mut seen = Vec::with_capacity(rows.len());
    for of_key in rows.chunk_by(|a, b| a.key() == b.key()) {
        let key = of_key.first().map_or(&[][..], Row::key);
        let at_line = table.body().at_line(key);
        seen.extend_from_slice(at_line.as_deref().unwrap_or(of_key));
    }
    seen
}

/// Rows of one block with their dictionary: `u32` length of the dictionary, the dictionary,
/// `u32` rows, then each row as `u32` elements, `u32` length, body.
#[derive(Default)]
struct Block {
    dictionary: Dictionary,
    rows: Vec<u8>,
    count: u32,
}

impl Block {
    fn add(&mut self, row: &Row) {
        let elements = u32::try_from(row.elements()).unwrap_or(u32::MAX);
        self.rows.extend_from_slice(&elements.to_le_bytes());
        let length_at = self.rows.len();
        self.rows.extend_from_slice(&[0; 4]);
        for term in row.items() {
            portable::write(term, &mut self.dictionary, &mut self.rows);
        }
        let length = u32::try_from(self.rows.len() - length_at - 4).unwrap_or(u32::MAX);
        self.rows[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
        self.count += 1;
    }

    fn finish(&self) -> Vec<u8> {
        let mut names = Vec::new();
        self.dictionary.encode(&mut names);
        let mut block = Vec::with_capacity(8 + names.len() + self.rows.len());
        block.extend_from_slice(&u32::try_from(names.len()).unwrap_or(u32::MAX).to_le_bytes());
        block.extend_from_slice(&names);
        block.extend_from_slice(&self.count.to_le_bytes());
        block.extend_from_slice(&self.rows);
        block
    }
}

/// Reads a block and hands each row's elements to `f`.
///
/// # Errors
/// [`TableError::Storage`] when it is not one that [`Block`] makes; what `f` returns.
pub(crate) fn read_block(
    block: &[u8],
    f: &mut dyn FnMut(usize, &[u8]) -> Result<(), TableError>,
) -> Result<(), TableError> {
    let malformed = || TableError::Storage {
        reason: "malformed snapshot block".to_owned(),
    };
    let mut rest = block;
    let mut take = |count: usize| {
        let (taken, after) = rest.split_at_checked(count).ok_or_else(malformed)?;
        rest = after;
        Ok::<_, TableError>(taken)
    };
    let word = |bytes: &[u8]| {
        Ok::<_, TableError>(u32::from_le_bytes(bytes.try_into().map_err(|_| malformed())?) as usize)
    };
    let length = word(take(4)?)?;
    let (names, _) =
        portable::Names::parse(take(length)?).map_err(|error| TableError::Storage {
            reason: error.to_string(),
        })?;
    let count = word(take(4)?)?;
    let mut packer = magnesia_term::Packer::new();
    for _ in 0..count {
        let elements = word(take(4)?)?;
        let length = word(take(4)?)?;
        packer.clear();
        magnesia_engine::commit::unpack(take(length)?, elements, &names, &mut packer)?;
        if elements == 0 {
            return Err(malformed());
        }
        f(elements, packer.as_bytes())?;
    }
    Ok(())
}
