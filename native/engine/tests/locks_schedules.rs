//! The lock table under a schedule explorer: whatever order threads take, its promises hold.
//!
//! The rooms of `src/locks` are compiled here a second time with a `sync` whose every operation
//! may switch threads. Each schedule runs four transactions with scripts and ages of its own,
//! and sometimes kills one in the middle. Checked: no two conflicting grants at once, no wait
//! without a younger one before it, every wait ends (the explorer reports a deadlock), nothing
//! is left at the end.
//!
//! `MAGNESIA_SEED=<seed>` repeats a run, `MAGNESIA_SCHEDULES=<n>` makes it longer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as PlainMutex};

use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync::{Condvar, Mutex};
use shuttle::{Config, FailurePersistence, Runner, thread};

use locks::flaw::Flaw;
use locks::{
    Await, HeldLock, Holder, Item, Kind, LockTable, Outcome, OwnedItem, OwnerId, QueuedLock, Tid,
    Until, Wake, Wakeup,
};

#[allow(dead_code, unreachable_pub, unused_imports, clippy::unused_self)]
#[path = "../src/locks"]
mod locks {
    pub(crate) mod flaw;
    mod holder;
    mod item;
    mod listing;
    mod queue;
    mod refusal;
    mod shard;
    mod space;
    mod sticky;
    mod tid;
    mod waiters;
    mod wake;
    mod whole;

    pub(crate) use holder::Holder;
    pub(crate) use item::{Item, Kind, OwnedItem};
    pub(crate) use listing::{HeldLock, QueuedLock};
    pub(crate) use space::{Await, LockTable, Outcome, Until};
    pub(crate) use tid::{OwnerId, Tid};
    pub(crate) use wake::{Wake, Wakeup};

    mod sync {
        pub(super) use shuttle::sync::MutexGuard;
        pub(super) use shuttle::sync::atomic::{AtomicU64, Ordering};

        /// The explorer's mutex with the face of the real one.
        pub(super) struct Mutex<T>(shuttle::sync::Mutex<T>);

        impl<T> Mutex<T> {
            pub(super) fn new(inner: T) -> Self {
                Self(shuttle::sync::Mutex::new(inner))
            }

            pub(super) fn lock(&self) -> MutexGuard<'_, T> {
                self.0.lock().expect("a schedule ends at its first panic")
            }
        }
    }
}

const WORKERS: usize = 4;
const SCHEDULES: usize = 20_000;

/// One owner's mailbox.
#[derive(Default)]
struct Mailbox {
    letters: Mutex<Vec<Letter>>,
    arrived: Condvar,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Letter {
    Wake(u64, Wakeup),
    Killed,
}

struct Post(Vec<Mailbox>);

impl Post {
    fn put(&self, owner: OwnerId, letter: Letter) {
        let mailbox = &self.0[usize::try_from(owner.0).expect("a worker's number")];
        mailbox.letters.lock().expect("alive").push(letter);
        mailbox.arrived.notify_one();
    }

    /// Waits for that letter, whatever else comes; false when killed.
    fn wait(&self, owner: OwnerId, wanted: Letter) -> bool {
        let mailbox = &self.0[usize::try_from(owner.0).expect("a worker's number")];
        let mut letters = mailbox.letters.lock().expect("alive");
        loop {
            if letters.contains(&Letter::Killed) {
                return false;
            }
            if letters.contains(&wanted) {
                return true;
            }
            letters = mailbox.arrived.wait(letters).expect("alive");
        }
    }
}

impl Wake for Post {
    fn wake(&self, owner: OwnerId, token: u64, what: Wakeup) {
        self.put(owner, Letter::Wake(token, what));
    }
}

/// What a script asks for.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Wish {
    Key(&'static [u8]),
    Whole,
}

impl Wish {
    fn item(self) -> Item<'static> {
        match self {
            Self::Key(key) => Item::Record {
                table: 1,
                key,
                hash: u64::from(key[0]),
            },
            Self::Whole => Item::Table(1),
        }
    }

    fn overlaps(self, other: Self) -> bool {
        self == other || self == Self::Whole || other == Self::Whole
    }
}

/// What is granted, written down apart from the lock table. Not a point where threads switch.
#[derive(Default)]
struct Ledger(PlainMutex<Vec<(Tid, Wish, Kind)>>);

impl Ledger {
    fn note(&self, tid: Tid, wish: Wish, kind: Kind) {
        let mut granted = self.0.lock().expect("alive");
        let clashes = |&&(other, held, held_kind): &&(Tid, Wish, Kind)| {
            let is_shared = kind == Kind::Read && held_kind == Kind::Read;
            other != tid && !is_shared && wish.overlaps(held)
        };
        let clash = granted.iter().find(clashes).copied();
        granted.push((tid, wish, kind));
        drop(granted);
        assert!(clash.is_none(), "{tid:?} got {wish:?} beside {clash:?}");
    }

    fn clear(&self, tid: Tid) {
        self.0
            .lock()
            .expect("alive")
            .retain(|(other, ..)| *other != tid);
    }
}

