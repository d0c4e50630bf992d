//! Where each key is in a list of keys, found by hash.
//!
//! It grows by parts: a single table of a hundred thousand keys takes milliseconds to grow, and
//! it is a call on a scheduler that adds the key.
//!
//! Never here: the keys themselves; the list has them.

use hashbrown::HashTable;

/// Keys that are in one part; beyond, in [`PARTS`].
const WHOLE_KEYS_MAX: usize = 1024;
const PARTS: usize = 256;

/// A key's hash and its place.
type Place = (u64, usize);

/// Places by the hash of a key.
#[derive(Clone, Default)]
pub(super) struct Places {
    /// One, or [`PARTS`] of them.
    parts: Vec<HashTable<Place>>,
    count: usize,
}

impl Places {
    /// The place of a key that has this hash and is told by `is_it`.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let part = self.parts.get(part_of(hash, self.parts.len()))?;
        part.find(hash, |&(other, at)| other == hash && is_it(at))
            .map(|&(_, at)| at)
    }

    /// Adds a key that is not there.
    pub(super) fn add(&mut self, hash: u64, at: usize) {
        if self.count == WHOLE_KEYS_MAX {
            let whole = std::mem::replace(&mut self.parts, vec![HashTable::new(); PARTS]);
            for place in whole.into_iter().flatten() {
                self.put(place);
            }
        } else if self.parts.is_empty() {
            self.parts.push(HashTable::new());
        }
        self.put((hash, at));
        self.count += 1;
    }

    fn put(&mut self, place: Place) {
        let part = part_of(place.0, self.parts.len());
        self.parts[part].insert_unique(place.0, place, |there| there.0);
    }
}

/// By bits that the tables do not look at first: they take the lowest and the topmost.
fn part_of(hash: u64, parts: usize) -> usize {
    usize::try_from(hash >> 40).map_or(0, |bits| bits % parts.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_again_at_every_size() {
        let hash = |key: usize| magnesia_term::hash::hash(&key.to_le_bytes());
        let mut places = Places::default();
        assert_eq!(places.find(hash(0), |_| true), None);
        for key in 0..5 * WHOLE_KEYS_MAX {
            assert_eq!(places.find(hash(key), |at| at == key), None);
            places.add(hash(key), key);
            if key % 97 == 0 || key.abs_diff(WHOLE_KEYS_MAX) < 3 {
                let is_found = |key| places.find(hash(key), |at| at == key) == Some(key);
                assert!((0..=key).all(is_found));
            }
        }
    }

    #[test]
    fn keys_of_one_hash_are_told_apart() {
        let mut places = Places::default();
        for key in 0..2 * WHOLE_KEYS_MAX {
            places.add(7, key);
        }
        let is_found = |key| places.find(7, |at| at == key) == Some(key);
        assert!((0..2 * WHOLE_KEYS_MAX).all(is_found));
        assert_eq!(places.find(7, |_| false), None);
    }
}
