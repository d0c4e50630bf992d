//! Values by order-preserving key bytes: the body of ordered sets and of indexes.
//!
//! The keys are split by fences over leaves of bounded size, each a B-tree under its own lock;
//! a full leaf splits in two and an empty one is merged into its neighbour, both by publishing
//! new fences, so readers never meet a lock of the whole table. Walks are resumed from a key.
//!
//! Never here: what a key means; `magnesia_term::key` makes them.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use arc_swap::ArcSwap;
use crossbeam_utils::CachePadded;
use magnesia_term::key::Key;
use parking_lot::{Mutex, RwLock};

use super::hashed::Alter;
use super::touch::{self, Touch};
use crate::limits::LEAF_ROWS_MAX;

type Leaf<K, V> = CachePadded<RwLock<Option<BTreeMap<K, V>>>>;

/// Leaves in order; `lows[i]` is the least key that leaf `i` may hold, the first one is empty.
struct Fences<K, V> {
    lows: Vec<K>,
    leaves: Vec<Arc<Leaf<K, V>>>,
}

impl<K: Ord + Default, V> Fences<K, V> {
    fn of(map: BTreeMap<K, V>) -> Self {
        Self {
            lows: vec![K::default()],
            leaves: vec![leaf_of(map)],
        }
    }

    #[inline]
    fn index(&self, key: &K) -> usize {
        self.lows
            .partition_point(|low| low <= key)
            .saturating_sub(1)
    }

    /// The leaf where keys just below `key` are.
    fn index_below(&self, key: &K) -> usize {
        self.lows.partition_point(|low| low < key).saturating_sub(1)
    }
}

fn leaf_of<K, V>(map: BTreeMap<K, V>) -> Arc<Leaf<K, V>> {
    Arc::new(CachePadded::new(RwLock::new(Some(map))))
}

/// Where the next part of a walk begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TreePosition<K = Key> {
    /// All keys from the end where the walk begins.
    Start,
    /// From this key on, itself included.
    From(K),
    /// Beyond this key.
    Beyond(K),
}

/// Values in key order, shared by all threads.
pub(crate) struct Tree<V, K = Key> {
    fences: ArcSwap<Fences<K, V>>,
    /// Held by whoever replaces `fences`.
    growing: Mutex<()>,
}

impl<V: Touch, K: Ord + Clone + Default> Tree<V, K> {
    pub(crate) fn new() -> Self {
        Self {
            fences: ArcSwap::from_pointee(Fences::of(BTreeMap::new())),
            growing: Mutex::new(()),
        }
    }

    /// Runs `f` on the value of a key, under the read lock of its leaf.
    #[inline]
    pub(crate) fn read<R>(&self, key: &K, f: impl FnOnce(&V) -> R) -> Option<R> {
        loop {
            let fences = self.fences.load();
            let guard = fences.leaves[fences.index(key)].read();
            // A leaf that split or merged meanwhile is empty-handed; new fences are published.
            let Some(map) = guard.as_ref() else { continue };
            return map.get(key).map(f);
        }
    }

    /// Lets `f` look at the value of a key and say what becomes of it, under the write lock.
    pub(crate) fn alter<R>(&self, key: K, f: impl FnOnce(Option<&mut V>) -> (Alter<V>, R)) -> R {
        loop {
            let fences = self.fences.load();
            let mut guard = fences.leaves[fences.index(&key)].write();
            let Some(map) = guard.as_mut() else { continue };
            if map.len() >= LEAF_ROWS_MAX {
                drop(guard);
                self.split(&key);
                continue;
            }
            let (alter, result) = f(map.get_mut(&key));
            match alter {
                Alter::Keep => {}
                Alter::Insert(value) => drop(map.insert(key, value)),
                Alter::Remove => {
                    map.remove(&key);
                    if map.is_empty() && fences.leaves.len() > 1 {
                        drop(guard);
                        self.merge(&key);
                    }
                }
            }
            return result;
        }
    }

    fn split(&self, key: &K) {
        let growing = self.growing.lock();
        let fences = self.fences.load_full();
        let at = fences.index(key);
        let mut guard = fences.leaves[at].write();
        if let Some(mut low) = guard.take_if(|map| map.len() >= LEAF_ROWS_MAX) {
            // Keys that come in ascending order leave full leaves behind them.
            let is_append = low.last_key_value().is_some_and(|(last, _)| last < key);
            let part = if is_append {
                low.len() - 1
            } else {
                low.len() / 2
            };
            let middle = low.keys().nth(part).cloned();
            if let Some(middle) = middle {
                let high = low.split_off(&middle);
                let mut next = Fences {
                    lows: fences.lows.clone(),
                    leaves: fences.leaves.clone(),
                };
                next.leaves[at] = leaf_of(low);
                next.lows.insert(at + 1, middle);
                next.leaves.insert(at + 1, leaf_of(high));
                self.fences.store(Arc::new(next));
            }
        }
        drop(guard);
        drop(growing);
    }

