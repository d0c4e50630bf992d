//! Queries: a match specification over a table, taken in bounded steps.
//!
//! A cursor is a value: where the query goes on, over which rows. It holds no lock and keeps
//! no row alive but those of a bag's key that a limit cut in two, so it may be kept, stepped
//! twice or dropped at any time. Candidates come from the key, an index, a range of keys or one
//! of an index (`between`) where the specification allows it, else from all rows; the
//! specification has the last word.
//!
//! Never here: a transaction's own writes, locks on records, terms of a host.

mod between;

use std::cmp::Ordering;
use std::sync::Arc;

use magnesia_term::key::{self, Flavour, Key, LongKey};
use magnesia_term::{Items, Packer, Row, View, order, packed};

use crate::error::TableError;
use crate::index::{Holds, Index};
use crate::pattern::{Edge, Host, Out, Range, Record, Scratch, Spec};
use crate::schema::Kind;
use crate::table::tree::TreePosition;
use crate::table::walk::At;
use crate::table::{Direction, Position, Table};

/// A compiled specification with what it needs to run.
pub struct Query {
    /// The specification.
    pub spec: Spec,
    /// The process that asks, and its node.
    pub host: Host,
}

/// How much one step may do.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Rows that may match before the step ends.
    pub matches: usize,
    /// Rows that may be looked at before the step ends.
    pub visits: usize,
}

#[derive(Clone)]
enum Way {
    /// Look up these keys, from the given one on.
    Keys(usize),
    /// Read these values of an index, from the given one on, at a place of the index.
    Values {
        position: usize,
        next: usize,
        at: Option<TreePosition<LongKey>>,
    },
    /// Walk over a range of an index, from a place of it on.
    Between {
        position: usize,
        at: Option<TreePosition<LongKey>>,
    },
    /// Walk over rows.
    Walk(Position),
}

/// Where a query finds the rows that it looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// By so many keys.
    Keys(usize),
    /// In the index on a position, by so many values.
    Index(usize, usize),
    /// In a range of the index on a position.
    IndexRange(usize),
    /// In a range of keys.
    KeyRange,
    /// Among all rows.
    All,
}

/// Where a query goes on.
#[derive(Clone)]
pub struct Cursor {
    table: Arc<Table>,
    query: Arc<Query>,
    direction: Direction,
    way: Way,
    /// Rows that were met when the budget was spent, to be looked at first.
    pending: Pending,
}

/// Rows of which those from a place on are still to be looked at; steps share them.
#[derive(Clone, Default)]
struct Pending {
    rows: Option<Arc<Vec<Row>>>,
    next: usize,
}

impl Pending {
    fn new(rows: Vec<Row>) -> Self {
        let rows = (!rows.is_empty()).then(|| Arc::new(rows));
        Self { rows, next: 0 }
    }

    fn left(&self) -> &[Row] {
        let rows = self.rows.as_ref().map_or(&[][..], |rows| rows);
        &rows[self.next..]
    }
}

/// What one step did.
pub struct Step {
    /// Where to go on, or none when the query is done.
    pub next: Option<Cursor>,
    /// Rows that matched.
    pub matches: usize,
}

impl Cursor {
    /// The beginning of a query over a table. `direction` matters for ordered tables only; rows
    /// of one key of a bag come in the order of their insertion.
    #[must_use]
    pub fn new(table: Arc<Table>, query: Arc<Query>, direction: Direction) -> Self {
        let is_by_key = table.definition().kind != Kind::Set;
        let way = choose(&table, &query.spec, direction, is_by_key);
        Self {
            table,
            query,
            direction,
            way,
            pending: Pending::default(),
        }
    }

    /// The same for one who does not care for the order of an ordered table or of a bag: a range
    /// of an index may serve then, which shows rows by their values.
    #[must_use]
    pub fn in_any_order(table: Arc<Table>, query: Arc<Query>) -> Self {
        let way = choose(&table, &query.spec, Direction::Up, false);
        Self {
            table,
            query,
            direction: Direction::Up,
            way,
            pending: Pending::default(),
        }
    }

