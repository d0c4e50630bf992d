//! Rows by the hash of their key: the body of sets and bags.
//!
//! Hashes are split by their top bits over segments of bounded size, each under its own lock;
//! a full segment splits in two, so no operation ever moves more than one segment's slots and
//! readers never meet a lock of the whole table. Walks go in the order of (hash, key) and are
//! resumed from a position that stays valid through any growth.
//!
//! Never here: what a row means, indexes, counts; `table::set` and `table::bag` keep those.

use std::sync::Arc;

use arc_swap::ArcSwap;
use crossbeam_utils::CachePadded;
use magnesia_term::{Row, hash, order, packed};
use parking_lot::{Mutex, RwLock};

use super::segment::{Segment, Slot};
use super::touch;
use crate::limits::SEGMENT_ROWS_MAX;

/// Top hash bits that choose a root.
const ROOT_BITS: u32 = 5;

/// Parts that grow by themselves, each with a lock for it.
pub(crate) const ROOTS: usize = 1 << ROOT_BITS;

/// Slots of a segment that is filled in bulk, at most: room for half as many again.
const FILLED_ROWS_MAX: usize = SEGMENT_ROWS_MAX * 2 / 3;

/// The root of a hash.
#[inline]
pub(crate) fn root_of(hash: u32) -> usize {
    (hash >> (32 - ROOT_BITS)) as usize
}

/// A packed key and its hash.
#[derive(Debug, Clone, Copy)]
pub struct HashKey<'a> {
    packed: &'a [u8],
    hash: u32,
    is_loose: bool,
}

impl<'a> HashKey<'a> {
    /// Hashes a packed key.
    #[inline]
    #[must_use]
    pub fn new(packed: &'a [u8]) -> Self {
        Self {
            packed,
            hash: (hash::hash(packed) >> 32) as u32,
            is_loose: is_loose(packed),
        }
    }

    /// The key of a row, whose hash the row knows.
    #[inline]
    #[must_use]
    pub fn of_row(row: &'a Row) -> Self {
        let packed = row.key();
        Self {
            packed,
            hash: row.hash(),
            is_loose: is_loose(packed),
        }
    }

    /// Upper half of the hash.
    #[must_use]
    pub fn hash(&self) -> u32 {
        self.hash
    }

    /// The packed key.
    #[must_use]
    pub fn packed(&self) -> &'a [u8] {
        self.packed
    }

    /// Whether a stored key is this key (`=:=`).
    #[inline]
    fn is(&self, stored: &[u8]) -> bool {
        stored == self.packed || (self.is_loose && order::equal_exact(stored, self.packed))
    }
}

/// Whether a key may be `=:=` to other bytes: where a float's zero is, or may be, in it.
#[inline]
pub(crate) fn is_loose(packed: &[u8]) -> bool {
    let first = packed.first().copied().unwrap_or(0);
    first == packed::tag::FLOAT || (packed::tag::EXT..=packed::tag::LIST).contains(&first)
}

/// What becomes of a slot.
pub(crate) enum Alter<S> {
    Keep,
    Insert(S),
    Remove,
}

/// A position between slots: all that are greater come after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HashPosition {
    pub(crate) hash: u32,
    /// The last key of this hash that was seen; none when the position is before them all.
    pub(crate) key: Option<Box<[u8]>>,
}

impl HashPosition {
    pub(crate) const START: Self = Self { hash: 0, key: None };
}

struct Leaf<S>(RwLock<Option<Segment<S>>>);

struct Leaves<S> {
    bits: u32,
    list: Vec<Arc<CachePadded<Leaf<S>>>>,
}

impl<S: Slot> Leaves<S> {
    fn empty() -> Self {
        Self {
            bits: 0,
            list: vec![leaf_of(Segment::new(ROOT_BITS))],
        }
    }

    /// The leaves in order, each once though it stands for several hash prefixes.
    fn each(&self) -> impl Iterator<Item = &Leaf<S>> {
        let is_new = |at: usize| at == 0 || !Arc::ptr_eq(&self.list[at - 1], &self.list[at]);
        self.list
            .iter()
            .enumerate()
            .filter(move |(at, _)| is_new(*at))
            .map(|(_, leaf)| &***leaf)
    }

    #[inline]
    fn index(&self, hash: u32) -> usize {
        (u64::from(hash << ROOT_BITS) >> (32 - self.bits)) as usize
    }