    fn merge(&self, key: &K) {
        let growing = self.growing.lock();
        let fences = self.fences.load_full();
        let at = fences.index(key);
        let mut guard = fences.leaves[at].write();
        if fences.leaves.len() > 1 && guard.take_if(|map| map.is_empty()).is_some() {
            let mut next = Fences {
                lows: fences.lows.clone(),
                leaves: fences.leaves.clone(),
            };
            next.leaves.remove(at);
            // The range goes to the neighbour below; the first leaf's goes to the one above.
            next.lows.remove(if at == 0 { 1 } else { at });
            self.fences.store(Arc::new(next));
        }
        drop(guard);
        drop(growing);
    }

    /// Runs `f` on the entries of one leaf from `position` upwards, until it says stop.
    ///
    /// Returns the position of the next leaf, or `None` after the last.
    pub(crate) fn scan_up(
        &self,
        position: &TreePosition<K>,
        mut f: impl FnMut(&K, &V) -> bool,
    ) -> Option<TreePosition<K>> {
        loop {
            let fences = self.fences.load();
            let (at, lower) = match position {
                TreePosition::Start => (0, Bound::Unbounded),
                TreePosition::From(key) => (fences.index(key), Bound::Included(key)),
                TreePosition::Beyond(key) => (fences.index(key), Bound::Excluded(key)),
            };
            let guard = fences.leaves[at].read();
            let Some(map) = guard.as_ref() else { continue };
            let fence = fences.lows.get(at + 1);
            // A neighbour's range that this leaf took over meanwhile is left to the next part.
            let upper = fence.map_or(Bound::Unbounded, Bound::Excluded);
            if is_range(&lower, &upper) {
                let entries = map.range::<K, _>((lower, upper));
                touch::visit(entries, |(_, value)| value, |(key, value)| f(key, value));
            }
            return fence.cloned().map(TreePosition::From);
        }
    }

    /// The same downwards; `Beyond` means below, and `From` is not used.
    pub(crate) fn scan_down(
        &self,
        position: &TreePosition<K>,
        mut f: impl FnMut(&K, &V) -> bool,
    ) -> Option<TreePosition<K>> {
        loop {
            let fences = self.fences.load();
            let (at, upper) = match position {
                TreePosition::Start => (fences.leaves.len() - 1, Bound::Unbounded),
                TreePosition::From(key) => (fences.index(key), Bound::Included(key)),
                TreePosition::Beyond(key) => (fences.index_below(key), Bound::Excluded(key)),
            };
            let guard = fences.leaves[at].read();
            let Some(map) = guard.as_ref() else { continue };
            let lower = Bound::Included(&fences.lows[at]);
            if is_range(&lower, &upper) {
                let entries = map.range::<K, _>((lower, upper)).rev();
                touch::visit(entries, |(_, value)| value, |(key, value)| f(key, value));
            }
            let low = fences.lows[at].clone();
            return (at > 0).then_some(TreePosition::Beyond(low));
        }
    }

    /// Removes everything and runs `with` while nobody can read or write; what was there is
    /// returned, to be counted and dropped at leisure.
    pub(crate) fn detach<R>(&self, with: impl FnOnce() -> R) -> (Vec<BTreeMap<K, V>>, R) {
        let growing = self.growing.lock();
        let fences = self.fences.load_full();
        let mut held: Vec<_> = fences.leaves.iter().map(|leaf| leaf.write()).collect();
        let result = with();
        self.fences.store(Arc::new(Fences::of(BTreeMap::new())));
        let old = held.iter_mut().filter_map(|leaf| leaf.take()).collect();
        drop(held);
        drop(growing);
        (old, result)
    }

    /// Bytes of nodes and fences for `entries` entries, without what values point to.
    pub(crate) fn heap_bytes(&self, entries: usize) -> usize {
        // A B-tree's nodes are about three quarters full.
        let entry = size_of::<K>() + size_of::<V>();
        let fences = self.fences.load();
        entries * entry * 4 / 3
            + fences.lows.capacity() * (size_of::<K>() + size_of::<usize>())
            + fences.leaves.len() * size_of::<Leaf<K, V>>()
    }
}

