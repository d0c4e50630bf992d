//! What keys had when a line was drawn.
//!
//! Whoever copies a table while writes go on draws a line first; from then on the first change
//! of a key keeps the rows that the line saw. There are two kinds of lines.
//!
//! A dump's line is for bags in memory alone. Replaying the records after the line over rows
//! that have seen some of them already gives the same rows, but for one thing: the order of one
//! key's rows in a bag, where a row that is written again keeps its place. A key that the dump
//! does not find is in no need of it: replaying from nothing leads to the same order from there
//! on.
//!
//! A checkpoint's line is for tables of every kind: what it saw is read by [`Since`] for as long
//! as the line is there, exactly as it was. Where it is read once, a key of a set keeps nothing
//! any more when its part has been read.
//!
//! A writer puts what it keeps behind what was kept before, and goes on. Which of it is of keys
//! that are kept already is found out when somebody reads, or when it has become too much.
//!
//! Never here: choosing the moment. Lines of several tables see one moment when nobody commits
//! while they are drawn, which the caller sees to.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use foldhash::fast::FixedState;
use magnesia_term::key::{self, Flavour};
use magnesia_term::{Row, hash, order};
use parking_lot::{Mutex, MutexGuard};

use super::body::{Body, Store};
use super::walk::{At, Direction, Position};
use crate::error::TableError;

/// Parts of a line, each under its own lock.
const SHARDS: usize = 64;
/// What a part takes before it is looked at: changes, and bytes of their rows.
const FRESH_MAX: usize = 256;
const FRESH_BYTES_MAX: usize = 64 << 10;
/// No part has been read for the only time, or the first is about to be.
const UNREAD: u64 = 0;
const BEGUN: u64 = 1;
/// The clock of a line that nobody has read.
const FIRST: u64 = 1;

/// Rows of keys that were changed since a moment.
pub struct Line {
    flavour: Flavour,
    shards: Vec<Mutex<Shard>>,
    is_touched: AtomicBool,
    /// Keys of a set with a hash below this have been read for the only time.
    read_below: AtomicU64,
    /// Counts the parts that were read by whoever goes over the table as the line saw it.
    clock: AtomicU64,
}

/// Keys are found by their hash; those whose hash another key has, by their bytes.
#[derive(Default)]
struct Shard {
    /// What was kept last, in its order, of keys that may be kept already.
    fresh: Vec<(u64, Kept)>,
    fresh_bytes: usize,
    by_hash: HashMap<u64, Kept, FixedState>,
    others: BTreeMap<Vec<u8>, Kept>,
}

struct Kept {
    what: What,
    /// The clock when it was kept.
    at: u64,
    /// The reading that has shown it last.
    shown: u64,
}

/// What a key had.
pub(super) enum What {
    /// Nothing; the packed key.
    Nothing(Box<[u8]>),
    Row(Row),
    /// More than one row.
    Rows(Vec<Row>),
}

impl What {
    pub(super) fn of(key: &[u8], rows: &[Row]) -> Self {
        match rows {
            [] => Self::Nothing(key.into()),
            [row] => Self::Row(row.clone()),
            rows => Self::Rows(rows.to_vec()),
        }
    }

    fn rows(&self) -> &[Row] {
        match self {
            Self::Nothing(_) => &[],
            Self::Row(row) => std::slice::from_ref(row),
            Self::Rows(rows) => rows,
        }
    }

    fn key(&self) -> &[u8] {
        match self {
            Self::Nothing(key) => key,
            Self::Row(row) => row.key(),
            Self::Rows(rows) => rows.first().map_or(&[], Row::key),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Nothing(key) => key.len(),
            _ => self.rows().iter().map(|row| row.body().len()).sum(),
        }
    }
}

/// Whether two packed keys are one key.
fn is_same(a: &[u8], b: &[u8], flavour: Flavour) -> bool {
    a == b
        || match flavour {
            Flavour::Exact => order::equal_exact(a, b),
            Flavour::Numeric => order::compare(a, b).is_eq(),
        }
}

