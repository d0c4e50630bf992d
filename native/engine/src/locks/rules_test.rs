//! Each rule of the lock table as one test, single-threaded, and Mnesia's concurrency quirks.

use std::sync::Arc;
use std::sync::Mutex;

use super::*;

/// Collects wake-ups instead of sending them.
#[derive(Default)]
pub(super) struct Post(Mutex<Vec<(u64, u64, Wakeup)>>);

impl Wake for Post {
    fn wake(&self, owner: OwnerId, token: u64, what: Wakeup) {
        self.0
            .lock()
            .expect("not poisoned")
            .push((owner.0, token, what));
    }
}

impl Post {
    pub(super) fn take(&self) -> Vec<(u64, u64, Wakeup)> {
        std::mem::take(&mut *self.0.lock().expect("not poisoned"))
    }
}

fn setup() -> (Arc<Post>, LockTable) {
    let post = Arc::new(Post::default());
    (Arc::clone(&post), LockTable::new(post))
}

/// A transaction whose owner has the number of its counter.
fn begin(table: &LockTable, counter: u64) -> Holder {
    table.begin(Tid { counter, node: 0 }, OwnerId(counter))
}

fn tid(counter: u64) -> Tid {
    Tid { counter, node: 0 }
}

fn record(key: &[u8]) -> Item<'_> {
    let hash = key.iter().map(|&b| u64::from(b)).sum();
    Item::Record {
        table: 1,
        key,
        hash,
    }
}

fn token_of(outcome: Outcome) -> u64 {
    match outcome {
        Outcome::Wait { token } => token,
        other => panic!("expected a wait, got {other:?}"),
    }
}

const GRANTED: Outcome = Outcome::Granted;
const T: Item<'static> = Item::Table(1);

#[test]
fn readers_share_and_a_writer_is_alone() {
    let (_, table) = setup();
    let (mut a, mut b, mut c) = (begin(&table, 1), begin(&table, 2), begin(&table, 3));
    assert_eq!(table.acquire(&mut a, record(b"x"), Kind::Read), GRANTED);
    assert_eq!(table.acquire(&mut b, record(b"x"), Kind::Read), GRANTED);
    let refused = table.acquire(&mut c, record(b"x"), Kind::Write);
    assert_eq!(refused, Outcome::Die { blocker: tid(1) });
    assert_eq!(table.acquire(&mut c, record(b"y"), Kind::Write), GRANTED);
    let refused = table.acquire(&mut c, record(b"x"), Kind::Write);
    assert_eq!(refused, Outcome::Die { blocker: tid(1) });
    for mut tx in [a, b, c] {
        table.release_all(&mut tx, Until::End);
    }
    assert!(table.is_empty());
}

/// Quirks 136 and 140: the older one queues for as long as it takes, the younger is undisturbed.
#[test]
fn an_older_requester_waits_for_a_younger_holder() {
    let (post, table) = setup();
    let (mut old, mut young) = (begin(&table, 1), begin(&table, 2));
    assert_eq!(
        table.acquire(&mut young, record(b"x"), Kind::Write),
        GRANTED
    );
    let token = token_of(table.acquire(&mut old, record(b"x"), Kind::Write));
    assert!(old.is_waiting());
    assert_eq!(
        table.acquire(&mut old, record(b"x"), Kind::Write),
        Outcome::Wait { token }
    );
    assert_eq!(post.take(), []);
    table.release_all(&mut young, Until::End);
    assert_eq!(post.take(), [(1, token, Wakeup::Granted)]);
    assert_eq!(table.acquire(&mut old, record(b"x"), Kind::Write), GRANTED);
    assert!(!old.is_waiting());
    table.release_all(&mut old, Until::End);
    assert!(table.is_empty());
}

