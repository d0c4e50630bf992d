//! One segment of a hashed table: slots kept in the order of their hashes.
//!
//! A slot's place is its hash scaled to the capacity, and slots that collide move right, so the
//! array as a whole is sorted by (hash, key). That makes every walk resumable from a hash and a
//! key, whatever grew or split meanwhile, and makes growing a pass in order that never looks at
//! a row. Keys of one hash are in the order of their bytes.
//!
//! Never here: locks (the owner has them), more rows than the owner lets in.

use magnesia_term::Row;

/// What a segment holds for one key: a row, or a bag's rows.
pub(crate) trait Slot {
    /// The packed key, zeros as stored.
    fn key(&self) -> &[u8];

    /// Reads from both ends of the row, so that its memory is on its way to the cache.
    fn touch(&self) -> u8;
}

impl Slot for Row {
    #[inline]
    fn key(&self) -> &[u8] {
        Row::key(self)
    }

    #[inline]
    fn touch(&self) -> u8 {
        let body = self.body();
        body.first().copied().unwrap_or(0) ^ body.last().copied().unwrap_or(0)
    }
}

/// Slots beyond the scaled places, for what is pushed off the end.
const SPILL: usize = 16;
/// A segment is fuller than 7/8 never; it grows by about a quarter then.
const FULL_NUM: usize = 7;
const FULL_DEN: usize = 8;

/// Sorted slots of one range of hashes.
#[derive(Debug)]
pub(crate) struct Segment<S> {
    /// Hash bits that all slots share and that placing ignores.
    depth: u32,
    /// Places that hashes are scaled to; `hashes` has `SPILL` more.
    capacity: usize,
    len: usize,
    hashes: Vec<u32>,
    slots: Vec<Option<S>>,
}

impl<S: Slot> Segment<S> {
    pub(crate) fn new(depth: u32) -> Self {
        Self {
            depth,
            capacity: 0,
            len: 0,
            hashes: Vec::new(),
            slots: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn depth(&self) -> u32 {
        self.depth
    }

    /// Bytes of the arrays.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.hashes.capacity() * 4 + self.slots.capacity() * size_of::<Option<S>>()
    }

    #[inline]
    fn ideal(&self, hash: u32) -> usize {
        let local = u64::from(hash.checked_shl(self.depth).unwrap_or(0));
        ((local * self.capacity as u64) >> 32) as usize
    }

    /// Finds the slot of a key; `same` compares keys.
    #[inline]
    pub(crate) fn find(&self, hash: u32, same: impl Fn(&[u8]) -> bool) -> Option<usize> {
        if self.len == 0 {
            return None;
        }
        let mut at = self.ideal(hash);
        while let (Some(&there), Some(slot)) = (self.hashes.get(at), self.slots.get(at)) {
            let Some(slot) = slot else { return None };
            if there > hash {
                return None;
            }
            if there == hash && same(slot.key()) {
                return Some(at);
            }
            at += 1;
        }
        None
    }

    /// Puts in the slot of a key that is not there; grows first when full.
    pub(crate) fn insert(&mut self, hash: u32, slot: S) {
        if (self.len + 1) * FULL_DEN > self.capacity * FULL_NUM || self.is_spilt() {
            self.grow();
        }
        let at = self.lower_bound(hash, slot.key());
        self.fill(at, hash, slot);
    }

    fn is_spilt(&self) -> bool {
        self.slots.last().is_some_and(Option::is_some)
    }

    /// First place at or after the ideal one that is empty or holds (hash, key) or more.
    fn lower_bound(&self, hash: u32, key: &[u8]) -> usize {
        let mut at = self.ideal(hash);
        while let Some(Some(slot)) = self.slots.get(at) {
            let there = self.hashes[at];
            if there > hash || (there == hash && slot.key() >= key) {
                break;
            }
            at += 1;
        }
        at
    }

    /// Puts a new slot at its place and moves right what is there.
    fn fill(&mut self, at: usize, hash: u32, slot: S) {
        let mut hole = at;
        while self.slots.get(hole).is_some_and(Option::is_some) {
            hole += 1;
        }
        if hole >= self.slots.len() {
            self.hashes.push(0);
            self.slots.push(None);
        }
        self.slots[at..=hole].rotate_right(1);
        self.hashes[at..=hole].rotate_right(1);
        self.hashes[at] = hash;
        self.slots[at] = Some(slot);
        self.len += 1;
    }

    /// Takes a slot out and moves back what had been pushed right.
    pub(crate) fn remove(&mut self, at: usize) -> Option<S> {
        let slot = self.slots.get_mut(at)?.take()?;
        self.len -= 1;
        let mut end = at + 1;
        while let Some(Some(_)) = self.slots.get(end) {
            if self.ideal(self.hashes[end]) == end {
                break;
            }
            end += 1;
        }
        self.slots[at..end].rotate_left(1);
        self.hashes[at..end].rotate_left(1);
        Some(slot)
    }

    #[inline]
    pub(crate) fn get(&self, at: usize) -> Option<&S> {
        self.slots.get(at)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, at: usize) -> Option<&mut S> {
        self.slots.get_mut(at)?.as_mut()
    }

    /// All slots in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &S> {
        self.slots.iter().flatten()
    }

