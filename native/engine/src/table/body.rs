//! The rows of a table in one of their kinds, and the single-key operations on them.
//!
//! Never here: walks (see `walk`), definitions, record locks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use magnesia_term::key::{Flavour, Key};
use magnesia_term::{Row, hash};

use super::bag::BagRows;
use super::before::Before;
use super::counts::Counts;
use super::fixes::Fixes;
use super::hashed::{Alter, HashKey, Hashed};
use super::paged::{Entry, Paged};
use super::segment::Segment;
use super::tree::Tree;
use super::walk::{Direction, Position};
use crate::error::TableError;
use crate::index::{DetachedIndex, Holds, Index};
use crate::rows::Rows;
use crate::schema::Kind;
use crate::unique::Unique;

pub(crate) enum Store {
    Set(Hashed<Row>),
    Bag(Hashed<BagRows>),
    Ordered(Tree<Row>),
    Paged(Paged),
}

/// Rows, their count and their indexes.
pub struct Body {
    pub(crate) store: Store,
    counts: Counts,
    indexes: ArcSwap<Vec<Arc<Index>>>,
    /// Whether writes have to tell an index or a line; read under the lock of a row's part, so a
    /// writer that finds none writes before a new index's walk comes to that part.
    is_followed: AtomicBool,
    is_changed: AtomicBool,
    pub(crate) before: Before,
    pub(super) fixes: Fixes,
    unique: Unique,
}

/// All rows that a table had, out of it.
pub struct Detached {
    rows: Old,
    _indexes: Vec<DetachedIndex>,
}

enum Old {
    Set(Vec<Segment<Row>>),
    Bag(Vec<Segment<BagRows>>),
    Ordered(Vec<BTreeMap<Key, Row>>),
    Paged,
}

impl Body {
    /// No rows, in memory.
    #[must_use]
    pub fn in_memory(kind: Kind) -> Self {
        Self::over(match kind {
            Kind::Set => Store::Set(Hashed::new()),
            Kind::Bag => Store::Bag(Hashed::new()),
            Kind::OrderedSet => Store::Ordered(Tree::new()),
        })
    }

    /// The rows that `rows` holds, and those to come.
    ///
    /// # Errors
    /// When the storage can't be read.
    pub fn on_disk(kind: Kind, rows: Box<dyn Rows>) -> Result<Self, TableError> {
        Ok(Self::over(Store::Paged(Paged::open(kind, rows)?)))
    }

