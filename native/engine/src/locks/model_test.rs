//! Random histories against a lock table so plain that it can be read at a glance.
//!
//! The model keeps one list of holds and one queue, and looks at all of them for every question,
//! in the words of `mnesia_locker`.
//! Each answer, each wake-up and both listings must agree after each step. One thread only: races
//! are the schedule explorer's part. Repeat a failure with `MAGNESIA_SEED=<seed>`.

use std::sync::Arc;

use super::flaw::Flaw;
use super::rules_test::Post;
use super::*;

const SEEDS: u64 = 400;
const STEPS: usize = 400;
const KEYS: [&[u8]; 4] = [b"a", b"b", b"c", &[9; 50]];

/// Splitmix: enough randomness for choices.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((word ^ (word >> 31)) % bound as u64).expect("below a usize")
    }
}

#[derive(Clone, PartialEq, Debug)]
struct Claim {
    token: u64,
    item: OwnedItem,
    kind: Kind,
    tid: Tid,
}

fn overlap(one: &OwnedItem, other: &OwnedItem) -> bool {
    use OwnedItem::{Record, Stick, Table};
    match (one, other) {
        (Table(t), Record { table, .. } | Stick(table))
        | (Record { table, .. } | Stick(table), Table(t)) => t == table,
        _ => one == other,
    }
}

fn table_of(item: &OwnedItem) -> Option<u32> {
    match item {
        OwnedItem::Record { table, .. } | OwnedItem::Stick(table) | OwnedItem::Table(table) => {
            Some(*table)
        }
        OwnedItem::Global { .. } => None,
    }
}

impl Claim {
    fn conflicts(&self, other: &Self) -> bool {
        self.tid != other.tid
            && (self.kind == Kind::Write || other.kind == Kind::Write)
            && overlap(&self.item, &other.item)
    }
}

#[derive(Default)]
struct Model {
    held: Vec<Claim>,
    queue: Vec<Claim>,
    /// Blocker, refused transaction, token once it waits.
    refused: Vec<(Tid, Tid, Option<u64>)>,
    wakes: Vec<(u64, u64, Wakeup)>,
    /// Those whom an older holder met in a queue, until they release.
    sent_away: Vec<Tid>,
}

impl Model {
    fn covers(&self, claim: &Claim) -> bool {
        self.held.iter().any(|held| {
            let whole = match &claim.item {
                OwnedItem::Record { table, .. } | OwnedItem::Stick(table) => {
                    held.item == OwnedItem::Table(*table)
                }
                _ => false,
            };
            held.tid == claim.tid && held.kind >= claim.kind && (whole || held.item == claim.item)
        })
    }

    /// What is held stays so, of either kind.
    fn hold(&mut self, claim: Claim) {
        self.held.retain(|held| {
            held.tid != claim.tid || held.item != claim.item || held.kind != claim.kind
        });
        self.held.push(claim);
    }

    /// The answer without its token, which the real table picks.
    fn acquire(&mut self, claim: Claim) -> Outcome {
        if let Some(waiting) = self.queue.iter().find(|waiting| waiting.tid == claim.tid) {
            return Outcome::Wait {
                token: waiting.token,
            };
        }
        self.refused.retain(|(_, tid, _)| *tid != claim.tid);
        let asks_again = matches!(claim.item, OwnedItem::Global { .. }) && claim.kind == Kind::Read;
        if self.covers(&claim) && !asks_again {
            return Outcome::Granted;
        }
        match self.can_lock(&claim).or_else(|| self.check_queue(&claim)) {
            None => {
                self.hold(claim);
                Outcome::Granted
            }
            Some(blocker) if blocker < claim.tid => {
                self.refused.push((blocker, claim.tid, None));
                Outcome::Die { blocker }
            }
            Some(_) => {
                let token = claim.token;
                self.queue.push(claim);
                Outcome::Wait { token }
            }
        }
    }

    /// The oldest holder in the way.
    fn can_lock(&self, claim: &Claim) -> Option<Tid> {
        let met = self.held.iter().filter(|held| held.conflicts(claim));
        met.map(|held| held.tid).min()
    }

    /// The one in a queue that refuses a new claim, or else any that it waits for.
    fn check_queue(&self, claim: &Claim) -> Option<Tid> {
        let youngest = |item: &OwnedItem| {
            let queue = self.queue.iter().filter(|waiting| waiting.item == *item);
            queue.map(|waiting| waiting.tid).max()
        };
        let whole = table_of(&claim.item).and_then(|table| youngest(&OwnedItem::Table(table)));
        let is_whole = matches!(claim.item, OwnedItem::Table(_));
        if claim.kind == Kind::Write || is_whole {
            return whole;
        }
        let own = youngest(&claim.item);
        match whole {
            Some(tid) if tid < claim.tid && own.is_none_or(|own| own > claim.tid) => whole,
            _ => own.or(whole),
        }
    }