/// A packed key with how it is found.
struct Sought<'a> {
    key: &'a [u8],
    flavour: Flavour,
    hash: u64,
}

impl<'a> Sought<'a> {
    fn new(key: &'a [u8], flavour: Flavour) -> Self {
        let hash = match flavour {
            Flavour::Exact => hash::hash(key),
            Flavour::Numeric => FixedState::default().hash_one(bytes_of(key, flavour)),
        };
        Self { key, flavour, hash }
    }

    fn is(&self, key: &[u8]) -> bool {
        is_same(self.key, key, self.flavour)
    }
}

impl Shard {
    fn find(&mut self, sought: &Sought<'_>) -> Option<&mut Kept> {
        match self.by_hash.get_mut(&sought.hash) {
            Some(kept) if sought.is(kept.what.key()) => Some(kept),
            Some(_) => self.others.get_mut(&bytes_of(sought.key, sought.flavour)),
            None => None,
        }
    }

    fn keep(&mut self, hash: u64, kept: Kept, flavour: Flavour) {
        self.fresh_bytes += kept.what.bytes();
        self.fresh.push((hash, kept));
        if self.fresh.len() >= FRESH_MAX || self.fresh_bytes >= FRESH_BYTES_MAX {
            self.settle(flavour);
        }
    }

    /// Puts what was kept last to the rest; of a key, what was kept first stays.
    fn settle(&mut self, flavour: Flavour) {
        let mut fresh = std::mem::take(&mut self.fresh);
        for (hash, kept) in fresh.drain(..) {
            let key = kept.what.key();
            match self.by_hash.entry(hash) {
                Entry::Vacant(place) => {
                    place.insert(kept);
                }
                Entry::Occupied(there) if is_same(key, there.get().what.key(), flavour) => {}
                Entry::Occupied(_) => {
                    let bytes = bytes_of(key, flavour);
                    self.others.entry(bytes).or_insert(kept);
                }
            }
        }
        self.fresh = fresh;
        self.fresh_bytes = 0;
    }

    fn each(&self) -> impl Iterator<Item = &Kept> {
        self.by_hash.values().chain(self.others.values())
    }
}

impl Line {
    fn new(flavour: Flavour) -> Self {
        Self {
            flavour,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            is_touched: AtomicBool::new(false),
            read_below: AtomicU64::new(UNREAD),
            clock: AtomicU64::new(FIRST),
        }
    }

    /// Number of keys whose rows are kept.
    #[must_use]
    pub fn keys(&self) -> usize {
        let count = |number| {
            let shard = self.settled(number);
            shard.by_hash.len() + shard.others.len()
        };
        (0..SHARDS).map(count).sum()
    }

    fn shard_of(sought: &Sought<'_>) -> usize {
        (sought.hash >> 32) as usize % SHARDS
    }

    /// A shard, all of it looked at.
    fn settled(&self, number: usize) -> MutexGuard<'_, Shard> {
        let mut shard = self.shards[number].lock();
        shard.settle(self.flavour);
        shard
    }

    fn keep(&self, sought: &Sought<'_>, what: &dyn Fn() -> What) {
        let mut shard = self.shards[Self::shard_of(sought)].lock();
        let kept = Kept {
            what: what(),
            at: self.clock.load(Ordering::Acquire),
            shown: 0,
        };
        shard.keep(sought.hash, kept, self.flavour);
        if !self.is_touched.load(Ordering::Relaxed) {
            self.is_touched.store(true, Ordering::Release);
        }
    }

    /// The parts before a place have been read for the only time.
    fn read_to(&self, next: Option<&Position>) {
        let below = match next.map(|next| &next.0) {
            None => u64::MAX,
            Some(At::Hash(next)) => u64::from(next.hash),
            Some(_) => return,
        };
        self.read_below.fetch_max(below, Ordering::Release);
    }

    fn is_touched(&self) -> bool {
        self.is_touched.load(Ordering::Acquire)
    }

    fn rows_of(&self, key: &[u8], flavour: Flavour, reading: u64) -> Option<Vec<Row>> {
        if !self.is_touched() {
            return None;
        }
        let sought = Sought::new(key, flavour);
        let mut shard = self.settled(Self::shard_of(&sought));
        let found = shard.find(&sought)?;
        found.shown = reading;
        Some(found.what.rows().to_vec())
    }
}