    fn over(store: Store) -> Self {
        Self {
            store,
            counts: Counts::default(),
            indexes: ArcSwap::default(),
            is_followed: false.into(),
            is_changed: false.into(),
            before: Before::default(),
            fixes: Fixes::default(),
            unique: Unique::default(),
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        match &self.store {
            Store::Paged(paged) => paged.rows(),
            _ => self.counts.rows(),
        }
    }

    /// Bytes of memory that rows, their places and their indexes take; bytes on disk for a
    /// table that is there.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let places = match &self.store {
            Store::Set(hashed) => hashed.heap_bytes(),
            Store::Bag(hashed) => hashed.heap_bytes(),
            Store::Ordered(tree) => tree.heap_bytes(self.counts.rows()),
            Store::Paged(paged) => usize::try_from(paged.disk_bytes()).unwrap_or(usize::MAX),
        };
        let indexes: usize = self
            .indexes
            .load()
            .iter()
            .map(|index| index.heap_bytes())
            .sum();
        places + self.counts.bytes() + indexes
    }

    /// The positions whose values are unique, with the gate of those who write them.
    #[must_use]
    #[inline]
    pub fn unique(&self) -> &Unique {
        &self.unique
    }

    /// The indexes.
    #[must_use]
    pub fn indexes(&self) -> Arc<Vec<Arc<Index>>> {
        self.indexes.load_full()
    }

    /// Makes a row of packed elements, the key first, whose size was checked.
    #[must_use]
    pub fn row(&self, elements: usize, body: &[u8]) -> Row {
        let hash = match &self.store {
            Store::Set(_) | Store::Bag(_) => {
                (hash::hash(&body[..magnesia_term::packed::len(body)]) >> 32) as u32
            }
            Store::Ordered(_) | Store::Paged(_) => 0,
        };
        Row::new(hash, elements, body)
    }

    /// Calls `f` on each row of a packed key, in order of insertion.
    ///
    /// # Errors
    /// When the rows are on disk and the disk fails.
    #[inline]
    pub fn read(&self, key: &[u8], mut f: impl FnMut(&Row)) -> Result<(), TableError> {
        match &self.store {
            Store::Set(hashed) => drop(hashed.read(&HashKey::new(key), f)),
            Store::Bag(hashed) => {
                let each = |slot: &BagRows| slot.rows().iter().for_each(&mut f);
                hashed.read(&HashKey::new(key), each);
            }
            Store::Ordered(tree) => drop(tree.read(&Key::of(key, Flavour::Numeric), f)),
            Store::Paged(paged) => paged.read(key, &mut f)?,
        }
        Ok(())
    }

    /// Writes a row as Mnesia does: a set's row replaces that of its key, a bag's is added
    /// unless it is there.
    ///
    /// # Errors
    /// When the rows are on disk and the disk fails; nothing is changed then.
    pub fn write(&self, row: Row) -> Result<(), TableError> {
        match &self.store {
            Store::Set(hashed) => {
                hashed.alter_row(row, |old, row| self.put(old, row));
            }
            Store::Ordered(tree) => {
                tree.alter(Key::of(row.key(), Flavour::Numeric), |old| {
                    self.put(old, row.clone())
                });
            }
            Store::Bag(hashed) => {
                hashed.alter_row(row, |slot, row| self.put_in_bag(slot, row));
            }
            Store::Paged(paged) => {
                let note = |there: &[Entry]| self.note_entries(row.key(), there);
                paged.write(&row, note, |old| self.reindex(old, Some(&row)))?;
            }
        }
        Ok(())
    }

    /// Counts a row that is put in without [`Body::write`].
    pub(super) fn count(&self, row: &Row) {
        self.counts.add(row);
    }

    fn put(&self, old: Option<&mut Row>, row: Row) -> (Alter<Row>, ()) {
        self.reindex(old.as_deref(), Some(&row));
        match old {
            Some(place) => {
                self.counts.replace(place, &row);
                *place = row;
                (Alter::Keep, ())
            }
            None => {
                self.counts.add(&row);
                (Alter::Insert(row), ())
            }
        }
    }

    fn put_in_bag(&self, slot: Option<&mut BagRows>, row: Row) -> (Alter<BagRows>, ()) {
        let rows = slot.as_deref().map_or(&[][..], BagRows::rows);
        self.note_rows(row.key(), rows);
        match slot {
            Some(slot) => {
                if slot.push(row.clone()) {
                    self.counts.add(&row);
                    self.reindex(None, Some(&row));
                }
                (Alter::Keep, ())
            }
            None => {
                self.counts.add(&row);
                self.reindex(None, Some(&row));
                (Alter::Insert(BagRows::One(row)), ())
            }
        }
    }

    /// Deletes all rows of a packed key.
    ///
    /// # Errors
    /// When the rows are on disk and the disk fails.
    pub fn delete(&self, key: &[u8]) -> Result<(), TableError> {
        match &self.store {
            Store::Set(hashed) => hashed.alter(&HashKey::new(key), |old| self.take(old)),
            Store::Ordered(tree) => {
                tree.alter(Key::of(key, Flavour::Numeric), |old| self.take(old));
            }
            Store::Bag(hashed) => hashed.alter(&HashKey::new(key), |slot| {
                let rows = slot.as_deref().map_or(&[][..], BagRows::rows);
                self.note_rows(key, rows);
                for row in slot.iter().flat_map(|slot| slot.rows()) {
                    self.forget(row);
                }
                (slot.map_or(Alter::Keep, |_| Alter::Remove), ())
            }),
            Store::Paged(paged) => {
                let note = |there: &[Entry]| self.note_entries(key, there);
                paged.delete(key, note, |row| self.reindex(Some(row), None))?;
            }
        }
        Ok(())
    }

    /// Deletes the row that equals `row` exactly, if there is one.
    ///
    /// # Errors
    /// When the rows are on disk and the disk fails.
    pub fn delete_object(&self, row: &Row) -> Result<(), TableError> {
        match &self.store {
            Store::Set(hashed) => {
                hashed.alter(&HashKey::new(row.key()), |old| {
                    self.take(old.filter(|o| o.is_identical(row)))
                });
            }
            Store::Ordered(tree) => {
                let key = Key::of(row.key(), Flavour::Numeric);
                tree.alter(key, |old| {
                    self.take(old.filter(|old| old.is_identical(row)))
                });
            }
            Store::Bag(hashed) => {
                hashed.alter(&HashKey::new(row.key()), |slot| {
                    self.take_from_bag(slot, row)
                });
            }
            Store::Paged(paged) => {
                let note = |there: &[Entry]| self.note_entries(row.key(), there);
                paged.delete_object(row, note, |row| self.reindex(Some(row), None))?;
            }
        }
        Ok(())
    }

    fn take(&self, old: Option<&mut Row>) -> (Alter<Row>, ()) {
        let Some(old) = old else {
            return (Alter::Keep, ());
        };
        self.forget(old);
        (Alter::Remove, ())
    }

    fn take_from_bag(&self, slot: Option<&mut BagRows>, row: &Row) -> (Alter<BagRows>, ()) {
        let rows = slot.as_deref().map_or(&[][..], BagRows::rows);
        self.note_rows(row.key(), rows);
        match slot {
            Some(BagRows::One(only)) if only.is_identical(row) => {
                self.forget(only);
                (Alter::Remove, ())
            }
            Some(slot) => {
                if let Some(removed) = slot.remove(row) {
                    self.forget(&removed);
                }
                (Alter::Keep, ())
            }
            None => (Alter::Keep, ()),
        }
    }

    fn forget(&self, row: &Row) {
        self.fixes.note(row.key());
        self.counts.remove(row);
        self.reindex(Some(row), None);
    }

    /// Replaces the row of a key by what `f` makes of it, in one step.
    ///
    /// `f` gets the row there is and returns the new one with a result of the caller's.
    ///
    /// # Errors
    /// When the rows are on disk and the disk fails.
    pub fn update<R>(
        &self,
        key: &[u8],
        f: impl FnOnce(Option<&Row>) -> (Row, R),
    ) -> Result<R, TableError> {
        match &self.store {
            Store::Set(hashed) => Ok(hashed.alter(&HashKey::new(key), |old| self.put_made(old, f))),
            Store::Ordered(tree) => {
                Ok(tree.alter(Key::of(key, Flavour::Numeric), |old| self.put_made(old, f)))
            }
            Store::Paged(paged) => {
                let note = |there: &[Entry]| self.note_entries(key, there);
                paged.update(key, f, note, |old, new| self.reindex(old, Some(new)))
            }
            Store::Bag(_) => unreachable!("a bag has no single row to update; callers check"),
        }
    }

    fn put_made<R>(
        &self,
        old: Option<&mut Row>,
        f: impl FnOnce(Option<&Row>) -> (Row, R),
    ) -> (Alter<Row>, R) {
        let (row, result) = f(old.as_deref());
        (self.put(old, row).0, result)
    }

    /// Removes all rows at once; the rows are returned, to be let go with [`Body::release`].
    ///
    /// # Errors
    /// When the rows are on disk and the disk fails.
    pub fn detach(&self) -> Result<Detached, TableError> {
        self.fixes.note_all();
        let held = self.indexes.load();
        let indexes = || held.iter().map(|index| index.detach()).collect();
        let (rows, indexes) = match &self.store {
            Store::Set(hashed) => first(hashed.detach(indexes), Old::Set),
            Store::Bag(hashed) => first(hashed.detach(indexes), Old::Bag),
            Store::Ordered(tree) => first(tree.detach(indexes), Old::Ordered),
            Store::Paged(paged) => (Old::Paged, paged.clear(indexes)?),
        };
        Ok(Detached {
            rows,
            _indexes: indexes,
        })
    }

    /// Counts detached rows out and frees them: work in proportion to their number.
    pub fn release(&self, detached: Detached) {
        let count = |row: &Row| self.counts.remove(row);
        match &detached.rows {
            Old::Set(segments) => segments.iter().flat_map(Segment::iter).for_each(count),
            Old::Bag(segments) => {
                segments
                    .iter()
                    .flat_map(Segment::iter)
                    .flat_map(BagRows::rows)
                    .for_each(count);
            }
            Old::Ordered(maps) => maps.iter().flat_map(|map| map.values()).for_each(count),
            Old::Paged => {}
        }
    }

    /// Adds an index on a position and fills it; writers keep it from the start.
    ///
    /// # Errors
    /// When the rows are on disk and the disk fails; the index is gone then.
    pub fn add_index(&self, position: usize) -> Result<(), TableError> {
        let holds = match &self.store {
            Store::Bag(_) => Holds::Rows,
            Store::Paged(paged) if paged.is_bag() => Holds::Rows,
            Store::Paged(_) => Holds::Keys,
            Store::Set(_) | Store::Ordered(_) => Holds::Row,
        };
        let index = Arc::new(Index::new(position, holds));
        let mut indexes = Vec::clone(&self.indexes());
        indexes.push(Arc::clone(&index));
        self.indexes.store(Arc::new(indexes));
        self.is_followed.store(true, Ordering::Release);
        self.fill(&index).inspect_err(|_| self.drop_index(position))
    }

    fn fill(&self, index: &Index) -> Result<(), TableError> {
        let mut position = Some(Position::START);
        while let Some(from) = position {
            position = self.walk(&from, Direction::Up, &mut |row| {
                index.add(row);
                true
            })?;
        }
        Ok(())
    }

    /// Drops the index on a position.
    pub fn drop_index(&self, position: usize) {
        let mut indexes = Vec::clone(&self.indexes());
        indexes.retain(|index| index.position() != position);
        self.indexes.store(Arc::new(indexes));
    }

    /// Notes that there are writes that no snapshot has yet.
    #[inline]
    pub fn note_change(&self) {
        if !self.is_changed.load(Ordering::Relaxed) {
            self.is_changed.store(true, Ordering::Relaxed);
        }
    }

    /// Whether there were such writes since the last call; the note is taken away.
    pub fn take_change(&self) -> bool {
        self.is_changed.swap(false, Ordering::Relaxed)
    }

    /// Begins or ends a time in which a step goes on from a key that was deleted meanwhile.
    pub fn fix(&self, is_fixed: bool) {
        self.fixes.fix(is_fixed);
    }

    #[inline]
    fn reindex(&self, old: Option<&Row>, new: Option<&Row>) {
        if self.is_followed.load(Ordering::Acquire) {
            self.follow(old, new);
        }
    }

    fn follow(&self, old: Option<&Row>, new: Option<&Row>) {
        if self.before.is_kept() && matches!(self.store, Store::Set(_) | Store::Ordered(_)) {
            self.note_row(old, new);
        }
        for index in self.indexes.load().iter() {
            index.replace(old, new);
        }
    }

    /// Has writes look for lines; without any, only where there are indexes.
    pub(super) fn follow_writes(&self, is_lined: bool) {
        // An index that is added meanwhile says so after this, or is seen here.
        self.is_followed.swap(is_lined, Ordering::AcqRel);
        if !self.indexes.load().is_empty() {
            self.is_followed.store(true, Ordering::Release);
        }
    }

    /// Notes the rows of a key of a table on disk.
    fn note_entries(&self, key: &[u8], there: &[Entry]) {
        if self.before.is_kept() {
            let rows: Vec<Row> = there.iter().map(|(_, row)| row.clone()).collect();
            self.note_rows(key, &rows);
        }
    }
}

fn first<A, B, C>(pair: (A, B), f: impl FnOnce(A) -> C) -> (C, B) {
    (f(pair.0), pair.1)
}