fn overlap(one: &OwnedItem, other: &OwnedItem) -> bool {
    matches!(
        (one, other),
        (OwnedItem::Table(_), _) | (_, OwnedItem::Table(_))
    ) || one == other
}

/// What must hold at every moment: holders agree, and whoever waits has a younger one before it,
/// who holds or waits where it does. Then the youngest of those that wait for each other has before
/// it a holder that doesn't wait, and its end lets the next one on.
fn check_picture((held, queued): &(Vec<HeldLock>, Vec<QueuedLock>)) {
    let conflict = |a: &HeldLock, b: &HeldLock| {
        let is_shared = a.kind == Kind::Read && b.kind == Kind::Read;
        a.tid != b.tid && !is_shared && overlap(&a.item, &b.item)
    };
    for (index, a) in held.iter().enumerate() {
        for b in &held[..index] {
            assert!(!conflict(a, b), "both held: {a:?} {b:?}");
        }
    }
    for waiter in queued {
        let holders = held.iter().map(|h| (&h.item, h.tid));
        let waiters = queued.iter().map(|q| (&q.item, q.tid));
        let is_before = |(item, tid): (&OwnedItem, Tid)| {
            waiter.tid.is_older_than(tid) && overlap(item, &waiter.item)
        };
        let has_younger = holders.chain(waiters).any(is_before);
        assert!(
            has_younger,
            "{waiter:?} waits for no younger one: {held:?} {queued:?}"
        );
    }
}

/// One transaction as a host keeps it: reachable for its owner and for whoever sees it die.
struct Transaction {
    holder: Mutex<(Holder, bool)>,
    tid: Tid,
    owner: OwnerId,
}

/// Which states the schedules went through, over a whole run. Not a point where threads switch.
#[derive(Default)]
struct Seen {
    waited: AtomicUsize,
    refused: AtomicUsize,
    refused_in_queue: AtomicUsize,
    awaited: AtomicUsize,
    killed: AtomicUsize,
    killed_in_queue: AtomicUsize,
    killed_awaiting: AtomicUsize,
}

impl Seen {
    fn each(&self) -> [usize; 7] {
        let Self {
            waited,
            refused,
            refused_in_queue,
            awaited,
            killed,
            killed_in_queue,
            killed_awaiting,
        } = self;
        [
            waited,
            refused,
            refused_in_queue,
            awaited,
            killed,
            killed_in_queue,
            killed_awaiting,
        ]
        .map(|count| count.load(Ordering::Relaxed))
    }
}

fn count(state: &AtomicUsize) {
    state.fetch_add(1, Ordering::Relaxed);
}

struct World {
    seen: Arc<Seen>,
    table: LockTable,
    post: Arc<Post>,
    ledger: Ledger,
}

enum Attempt {
    Committed,
    Killed,
    Refused,
}

impl World {
    fn new(flaw: Option<Flaw>, seen: Arc<Seen>) -> Self {
        let post = Arc::new(Post((0..WORKERS).map(|_| Mailbox::default()).collect()));
        let wake = Arc::clone(&post) as Arc<dyn Wake>;
        let table = match flaw {
            Some(flaw) => LockTable::with_flaw(wake, 2, flaw),
            None => LockTable::with_shards(wake, 2),
        };
        Self {
            seen,
            table,
            post,
            ledger: Ledger::default(),
        }
    }

    /// Runs the script once.
    fn attempt(&self, tx: &Transaction, script: &[(Wish, Kind)]) -> Attempt {
        for &(wish, kind) in script {
            let mut has_waited = false;
            loop {
                let mut guard = tx.holder.lock().expect("alive");
                if guard.1 {
                    return Attempt::Killed;
                }
                let outcome = self.table.acquire(&mut guard.0, wish.item(), kind);
                if outcome == Outcome::Granted {
                    self.ledger.note(tx.tid, wish, kind);
                }
                drop(guard);
                check_picture(&self.table.picture());
                match outcome {
                    Outcome::Granted => break,
                    Outcome::Busy => unreachable!("the lock table sets no bound itself"),
                    Outcome::Die { blocker } => {
                        assert!(blocker < tx.tid);
                        count(&self.seen.refused);
                        if has_waited {
                            count(&self.seen.refused_in_queue);
                        }
                        return Attempt::Refused;
                    }
                    Outcome::Wait { token } => {
                        let granted = Letter::Wake(token, Wakeup::Granted);
                        count(&self.seen.waited);
                        has_waited = true;
                        if !self.post.wait(tx.owner, granted) {
                            count(&self.seen.killed_in_queue);
                            return Attempt::Killed;
                        }
                    }
                }
            }
        }
        Attempt::Committed
    }