/// The key bytes of a packed key; numbers that are one key of an ordered table have one.
fn bytes_of(key: &[u8], flavour: Flavour) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.len() + 8);
    key::encode(key, flavour, &mut bytes);
    bytes
}

/// The lines of a table.
#[derive(Default)]
pub(crate) struct Before {
    is_kept: AtomicBool,
    lines: ArcSwap<Vec<Arc<Line>>>,
    /// Held by whoever replaces `lines`.
    changing: Mutex<()>,
    of_dump: Mutex<Option<Arc<Line>>>,
}

impl Before {
    /// Whether there is a line; told right under the lock that keeps readers of a key away.
    #[inline]
    pub(crate) fn is_kept(&self) -> bool {
        self.is_kept.load(Ordering::Acquire)
    }

    /// Whether all lines have been read where a row of a set is, and are not read again.
    fn is_read(&self, row: &Row) -> bool {
        let hash = u64::from(row.hash());
        let lines = self.lines.load();
        let is_read = |line: &Arc<Line>| hash < line.read_below.load(Ordering::Acquire);
        lines.iter().all(is_read)
    }

    /// To be called before a key's rows change, under the lock that keeps readers away.
    pub(super) fn note(&self, key: &[u8], flavour: Flavour, what: &dyn Fn() -> What) {
        let sought = Sought::new(key, flavour);
        for line in self.lines.load().iter() {
            line.keep(&sought, what);
        }
    }

    /// Draws a line; `f` is run under the lock.
    fn draw(&self, flavour: Flavour, f: impl FnOnce()) -> Arc<Line> {
        let line = Arc::new(Line::new(flavour));
        let changing = self.changing.lock();
        let mut lines = Vec::clone(&self.lines.load());
        lines.push(Arc::clone(&line));
        self.lines.store(Arc::new(lines));
        self.is_kept.store(true, Ordering::Release);
        f();
        drop(changing);
        line
    }

    /// Takes a line away; `f` is told under the lock whether any is left.
    fn erase(&self, line: &Arc<Line>, f: impl FnOnce(bool)) {
        let changing = self.changing.lock();
        let mut lines = Vec::clone(&self.lines.load());
        lines.retain(|there| !Arc::ptr_eq(there, line));
        let is_any = !lines.is_empty();
        self.lines.store(Arc::new(lines));
        self.is_kept.store(is_any, Ordering::Release);
        f(is_any);
        drop(changing);
    }
}

impl Body {
    pub(super) fn flavour(&self) -> Flavour {
        if self.is_ordered() {
            Flavour::Numeric
        } else {
            Flavour::Exact
        }
    }

    /// To be called before the row of a set's key changes, under the lock that keeps readers away.
    pub(super) fn note_row(&self, old: Option<&Row>, new: Option<&Row>) {
        if let Some(row) = old.or(new) {
            let is_set = matches!(self.store, Store::Set(_));
            if is_set && self.before.is_read(row) {
                return;
            }
            let what = || match old {
                Some(old) => What::Row(old.clone()),
                None => What::Nothing(row.key().into()),
            };
            self.before.note(row.key(), self.flavour(), &what);
        }
    }

    /// The same for all rows of a key.
    #[inline]
    pub(super) fn note_rows(&self, key: &[u8], rows: &[Row]) {
        if self.before.is_kept() {
            let what = || What::of(key, rows);
            self.before.note(key, self.flavour(), &what);
        }
    }