    /// The same with the leaf at `hash` replaced by the two halves of its segment.
    fn with_split(&self, hash: u32, depth: u32, halves: (Segment<S>, Segment<S>)) -> Self {
        let grown = u32::from(depth - ROOT_BITS == self.bits);
        let bits = self.bits + grown;
        let mut list = Vec::with_capacity(self.list.len() << grown);
        for leaf in &self.list {
            for _ in 0..=grown {
                list.push(Arc::clone(leaf));
            }
        }
        let mut next = Self { bits, list };
        let span = 1_usize << (bits - (depth - ROOT_BITS));
        let first = next.index(hash) & !(span - 1);
        let (low, high) = (leaf_of(halves.0), leaf_of(halves.1));
        for (offset, at) in (first..first + span).enumerate() {
            next.list[at] = Arc::clone(if offset < span / 2 { &low } else { &high });
        }
        next
    }
}

fn leaf_of<S>(segment: Segment<S>) -> Arc<CachePadded<Leaf<S>>> {
    Arc::new(CachePadded::new(Leaf(RwLock::new(Some(segment)))))
}

struct Root<S> {
    leaves: ArcSwap<Leaves<S>>,
    /// Held by whoever replaces `leaves`.
    growing: Mutex<()>,
}

/// Slots by hash, shared by all threads.
pub(crate) struct Hashed<S> {
    roots: Vec<CachePadded<Root<S>>>,
}

impl<S: Slot> Hashed<S> {
    pub(crate) fn new() -> Self {
        let root = || {
            CachePadded::new(Root {
                leaves: ArcSwap::from_pointee(Leaves::empty()),
                growing: Mutex::new(()),
            })
        };
        Self {
            roots: (0..ROOTS).map(|_| root()).collect(),
        }
    }

    #[inline]
    fn root(&self, hash: u32) -> &Root<S> {
        &self.roots[root_of(hash)]
    }

    /// Runs `f` on the slot of a key, under the read lock of its segment.
    #[inline]
    pub(crate) fn read<R>(&self, key: &HashKey<'_>, f: impl FnOnce(&S) -> R) -> Option<R> {
        let root = self.root(key.hash);
        loop {
            let leaves = root.leaves.load();
            let guard = leaves.list[leaves.index(key.hash)].0.read();
            // A segment that split meanwhile has left its leaf; the new leaves are published.
            let Some(segment) = guard.as_ref() else {
                continue;
            };
            let at = segment.find(key.hash, |stored| key.is(stored))?;
            return segment.get(at).map(f);
        }
    }

    /// Lets `f` look at the slot of a key and say what becomes of it, under the write lock.
    pub(crate) fn alter<R>(
        &self,
        key: &HashKey<'_>,
        f: impl FnOnce(Option<&mut S>) -> (Alter<S>, R),
    ) -> R {
        self.alter_at(key.hash, |stored| key.is(stored), f)
    }

    /// The same for the key of a row, which `f` gets with its slot.
    #[inline]
    pub(crate) fn alter_row<R>(
        &self,
        row: Row,
        f: impl FnOnce(Option<&mut S>, Row) -> (Alter<S>, R),
    ) -> R {
        // Counting a reference twice is cheaper than hashing the key again.
        let copy = row.clone();
        let key = HashKey::of_row(&copy);
        self.alter_at(key.hash, |stored| key.is(stored), |slot| f(slot, row))
    }

    #[inline]
    fn alter_at<R>(
        &self,
        hash: u32,
        is_same: impl Fn(&[u8]) -> bool,
        f: impl FnOnce(Option<&mut S>) -> (Alter<S>, R),
    ) -> R {
        let root = self.root(hash);
        loop {
            let leaves = root.leaves.load();
            let mut guard = leaves.list[leaves.index(hash)].0.write();
            let Some(segment) = guard.as_mut() else {
                continue;
            };
            if segment.len() >= SEGMENT_ROWS_MAX && segment.depth() < 32 {
                drop(guard);
                self.split(hash);
                continue;
            }
            let at = segment.find(hash, &is_same);
            return settle(segment, at, hash, f);
        }
    }

    fn split(&self, hash: u32) {
        let root = self.root(hash);
        let growing = root.growing.lock();
        let leaves = root.leaves.load_full();
        let mut guard = leaves.list[leaves.index(hash)].0.write();
        let is_full = |s: &Segment<S>| s.len() >= SEGMENT_ROWS_MAX && s.depth() < 32;
        if let Some(mut segment) = guard.take_if(|segment| is_full(segment)) {
            let depth = segment.depth();
            let halves = segment.split();
            root.leaves
                .store(Arc::new(leaves.with_split(hash, depth, halves)));
        }
        drop(guard);
        drop(growing);
    }