    /// Where the rows come from.
    #[must_use]
    pub fn access(&self) -> Access {
        let spec = &self.query.spec;
        match &self.way {
            Way::Keys(_) => Access::Keys(candidate_keys(&self.table, spec).len()),
            Way::Values { position, .. } => {
                Access::Index(*position, spec.values_at(*position).map_or(0, <[_]>::len))
            }
            Way::Between { position, .. } => Access::IndexRange(*position),
            Way::Walk(_) if self.table.body().is_tree() && spec.range_at(2).is_some() => {
                Access::KeyRange
            }
            Way::Walk(_) => Access::All,
        }
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// Whether the rows come from a walk, in the direction that was asked for; otherwise they
    /// come by keys or by an index, in ascending order.
    #[must_use]
    pub fn is_walk(&self) -> bool {
        matches!(self.way, Way::Walk(_))
    }

    /// The query.
    #[must_use]
    pub fn query(&self) -> &Arc<Query> {
        &self.query
    }

    /// Goes on within `budget` and hands each result to `emit`.
    ///
    /// `emit` runs under the read lock of the row's part of the table: it must not touch it.
    ///
    /// # Errors
    /// When the rows are on disk and the disk fails.
    pub fn step(
        &self,
        budget: Budget,
        emit: &mut dyn FnMut(&Row, Out<'_>),
    ) -> Result<Step, TableError> {
        let mut run = Run {
            cursor: self,
            budget,
            scratch: Scratch::default(),
            emit,
            matches: 0,
            visits: 0,
            pending: Vec::new(),
        };
        let mut pending = self.pending.clone();
        for row in self.pending.left() {
            if run.is_spent() {
                break;
            }
            pending.next += 1;
            run.visit(row);
        }
        let mut way = Some(self.way.clone());
        if !run.is_spent() {
            way = run.go(self.way.clone())?;
            pending = Pending::new(std::mem::take(&mut run.pending));
        }
        let matches = run.matches;
        let way = match way {
            None if !pending.left().is_empty() => Some(Way::Keys(usize::MAX)),
            way => way,
        };
        let next = way.map(|way| Self {
            table: Arc::clone(&self.table),
            query: Arc::clone(&self.query),
            direction: self.direction,
            way,
            pending,
        });
        Ok(Step { next, matches })
    }
}

struct Run<'a> {
    cursor: &'a Cursor,
    budget: Budget,
    scratch: Scratch,
    emit: &'a mut dyn FnMut(&Row, Out<'_>),
    matches: usize,
    visits: usize,
    pending: Vec<Row>,
}