    /// From now on a bag keeps, for a dump, what the keys that are changed had. No write may be
    /// under way.
    pub fn draw_line(&self) {
        if matches!(self.store, Store::Bag(_)) {
            *self.before.of_dump.lock() = Some(self.before.draw(self.flavour(), || {}));
        }
    }

    /// The rows that a key had at the dump's line; none when it was not changed since.
    #[must_use]
    pub fn at_line(&self, key: &[u8]) -> Option<Vec<Row>> {
        let line = self.before.of_dump.lock().clone()?;
        line.rows_of(key, Flavour::Exact, 0)
    }

    /// Forgets the dump's line.
    pub fn forget_line(&self) {
        if let Some(line) = self.before.of_dump.lock().take() {
            self.before.erase(&line, |_| {});
        }
    }

    /// From now on every key that is changed keeps what it had, until [`Body::forget_since`].
    #[must_use]
    pub fn draw_since(&self) -> Arc<Line> {
        self.before
            .draw(self.flavour(), || self.follow_writes(true))
    }

    /// Forgets a line; what it kept goes with the last reference to it.
    pub fn forget_since(&self, line: &Arc<Line>) {
        self.before.erase(line, |is_any| self.follow_writes(is_any));
    }

    /// Keeps the rows of all keys for the lines there are: to be called before all rows go at
    /// once. Returns whether there was any line; no new one may be drawn in between.
    ///
    /// # Errors
    /// When the rows are on disk and the disk fails.
    pub fn keep_all(&self) -> Result<bool, TableError> {
        if !self.before.is_kept() {
            return Ok(false);
        }
        let mut position = Some(Position::START);
        while let Some(from) = position {
            // Of a bag's key all rows come in one part, one after the other.
            let mut of_key: Vec<Row> = Vec::new();
            position = self.walk(&from, Direction::Up, &mut |row| {
                if of_key.first().is_some_and(|first| first.key() != row.key()) {
                    self.note_rows(of_key[0].key(), &of_key);
                    of_key.clear();
                }
                of_key.push(row.clone());
                true
            })?;
            if let Some(first) = of_key.first() {
                self.note_rows(first.key(), &of_key);
            }
        }
        Ok(true)
    }
}

/// Goes over a table as a line saw it, a part at a time: each row once, whatever is written
/// meanwhile.
///
/// First come the parts of the table as they are met, each key with the rows that are kept of it
/// where it was changed. Then come the rows of those keys that were gone from their part before
/// it was met: the clock tells them from keys that were changed after it was met.
pub struct Since {
    body: Arc<Body>,
    line: Arc<Line>,
    reading: u64,
    /// Whether nobody reads the line again.
    is_last: bool,
    next: Option<Position>,
    /// Where each part ended, and the clock then.
    parts: Vec<(Option<Position>, u64)>,
    shard: usize,
}

impl Since {
    /// Begins to go over `body` as `line`, which was drawn in it, saw it; or not when that is read
    /// for the only time already. With `is_last` this is the only time, unless it was read before.
    #[must_use]
    pub fn begin(body: Arc<Body>, line: Arc<Line>, is_last: bool) -> Option<Self> {
        // Of two who begin at once, one sees the other: by the mark, or by the clock.
        let mark = |from, to| {
            line.read_below
                .compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
        };
        if !is_last && line.read_below.load(Ordering::SeqCst) != UNREAD {
            return None;
        }
        if is_last && !mark(UNREAD, BEGUN) {
            return None;
        }
        let before = line.clock.fetch_add(1, Ordering::SeqCst);
        if !is_last && line.read_below.load(Ordering::SeqCst) != UNREAD {
            return None;
        }
        let is_last = is_last && before == FIRST;
        if !is_last {
            mark(BEGUN, UNREAD);
        }
        Some(Self {
            body,
            line,
            reading: before + 1,
            is_last,
            next: Some(Position::START),
            parts: Vec::new(),
            shard: 0,
        })
    }

