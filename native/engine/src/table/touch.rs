//! Going over rows whose memory is scattered: the next ones are on their way to the cache while
//! one is looked at.
//!
//! Asking for memory ahead takes a processor's instruction, which safe code has not: a host
//! gives it. Without one, walks are the same but wait for each row.
//!
//! Never here: which rows, and what is done with them.

use std::sync::OnceLock;

use magnesia_term::Row;

/// Rows that are on their way: what the memory delivers side by side.
const AHEAD: usize = 16;

/// Asks for the memory at a place, which may be dangling, without waiting for it.
pub type Fetch = fn(*const u8);

static FETCH: OnceLock<Fetch> = OnceLock::new();

/// Makes this the way to ask for memory; only the first one given counts.
pub fn install(fetch: Fetch) {
    FETCH.get_or_init(|| fetch);
}

/// Something that has its bytes elsewhere.
pub(crate) trait Touch {
    /// Where they are, found without a look at them.
    fn place(&self) -> *const u8;
}

impl Touch for Row {
    #[inline]
    fn place(&self) -> *const u8 {
        Row::place(self)
    }
}

/// Calls `f` on each item in turn until it says stop; says whether it never did.
#[inline]
pub(crate) fn visit<'a, T: Copy, R: Touch + 'a>(
    mut items: impl Iterator<Item = T>,
    row_of: impl Fn(T) -> &'a R,
    mut f: impl FnMut(T) -> bool,
) -> bool {
    // Whoever wants one row and no more doesn't pay for asking ahead.
    match items.next() {
        Some(first) if !f(first) => return false,
        Some(_) => {}
        None => return true,
    }
    let Some(&fetch) = FETCH.get() else {
        return items.all(f);
    };
    let mut asked: [Option<T>; AHEAD] = [None; AHEAD];
    let mut at = 0;
    for item in items {
        fetch(row_of(item).place());
        let due = asked[at].replace(item);
        at = (at + 1) % AHEAD;
        if due.is_some_and(|due| !f(due)) {
            return false;
        }
    }
    let (late, early) = asked.split_at(at);
    early.iter().chain(late).flatten().all(|&due| f(due))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    thread_local! {
        static ASKED: RefCell<Vec<*const u8>> = const { RefCell::new(Vec::new()) };
    }

    struct Item([u8; 1]);

    impl Touch for Item {
        fn place(&self) -> *const u8 {
            self.0.as_ptr()
        }
    }

    #[test]
    fn every_item_is_shown_in_turn_once_until_a_stop_and_asked_for_before() {
        install(|place| ASKED.with_borrow_mut(|asked| asked.push(place)));
        let items: Vec<Item> = (0..3 * AHEAD).map(|_| Item([0])).collect();
        for length in 0..=items.len() {
            for stop in 0..=length {
                ASKED.take();
                let mut shown = Vec::new();
                let is_whole = visit(
                    items[..length].iter(),
                    |item| item,
                    |item| {
                        let is_asked = ASKED.with_borrow(|asked| asked.contains(&item.place()));
                        assert!(is_asked || shown.is_empty(), "{length}, {stop}");
                        shown.push(item.place());
                        shown.len() != stop
                    },
                );
                let seen = if stop == 0 { length } else { stop };
                let expected = items[..seen].iter().map(Touch::place);
                assert!(shown.iter().copied().eq(expected), "{length}, {stop}");
                assert_eq!(is_whole, stop == 0, "{length}, {stop}");
                let asked = ASKED.take();
                assert!(
                    asked.len() <= seen + AHEAD,
                    "no more than that is asked for ahead"
                );
            }
        }
    }
}