/// Quirk 137: the younger one is restarted, here once and not again and again.
#[test]
fn a_younger_requester_is_refused_and_woken_when_the_blocker_is_gone() {
    let (post, table) = setup();
    let (mut old, mut young) = (begin(&table, 1), begin(&table, 2));
    assert_eq!(table.acquire(&mut old, record(b"x"), Kind::Write), GRANTED);
    assert_eq!(
        table.acquire(&mut young, record(b"z"), Kind::Write),
        GRANTED
    );
    let refused = table.acquire(&mut young, record(b"x"), Kind::Read);
    assert_eq!(refused, Outcome::Die { blocker: tid(1) });
    let Await::Wait { token } = table.await_end(&mut young) else {
        panic!("the blocker lives")
    };
    assert!(!young.holds_any());
    assert_eq!(table.held().len(), 1);
    table.release_all(&mut old, Until::End);
    assert_eq!(post.take(), [(2, token, Wakeup::BlockerGone)]);
    assert_eq!(table.acquire(&mut young, record(b"x"), Kind::Read), GRANTED);
    table.release_all(&mut young, Until::End);
    assert!(table.is_empty());
}

/// Quirk 134: opposite orders do not deadlock; both come through.
#[test]
fn opposite_orders_restart_the_younger() {
    let (post, table) = setup();
    let (mut one, mut two) = (begin(&table, 1), begin(&table, 2));
    assert_eq!(table.acquire(&mut one, record(b"x"), Kind::Write), GRANTED);
    assert_eq!(table.acquire(&mut two, record(b"y"), Kind::Write), GRANTED);
    let waits = token_of(table.acquire(&mut one, record(b"y"), Kind::Write));
    let refused = table.acquire(&mut two, record(b"x"), Kind::Write);
    assert_eq!(refused, Outcome::Die { blocker: tid(1) });
    let Await::Wait { token } = table.await_end(&mut two) else {
        panic!("one is alive")
    };
    assert_eq!(post.take(), [(1, waits, Wakeup::Granted)]);
    table.release_all(&mut one, Until::End);
    assert_eq!(post.take(), [(2, token, Wakeup::BlockerGone)]);
    assert_eq!(table.acquire(&mut two, record(b"y"), Kind::Write), GRANTED);
    assert_eq!(table.acquire(&mut two, record(b"x"), Kind::Write), GRANTED);
    table.release_all(&mut two, Until::End);
    assert!(table.is_empty());
}

/// Quirk 135: with no retries left the refused one just ends; nothing of it stays.
#[test]
fn a_refused_one_may_give_up() {
    let (post, table) = setup();
    let (mut old, mut young) = (begin(&table, 1), begin(&table, 2));
    assert_eq!(table.acquire(&mut old, record(b"x"), Kind::Write), GRANTED);
    let refused = table.acquire(&mut young, record(b"x"), Kind::Write);
    assert_eq!(refused, Outcome::Die { blocker: tid(1) });
    table.release_all(&mut young, Until::End);
    table.release_all(&mut old, Until::End);
    assert_eq!(post.take(), []);
    assert!(table.is_empty());
}

#[test]
fn a_blocker_that_left_in_between_is_not_waited_for() {
    let (post, table) = setup();
    let (mut old, mut young) = (begin(&table, 1), begin(&table, 2));
    assert_eq!(table.acquire(&mut old, record(b"x"), Kind::Write), GRANTED);
    let refused = table.acquire(&mut young, record(b"x"), Kind::Write);
    assert_eq!(refused, Outcome::Die { blocker: tid(1) });
    table.release_all(&mut old, Until::End);
    assert_eq!(table.await_end(&mut young), Await::Ended);
    assert_eq!(post.take(), []);
    assert!(table.is_empty());
}

/// Quirk 141: of two readers which both want to write the younger is restarted.
#[test]
fn an_upgrade_conflicts_with_other_readers_only() {
    let (post, table) = setup();
    let (mut one, mut two) = (begin(&table, 1), begin(&table, 2));
    assert_eq!(table.acquire(&mut one, record(b"x"), Kind::Read), GRANTED);
    assert_eq!(table.acquire(&mut two, record(b"x"), Kind::Read), GRANTED);
    let refused = table.acquire(&mut two, record(b"x"), Kind::Write);
    assert_eq!(refused, Outcome::Die { blocker: tid(1) });
    let token = token_of(table.acquire(&mut one, record(b"x"), Kind::Write));
    let Await::Wait { .. } = table.await_end(&mut two) else {
        panic!("one is alive")
    };
    assert_eq!(post.take(), [(1, token, Wakeup::Granted)]);
    assert_eq!(table.acquire(&mut one, record(b"x"), Kind::Write), GRANTED);
    let held: Vec<_> = table.held().into_iter().map(|h| (h.kind, h.tid)).collect();
    assert_eq!(held, [(Kind::Read, tid(1)), (Kind::Write, tid(1))]);
    table.release_all(&mut one, Until::End);
    assert_eq!(table.acquire(&mut two, record(b"x"), Kind::Read), GRANTED);
    assert_eq!(table.acquire(&mut two, record(b"x"), Kind::Write), GRANTED);
    table.release_all(&mut two, Until::End);
    assert!(table.is_empty());
}

