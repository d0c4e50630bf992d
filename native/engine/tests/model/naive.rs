//! The naive table: a sorted map of lists, no index, no parts, no locks.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use magnesia_engine::schema::Kind;
use magnesia_term::{Row, order};

/// A key in the order of terms; of a set or bag, 1 and 1.0 are two keys.
#[derive(Debug, Clone)]
pub(crate) struct NaiveKey {
    pub(crate) packed: Vec<u8>,
    is_numeric: bool,
}

impl Ord for NaiveKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = order::compare(&self.packed, &other.packed);
        if self.is_numeric {
            order
        } else {
            order.then_with(|| self.packed.cmp(&other.packed))
        }
    }
}

impl PartialOrd for NaiveKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for NaiveKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for NaiveKey {}

#[derive(Clone)]
pub(crate) struct Naive {
    kind: Kind,
    /// On disk a bag's row that is written again moves to the end, as in `dets`.
    is_moving: bool,
    rows: BTreeMap<NaiveKey, Vec<Vec<u8>>>,
}

impl Naive {
    pub(crate) fn new(kind: Kind, is_moving: bool) -> Self {
        Self {
            kind,
            is_moving,
            rows: BTreeMap::new(),
        }
    }

    pub(crate) fn key(&self, packed: &[u8]) -> NaiveKey {
        NaiveKey {
            packed: packed.to_vec(),
            is_numeric: self.kind == Kind::OrderedSet,
        }
    }

    pub(crate) fn write(&mut self, key: &[u8], body: &[u8]) {
        let (key, body) = (self.key(key), body.to_vec());
        if self.kind != Kind::Bag {
            // The old key goes with the old row: 1.0 takes the place of 1 in an ordered set.
            self.rows.remove(&key);
            self.rows.insert(key, vec![body]);
            return;
        }
        let is_moving = self.is_moving;
        let rows = self.rows.entry(key).or_default();
        if is_moving {
            rows.retain(|there| *there != body);
        }
        if !rows.contains(&body) {
            rows.push(body);
        }
    }

    pub(crate) fn delete(&mut self, key: &[u8]) {
        self.rows.remove(&self.key(key));
    }

    pub(crate) fn delete_object(&mut self, key: &[u8], body: &[u8]) {
        let key = self.key(key);
        if let Some(rows) = self.rows.get_mut(&key) {
            rows.retain(|there| there != body);
            if rows.is_empty() {
                self.rows.remove(&key);
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.rows.clear();
    }

    pub(crate) fn read(&self, key: &[u8]) -> Vec<Vec<u8>> {
        self.rows.get(&self.key(key)).cloned().unwrap_or_default()
    }

    pub(crate) fn count(&self) -> usize {
        self.rows.values().map(Vec::len).sum()
    }

    /// All rows by key, those of one key in their order.
    pub(crate) fn all(&self) -> Vec<Vec<u8>> {
        self.rows.values().flatten().cloned().collect()
    }

    pub(crate) fn keys(&self) -> Vec<Vec<u8>> {
        self.rows.keys().map(|key| key.packed.clone()).collect()
    }

    /// The key nearest to one, in order.
    pub(crate) fn neighbour(&self, key: &[u8], is_up: bool) -> Option<Vec<u8>> {
        let key = self.key(key);
        let found = if is_up {
            self.rows.keys().find(|there| **there > key)
        } else {
            self.rows.keys().rev().find(|there| **there < key)
        };
        found.map(|key| key.packed.clone())
    }
}

/// The packed element of a row of three at a position, the key's being 2.
pub(crate) fn element(body: &[u8], position: usize) -> Vec<u8> {
    let row = Row::new(0, 3, body);
    row.at(position).expect("rows have three elements").to_vec()
}