    /// Fills an empty root with slots of its hashes, sorted by hash and key.
    pub(crate) fn fill(&self, root: usize, slots: Vec<(u32, S)>) {
        let root = &self.roots[root];
        let growing = root.growing.lock();
        let mut bits = 0;
        while slots.len() >> bits > FILLED_ROWS_MAX && bits < 32 - ROOT_BITS {
            bits += 1;
        }
        let mut leaves = Leaves {
            bits,
            list: Vec::with_capacity(1 << bits),
        };
        let mut parts: Vec<Vec<(u32, S)>> = (0..1 << bits).map(|_| Vec::new()).collect();
        for (hash, slot) in slots {
            parts[leaves.index(hash)].push((hash, slot));
        }
        for part in parts {
            let segment = Segment::of_sorted(ROOT_BITS + bits, part);
            leaves.list.push(leaf_of(segment));
        }
        root.leaves.store(Arc::new(leaves));
        drop(growing);
    }

    /// Runs `f` on the slots of one segment that come after `position`, until it says stop.
    ///
    /// Returns the first hash of the next segment, or `None` after the last.
    pub(crate) fn scan_segment(
        &self,
        position: &HashPosition,
        f: impl FnMut(&S) -> bool,
    ) -> Option<u32> {
        let root = self.root(position.hash);
        loop {
            let leaves = root.leaves.load();
            let guard = leaves.list[leaves.index(position.hash)].0.read();
            let Some(segment) = guard.as_ref() else {
                continue;
            };
            let depth = segment.depth();
            let slots = segment.iter_after(position.hash, position.key.as_deref());
            touch::visit(slots, |slot| slot, f);
            return next_range(position.hash, depth);
        }
    }

    /// Calls `f` on the slots of the segment with this number, counted in the order of hashes.
    ///
    /// Returns whether there is such a segment; the numbers change when segments split.
    pub(crate) fn nth_segment(&self, number: usize, f: impl FnMut(&S)) -> bool {
        let mut position = HashPosition::START;
        for _ in 0..number {
            match self.scan_segment(&position, |_| false) {
                Some(hash) => position = HashPosition { hash, key: None },
                None => return false,
            }
        }
        let mut f = f;
        self.scan_segment(&position, |slot| {
            f(slot);
            true
        });
        true
    }

    /// Removes everything and runs `with` while nobody can read or write; what was there is
    /// returned, to be counted and dropped at leisure.
    pub(crate) fn detach<R>(&self, with: impl FnOnce() -> R) -> (Vec<Segment<S>>, R) {
        let growing: Vec<_> = self.roots.iter().map(|root| root.growing.lock()).collect();
        let all: Vec<_> = self
            .roots
            .iter()
            .map(|root| root.leaves.load_full())
            .collect();
        let mut held: Vec<_> = all
            .iter()
            .flat_map(|leaves| leaves.each())
            .map(|leaf| leaf.0.write())
            .collect();
        let result = with();
        for root in &self.roots {
            root.leaves.store(Arc::new(Leaves::empty()));
        }
        let old = held
            .iter_mut()
            .filter_map(|segment| segment.take())
            .collect();
        drop(held);
        drop(growing);
        (old, result)
    }

    /// Bytes of all arrays and directories, without the rows.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.roots.iter().map(|root| root_bytes(root)).sum()
    }
}

/// Shows `f` the slot at a place, or that there is none, and does what it says.
#[inline]
fn settle<S: Slot, R>(
    segment: &mut Segment<S>,
    at: Option<usize>,
    hash: u32,
    f: impl FnOnce(Option<&mut S>) -> (Alter<S>, R),
) -> R {
    let Some(at) = at else {
        let (alter, result) = f(None);
        if let Alter::Insert(slot) = alter {
            segment.insert(hash, slot);
        }
        return result;
    };
    let (alter, result) = f(segment.get_mut(at));
    match (alter, segment.get_mut(at)) {
        (Alter::Remove, _) => drop(segment.remove(at)),
        (Alter::Insert(slot), Some(place)) => *place = slot,
        (Alter::Keep | Alter::Insert(_), _) => {}
    }
    result
}

fn root_bytes<S: Slot>(root: &Root<S>) -> usize {
    let leaves = root.leaves.load();
    let mut bytes = leaves.list.capacity() * size_of::<usize>() + size_of::<CachePadded<Root<S>>>();
    for leaf in leaves.each() {
        let segment_bytes = leaf.0.read().as_ref().map_or(0, Segment::heap_bytes);
        bytes += size_of::<CachePadded<Leaf<S>>>() + segment_bytes;
    }
    bytes
}

fn next_range(hash: u32, depth: u32) -> Option<u32> {
    let span = 1_u64 << (32 - depth);
    u32::try_from((u64::from(hash) / span + 1) * span).ok()
}
