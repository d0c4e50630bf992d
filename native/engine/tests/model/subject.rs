//! The engine's table as the model test drives it, with mistakes that the test must find.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use magnesia_engine::pattern::{Host, Out, Spec};
use magnesia_engine::rows::{Rows, Visit};
use magnesia_engine::schema::{AccessMode, Definition, Kind, Shape, Storage};
use magnesia_engine::select::{Budget, Cursor, Query};
use magnesia_engine::table::{Body, Direction, Position};
use magnesia_engine::{Table, TableError};
use magnesia_term::{Atom, Packer, Row};
use parking_lot::Mutex;

use crate::term::Term;

/// A deliberate mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    None,
    /// One write in some is dropped.
    LoseWrite,
    /// An index has not heard of a row.
    StaleIndex,
    /// A walk passes over a row now and then.
    SkipRow,
    /// A query that a limit interrupts goes back to where its last step began.
    RepeatStep,
    /// A deletion of one row deletes all of its key.
    DeleteAll,
}

/// Rows in a sorted map in memory, in place of a storage engine.
#[derive(Default)]
struct MapRows(Mutex<BTreeMap<Vec<u8>, Vec<u8>>>);

impl Rows for MapRows {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        Ok(self.0.lock().get(key).cloned())
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), TableError> {
        self.0.lock().insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    fn remove(&self, key: &[u8]) -> Result<(), TableError> {
        self.0.lock().remove(key);
        Ok(())
    }

    fn range(
        &self,
        from: Bound<&[u8]>,
        is_up: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), TableError> {
        let rows = self.0.lock();
        if is_up {
            let mut range = rows.range::<[u8], _>((from, Bound::Unbounded));
            range.all(|(key, value)| visit(key, value));
        } else {
            let mut range = rows.range::<[u8], _>((Bound::Unbounded, from)).rev();
            range.all(|(key, value)| visit(key, value));
        }
        Ok(())
    }

    fn clear(&self) -> Result<(), TableError> {
        self.0.lock().clear();
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        0
    }
}

pub(crate) fn atom(name: &str) -> Atom {
    Atom::intern(name).expect("a short name")
}

/// A table of records `{tab, Key, A, B}`.
pub(crate) fn table(kind: Kind, is_on_disk: bool) -> Arc<Table> {
    let body = if is_on_disk {
        Body::on_disk(kind, Box::new(MapRows::default())).expect("memory does not fail")
    } else {
        Body::in_memory(kind)
    };
    let mut nil = Packer::new();
    nil.nil();
    let definition = Definition {
        name: atom("tab"),
        kind,
        storage: if is_on_disk {
            Storage::DiscOnly
        } else {
            Storage::Ram
        },
        record_name: atom("tab"),
        arity: 4,
        shape: Shape::Exact,
        indexes: Vec::new(),
        access_mode: AccessMode::ReadWrite,
        properties: nil.into_bytes(),
    };
    Arc::new(Table::new(1, definition, Arc::new(body)))
}

pub(crate) fn query(clauses: Vec<Term>) -> Arc<Query> {
    let spec = Spec::compile(&crate::term::list(clauses).packed()).expect("a specification");
    let host = Host {
        self_pid: Term::Nil.packed().into(),
        node: atom("nonode@nohost"),
    };
    Arc::new(Query { spec, host })
}

/// The table, and how often something was done to it.
pub(crate) struct Subject {
    pub(crate) table: Arc<Table>,
    bug: Bug,
    done: usize,
}

impl Subject {
    pub(crate) fn new(kind: Kind, is_on_disk: bool, bug: Bug) -> Self {
        Self {
            table: table(kind, is_on_disk),
            bug,
            done: 0,
        }
    }

    fn body(&self) -> &Body {
        self.table.body()
    }

    fn is_turn(&mut self, bug: Bug) -> bool {
        self.done += 1;
        self.bug == bug && self.done.is_multiple_of(7)
    }

    pub(crate) fn row(&self, bytes: &[u8]) -> Row {
        self.body().row(3, bytes)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if self.is_turn(Bug::LoseWrite) {
            return;
        }
        self.body()
            .write(self.row(bytes))
            .expect("memory does not fail");
    }

    pub(crate) fn positions(&self) -> Vec<usize> {
        self.body()
            .indexes()
            .iter()
            .map(|index| index.position())
            .collect()
    }

    pub(crate) fn delete(&mut self, key: &[u8]) {
        self.body().delete(key).expect("memory does not fail");
    }

    pub(crate) fn delete_object(&mut self, bytes: &[u8]) {
        let row = self.row(bytes);
        if self.bug == Bug::DeleteAll {
            return self.delete(row.key());
        }
        self.body()
            .delete_object(&row)
            .expect("memory does not fail");
    }

    /// Puts a row in the place of whatever its key has; returns what was there.
    pub(crate) fn update(&mut self, key: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
        let row = self.row(bytes);
        let made = |old: Option<&Row>| (row, old.map(|old| old.body().to_vec()));
        self.body().update(key, made).expect("memory does not fail")
    }

    pub(crate) fn clear(&mut self) {
        let detached = self.body().detach().expect("memory does not fail");
        self.body().release(detached);
    }

    pub(crate) fn read(&self, key: &[u8]) -> Vec<Vec<u8>> {
        let mut rows = Vec::new();
        let each = |row: &Row| rows.push(row.body().to_vec());
        self.body().read(key, each).expect("memory does not fail");
        rows
    }

    /// All rows, as a walk meets them.
    pub(crate) fn walk(&mut self, direction: Direction) -> Vec<Vec<u8>> {
        let is_skipping = self.is_turn(Bug::SkipRow);
        let mut rows = Vec::new();
        let mut position = Some(Position::START);
        while let Some(from) = position {
            let next = self.body().walk(&from, direction, &mut |row| {
                rows.push(row.body().to_vec());
                true
            });
            position = next.expect("memory does not fail");
        }
        if is_skipping {
            rows.pop();
        }
        rows
    }

    /// What an index says of a value: whole rows, or keys where that is all it has.
    pub(crate) fn index_read(&mut self, position: usize, value: &[u8]) -> Option<Vec<Vec<u8>>> {
        let is_stale = self.is_turn(Bug::StaleIndex);
        let index = self.table.index(position)?;
        let mut rows = Vec::new();
        index.read(value, |row| rows.push(row.body().to_vec()));
        if is_stale {
            rows.pop();
        }
        Some(rows)
    }

    pub(crate) fn cursor(&self, query: &Arc<Query>, direction: Direction) -> Cursor {
        Cursor::new(Arc::clone(&self.table), Arc::clone(query), direction)
    }

    pub(crate) fn cursor_in_any_order(&self, query: &Arc<Query>) -> Cursor {
        Cursor::in_any_order(Arc::clone(&self.table), Arc::clone(query))
    }

    /// One step of a query; returns where it goes on.
    pub(crate) fn step(
        &mut self,
        cursor: &Cursor,
        budget: Budget,
        rows: &mut Vec<Vec<u8>>,
    ) -> Option<Cursor> {
        let is_repeating = self.is_turn(Bug::RepeatStep);
        let before = rows.len();
        let step = cursor.step(budget, &mut |row, out| {
            assert_eq!(out, Out::Whole, "the body of the specification is '$_'");
            rows.push(row.body().to_vec());
        });
        let step = step.expect("memory does not fail");
        assert_eq!(
            step.matches,
            rows.len() - before,
            "as many matches as results"
        );
        assert!(
            step.matches <= budget.matches,
            "no more matches than asked for"
        );
        if is_repeating {
            Some(cursor.clone())
        } else {
            step.next
        }
    }
}