#[test]
fn what_is_held_as_strongly_is_granted_again() {
    let (_, table) = setup();
    let mut tx = begin(&table, 1);
    for (item, kind) in [
        (record(b"x"), Kind::Write),
        (record(b"x"), Kind::Read),
        (record(b"x"), Kind::Write),
        (T, Kind::Read),
        (T, Kind::Read),
        (record(b"y"), Kind::Read),
    ] {
        assert_eq!(table.acquire(&mut tx, item, kind), GRANTED);
    }
    let held: Vec<_> = table.held().into_iter().map(|h| (h.item, h.kind)).collect();
    let x = OwnedItem::Record {
        table: 1,
        key: b"x".to_vec(),
    };
    assert_eq!(held, [(x, Kind::Write), (OwnedItem::Table(1), Kind::Read)]);
    table.release_all(&mut tx, Until::End);
    table.release_all(&mut tx, Until::End);
    assert!(table.is_empty());
}

/// Of terms alone, a read lock that was asked for after the write lock is listed too.
#[test]
fn a_term_is_listed_for_reading_whenever_that_was_asked_for() {
    let (_, table) = setup();
    let mut tx = begin(&table, 1);
    let global = Item::Global {
        key: b"x",
        hash: 120,
    };
    for (item, read_after) in [(record(b"x"), false), (global, true), (T, false)] {
        for kinds in [[Kind::Read, Kind::Write], [Kind::Write, Kind::Read]] {
            for kind in kinds {
                assert_eq!(table.acquire(&mut tx, item, kind), GRANTED);
            }
            let held: Vec<_> = table.held().into_iter().map(|held| held.kind).collect();
            let both = kinds[0] == Kind::Read || read_after;
            let expected = [Kind::Read, Kind::Write];
            assert_eq!(held, expected[usize::from(!both)..], "{item:?}");
            table.release_all(&mut tx, Until::End);
        }
    }
    assert!(table.is_empty());
}

/// Of a term alone: a record's holder is not sent away by who waits for it.
#[test]
fn a_term_that_is_read_again_gives_way_to_an_older_waiter() {
    let (_, table) = setup();
    let global = Item::Global {
        key: b"x",
        hash: 120,
    };
    for kind in [Kind::Read, Kind::Write] {
        for (item, answer) in [
            (record(b"x"), GRANTED),
            (global, Outcome::Die { blocker: tid(1) }),
        ] {
            let (mut a, mut b) = (begin(&table, 1), begin(&table, 2));
            assert_eq!(table.acquire(&mut b, item, kind), GRANTED);
            token_of(table.acquire(&mut a, item, Kind::Write));
            assert_eq!(table.acquire(&mut b, item, Kind::Read), answer, "{item:?}");
            table.release_all(&mut b, Until::End);
            table.release_all(&mut a, Until::End);
        }
    }
    assert!(table.is_empty());
}