    fn release(&mut self, tid: Tid, until: Until) {
        if until == Until::End {
            self.refused.retain(|(_, refused, _)| *refused != tid);
        }
        let is_own = |claim: &&Claim| claim.tid == tid;
        let own: Vec<_> = self.held.iter().chain(&self.queue).filter(is_own).collect();
        let mut items: Vec<OwnedItem> = own.iter().map(|claim| claim.item.clone()).collect();
        if items.is_empty() && !self.sent_away.contains(&tid) {
            return;
        }
        // With a waiter for the table, whoever waits in the table is decided on again.
        for item in &mut items {
            if let Some(whole) = table_of(item).map(OwnedItem::Table)
                && self.queue.iter().any(|waiting| waiting.item == whole)
            {
                *item = whole;
            }
        }
        self.sent_away.retain(|left| *left != tid);
        self.held.retain(|held| held.tid != tid);
        self.queue.retain(|waiting| waiting.tid != tid);
        for (blocker, refused, token) in std::mem::take(&mut self.refused) {
            match token {
                _ if blocker != tid => self.refused.push((blocker, refused, token)),
                Some(token) => self
                    .wakes
                    .push((refused.counter, token, Wakeup::BlockerGone)),
                None => {}
            }
        }
        for (index, item) in items.iter().enumerate() {
            if !items[..index].contains(item) {
                self.rearrange(item);
            }
        }
    }

    /// Tries those who wait for an item, or anywhere in it, from the youngest on.
    fn rearrange(&mut self, item: &OwnedItem) {
        let in_it = self.queue.iter().filter(|waiting| {
            waiting.item == *item
                || table_of(&waiting.item).map(OwnedItem::Table).as_ref() == Some(item)
        });
        let mut waiting: Vec<Claim> = in_it.cloned().collect();
        waiting.sort_by_key(|claim| std::cmp::Reverse(claim.tid));
        let mut stuck = Vec::new();
        for claim in waiting {
            if stuck.contains(&claim.item) {
                continue;
            }
            let blocker = self.can_lock(&claim);
            if blocker.is_some_and(|tid| tid > claim.tid) {
                if matches!(claim.item, OwnedItem::Table(_)) {
                    return;
                }
                stuck.push(claim.item);
                continue;
            }
            self.queue.retain(|waiting| waiting.token != claim.token);
            self.wakes
                .push((claim.tid.counter, claim.token, Wakeup::Granted));
            match blocker {
                None => self.hold(claim),
                Some(_) => self.sent_away.push(claim.tid),
            }
        }
    }
}

struct Run {
    random: Random,
    post: Arc<Post>,
    table: LockTable,
    model: Model,
    holders: Vec<Holder>,
    next: u64,
}

impl Run {
    fn new(seed: u64, flaw: Option<Flaw>) -> Self {
        let post = Arc::new(Post::default());
        let wake = Arc::clone(&post) as Arc<dyn Wake>;
        let table = match flaw {
            Some(flaw) => LockTable::with_flaw(wake, 4, flaw),
            None => LockTable::with_shards(wake, 4),
        };
        let (random, model) = (Random(seed), Model::default());
        let mut run = Self {
            random,
            post,
            table,
            model,
            holders: Vec::new(),
            next: 0,
        };
        for _ in 0..6 {
            let holder = run.begin();
            run.holders.push(holder);
        }
        run
    }

    /// Ages do not follow the order of beginning, as with restarts; ids are never used twice.
    fn begin(&mut self) -> Holder {
        self.next += 1;
        let counter = (self.random.below(1_000) as u64) * 1_000 + self.next;
        self.table.begin(Tid { counter, node: 0 }, OwnerId(counter))
    }

    fn step(&mut self) -> Result<(), String> {
        let index = self.random.below(self.holders.len());
        match self.random.below(10) {
            0..7 => self.acquire(index)?,
            7 => self.await_end(index)?,
            _ => {
                let tid = self.holders[index].tid();
                self.table.release_all(&mut self.holders[index], Until::End);
                self.model.release(tid, Until::End);
                self.holders[index] = self.begin();
            }
        }
        self.compare()
    }