    /// Some more rows, or none after the last. A part may be empty.
    ///
    /// # Errors
    /// When the rows are on disk and the disk fails.
    pub fn part(&mut self) -> Result<Option<Vec<Row>>, TableError> {
        if let Some(from) = self.next.take() {
            let mut rows: Vec<Row> = Vec::new();
            self.next = self.body.walk(&from, Direction::Up, &mut |row| {
                rows.push(row.clone());
                true
            })?;
            let clock = self.line.clock.fetch_add(1, Ordering::AcqRel);
            self.parts.push((self.next.clone(), clock));
            if self.is_last {
                self.line.read_to(self.next.as_ref());
            }
            return Ok(Some(self.as_seen(rows)));
        }
        if self.shard == SHARDS {
            return Ok(None);
        }
        let kept = self.line.settled(self.shard);
        self.shard += 1;
        let missed = kept.each().filter(|kept| self.is_missed(kept));
        let rows = missed.flat_map(|kept| kept.what.rows()).cloned();
        Ok(Some(rows.collect()))
    }

    /// Puts the rows that the line saw in the place of those of keys that were changed since.
    fn as_seen(&self, rows: Vec<Row>) -> Vec<Row> {
        if !self.line.is_touched() {
            return rows;
        }
        let mut seen = Vec::with_capacity(rows.len());
        let flavour = self.body.flavour();
        for of_key in rows.chunk_by(|a, b| a.key() == b.key()) {
            let key = of_key.first().map_or(&[][..], Row::key);
            match self.line.rows_of(key, flavour, self.reading) {
                Some(kept) => seen.extend(kept),
                None => seen.extend_from_slice(of_key),
            }
        }
        seen
    }

    /// Whether a key was not in its part any more when that was met.
    fn is_missed(&self, kept: &Kept) -> bool {
        let Some(row) = kept.what.rows().first() else {
            return false;
        };
        if kept.shown == self.reading {
            return false;
        }
        let part = self.parts.partition_point(|(end, _)| {
            end.as_ref()
                .is_some_and(|end| !self.body.is_within(row, end))
        });
        self.parts
            .get(part)
            .is_some_and(|(_, clock)| kept.at <= *clock)
    }
}

/// What became of a key between two lines.
pub struct Change {
    /// The packed key.
    pub key: Box<[u8]>,
    /// Its rows as the later line saw them.
    pub rows: Vec<Row>,
}

/// Goes over the keys of a table that were changed between two lines, a part at a time; perhaps
/// over some that were changed after the later one only.
pub struct Changes {
    body: Arc<Body>,
    from: Arc<Line>,
    to: Arc<Line>,
    shard: usize,
}

impl Changes {
    /// Begins; both lines were drawn in `body`, `from` first.
    #[must_use]
    pub fn begin(body: Arc<Body>, from: Arc<Line>, to: Arc<Line>) -> Self {
        Self {
            body,
            from,
            to,
            shard: 0,
        }
    }

    /// Some more, or none after the last.
    ///
    /// # Errors
    /// When the rows are on disk and the disk fails.
    pub fn part(&mut self) -> Result<Option<Vec<Change>>, TableError> {
        if self.shard == SHARDS {
            return Ok(None);
        }
        let shard = self.from.settled(self.shard);
        self.shard += 1;
        let keys: Vec<Box<[u8]>> = shard.each().map(|k| k.what.key().into()).collect();
        drop(shard);
        let flavour = self.body.flavour();
        let change = |key: Box<[u8]>| {
            let mut rows = Vec::new();
            self.body.read(&key, |row| rows.push(row.clone()))?;
            // Looked at after the table: a change that the table has is kept here.
            if let Some(kept) = self.to.rows_of(&key, flavour, 0) {
                rows = kept;
            }
            Ok(Change { key, rows })
        };
        keys.into_iter()
            .map(change)
            .collect::<Result<_, _>>()
            .map(Some)
    }
}
