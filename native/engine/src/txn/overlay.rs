//! A transaction's own writes, as Mnesia's transaction store keeps them.
//!
//! Operations are kept by exact key, those of one key in their order, with Mnesia's rules for
//! what an operation makes of the ones before it. The order of keys is that of their first
//! operation.
//!
//! Never here: locks, stored rows, the log.

use std::borrow::Cow;
use std::sync::Arc;

use magnesia_term::{Atom, Row, hash, order};
use smallvec::SmallVec;

use super::places::Places;
use crate::apply::Op;
use crate::pieces::Pieces;
use crate::schema::Kind;
use crate::table::Table;

/// Keys of one table that are searched one by one; beyond, by hash.
const SEARCHED_KEYS_MAX: usize = 8;

/// One operation of a transaction on one key.
#[derive(Debug, Clone)]
pub enum OwnOp {
    /// Write this row.
    Write(Row),
    /// Delete all rows of the key.
    Delete,
    /// Delete this row if it is there.
    DeleteObject(Row),
}

impl OwnOp {
    /// The operation as a table takes it, on a packed key.
    #[must_use]
    pub fn on<'a>(&self, key: &'a [u8]) -> Op<'a> {
        match self {
            Self::Write(row) => Op::Write(row.clone()),
            Self::Delete => Op::Delete(key),
            Self::DeleteObject(row) => Op::DeleteObject(row.clone()),
        }
    }

    fn is_write_of(&self, row: &Row) -> bool {
        matches!(self, Self::Write(there) if there.is_identical(row))
    }

    fn is_about(&self, row: &Row) -> bool {
        match self {
            Self::Write(there) | Self::DeleteObject(there) => there.is_identical(row),
            Self::Delete => false,
        }
    }
}

/// Packed bytes of a key: those of a row that has it, or its own.
#[derive(Debug, Clone)]
enum KeyBytes {
    Row(Row),
    Own(Box<[u8]>),
}

impl KeyBytes {
    #[inline]
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Row(row) => row.key(),
            Self::Own(bytes) => bytes,
        }
    }
}

/// The operations on one key.
#[derive(Debug, Clone)]
pub struct OwnKey {
    key: KeyBytes,
    ops: SmallVec<[OwnOp; 1]>,
}

impl OwnKey {
    /// The packed key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.key.bytes()
    }

    /// The operations, oldest first.
    #[must_use]
    pub fn ops(&self) -> &[OwnOp] {
        &self.ops
    }
}

/// The operations on one table.
#[derive(Clone)]
pub struct OwnTable {
    table: Arc<Table>,
    keys: Pieces<OwnKey, 1>,
    /// Where a key is in `keys`, once there are many.
    places: Option<Box<Places>>,
}

impl OwnTable {
    fn new(table: Arc<Table>) -> Self {
        Self {
            table,
            keys: Pieces::default(),
            places: None,
        }
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// The keys with operations, in the order of their first one.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &OwnKey> {
        self.keys.iter()
    }

    fn place(&self, key: &[u8]) -> Option<usize> {
        let key = order::canonical(key);
        match &self.places {
            Some(places) => places.find(hash::hash(&key), |at| self.keys[at].key() == &*key),
            None => self.keys.iter().position(|own| own.key() == &*key),
        }
    }

    /// The operations on a packed key, oldest first.
    #[must_use]
    pub fn ops(&self, key: &[u8]) -> &[OwnOp] {
        self.place(key).map_or(&[], |at| &self.keys[at].ops)
    }

    /// The operations on a key, to be added to; `row` is a row that has the key, if there is.
    fn ops_mut(&mut self, key: &[u8], row: Option<&Row>) -> &mut SmallVec<[OwnOp; 1]> {
        let at = match self.place(key) {
            Some(at) => at,
            None => self.add(key, row),
        };
        &mut self.keys[at].ops
    }

    fn add(&mut self, key: &[u8], row: Option<&Row>) -> usize {
        let key = match (order::canonical(key), row) {
            (Cow::Borrowed(_), Some(row)) => KeyBytes::Row(row.clone()),
            (key, _) => KeyBytes::Own(key.as_ref().into()),
        };
        let at = self.keys.len();
        self.keys.push(OwnKey {
            key,
            ops: SmallVec::new(),
        });
        if let Some(places) = &mut self.places {
            places.add(hash::hash(self.keys[at].key()), at);
        } else if self.keys.len() > SEARCHED_KEYS_MAX {
            let mut places = Places::default();
            for (at, own) in self.keys.iter().enumerate() {
                places.add(hash::hash(own.key()), at);
            }
            self.places = Some(Box::new(places));
        }
        at
    }
}

