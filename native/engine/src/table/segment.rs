//! One segment of a hashed table: slots kept in the order of their hashes.
//!
//! A slot's place is its hash scaled to the capacity, and slots that collide move right, so the
//! array as a whole is sorted by (hash, key). That makes every walk resumable from a hash and a
//! key, whatever grew or split meanwhile, and makes growing a pass in order that never looks at
//! a row. Keys of one hash are in the order of their bytes.
//!
//! Never here: locks (the owner has them), more rows than the owner lets in.

use magnesia_term::Row;

use super::touch::Touch;

/// What a segment holds for one key: a row, or a bag's rows.
pub(crate) trait Slot: Touch {
    /// The packed key, zeros as stored.
    fn key(&self) -> &[u8];
}

impl Slot for Row {
    #[inline]
    fn key(&self) -> &[u8] {
        Row::key(self)
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

    /// A segment of slots that are sorted by hash and key, with room for some more.
    pub(crate) fn of_sorted(depth: u32, slots: Vec<(u32, S)>) -> Self {
        let mut segment = Self::new(depth);
        segment.reset(slots.len() + slots.len() / 4 + 8);
        let mut next = 0;
        for (hash, slot) in slots {
            next = segment.append(next, hash, slot);
        }
        segment
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

#[cfg(test)]
mod tests {
    use magnesia_term::Packer;

    use super::*;

    fn row(key: i64) -> Row {
        let mut packer = Packer::new();
        packer.int(key);
        Row::new(0, 1, packer.as_bytes())
    }

    fn put(segment: &mut Segment<Row>, hash: u32, key: i64) {
        assert_eq!(find(segment, hash, key), None, "it is put once");
        segment.insert(hash, row(key));
    }

    fn find(segment: &Segment<Row>, hash: u32, key: i64) -> Option<usize> {
        let row = row(key);
        segment.find(hash, |there| there == row.key())
    }

    /// Hashes in the order of places; every slot is found by its own.
    fn hashes(segment: &Segment<Row>) -> Vec<u32> {
        let places = segment.hashes.iter().zip(&segment.slots);
        places
            .filter_map(|(hash, slot)| slot.as_ref().map(|_| *hash))
            .collect()
    }

    #[test]
    fn keys_of_one_hash_at_the_very_end_are_in_the_order_of_their_bytes() {
        let mut segment = Segment::new(0);
        let keys = [
            9, 3, 7, 1, 40, 22, 8, 5, 30, 12, 2, 60, 17, 18, 19, 20, 21, 23, 24, 25,
        ];
        keys.iter()
            .for_each(|key| put(&mut segment, u32::MAX, *key));
        assert_eq!(segment.len(), keys.len());
        let order: Vec<Vec<u8>> = segment.iter().map(|row| row.key().to_vec()).collect();
        assert!(order.is_sorted(), "{order:?}");
        for (at, key) in order.iter().enumerate() {
            let after = segment.iter_after(u32::MAX, Some(key)).count();
            assert_eq!(after, keys.len() - at - 1);
        }
        assert_eq!(segment.iter_after(u32::MAX, None).count(), keys.len());
        assert_eq!(find(&segment, u32::MAX, 999), None);
    }

    #[test]
    fn removal_closes_the_gap_so_that_pushed_slots_are_still_found() {
        let mut segment = Segment::new(0);
        // Eight that want the first place push each other right, and one that is far away.
        (0..8).for_each(|key| put(&mut segment, u32::try_from(key).unwrap_or(0), key));
        put(&mut segment, u32::MAX / 2, 100);
        for key in [0, 4, 7] {
            let at = find(&segment, u32::try_from(key).unwrap_or(0), key).expect("it was put");
            assert!(segment.remove(at).is_some());
        }
        assert_eq!(hashes(&segment), [1, 2, 3, 5, 6, u32::MAX / 2]);
        for key in [1, 2, 3, 5, 6] {
            assert!(
                find(&segment, u32::try_from(key).unwrap_or(0), key).is_some(),
                "key {key}"
            );
        }
        assert!(find(&segment, u32::MAX / 2, 100).is_some());
        assert_eq!(find(&segment, 4, 4), None);
    }

    #[test]
    fn a_split_parts_the_hashes_by_their_next_bit() {
        let mut segment = Segment::new(1);
        let hash = |key: i64| u32::try_from(key * 0x0070_0001).unwrap_or(0) & 0x7fff_ffff;
        (0..300).for_each(|key| put(&mut segment, hash(key), key));
        let (low, high) = segment.split();
        assert_eq!((low.depth(), high.depth(), segment.len()), (2, 2, 0));
        assert_eq!(low.len() + high.len(), 300);
        for key in 0..300 {
            let half = if hash(key) & 0x4000_0000 == 0 {
                &low
            } else {
                &high
            };
            assert!(find(half, hash(key), key).is_some(), "key {key}");
        }
        assert!(hashes(&low).is_sorted() && hashes(&high).is_sorted());
    }

    #[test]
    fn an_empty_segment_answers_everything() {
        let mut segment: Segment<Row> = Segment::new(32);
        assert_eq!(find(&segment, 7, 7), None);
        assert_eq!(segment.iter_after(7, None).count(), 0);
        assert!(segment.remove(0).is_none());
        put(&mut segment, 7, 7);
        assert_eq!(
            find(&segment, 7, 7),
            Some(0),
            "all hash bits are shared at this depth"
        );
    }
}
