//! The bound on transactions that wait for locks: reached, refused, and free again.

#![allow(missing_docs, reason = "a test")]

use std::sync::Arc;

use magnesia_engine::limits::WAITERS_MAX;
use magnesia_engine::locks::{Kind, LockTable, Outcome, OwnerId, Tid, Wake, Wakeup};
use magnesia_engine::txn::Transaction;

struct Nobody;

impl Wake for Nobody {
    fn wake(&self, _: OwnerId, _: u64, _: Wakeup) {}
}

fn begin(locks: &LockTable, counter: u64) -> Transaction {
    Transaction::begin(locks, Tid { counter, node: 0 }, OwnerId(counter))
}

fn ask(transaction: &mut Transaction, locks: &LockTable) -> Outcome {
    let key = [1, 7];
    transaction.lock_record(locks, 1, &key, Kind::Write)
}

#[test]
fn one_more_than_the_most_that_may_wait_is_refused() {
    let locks = LockTable::new(Arc::new(Nobody));
    // Who waits is older than who holds, and each one older than the ones before.
    let mut counter = 10 * WAITERS_MAX as u64;
    let mut next = || {
        counter -= 1;
        begin(&locks, counter)
    };
    let mut holder = next();
    assert_eq!(ask(&mut holder, &locks), Outcome::Granted);
    let mut waiting = Vec::new();
    for number in 0..WAITERS_MAX {
        let mut transaction = next();
        let outcome = ask(&mut transaction, &locks);
        assert!(
            matches!(outcome, Outcome::Wait { .. }),
            "{number}: {outcome:?}"
        );
        // Asking again counts nobody twice.
        assert_eq!(ask(&mut transaction, &locks), outcome, "{number}");
        waiting.push(transaction);
    }
    let mut refused = next();
    assert_eq!(ask(&mut refused, &locks), Outcome::Busy);
    assert_eq!(ask(&mut refused, &locks), Outcome::Busy);
    refused.end(&locks);
    // One who gives up makes room for one.
    let mut gone = waiting.pop().expect("many wait");
    gone.end(&locks);
    let mut after = next();
    assert!(matches!(ask(&mut after, &locks), Outcome::Wait { .. }));
    let mut refused = next();
    assert_eq!(ask(&mut refused, &locks), Outcome::Busy);
    refused.end(&locks);
    after.end(&locks);
    // So does one whose wait ends well: the first in the queue gets the lock.
    holder.end(&locks);
    let first = waiting.first_mut().expect("many wait");
    assert_eq!(ask(first, &locks), Outcome::Granted);
    waiting.iter_mut().for_each(|waiter| waiter.end(&locks));
    assert!(locks.is_empty());
    let (mut holder, mut waiter) = (next(), next());
    assert_eq!(ask(&mut holder, &locks), Outcome::Granted);
    assert!(matches!(ask(&mut waiter, &locks), Outcome::Wait { .. }));
}