impl Run<'_> {
    fn is_spent(&self) -> bool {
        self.matches >= self.budget.matches || self.visits >= self.budget.visits
    }

    /// Runs the specification on a row, or keeps the row when the budget is spent; says
    /// whether to go on.
    #[inline]
    fn visit(&mut self, row: &Row) -> bool {
        if self.is_spent() {
            self.pending.push(row.clone());
            return false;
        }
        self.visits += 1;
        let query = &*self.cursor.query;
        let record = Record {
            name: self.cursor.table.definition().record_name,
            row,
        };
        if let Some(out) = query.spec.run(record, &query.host, &mut self.scratch) {
            self.matches += 1;
            (self.emit)(row, out);
        }
        !self.is_spent()
    }

    fn go(&mut self, way: Way) -> Result<Option<Way>, TableError> {
        match way {
            Way::Keys(next) => self.by_keys(next),
            Way::Values { position, next, at } => self.by_values(position, next, at),
            Way::Between { position, at } => self.by_between(position, at),
            Way::Walk(position) => self.by_walk(position),
        }
    }

    fn by_keys(&mut self, mut next: usize) -> Result<Option<Way>, TableError> {
        let keys = candidate_keys(&self.cursor.table, &self.cursor.query.spec);
        while let Some(key) = keys.get(next) {
            if self.is_spent() {
                return Ok(Some(Way::Keys(next)));
            }
            let table = Arc::clone(&self.cursor.table);
            table.body().read(key, |row| {
                self.visit(row);
            })?;
            next += 1;
        }
        Ok(None)
    }

    fn by_values(
        &mut self,
        position: usize,
        mut next: usize,
        mut at: Option<TreePosition<LongKey>>,
    ) -> Result<Option<Way>, TableError> {
        let Some(index) = self.cursor.table.index(position) else {
            // The index was dropped since the last step; what it had not shown can't be told
            // from what it had, so the query ends as if those rows were gone.
            return Ok(None);
        };
        let cursor = self.cursor;
        let values = cursor.query.spec.values_at(position).unwrap_or_default();
        while let Some(value) = values.get(next) {
            if self.is_spent() {
                return Ok(Some(Way::Values { position, next, at }));
            }
            if values[..next].contains(value) {
                next += 1;
                continue;
            }
            at = self.by_value(&index, value, at.take())?;
            next += usize::from(at.is_none());
        }
        Ok(None)
    }

    /// Reads one part of one value's rows; returns where the value goes on.
    fn by_value(
        &mut self,
        index: &Index,
        value: &[u8],
        at: Option<TreePosition<LongKey>>,
    ) -> Result<Option<TreePosition<LongKey>>, TableError> {
        let mut prefix = Vec::with_capacity(64);
        key::encode(value, Flavour::Exact, &mut prefix);
        let at = at.unwrap_or_else(|| TreePosition::From(LongKey::from_bytes(&prefix)));
        let mut last = None;
        let mut is_past = false;
        let mut keys = Vec::new();
        let next = index.scan(&at, |entry, row| {
            is_past = !entry.as_bytes().starts_with(&prefix);
            if is_past {
                return false;
            }
            let is_on = if index.holds() == Holds::Keys {
                keys.push(row.clone());
                keys.len() < 1000
            } else {
                self.visit(row)
            };
            if !is_on {
                last = Some(entry.clone());
            }
            is_on
        });
        let table = Arc::clone(&self.cursor.table);
        for key in keys {
            table.body().read(key.key(), |row| {
                if row
                    .at(index.position())
                    .is_some_and(|there| order::equal_exact(there, value))
                {
                    self.visit(row);
                }
            })?;
        }
        Ok(match last {
            _ if is_past => None,
            Some(entry) => Some(TreePosition::Beyond(entry)),
            None => next,
        })
    }

    fn by_walk(&mut self, mut position: Position) -> Result<Option<Way>, TableError> {
        let cursor = self.cursor;
        let body = cursor.table.body();
        let range = if body.is_ordered() {
            cursor.query.spec.range_at(2)
        } else {
            None
        };
        loop {
            let mut last = None;
            let mut is_past = false;
            let next = body.walk(&position, cursor.direction, &mut |row| {
                is_past = range.is_some_and(|range| is_past_end(range, row, cursor.direction));
                if is_past {
                    return false;
                }
                let is_on = self.visit(row);
                if !is_on {
                    last = Some(body.beyond(row));
                }
                is_on
            })?;
            match (last, next) {
                _ if is_past => return Ok(None),
                (Some(last), _) => return Ok(Some(Way::Walk(last))),
                (None, None) => return Ok(None),
                (None, Some(next)) if self.is_spent() => return Ok(Some(Way::Walk(next))),
                (None, Some(next)) => position = next,
            }
        }
    }
}

/// Keys, an index, a range, or everything: the first that the specification allows.
fn choose(table: &Table, spec: &Spec, direction: Direction, is_by_key: bool) -> Way {
    if spec.keys().is_some() {
        return Way::Keys(0);
    }
    for index in table.body().indexes().iter() {
        // Rows of several values come in the order of values: not what an ordered set or a bag
        // shows.
        let values = spec.values_at(index.position());
        if values.is_some_and(|v| v.len() <= 1 || !is_by_key) {
            return Way::Values {
                position: index.position(),
                next: 0,
                at: None,
            };
        }
    }
    if !is_by_key && let Some(position) = between::index_of(table, spec) {
        return Way::Between { position, at: None };
    }
    let start = spec
        .range_at(2)
        .and_then(|range| start_of(table, range, direction));
    Way::Walk(start.unwrap_or(Position::START))
}