/// Whether the bounds enclose anything; `BTreeMap::range` panics on those that cross.
fn is_range<K: Ord>(lower: &Bound<&K>, upper: &Bound<&K>) -> bool {
    match (lower, upper) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => true,
        (Bound::Included(low), Bound::Included(high)) => low <= high,
        (
            Bound::Included(low) | Bound::Excluded(low),
            Bound::Excluded(high) | Bound::Included(high),
        ) => low < high,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Touch for u32 {
        fn place(&self) -> *const u8 {
            std::ptr::null()
        }
    }

    fn key(number: u32) -> Key {
        Key::from_bytes(&number.to_be_bytes())
    }

    fn put(tree: &Tree<u32>, number: u32) {
        tree.alter(key(number), |_| (Alter::Insert(number), ()));
    }

    fn take(tree: &Tree<u32>, number: u32) {
        tree.alter(key(number), |_| (Alter::Remove, ()));
    }

    fn leaves(tree: &Tree<u32>) -> usize {
        tree.fences.load().leaves.len()
    }

    fn walk(
        start: TreePosition,
        step: impl Fn(&TreePosition, &mut dyn FnMut(u32)) -> Option<TreePosition>,
    ) -> Vec<u32> {
        let mut found = Vec::new();
        let mut position = Some(start);
        while let Some(from) = position {
            position = step(&from, &mut |number| found.push(number));
        }
        found
    }

    fn up(tree: &Tree<u32>, start: TreePosition) -> Vec<u32> {
        walk(start, |from, found| {
            tree.scan_up(from, |_, number| {
                found(*number);
                true
            })
        })
    }

    fn down(tree: &Tree<u32>, start: TreePosition) -> Vec<u32> {
        walk(start, |from, found| {
            tree.scan_down(from, |_, number| {
                found(*number);
                true
            })
        })
    }

    /// Even numbers below twice `count`, and how often that split.
    fn filled(count: u32) -> Tree<u32> {
        let tree = Tree::new();
        (0..count).for_each(|number| put(&tree, 2 * number));
        tree
    }

    #[test]
    fn walks_cross_leaves_both_ways_from_any_key() {
        let tree = filled(5_000);
        assert!(leaves(&tree) > 3, "ascending keys split leaves");
        for start in [0, 1, 2045, 2046, 2047, 2048, 4093, 9_998, 9_999, 20_000] {
            let above: Vec<u32> = (0..5_000).map(|n| 2 * n).filter(|n| *n > start).collect();
            assert_eq!(
                up(&tree, TreePosition::Beyond(key(start))),
                above,
                "up from {start}"
            );
            let below = (0..5_000).rev().map(|n| 2 * n).filter(|n| *n < start);
            let below: Vec<u32> = below.collect();
            assert_eq!(
                down(&tree, TreePosition::Beyond(key(start))),
                below,
                "down from {start}"
            );
            let from: Vec<u32> = (0..5_000).map(|n| 2 * n).filter(|n| *n >= start).collect();
            assert_eq!(
                up(&tree, TreePosition::From(key(start))),
                from,
                "up with {start}"
            );
        }
    }

    #[test]
    fn emptied_leaves_merge_whichever_goes_first() {
        for order in [0, 1, 2] {
            let tree = filled(5_000);
            let fences = tree.fences.load_full();
            let first = fences.lows.get(1).cloned().expect("several leaves");
            drop(fences);
            let mut numbers: Vec<u32> = (0..5_000).map(|number| 2 * number).collect();
            match order {
                1 => numbers.reverse(),
                2 => numbers.rotate_left(2_500),
                _ => {}
            }
            for number in numbers {
                take(&tree, number);
            }
            assert_eq!(leaves(&tree), 1, "order {order}");
            assert!(
                tree.fences
                    .load()
                    .lows
                    .iter()
                    .all(|low| low.as_bytes().is_empty())
            );
            put(&tree, 1);
            assert_eq!(tree.read(&key(1), |number| *number), Some(1));
            assert_eq!(up(&tree, TreePosition::From(first)), []);
            assert_eq!(down(&tree, TreePosition::Start), [1]);
        }
    }

    #[test]
    fn a_range_that_crosses_is_empty_and_no_panic() {
        let tree = filled(10);
        assert_eq!(up(&tree, TreePosition::Beyond(key(18))), []);
        assert_eq!(down(&tree, TreePosition::Beyond(key(0))), []);
        assert_eq!(down(&tree, TreePosition::Beyond(Key::from_bytes(&[]))), []);
        assert_eq!(up(&Tree::<u32>::new(), TreePosition::Start), []);
    }

    #[test]
    fn a_detached_tree_is_empty_and_goes_on() {
        let tree = filled(3_000);
        let (old, told) = tree.detach(|| "held");
        assert_eq!(
            (old.iter().map(BTreeMap::len).sum::<usize>(), told),
            (3_000, "held")
        );
        assert_eq!((leaves(&tree), up(&tree, TreePosition::Start)), (1, vec![]));
        put(&tree, 7);
        assert_eq!(up(&tree, TreePosition::Start), [7]);
    }
}
