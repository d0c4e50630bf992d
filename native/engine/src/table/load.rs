//! Filling a new set in bulk: rows are parted by their hashes, sorted, and laid into segments
//! one after the other, where writing them one by one would look for the place of each.
//!
//! Never here: a table that anyone reads or writes meanwhile, or that has indexes.

use magnesia_term::Row;
use parking_lot::Mutex;

use super::body::{Body, Store};
use super::hashed;

/// Rows on their way into an empty set. Any number of threads may work on it.
pub struct Bulk<'a> {
    body: &'a Body,
    parts: Vec<Mutex<Vec<(u32, Row)>>>,
}

impl<'a> Bulk<'a> {
    /// A way to fill `body`, if it is a set in memory without rows and indexes.
    #[must_use]
    pub fn of(body: &'a Body) -> Option<Self> {
        let is_fit =
            matches!(body.store, Store::Set(_)) && body.rows() == 0 && body.indexes().is_empty();
        is_fit.then(|| Self {
            body,
            parts: (0..hashed::ROOTS).map(|_| Mutex::default()).collect(),
        })
    }

    /// Whether a row may be added though others may have its key, as bytes: no other bytes are
    /// the same key.
    #[must_use]
    pub fn takes(row: &Row) -> bool {
        !hashed::is_loose(row.key())
    }

    /// Takes rows, made by [`Body::row`]. Of those that one thread adds under one key the last
    /// counts, if [`Bulk::takes`] each; otherwise their keys must be distinct.
    pub fn add(&self, rows: impl IntoIterator<Item = Row>) {
        let mut split: Vec<Vec<(u32, Row)>> = self.parts.iter().map(|_| Vec::new()).collect();
        for row in rows {
            split[hashed::root_of(row.hash())].push((row.hash(), row));
        }
        for (part, mut rows) in self.parts.iter().zip(split) {
            part.lock().append(&mut rows);
        }
    }

    /// How many parts there are to [`settle`](Self::settle).
    #[must_use]
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Puts the rows of one part into the table, once all rows were added.
    pub fn settle(&self, part: usize) {
        let Store::Set(set) = &self.body.store else {
            return;
        };
        let mut rows = std::mem::take(&mut *self.parts[part].lock());
        // Stable, so that the last of one key stays the last.
        rows.sort_by(|(hash, row), (other, than)| {
            hash.cmp(other).then_with(|| row.key().cmp(than.key()))
        });
        rows.dedup_by(|later, kept| {
            let is_same = later.0 == kept.0 && later.1.key() == kept.1.key();
            if is_same {
                std::mem::swap(&mut later.1, &mut kept.1);
            }
            is_same
        });
        for (_, row) in &rows {
            self.body.count(row);
        }
        set.fill(part, rows);
    }
}

#[cfg(test)]
mod tests {
    use magnesia_term::Packer;

    use super::*;
    use crate::schema::Kind;
    use crate::table::{Direction, Position};

    fn rows(body: &Body, count: i64) -> Vec<Row> {
        let row = |key| {
            let mut packer = Packer::new();
            packer.int(key);
            packer.int(key * 3);
            body.row(2, packer.as_bytes())
        };
        (0..count).map(row).collect()
    }

    fn walked(body: &Body) -> Vec<Row> {
        let mut found = Vec::new();
        let mut position = Some(Position::START);
        while let Some(from) = position {
            let next = body.walk(&from, Direction::Up, &mut |row| {
                found.push(row.clone());
                true
            });
            position = next.expect("a set in memory has no disk to fail");
        }
        found
    }

    #[test]
    fn a_set_filled_in_bulk_is_the_set_written_row_by_row() {
        for count in [0, 1, 40, 5_000, 100_000] {
            let (bulk, plain) = (Body::in_memory(Kind::Set), Body::in_memory(Kind::Set));
            let all = rows(&plain, count);
            for row in &all {
                plain.write(row.clone()).expect("memory");
            }
            let loading = Bulk::of(&bulk).expect("an empty set");
            std::thread::scope(|scope| {
                for some in all.chunks(1_000) {
                    scope.spawn(|| loading.add(some.iter().cloned()));
                }
            });
            // A row that comes twice is one row.
            loading.add(all.first().cloned());
            (0..loading.parts()).for_each(|part| loading.settle(part));
            assert_eq!(bulk.rows(), plain.rows());
            assert_eq!(walked(&bulk), walked(&plain), "{count} rows, in one order");
            for row in &all {
                let mut found = 0;
                bulk.read(row.key(), |there| found += usize::from(there == row))
                    .expect("memory");
                assert_eq!(found, 1);
                bulk.write(row.clone()).expect("memory");
            }
            for row in rows(&bulk, count + 3_000) {
                bulk.write(row).expect("memory");
            }
            assert_eq!(walked(&bulk).len(), all.len() + 3_000, "it splits further");
            for row in &all {
                bulk.delete(row.key()).expect("memory");
            }
            assert_eq!(bulk.rows(), 3_000);
        }
    }

    #[test]
    fn only_an_empty_set_without_indexes_is_filled_in_bulk() {
        let set = Body::in_memory(Kind::Set);
        set.add_index(3).expect("memory");
        assert!(Bulk::of(&set).is_none());
        set.drop_index(3);
        assert!(Bulk::of(&set).is_some());
        for row in rows(&set, 1) {
            set.write(row).expect("memory");
        }
        assert!(Bulk::of(&set).is_none());
        for kind in [Kind::Bag, Kind::OrderedSet] {
            assert!(Bulk::of(&Body::in_memory(kind)).is_none());
        }
    }
}
