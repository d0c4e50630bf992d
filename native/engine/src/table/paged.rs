//! Rows of a table that is on disk, over the [`Rows`] trait.
//!
//! Keys are order-preserving bytes: exact ones for sets and bags, numeric ones for ordered
//! sets; a bag's end in a number that ascends with each insertion. Values are rows in portable
//! form with their own dictionary. Reading and writing a key back is one step under one of a
//! few locks, chosen by the key.
//!
//! Never here: caching (the storage has its own), the log.

use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};

use magnesia_term::key::{self, Flavour};
use magnesia_term::portable::{self, Dictionary, Names};
use magnesia_term::{Packer, Row, hash};
use parking_lot::{Mutex, MutexGuard};

use super::walk::{Direction, Visit};
use crate::commit;
use crate::error::TableError;
use crate::rows::Rows;
use crate::schema::Kind;

/// Rows that one part of a walk visits.
const PART_ROWS: usize = 256;
const STRIPES: usize = 64;
/// Bytes of the number at the end of a bag's keys.
const NUMBER_BYTES: usize = 8;

/// Key bytes and their row.
pub(crate) type Entry = (Vec<u8>, Row);

pub(crate) struct Paged {
    kind: Kind,
    rows: Box<dyn Rows>,
    count: AtomicUsize,
    stripes: Vec<Mutex<()>>,
}

impl Paged {
    /// Opens what is there and counts it.
    pub(crate) fn open(kind: Kind, rows: Box<dyn Rows>) -> Result<Self, TableError> {
        let mut count = 0;
        rows.range(Bound::Unbounded, true, &mut |_, _| {
            count += 1;
            true
        })?;
        let stripes = (0..STRIPES).map(|_| Mutex::new(())).collect();
        Ok(Self {
            kind,
            rows,
            count: AtomicUsize::new(count),
            stripes,
        })
    }

    pub(crate) fn rows(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn disk_bytes(&self) -> u64 {
        self.rows.disk_bytes()
    }

    pub(crate) fn is_ordered(&self) -> bool {
        self.kind == Kind::OrderedSet
    }

    pub(crate) fn is_bag(&self) -> bool {
        self.kind == Kind::Bag
    }

    fn lock(&self, key: &[u8]) -> MutexGuard<'_, ()> {
        self.stripes[hash::hash(key) as usize % STRIPES].lock()
    }

    /// Key bytes of a packed key, without a bag's number.
    fn key_bytes(&self, key: &[u8]) -> Vec<u8> {
        let flavour = if self.is_ordered() {
            Flavour::Numeric
        } else {
            Flavour::Exact
        };
        let mut bytes = Vec::with_capacity(32);
        key::encode(key, flavour, &mut bytes);
        bytes
    }

    /// The entries of one key: one, or a bag's in order of insertion.
    fn entries(&self, key: &[u8]) -> Result<Vec<Entry>, TableError> {
        let prefix = self.key_bytes(key);
        if self.kind != Kind::Bag {
            let value = self.rows.get(&prefix)?;
            return value
                .map(|value| Ok((prefix, decode(&value)?)))
                .into_iter()
                .collect();
        }
        let mut found = Vec::new();
        self.rows
            .range(Bound::Included(&prefix), true, &mut |entry, value| {
                let is_same =
                    entry.starts_with(&prefix) && entry.len() == prefix.len() + NUMBER_BYTES;
                if is_same {
                    found.push((entry.to_vec(), value.to_vec()));
                }
                is_same
            })?;
        found
            .into_iter()
            .map(|(entry, value)| Ok((entry, decode(&value)?)))
            .collect()
    }

    pub(crate) fn read(&self, key: &[u8], f: &mut impl FnMut(&Row)) -> Result<(), TableError> {
        let held = self.lock(key);
        let entries = self.entries(key)?;
        drop(held);
        entries.iter().for_each(|(_, row)| f(row));
        Ok(())
    }