    fn acquire(&mut self, index: usize) -> Result<(), String> {
        let key = self.random.below(KEYS.len());
        let table = u32::try_from(self.random.below(2)).expect("small");
        let hash = (key % 2) as u64;
        let (item, owned) = match self.random.below(8) {
            0 => (Item::Table(table), OwnedItem::Table(table)),
            1 => (Item::Stick(table), OwnedItem::Stick(table)),
            2 => {
                let key = KEYS[key];
                (
                    Item::Global { key, hash },
                    OwnedItem::Global { key: key.to_vec() },
                )
            }
            _ => {
                let key = KEYS[key];
                let owned = OwnedItem::Record {
                    table,
                    key: key.to_vec(),
                };
                (Item::Record { table, key, hash }, owned)
            }
        };
        let kind = [Kind::Read, Kind::Write][self.random.below(2)];
        let holder = &mut self.holders[index];
        let outcome = self.table.acquire(holder, item, kind);
        let token = match outcome {
            Outcome::Wait { token } => token,
            _ => 0,
        };
        let expected = self.model.acquire(Claim {
            token,
            item: owned.clone(),
            kind,
            tid: holder.tid(),
        });
        if outcome == expected {
            return Ok(());
        }
        Err(format!(
            "{owned:?} {kind:?} by {:?}: {outcome:?}, not {expected:?}",
            holder.tid()
        ))
    }

    fn await_end(&mut self, index: usize) -> Result<(), String> {
        let holder = &mut self.holders[index];
        let tid = holder.tid();
        let answer = self.table.await_end(holder);
        self.model.release(tid, Until::Restart);
        let noted = self
            .model
            .refused
            .iter_mut()
            .find(|(_, refused, _)| *refused == tid);
        match (answer, noted) {
            (Await::Ended, None) => Ok(()),
            (Await::Wait { token }, Some((_, _, wanted))) => {
                *wanted = Some(token);
                Ok(())
            }
            (answer, noted) => Err(format!("{answer:?} with {noted:?} noted")),
        }
    }

    fn compare(&mut self) -> Result<(), String> {
        let (mut real, mut model) = (self.post.take(), std::mem::take(&mut self.model.wakes));
        real.sort_by_key(|wake| wake.1);
        model.sort_by_key(|wake| wake.1);
        if real != model {
            return Err(format!("wake-ups {real:?}, not {model:?}"));
        }
        let (held, queued) = self.table.picture();
        let real = held
            .into_iter()
            .map(|held| (held.item, held.kind, held.tid));
        let model = self
            .model
            .held
            .iter()
            .map(|held| (held.item.clone(), held.kind, held.tid));
        let (real, mut model) = (real.collect::<Vec<_>>(), model.collect::<Vec<_>>());
        model.sort_unstable();
        if real != model {
            return Err(format!("held {real:?}, not {model:?}"));
        }
        let real = queued.into_iter().map(|q| (q.token, q.item, q.kind, q.tid));
        let model = self
            .model
            .queue
            .iter()
            .map(|q| (q.token, q.item.clone(), q.kind, q.tid));
        let (real, model) = (real.collect::<Vec<_>>(), model.collect::<Vec<_>>());
        if real != model {
            return Err(format!("queued {real:?}, not {model:?}"));
        }
        Ok(())
    }
}

fn run(seed: u64, flaw: Option<Flaw>) -> Result<(), String> {
    let mut run = Run::new(seed, flaw);
    for step in 0..STEPS {
        run.step()
            .map_err(|difference| format!("seed {seed} step {step}: {difference}"))?;
    }
    for index in 0..run.holders.len() {
        let tid = run.holders[index].tid();
        run.table.release_all(&mut run.holders[index], Until::End);
        run.model.release(tid, Until::End);
        run.compare()?;
    }
    match run.table.is_empty() {
        true => Ok(()),
        false => Err(format!("seed {seed}: something is left")),
    }
}

#[test]
fn agrees_with_the_model() {
    let given = std::env::var("MAGNESIA_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seeds = given.map_or(0..SEEDS, |seed| seed..seed + 1);
    for seed in seeds {
        if let Err(difference) = run(seed, None) {
            panic!("{difference}\nrepeat: MAGNESIA_SEED={seed} cargo test agrees_with_the_model");
        }
    }
}

/// The comparison notices each planted bug.
#[test]
fn the_model_catches_planted_bugs() {
    for flaw in [
        Flaw::LoseWakeup,
        Flaw::UpgradeBesideReaders,
        Flaw::ForgetCancel,
        Flaw::WaitForOlder,
        Flaw::ForgetTableQueue,
        Flaw::ForgetRefused,
        Flaw::StayForOlder,
    ] {
        let caught = (0..SEEDS).find_map(|seed| run(seed, Some(flaw)).err());
        assert!(caught.is_some(), "{flaw:?} passed");
    }
}