/// Quirk 143: a table's reader blocks writers of any record, not readers.
#[test]
fn a_table_lock_meets_the_locks_of_records() {
    let (post, table) = setup();
    let (mut scan, mut read, mut write) = (begin(&table, 5), begin(&table, 6), begin(&table, 4));
    assert_eq!(table.acquire(&mut scan, T, Kind::Read), GRANTED);
    assert_eq!(table.acquire(&mut read, record(b"a"), Kind::Read), GRANTED);
    let token = token_of(table.acquire(&mut write, record(b"b"), Kind::Write));
    let other = Item::Record {
        table: 2,
        key: b"b",
        hash: 98,
    };
    let mut elsewhere = begin(&table, 9);
    assert_eq!(table.acquire(&mut elsewhere, other, Kind::Write), GRANTED);
    table.release_all(&mut scan, Until::End);
    assert_eq!(post.take(), [(4, token, Wakeup::Granted)]);
    assert_eq!(
        table.acquire(&mut write, record(b"b"), Kind::Write),
        GRANTED
    );
    let mut all = begin(&table, 7);
    let refused = table.acquire(&mut all, T, Kind::Read);
    assert_eq!(refused, Outcome::Die { blocker: tid(4) });
    let mut oldest = begin(&table, 1);
    let token = token_of(table.acquire(&mut oldest, T, Kind::Write));
    table.release_all(&mut write, Until::End);
    assert_eq!(post.take(), []);
    table.release_all(&mut read, Until::End);
    assert_eq!(post.take(), [(1, token, Wakeup::Granted)]);
    assert_eq!(table.acquire(&mut oldest, T, Kind::Write), GRANTED);
    for mut tx in [oldest, elsewhere, all] {
        table.release_all(&mut tx, Until::End);
    }
    assert!(table.is_empty());
}

#[test]
fn nobody_overtakes_an_earlier_waiter_that_conflicts() {
    let (post, table) = setup();
    let (mut holder, mut writer) = (begin(&table, 9), begin(&table, 5));
    assert_eq!(
        table.acquire(&mut holder, record(b"x"), Kind::Read),
        GRANTED
    );
    let first = token_of(table.acquire(&mut writer, record(b"x"), Kind::Write));
    let (mut old, mut older, mut young) = (begin(&table, 4), begin(&table, 3), begin(&table, 6));
    let second = token_of(table.acquire(&mut old, record(b"x"), Kind::Read));
    let third = token_of(table.acquire(&mut older, record(b"x"), Kind::Read));
    let refused = table.acquire(&mut young, record(b"x"), Kind::Read);
    assert_eq!(refused, Outcome::Die { blocker: tid(5) });
    let queued: Vec<_> = table.queued().into_iter().map(|q| q.tid.counter).collect();
    assert_eq!(queued, [5, 4, 3]);
    table.release_all(&mut holder, Until::End);
    assert_eq!(post.take(), [(5, first, Wakeup::Granted)]);
    table.release_all(&mut writer, Until::End);
    let both = [(4, second, Wakeup::Granted), (3, third, Wakeup::Granted)];
    assert_eq!(post.take(), both);
    for mut tx in [old, older, young] {
        table.release_all(&mut tx, Until::End);
    }
    assert!(table.is_empty());
}

/// A table's waiter holds back every new request for records, and its death lets them on, the
/// youngest first.
#[test]
fn a_cancelled_waiter_lets_those_behind_it_on() {
    let (post, table) = setup();
    let (mut holder, mut scan) = (begin(&table, 9), begin(&table, 5));
    assert_eq!(
        table.acquire(&mut holder, record(b"x"), Kind::Write),
        GRANTED
    );
    token_of(table.acquire(&mut scan, T, Kind::Read));
    let (mut reader, mut writer) = (begin(&table, 3), begin(&table, 4));
    let reads = token_of(table.acquire(&mut reader, record(b"y"), Kind::Read));
    let writes = token_of(table.acquire(&mut writer, record(b"z"), Kind::Write));
    let mut young = begin(&table, 6);
    let refused = table.acquire(&mut young, record(b"w"), Kind::Read);
    assert_eq!(refused, Outcome::Die { blocker: tid(5) });
    table.release_all(&mut scan, Until::End);
    let both = [(4, writes, Wakeup::Granted), (3, reads, Wakeup::Granted)];
    assert_eq!(post.take(), both);
    table.release_all(&mut young, Until::End);
    for mut tx in [holder, reader, writer] {
        table.release_all(&mut tx, Until::End);
    }
    assert!(table.is_empty());
}

/// Those who wait for a record hold back its readers, not the reader that becomes its writer.
#[test]
fn an_upgrade_overtakes_those_who_wait_for_the_record() {
    let (post, table) = setup();
    let (mut old, mut young) = (begin(&table, 1), begin(&table, 2));
    assert_eq!(table.acquire(&mut young, record(b"x"), Kind::Read), GRANTED);
    let token = token_of(table.acquire(&mut old, record(b"x"), Kind::Write));
    assert_eq!(
        table.acquire(&mut young, record(b"x"), Kind::Write),
        GRANTED
    );
    table.release_all(&mut young, Until::End);
    assert_eq!(post.take(), [(1, token, Wakeup::Granted)]);
    table.release_all(&mut old, Until::End);
    assert!(table.is_empty());
}