    /// Writes a row; `note` sees what is there before anything changes, as in all that follow
    /// here, and `follow` the row that was replaced, for the indexes.
    pub(crate) fn write(
        &self,
        row: &Row,
        note: impl FnOnce(&[Entry]),
        follow: impl FnOnce(Option<&Row>),
    ) -> Result<(), TableError> {
        let held = self.lock(row.key());
        let entries = self.entries(row.key())?;
        note(&entries);
        if self.kind == Kind::Bag {
            self.write_to_bag(row, &entries)?;
            if entries.iter().all(|(_, there)| !there.is_identical(row)) {
                follow(None);
            }
        } else {
            self.rows.put(&self.key_bytes(row.key()), &encode(row))?;
            self.count
                .fetch_add(usize::from(entries.is_empty()), Ordering::Relaxed);
            follow(entries.first().map(|(_, old)| old));
        }
        drop(held);
        Ok(())
    }

    /// Adds a row at the end of its key's; one that is there already moves to the end.
    fn write_to_bag(&self, row: &Row, entries: &[Entry]) -> Result<(), TableError> {
        let last = entries
            .last()
            .and_then(|(entry, _)| entry.last_chunk::<NUMBER_BYTES>());
        let number = last.map_or(0, |bytes| u64::from_be_bytes(*bytes) + 1);
        let mut entry = self.key_bytes(row.key());
        entry.extend_from_slice(&number.to_be_bytes());
        self.rows.put(&entry, &encode(row))?;
        self.count.fetch_add(1, Ordering::Relaxed);
        // A crash between these steps leaves the row twice; the record that is replayed then
        // takes both away.
        for (entry, _) in entries.iter().filter(|(_, there)| there.is_identical(row)) {
            self.rows.remove(entry)?;
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Deletes the rows of a key; `follow` sees each.
    pub(crate) fn delete(
        &self,
        key: &[u8],
        note: impl FnOnce(&[Entry]),
        follow: impl Fn(&Row),
    ) -> Result<(), TableError> {
        self.delete_where(key, |_| true, note, follow)
    }

    /// Deletes one row; `follow` sees it.
    pub(crate) fn delete_object(
        &self,
        row: &Row,
        note: impl FnOnce(&[Entry]),
        follow: impl Fn(&Row),
    ) -> Result<(), TableError> {
        self.delete_where(row.key(), |there| there.is_identical(row), note, follow)
    }

    fn delete_where(
        &self,
        key: &[u8],
        is_meant: impl Fn(&Row) -> bool,
        note: impl FnOnce(&[Entry]),
        follow: impl Fn(&Row),
    ) -> Result<(), TableError> {
        let held = self.lock(key);
        let entries = self.entries(key)?;
        note(&entries);
        for (entry, row) in entries {
            if is_meant(&row) {
                self.rows.remove(&entry)?;
                self.count.fetch_sub(1, Ordering::Relaxed);
                follow(&row);
            }
        }
        drop(held);
        Ok(())
    }

    /// Replaces the row of a key by what `f` makes of it.
    pub(crate) fn update<R>(
        &self,
        key: &[u8],
        f: impl FnOnce(Option<&Row>) -> (Row, R),
        note: impl FnOnce(&[Entry]),
        follow: impl FnOnce(Option<&Row>, &Row),
    ) -> Result<R, TableError> {
        let held = self.lock(key);
        let entries = self.entries(key)?;
        note(&entries);
        let old = entries.first().map(|(_, row)| row);
        let (row, result) = f(old);
        self.rows.put(&self.key_bytes(key), &encode(&row))?;
        self.count
            .fetch_add(usize::from(old.is_none()), Ordering::Relaxed);
        follow(old, &row);
        drop(held);
        Ok(result)
    }

    /// Removes everything and runs `with` while nobody can read or write a key.
    pub(crate) fn clear<R>(&self, with: impl FnOnce() -> R) -> Result<R, TableError> {
        let held: Vec<_> = self.stripes.iter().map(|stripe| stripe.lock()).collect();
        self.rows.clear()?;
        self.count.store(0, Ordering::Relaxed);
        let result = with();
        drop(held);
        Ok(result)
    }

    /// Visits some rows beyond a key; returns the last key when there may be more.
    pub(crate) fn walk(
        &self,
        from: Option<&[u8]>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<Option<Vec<u8>>, TableError> {
        let is_up = direction == Direction::Up || !self.is_ordered();
        let mut part: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let from = from.map_or(Bound::Unbounded, Bound::Excluded);
        self.rows.range(from, is_up, &mut |key, value| {
            // A bag's key is never cut in two, so its rows end the part together.
            let is_full = part.len() >= PART_ROWS
                && part
                    .last()
                    .is_none_or(|(last, _)| !self.is_one_key(last, key));
            if !is_full {
                part.push((key.to_vec(), value.to_vec()));
            }
            !is_full
        })?;
        let is_last = part.len() < PART_ROWS;
        let mut last: Option<Vec<u8>> = None;
        let mut is_on = true;
        for (key, value) in part {
            let is_sibling = last
                .as_ref()
                .is_some_and(|last| self.is_one_key(last, &key));
            if !is_on && !is_sibling {
                return Ok(last);
            }
            is_on &= visit(&decode(&value)?);
            last = Some(key);
        }
        Ok(last.filter(|_| !is_last || !is_on))
    }

    fn is_one_key(&self, a: &[u8], b: &[u8]) -> bool {
        let stem = |entry: &[u8]| entry.len().checked_sub(NUMBER_BYTES);
        self.kind == Kind::Bag
            && a.len() == b.len()
            && stem(a).is_some_and(|stem| a.get(..stem) == b.get(..stem))
    }

    /// Whether a row's key comes no later than the key bytes that a part ended with.
    pub(crate) fn is_within(&self, row: &Row, end: &[u8]) -> bool {
        let stem = if self.kind == Kind::Bag {
            NUMBER_BYTES
        } else {
            0
        };
        let end = end.get(..end.len().saturating_sub(stem)).unwrap_or(end);
        self.key_bytes(row.key()).as_slice() <= end
    }

    /// Key bytes beyond all rows of this row's key, in either direction for ordered sets.
    pub(crate) fn beyond(&self, row: &Row) -> Vec<u8> {
        self.step(row.key())
    }

    /// Key bytes to step from a packed key; it need not be there.
    pub(crate) fn step(&self, key: &[u8]) -> Vec<u8> {
        let mut bytes = self.key_bytes(key);
        if self.kind == Kind::Bag {
            bytes.extend_from_slice(&[0xff; NUMBER_BYTES]);
        }
        bytes
    }
}

fn encode(row: &Row) -> Vec<u8> {
    let mut dictionary = Dictionary::default();
    let mut body = Vec::with_capacity(row.body().len());
    for term in row.items() {
        portable::write(term, &mut dictionary, &mut body);
    }
    let mut names = Vec::new();
    dictionary.encode(&mut names);
    let mut value = Vec::with_capacity(8 + names.len() + body.len());
    value.extend_from_slice(
        &u32::try_from(row.elements())
            .unwrap_or(u32::MAX)
            .to_le_bytes(),
    );
    value.extend_from_slice(&u32::try_from(names.len()).unwrap_or(u32::MAX).to_le_bytes());
    value.extend_from_slice(&names);
    value.extend_from_slice(&body);
    value
}

fn decode(value: &[u8]) -> Result<Row, TableError> {
    let malformed = |what: &str| TableError::Storage {
        reason: format!("malformed row: {what}"),
    };
    let (head, rest) = value
        .split_first_chunk::<8>()
        .ok_or_else(|| malformed("no head"))?;
    let [a, b, c, d, e, f, g, h] = *head;
    let elements = u32::from_le_bytes([a, b, c, d]) as usize;
    let length = u32::from_le_bytes([e, f, g, h]) as usize;
    let (names, body) = rest
        .split_at_checked(length)
        .ok_or_else(|| malformed("no names"))?;
    let (names, _) = Names::parse(names).map_err(|error| malformed(&error.to_string()))?;
    let mut packer = Packer::new();
    commit::unpack(body, elements, &names, &mut packer)?;
    if elements == 0 {
        return Err(malformed("no key"));
    }
    Ok(Row::new(0, elements, packer.as_bytes()))
}
