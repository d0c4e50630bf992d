//! Checkpoints: tables as they were at one moment, while writes go on.
//!
//! At the moment no commit is under way, so each transaction is seen whole or not at all, in all
//! of the checkpoint's tables. From then on each table keeps what a key had when it is first
//! changed (`engine::table::before`), until the checkpoint is dropped. Of a table in memory the
//! checkpoint may have the image that was saved of it instead, which is what a restart brings.
//!
//! Never here: files of a backup, names of checkpoints.

use std::collections::HashMap;
use std::sync::Arc;

use magnesia_engine::schema::Storage;
use magnesia_engine::table::Body;
use magnesia_engine::table::before::{Changes, Line, Since};
use magnesia_engine::{Table, TableError};
use magnesia_term::{Atom, Row};

use crate::database::Database;
use crate::error::DatabaseError;
use crate::open::{LOADERS_MAX, load};

/// What a checkpoint has of a table in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// The rows of the moment.
    Rows,
    /// The image that was saved last; nothing when there is none.
    Image,
}

/// Tables as they were at one moment.
pub struct Checkpoint {
    tables: HashMap<Atom, Seen>,
}

struct Seen {
    body: Arc<Body>,
    line: Arc<Line>,
}

impl Drop for Seen {
    fn drop(&mut self) {
        self.body.forget_since(&self.line);
    }
}

impl Database {
    /// The tables of these names as they are now.
    ///
    /// # Errors
    /// [`DatabaseError::NoTable`]; when an image can't be read.
    pub fn checkpoint(&self, names: &[(Atom, Of)]) -> Result<Checkpoint, DatabaseError> {
        let mut found: Vec<(Arc<Table>, Arc<Body>)> = Vec::with_capacity(names.len());
        for &(name, of) in names {
            let table = self.engine().table(name).ok_or(DatabaseError::NoTable)?;
            let is_image = of == Of::Image && table.definition().storage == Storage::Ram;
            let body = if is_image {
                Arc::new(self.image_of(&table)?)
            } else {
                Arc::clone(table.body())
            };
            found.push((table, body));
        }
        let clearing = self.clearing.lock();
        let lines: Vec<_> = self
            .gate
            .shut(|| found.iter().map(|(_, body)| body.draw_since()).collect());
        drop(clearing);
        let seen = found.into_iter().zip(lines).map(|((table, body), line)| {
            let seen = Seen { body, line };
            (table.definition().name, seen)
        });
        Ok(Checkpoint {
            tables: seen.collect(),
        })
    }

    /// The rows of the image that was saved of a table in memory.
    fn image_of(&self, table: &Table) -> Result<Body, DatabaseError> {
        let body = Body::in_memory(table.definition().kind);
        let Some(durable) = self.durable.load_full() else {
            return Ok(body);
        };
        // A dump would take an old image away.
        let dumping = self.dumping.lock();
        let schema = self.schema.lock().clone();
        let entry = schema.catalog.tables.iter().find(|e| e.id == table.id());
        let id = entry.and_then(|entry| entry.snapshot);
        let image = schema.snapshots.iter().find(|s| Some(s.id) == id);
        let loaded = image.map_or(Ok(()), |image| {
            load(&*durable.disk, image, &body, LOADERS_MAX)
        });
        drop(dumping);
        loaded.map(|()| body)
    }
}

impl Checkpoint {
    /// The rows of a table, or none when it is not one of the checkpoint's, or somebody has said
    /// with `is_last` that nobody will read it again.
    #[must_use]
    pub fn rows(&self, name: Atom, is_last: bool) -> Option<Rows> {
        let seen = self.tables.get(&name)?;
        let since = Since::begin(Arc::clone(&seen.body), Arc::clone(&seen.line), is_last)?;
        Some(Rows(Way::All(since)))
    }

    /// What changed in a table since an earlier checkpoint; all of its rows when the earlier one
    /// does not have it, or it was made anew in between.
    #[must_use]
    pub fn changes(&self, earlier: &Self, name: Atom) -> Option<Rows> {
        let seen = self.tables.get(&name)?;
        let before = earlier.tables.get(&name);
        match before.filter(|before| Arc::ptr_eq(&before.body, &seen.body)) {
            Some(before) => {
                let (from, to) = (Arc::clone(&before.line), Arc::clone(&seen.line));
                let changes = Changes::begin(Arc::clone(&seen.body), from, to);
                Some(Rows(Way::Changed(changes)))
            }
            None => self.rows(name, false),
        }
    }

    /// Keys whose rows are kept because they were changed since.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.tables.values().map(|seen| seen.line.keys()).sum()
    }
}

/// The rows of a checkpoint's table, a part at a time. They are no more once the checkpoint is
/// dropped.
pub struct Rows(Way);

enum Way {
    All(Since),
    Changed(Changes),
}

/// What a backup has of a table.
pub enum Item {
    /// A row.
    Row(Row),
    /// A packed key whose rows, but for those that follow, are gone.
    Gone(Box<[u8]>),
}

impl Rows {
    /// Some more, perhaps none; `None` after the last.
    ///
    /// # Errors
    /// When the rows are on disk and the disk fails.
    pub fn part(&mut self) -> Result<Option<Vec<Item>>, TableError> {
        Ok(match &mut self.0 {
            Way::All(since) => since
                .part()?
                .map(|rows| rows.into_iter().map(Item::Row).collect()),
            Way::Changed(changes) => changes.part()?.map(|changes| {
                let items = changes.into_iter().map(|change| {
                    let rows = change.rows.into_iter().map(Item::Row);
                    std::iter::once(Item::Gone(change.key)).chain(rows)
                });
                items.flatten().collect()
            }),
        })
    }
}