    /// The slots after (hash, key) in order; after `None` as key, those from `hash` on.
    pub(crate) fn iter_after(&self, hash: u32, key: Option<&[u8]>) -> impl Iterator<Item = &S> {
        let at = if self.capacity == 0 {
            0
        } else {
            self.ideal(hash)
        };
        let mut from = at.min(self.slots.len());
        while let Some(Some(slot)) = self.slots.get(from) {
            let there = self.hashes[from];
            let is_after = match key {
                None => there >= hash,
                Some(key) => there > hash || (there == hash && slot.key() > key),
            };
            if is_after {
                break;
            }
            from += 1;
        }
        self.slots[from..].iter().flatten()
    }

    fn grow(&mut self) {
        let capacity = (self.capacity + self.capacity / 4).max(self.len + 4).max(8);
        self.respread(capacity);
    }

    fn respread(&mut self, capacity: usize) {
        let hashes = std::mem::take(&mut self.hashes);
        let slots = std::mem::take(&mut self.slots);
        self.reset(capacity);
        let mut next = 0;
        for (hash, slot) in hashes.into_iter().zip(slots) {
            if let Some(slot) = slot {
                next = self.append(next, hash, slot);
            }
        }
    }

    fn reset(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.len = 0;
        self.hashes = vec![0; capacity + SPILL];
        self.slots.clear();
        self.slots.resize_with(capacity + SPILL, || None);
    }

    /// Puts a slot that is greater than all before; returns the next free place.
    fn append(&mut self, free: usize, hash: u32, slot: S) -> usize {
        let at = self.ideal(hash).max(free);
        while self.slots.len() <= at {
            self.hashes.push(0);
            self.slots.push(None);
        }
        self.hashes[at] = hash;
        self.slots[at] = Some(slot);
        self.len += 1;
        at + 1
    }

    /// Splits into the halves whose next hash bit is 0 and 1.
    pub(crate) fn split(&mut self) -> (Self, Self) {
        let depth = self.depth + 1;
        let bit = 1_u32 << (32 - depth);
        let room = self.len / 2 + self.len / 8 + 8;
        let mut halves = (Self::new(depth), Self::new(depth));
        halves.0.reset(room);
        halves.1.reset(room);
        let (mut low, mut high) = (0, 0);
        let hashes = std::mem::take(&mut self.hashes);
        for (hash, slot) in hashes.into_iter().zip(std::mem::take(&mut self.slots)) {
            match slot {
                Some(slot) if hash & bit == 0 => low = halves.0.append(low, hash, slot),
                Some(slot) => high = halves.1.append(high, hash, slot),
                None => {}
            }
        }
        self.capacity = 0;
        self.len = 0;
        halves
    }
}