/// The distinct keys that a specification binds, in the table's order.
fn candidate_keys<'s>(table: &Table, spec: &'s Spec) -> Vec<&'s [u8]> {
    let mut keys: Vec<&[u8]> = spec
        .keys()
        .unwrap_or_default()
        .iter()
        .map(|k| &**k)
        .collect();
    if table.body().is_ordered() {
        keys.sort_by(|a, b| order::compare(a, b));
        keys.dedup_by(|a, b| order::equal(a, b));
    } else if keys.len() > 1 {
        keys.sort_unstable();
        keys.dedup_by(|a, b| order::equal_exact(a, b));
    }
    keys
}

/// Bytes that begin all keys at an end of a range; none for an open end.
fn bytes_at(edge: &Edge) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(64);
    match edge {
        Edge::Open => return None,
        Edge::At { term, .. } => key::encode(term, Flavour::Numeric, &mut bytes),
        Edge::Prefix {
            arity,
            elements,
            count,
        } => prefix_bytes(*arity, elements, *count, &mut bytes),
    }
    Some(bytes)
}

/// Where a walk over a range begins.
fn start_of(table: &Table, range: &Range, direction: Direction) -> Option<Position> {
    if !table.body().is_tree() {
        return None;
    }
    let (edge, is_up) = match direction {
        Direction::Up => (&range.lower, true),
        Direction::Down => (&range.upper, false),
    };
    let mut bytes = bytes_at(edge)?;
    if !is_up && matches!(edge, Edge::Prefix { .. }) {
        bytes.push(0xff);
    }
    Some(Position(At::Tree(TreePosition::From(Key::from_bytes(
        &bytes,
    )))))
}

/// Key bytes with which all tuples of an arity and these first elements begin.
fn prefix_bytes(arity: usize, elements: &[u8], count: usize, out: &mut Vec<u8>) {
    let mut blank = Packer::new();
    let mark = blank.tuple_begin(arity);
    (0..arity).for_each(|_| blank.nil());
    blank.tuple_end(mark);
    key::encode(blank.as_bytes(), Flavour::Numeric, out);
    let mut nil = Vec::new();
    let mut one = Packer::new();
    one.nil();
    key::encode(one.as_bytes(), Flavour::Numeric, &mut nil);
    out.truncate(out.len() - arity * nil.len());
    for element in Items::new(elements, count) {
        key::encode(element, Flavour::Numeric, out);
    }
}

/// Whether a row lies beyond the end of a range, in the direction of the walk.
fn is_past_end(range: &Range, row: &Row, direction: Direction) -> bool {
    let edge = match direction {
        Direction::Up => &range.upper,
        Direction::Down => &range.lower,
    };
    match (edge, direction) {
        (Edge::Open, _) => false,
        (Edge::At { term, .. }, Direction::Up) => order::compare(row.key(), term).is_gt(),
        (Edge::At { term, .. }, Direction::Down) => order::compare(row.key(), term).is_lt(),
        (
            Edge::Prefix {
                arity,
                elements,
                count,
            },
            _,
        ) => {
            let past = compare_prefix(row.key(), *arity, Items::new(elements, *count));
            past == if direction == Direction::Up {
                Ordering::Greater
            } else {
                Ordering::Less
            }
        }
    }
}

/// How a key stands to the tuples of an arity that begin with these elements.
fn compare_prefix(key: &[u8], arity: usize, prefix: Items<'_>) -> Ordering {
    match packed::view(key) {
        View::Tuple(items) => items.count().cmp(&arity).then_with(|| {
            let each = items
                .zip(prefix)
                .map(|(there, wanted)| order::compare(there, wanted));
            each.fold(Ordering::Equal, Ordering::then)
        }),
        _ => {
            let mut empty = Packer::new();
            let mark = empty.tuple_begin(0);
            empty.tuple_end(mark);
            order::compare(key, empty.as_bytes())
        }
    }
}