    /// Restarts until committed or killed; says whether it came through.
    fn run(&self, tx: &Transaction, script: &[(Wish, Kind)]) -> bool {
        loop {
            let attempt = self.attempt(tx, script);
            let mut guard = tx.holder.lock().expect("alive");
            if guard.1 {
                return false;
            }
            self.ledger.clear(tx.tid);
            match attempt {
                Attempt::Killed => return false,
                Attempt::Committed => {
                    self.table.release_all(&mut guard.0, Until::End);
                    return true;
                }
                Attempt::Refused => {
                    let answer = self.table.await_end(&mut guard.0);
                    drop(guard);
                    let Await::Wait { token } = answer else {
                        continue;
                    };
                    count(&self.seen.awaited);
                    if !self
                        .post
                        .wait(tx.owner, Letter::Wake(token, Wakeup::BlockerGone))
                    {
                        count(&self.seen.killed_awaiting);
                        return false;
                    }
                }
            }
        }
    }

    /// What a host does when it sees the owner die.
    fn kill(&self, tx: &Transaction) {
        let mut guard = tx.holder.lock().expect("alive");
        guard.1 = true;
        count(&self.seen.killed);
        self.ledger.clear(tx.tid);
        self.table.release_all(&mut guard.0, Until::End);
        drop(guard);
        self.post.put(tx.owner, Letter::Killed);
    }
}

fn script() -> Vec<(Wish, Kind)> {
    let mut random = thread_rng();
    let wishes = [
        Wish::Key(b"a"),
        Wish::Key(b"b"),
        Wish::Key(b"c"),
        Wish::Whole,
    ];
    let length = random.gen_range(1..=3);
    let pick = |_| {
        let kind = [Kind::Read, Kind::Write][random.gen_range(0..2)];
        (wishes[random.gen_range(0..wishes.len())], kind)
    };
    (0..length).map(pick).collect()
}

/// One schedule.
fn scenario(flaw: Option<Flaw>, seen: &Arc<Seen>) {
    let world = Arc::new(World::new(flaw, Arc::clone(seen)));
    let first = thread_rng().gen_range(0..WORKERS);
    let transactions: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let tid = Tid {
                counter: ((worker + first) % WORKERS) as u64,
                node: 0,
            };
            let owner = OwnerId(worker as u64);
            let holder = Mutex::new((world.table.begin(tid, owner), false));
            Arc::new(Transaction { holder, tid, owner })
        })
        .collect();
    let workers: Vec<_> = transactions
        .iter()
        .map(|tx| {
            let (world, tx, script) = (Arc::clone(&world), Arc::clone(tx), script());
            thread::spawn(move || world.run(&tx, &script))
        })
        .collect();
    let victim = thread_rng().gen_range(0..2 * WORKERS);
    if let Some(tx) = transactions.get(victim) {
        let delay = thread_rng().gen_range(0..150) * thread_rng().gen_range(0..2);
        for _ in 0..delay {
            thread::yield_now();
        }
        world.kill(tx);
    }
    for (worker, handle) in workers.into_iter().enumerate() {
        let has_committed = handle.join().expect("no panic");
        assert!(
            has_committed || worker == victim,
            "only the killed one gives up"
        );
    }
    assert!(
        world.table.is_empty(),
        "something is left: {:?}",
        world.table.picture()
    );
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
}

fn explore(scheduler: impl Scheduler + 'static, flaw: Option<Flaw>) {
    let mut config = Config::new();
    config.failure_persistence = match flaw {
        Some(_) => FailurePersistence::None,
        None => FailurePersistence::Print,
    };
    let seen = Arc::new(Seen::default());
    let met = Arc::clone(&seen);
    Runner::new(scheduler, config).run(move || scenario(flaw, &met));
    let states = seen.each();
    eprintln!("states met: {states:?}");
    let is_short = number("MAGNESIA_SCHEDULES").is_some();
    assert!(
        is_short || states.iter().all(|&times| times > 0),
        "a state is never met"
    );
}

fn seed_and_schedules() -> (u64, usize) {
    let schedules = number("MAGNESIA_SCHEDULES").and_then(|n| usize::try_from(n).ok());
    let seed = number("MAGNESIA_SEED").unwrap_or(7);
    eprintln!("repeat: MAGNESIA_SEED={seed} cargo test --test locks_schedules");
    (seed, schedules.unwrap_or(SCHEDULES))
}

#[test]
fn holds_under_random_schedules() {
    let (seed, schedules) = seed_and_schedules();
    explore(RandomScheduler::new_from_seed(seed, schedules), None);
}

#[test]
fn holds_under_schedules_with_few_preemptions() {
    let (seed, schedules) = seed_and_schedules();
    explore(PctScheduler::new_from_seed(seed, 3, schedules), None);
}

/// The explorer notices each planted bug.
#[test]
fn the_explorer_catches_planted_bugs() {
    for flaw in [
        Flaw::LoseWakeup,
        Flaw::UpgradeBesideReaders,
        Flaw::ForgetCancel,
        Flaw::WaitForOlder,
        Flaw::ForgetTableQueue,
        Flaw::ForgetRefused,
        Flaw::StayForOlder,
    ] {
        let run = AssertUnwindSafe(|| {
            explore(RandomScheduler::new_from_seed(7, SCHEDULES), Some(flaw));
        });
        assert!(catch_unwind(run).is_err(), "{flaw:?} passed");
    }
}
