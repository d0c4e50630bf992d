//! Fixed tables: while a table is fixed, a step goes on from a key that was deleted meanwhile, as
//! in `ets`, and from no key that never was.
//!
//! So the keys deleted in that time are kept, as `ets` keeps their rows; they go with the last
//! end. Never here: positions, rows.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use magnesia_term::order;
use parking_lot::Mutex;

/// How often a table is fixed, and what was deleted since it first was.
#[derive(Default)]
pub(crate) struct Fixes {
    count: AtomicUsize,
    gone: Mutex<Gone>,
}

#[derive(Default)]
struct Gone {
    /// Everything that was there was deleted at once.
    is_all: bool,
    keys: HashSet<Box<[u8]>>,
}

impl Fixes {
    /// Begins or ends a time; an end without a beginning changes nothing.
    pub(super) fn fix(&self, is_fixed: bool) {
        let mut gone = self.gone.lock();
        let count = self.count.load(Ordering::Relaxed);
        let count = if is_fixed {
            count.saturating_add(1)
        } else {
            count.saturating_sub(1)
        };
        self.count.store(count, Ordering::Relaxed);
        if count == 0 {
            *gone = Gone::default();
        }
    }

    /// Notes that a key is about to be deleted.
    #[inline]
    pub(super) fn note(&self, key: &[u8]) {
        if self.count.load(Ordering::Relaxed) > 0 {
            self.keep(key);
        }
    }

    #[cold]
    fn keep(&self, key: &[u8]) {
        let mut gone = self.gone.lock();
        // Asked again under the lock: what is kept after the last end would stay.
        if self.count.load(Ordering::Relaxed) > 0 {
            gone.keys.insert(order::canonical(key).as_ref().into());
        }
    }

    /// Notes that everything is about to be deleted.
    pub(super) fn note_all(&self) {
        let mut gone = self.gone.lock();
        gone.is_all = self.count.load(Ordering::Relaxed) > 0;
    }

    /// Whether a step may go on from a key that isn't there.
    pub(super) fn was_there(&self, key: &[u8]) -> bool {
        let gone = self.gone.lock();
        gone.is_all || gone.keys.contains(order::canonical(key).as_ref())
    }
}

#[cfg(test)]
mod tests {
    use magnesia_term::{Packer, Row};

    use crate::TableError;
    use crate::schema::Kind;
    use crate::table::{Body, Direction};

    fn key(number: i64) -> Vec<u8> {
        let mut packer = Packer::new();
        packer.int(number);
        packer.into_bytes()
    }

    fn row(body: &Body, number: i64) -> Row {
        body.row(2, &[key(number), key(0)].concat())
    }

    fn is_refused(body: &Body, number: i64) -> bool {
        let next = body.next_key(&key(number), Direction::Up);
        matches!(next, Err(TableError::NoSuchKey))
    }

    #[test]
    fn a_step_goes_on_from_what_was_deleted_while_fixed_and_from_nothing_else() {
        for kind in [Kind::Set, Kind::Bag] {
            let body = Body::in_memory(kind);
            for number in 0..10 {
                body.write(row(&body, number)).expect("memory");
            }
            body.delete(&key(1)).expect("memory");
            body.fix(true);
            body.fix(true);
            body.delete(&key(2)).expect("memory");
            body.delete_object(&row(&body, 3)).expect("memory");
            body.delete(&key(77)).expect("memory");
            assert!(!is_refused(&body, 2) && !is_refused(&body, 3), "{kind:?}");
            assert!(is_refused(&body, 1), "{kind:?}: deleted before");
            assert!(is_refused(&body, 77), "{kind:?}: never was there");
            body.fix(false);
            assert!(!is_refused(&body, 2), "{kind:?}: fixed twice, let go once");
            body.fix(false);
            body.fix(false);
            assert!(is_refused(&body, 2), "{kind:?}: fixed no more");
            body.fix(true);
            body.release(body.detach().expect("memory"));
            assert!(!is_refused(&body, 5), "{kind:?}: cleared");
            body.fix(false);
            assert!(is_refused(&body, 5), "{kind:?}: cleared, and fixed no more");
        }
    }
}