/// A transaction's own writes.
#[derive(Clone, Default)]
pub struct Overlay {
    tables: SmallVec<[OwnTable; 1]>,
    count: usize,
}

impl Overlay {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Operations that were made, collapsed ones included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The tables with operations.
    #[must_use]
    pub fn tables(&self) -> &[OwnTable] {
        &self.tables
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.tables.clear();
    }

    /// The operations on a table.
    #[must_use]
    pub fn of(&self, table: u32) -> Option<&OwnTable> {
        self.tables.iter().find(|own| own.table.id() == table)
    }

    /// The operations on the table of this name.
    #[must_use]
    pub fn of_name(&self, name: Atom) -> Option<&OwnTable> {
        self.tables
            .iter()
            .find(|own| own.table.definition().name == name)
    }

    /// The operations on a packed key of a table, oldest first.
    #[must_use]
    pub fn ops(&self, table: u32, key: &[u8]) -> &[OwnOp] {
        self.of(table).map_or(&[], |own| own.ops(key))
    }

    fn ops_mut(
        &mut self,
        table: &Arc<Table>,
        key: &[u8],
        row: Option<&Row>,
    ) -> &mut SmallVec<[OwnOp; 1]> {
        self.count += 1;
        let at = match self
            .tables
            .iter()
            .position(|own| own.table.id() == table.id())
        {
            Some(at) => at,
            None => {
                self.tables.push(OwnTable::new(Arc::clone(table)));
                self.tables.len() - 1
            }
        };
        self.tables[at].ops_mut(key, row)
    }

    /// Forgets the operations on a table that `is_kept` does not keep.
    pub fn remove_unless(&mut self, table: u32, is_kept: impl Fn(&OwnOp) -> bool) {
        for own in self.tables.iter_mut().filter(|own| own.table.id() == table) {
            for key in own.keys.iter_mut() {
                key.ops.retain(|op| is_kept(op));
            }
        }
    }

    /// Notes a write.
    pub fn write(&mut self, table: &Arc<Table>, row: Row) {
        let ops = self.ops_mut(table, row.key(), Some(&row));
        if table.definition().kind != Kind::Bag {
            ops.clear();
        } else if ops.iter().any(|op| op.is_write_of(&row)) {
            // The same object twice is one object of the store, in its first place.
            return;
        }
        ops.push(OwnOp::Write(row));
    }

    /// Notes a deletion of a packed key.
    pub fn delete(&mut self, table: &Arc<Table>, key: &[u8]) {
        let ops = self.ops_mut(table, key, None);
        ops.clear();
        ops.push(OwnOp::Delete);
    }

    /// Notes a deletion of a row.
    pub fn delete_object(&mut self, table: &Arc<Table>, row: Row) {
        let ops = self.ops_mut(table, row.key(), Some(&row));
        if table.definition().kind == Kind::Bag {
            ops.retain(|op| !op.is_about(&row));
            ops.push(OwnOp::DeleteObject(row));
        } else if ops.iter().all(|op| matches!(op, OwnOp::DeleteObject(_))) {
            ops.retain(|op| !op.is_about(&row));
            ops.push(OwnOp::DeleteObject(row));
        } else if ops.iter().any(|op| op.is_write_of(&row)) {
            ops.clear();
            ops.push(OwnOp::Delete);
        }
    }
}

/// What a read of one key shows: the stored rows seen through the operations on that key.
#[must_use]
pub(super) fn merge(kind: Kind, ops: &[OwnOp], stored: Vec<Row>) -> Vec<Row> {
    match (kind, ops.last()) {
        (_, None) => stored,
        (Kind::Bag, _) => merge_bag(ops, stored),
        (_, Some(OwnOp::Delete)) => Vec::new(),
        (_, Some(OwnOp::Write(row))) => vec![row.clone()],
        (_, Some(OwnOp::DeleteObject(_))) => {
            let is_deleted = |row: &Row| ops.iter().any(|op| op.is_about(row));
            stored.into_iter().filter(|row| !is_deleted(row)).collect()
        }
    }
}

fn merge_bag(ops: &[OwnOp], mut stored: Vec<Row>) -> Vec<Row> {
    let mut own: Vec<Row> = Vec::new();
    for op in ops {
        match op {
            OwnOp::Write(row) => {
                stored.retain(|there| !there.is_identical(row));
                own.push(row.clone());
            }
            OwnOp::Delete => {
                stored.clear();
                own.clear();
            }
            OwnOp::DeleteObject(row) => {
                stored.retain(|there| !there.is_identical(row));
                own.retain(|there| !there.is_identical(row));
            }
        }
    }
    stored.append(&mut own);
    stored
}