/// Those who wait for a record do not hold back a lock of its table.
#[test]
fn a_table_lock_passes_by_those_who_wait_for_records() {
    let (post, table) = setup();
    let (mut old, mut young) = (begin(&table, 1), begin(&table, 2));
    assert_eq!(
        table.acquire(&mut young, record(b"x"), Kind::Write),
        GRANTED
    );
    let token = token_of(table.acquire(&mut old, record(b"x"), Kind::Write));
    assert_eq!(table.acquire(&mut young, T, Kind::Write), GRANTED);
    table.release_all(&mut young, Until::End);
    assert_eq!(post.take(), [(1, token, Wakeup::Granted)]);
    table.release_all(&mut old, Until::End);
    assert!(table.is_empty());
}

/// An older one that passed by a waiter refuses it when the younger one before it is gone.
#[test]
fn a_waiter_that_is_left_with_an_older_holder_is_refused() {
    let (post, table) = setup();
    let (mut old, mut middle, mut young) = (begin(&table, 1), begin(&table, 2), begin(&table, 3));
    assert_eq!(table.acquire(&mut young, record(b"x"), Kind::Read), GRANTED);
    let token = token_of(table.acquire(&mut middle, record(b"x"), Kind::Write));
    assert_eq!(table.acquire(&mut old, T, Kind::Read), GRANTED);
    table.release_all(&mut young, Until::End);
    assert_eq!(post.take(), [(2, token, Wakeup::Granted)]);
    assert_eq!(table.queued(), []);
    let refused = table.acquire(&mut middle, record(b"x"), Kind::Write);
    assert_eq!(refused, Outcome::Die { blocker: tid(1) });
    let Await::Wait { token } = table.await_end(&mut middle) else {
        panic!("the old one is alive")
    };
    table.release_all(&mut old, Until::End);
    assert_eq!(post.take(), [(2, token, Wakeup::BlockerGone)]);
    table.release_all(&mut middle, Until::End);
    assert!(table.is_empty());
}

/// Quirk 139: an owner killed in any state leaves nothing behind.
#[test]
fn death_in_any_state_releases_everything() {
    let (post, table) = setup();
    let (mut a, mut b, mut c) = (begin(&table, 2), begin(&table, 1), begin(&table, 3));
    assert_eq!(table.acquire(&mut a, record(b"x"), Kind::Write), GRANTED);
    let token = token_of(table.acquire(&mut b, record(b"x"), Kind::Write));
    let refused = table.acquire(&mut c, record(b"x"), Kind::Write);
    assert_eq!(refused, Outcome::Die { blocker: tid(2) });
    assert!(matches!(table.await_end(&mut c), Await::Wait { .. }));
    table.release_all(&mut c, Until::End);
    table.release_all(&mut a, Until::End);
    assert_eq!(post.take(), [(1, token, Wakeup::Granted)]);
    table.release_all(&mut b, Until::End);
    assert_eq!(post.take(), []);
    assert!(table.is_empty());
}

#[test]
fn globals_and_sticks_are_items_of_their_own() {
    let (_, table) = setup();
    let (mut a, mut b) = (begin(&table, 1), begin(&table, 2));
    let global = Item::Global {
        key: b"x",
        hash: 120,
    };
    assert_eq!(table.acquire(&mut a, global, Kind::Write), GRANTED);
    assert_eq!(table.acquire(&mut b, record(b"x"), Kind::Write), GRANTED);
    let refused = table.acquire(&mut b, global, Kind::Read);
    assert_eq!(refused, Outcome::Die { blocker: tid(1) });
    assert_eq!(table.acquire(&mut a, Item::Stick(7), Kind::Write), GRANTED);
    let items: Vec<_> = table.held().into_iter().map(|held| held.item).collect();
    let x = b"x".to_vec();
    let record = OwnedItem::Record {
        table: 1,
        key: x.clone(),
    };
    assert_eq!(
        items,
        [record, OwnedItem::Global { key: x }, OwnedItem::Stick(7)]
    );
    assert!(!table.sticky().is_stuck(7));
    table.sticky().stick(7);
    assert!(table.sticky().is_stuck(7));
    table.forget_table(7);
    assert!(table.sticky().is_stuck(7));
    table.release_all(&mut a, Until::End);
    table.release_all(&mut b, Until::End);
    assert!(table.is_empty());
}

/// Quirk 48: the first sticky writer takes three locks, a later one only its record's.
#[test]
fn the_first_sticky_writer_takes_the_table_and_its_stick() {
    let (_, table) = setup();
    let mut first = begin(&table, 1);
    for (item, kind) in [
        (T, Kind::Read),
        (record(b"2"), Kind::Write),
        (Item::Stick(1), Kind::Write),
    ] {
        assert_eq!(table.acquire(&mut first, item, kind), GRANTED);
    }
    table.sticky().stick(1);
    let held: Vec<_> = table
        .held()
        .into_iter()
        .map(|held| (held.item, held.kind))
        .collect();
    let key = OwnedItem::Record {
        table: 1,
        key: b"2".to_vec(),
    };
    let whole = (OwnedItem::Table(1), Kind::Read);
    assert_eq!(
        held,
        [
            (key, Kind::Write),
            whole,
            (OwnedItem::Stick(1), Kind::Write)
        ]
    );
    let mut second = begin(&table, 2);
    let refused = table.acquire(&mut second, Item::Stick(1), Kind::Write);
    assert_eq!(refused, Outcome::Die { blocker: tid(1) });
    table.release_all(&mut first, Until::End);
    assert!(table.sticky().is_stuck(1));
    table.release_all(&mut second, Until::End);
    assert!(table.is_empty());
}

/// A shard that was full once gives its memory back and forgets nothing.
#[test]
fn many_locks_come_and_go() {
    let (_, table) = setup();
    let mut tx = begin(&table, 1);
    for number in 0..100_000_u64 {
        let key = number.to_be_bytes();
        let item = Item::Record {
            table: 1,
            key: &key,
            hash: number,
        };
        assert_eq!(table.acquire(&mut tx, item, Kind::Write), GRANTED);
    }
    assert_eq!(table.acquire(&mut tx, T, Kind::Write), GRANTED);
    assert_eq!(table.held().len(), 100_001);
    table.release_all(&mut tx, Until::End);
    assert!(table.is_empty());
    table.forget_table(1);
}

/// Hashes only find; keys decide.
#[test]
fn equal_hashes_of_different_keys_are_different_records() {
    let (_, table) = setup();
    let (mut a, mut b) = (begin(&table, 1), begin(&table, 2));
    let keys: [&[u8]; 3] = [b"one", b"two", &[7; 40]];
    for key in keys {
        let item = Item::Record {
            table: 1,
            key,
            hash: 0,
        };
        assert_eq!(table.acquire(&mut a, item, Kind::Write), GRANTED);
    }
    let item = Item::Record {
        table: 1,
        key: b"three",
        hash: 0,
    };
    assert_eq!(table.acquire(&mut b, item, Kind::Write), GRANTED);
    assert_eq!(table.held().len(), 4);
    table.release_all(&mut a, Until::End);
    assert_eq!(table.held().len(), 1);
    table.release_all(&mut b, Until::End);
    assert!(table.is_empty());
}

/// The tie between two nodes' counters is broken by the node.
#[test]
fn another_node_can_hold_locks_here() {
    let (_, table) = setup();
    let mut here = table.begin(
        Tid {
            counter: 1,
            node: 0,
        },
        OwnerId(1),
    );
    let mut there = table.begin(
        Tid {
            counter: 1,
            node: 1,
        },
        OwnerId(2),
    );
    assert_eq!(table.acquire(&mut here, record(b"x"), Kind::Write), GRANTED);
    let refused = table.acquire(&mut there, record(b"x"), Kind::Write);
    assert_eq!(
        refused,
        Outcome::Die {
            blocker: here.tid()
        }
    );
    assert!(here.tid().is_older_than(there.tid()));
    table.release_all(&mut here, Until::End);
    table.release_all(&mut there, Until::End);
}
