//! The storage thread and group commit: who waits for whom, and what a stop does.

#![allow(missing_docs, reason = "a test")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use magnesia_store::sim::{Fault, OpKind, SimDisk};
use magnesia_store::{Keeper, Limits, Log, StoreError};

fn started(limits: Limits) -> (SimDisk, Arc<Log>, Keeper) {
    let disk = SimDisk::new(1);
    let log = Arc::new(Log::create(Arc::new(disk.clone()), 1, limits).expect("an empty disk"));
    let keeper = Keeper::start(Arc::clone(&log)).expect("threads");
    (disk, log, keeper)
}

/// Asks for a sync whose completion holds the storage thread until the sender is dropped.
fn hold(keeper: &Keeper, log: &Log) -> Sender<()> {
    let (release, wait) = channel::<()>();
    let (entered, is_in) = channel();
    let lsn = log.append(b"hold").expect("a good disk");
    let done = move |result: Result<(), StoreError>| {
        result.expect("a good disk");
        entered.send(()).expect("someone waits");
        wait.recv().ok();
    };
    keeper.request_sync(lsn, Box::new(done));
    is_in.recv().expect("the completion runs");
    release
}

#[test]
fn many_requests_share_one_sync_and_complete_in_order() {
    let (disk, log, keeper) = started(Limits::default());
    let release = hold(&keeper, &log);
    let before = disk.count(OpKind::Sync);
    let (sender, results) = channel();
    for number in 0..100 {
        let lsn = log.append(b"x").expect("a good disk");
        let sender = sender.clone();
        keeper.request_sync(
            lsn,
            Box::new(move |r| sender.send((number, r.is_ok())).expect("ok")),
        );
    }
    drop((release, sender));
    let found: Vec<_> = results.iter().collect();
    assert_eq!(
        found,
        (0..100).map(|number| (number, true)).collect::<Vec<_>>()
    );
    assert_eq!(disk.count(OpKind::Sync), before + 1);
    assert_eq!(log.synced(), log.end());
}

#[test]
fn a_full_queue_refuses_at_once() {
    let limits = Limits {
        sync_queue_max: 2,
        job_queue_max: 1,
        ..Limits::default()
    };
    let (_, log, keeper) = started(limits);
    let release = hold(&keeper, &log);
    let (sender, results) = channel();
    for _ in 0..3 {
        let sender = sender.clone();
        keeper.request_sync(
            log.end(),
            Box::new(move |r| sender.send(r).expect("someone waits")),
        );
    }
    let refused = results.recv().expect("the third, at once");
    assert!(matches!(
        refused,
        Err(StoreError::Busy {
            queue: "sync",
            max: 2
        })
    ));
    drop(release);
    assert!((0..2).all(|_| results.recv().is_ok_and(|result| result.is_ok())));
}

#[test]
fn a_long_job_delays_no_sync() {
    let (_, log, keeper) = started(Limits {
        job_queue_max: 1,
        ..Limits::default()
    });
    let (release, wait) = channel::<()>();
    let (entered, is_in) = channel();
    let job = move || {
        entered.send(()).expect("someone waits");
        wait.recv().ok();
    };
    keeper.submit(Box::new(job)).expect("an empty queue");
    is_in.recv().expect("the job runs");
    drop(hold(&keeper, &log));
    let (sender, ran) = channel();
    keeper
        .submit(Box::new(move || sender.send(()).expect("ok")))
        .expect("room for one");
    let refused = keeper.submit(Box::new(|| ()));
    assert!(matches!(
        refused,
        Err(StoreError::Busy {
            queue: "job",
            max: 1
        })
    ));
    drop(release);
    ran.recv().expect("jobs run one after the other");
}

#[test]
fn a_failed_sync_is_told_to_all_and_for_good() {
    let (disk, log, keeper) = started(Limits::default());
    let release = hold(&keeper, &log);
    let old = log.synced();
    disk.plan(OpKind::Sync, 0, Fault::Io);
    let (sender, results) = channel();
    let new = log.append(b"x").expect("a good disk");
    for lsn in [old, new, new] {
        let sender = sender.clone();
        keeper.request_sync(
            lsn,
            Box::new(move |result| sender.send(result).expect("ok")),
        );
    }
    drop(release);
    assert!(
        results.recv().expect("told").is_ok(),
        "it was on disk before"
    );
    assert!((0..2).all(|_| matches!(results.recv(), Ok(Err(StoreError::Io { .. })))));
    keeper.request_sync(
        new,
        Box::new(move |result| sender.send(result).expect("ok")),
    );
    assert!(matches!(results.recv(), Ok(Err(StoreError::Broken { .. }))));
}

#[test]
fn a_panicking_completion_is_contained() {
    let (_, log, keeper) = started(Limits::default());
    let lsn = log.append(b"x").expect("a good disk");
    keeper.request_sync(lsn, Box::new(|_| panic!("planned by a test")));
    keeper
        .submit(Box::new(|| panic!("planned by a test")))
        .expect("an empty queue");
    drop(hold(&keeper, &log));
}

#[test]
fn stop_runs_what_is_queued_and_takes_nothing_more() {
    let (_, log, keeper) = started(Limits::default());
    let (sender, results) = channel();
    let release = hold(&keeper, &log);
    let lsn = log.append(b"x").expect("a good disk");
    let own = sender.clone();
    keeper.request_sync(lsn, Box::new(move |result| own.send(result).expect("ok")));
    drop(release);
    keeper.stop();
    assert!(
        results.try_recv().is_ok_and(|result| result.is_ok()),
        "done before stop returned"
    );
    keeper.request_sync(
        lsn,
        Box::new(move |result| sender.send(result).expect("ok")),
    );
    assert!(matches!(results.recv(), Ok(Err(StoreError::Stopped))));
    assert!(matches!(
        keeper.submit(Box::new(|| ())),
        Err(StoreError::Stopped)
    ));
    keeper.stop();
}

/// A disk whose syncs wait to be let through, once it has been told to.
struct Gate {
    inner: SimDisk,
    entered: Sender<()>,
    wait: parking_lot::Mutex<Receiver<()>>,
    syncs: AtomicU64,
}

struct GateFile {
    inner: Arc<dyn magnesia_store::DiskFile>,
    gate: Arc<Gate>,
}

struct GateDisk(Arc<Gate>);

impl magnesia_store::Disk for GateDisk {
    fn create(&self, name: &str) -> io::Result<Arc<dyn magnesia_store::DiskFile>> {
        let inner = self.0.inner.create(name)?;
        Ok(Arc::new(GateFile {
            inner,
            gate: Arc::clone(&self.0),
        }))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn magnesia_store::DiskFile>> {
        self.0.inner.open(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.inner.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.inner.remove(name)
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.inner.list()
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.0.inner.sync_dir()
    }
}

impl magnesia_store::DiskFile for GateFile {
    fn size(&self) -> io::Result<u64> {
        self.inner.size()
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buffer)
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write_at(offset, bytes)
    }
    fn truncate(&self, length: u64) -> io::Result<()> {
        self.inner.truncate(length)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.gate.syncs.fetch_add(1, Ordering::SeqCst);
        self.gate.entered.send(()).ok();
        self.gate.wait.lock().recv().ok();
        self.inner.sync_data()
    }
}

/// While one thread's sync is at the disk, the others append; the next sync is for all of them.
#[test]
fn threads_that_wait_together_share_one_sync() {
    let (entered, is_in) = channel();
    let (release, wait) = channel();
    let gate = Arc::new(Gate {
        inner: SimDisk::new(1),
        entered,
        wait: parking_lot::Mutex::new(wait),
        syncs: AtomicU64::new(0),
    });
    release.send(()).expect("for the new segment");
    let disk = Arc::new(GateDisk(Arc::clone(&gate)));
    let log = Log::create(disk, 1, Limits::default()).expect("an empty disk");
    is_in.recv().expect("the new segment's sync");
    let (appended, all_in) = channel();
    std::thread::scope(|scope| {
        let first = log.append(b"first").expect("a good disk");
        let log = &log;
        scope.spawn(move || log.sync(first).expect("a good disk"));
        is_in.recv().expect("the first sync is at the disk");
        for _ in 0..10 {
            let appended = appended.clone();
            scope.spawn(move || {
                let lsn = log.append(b"more").expect("appends do not wait for a sync");
                appended.send(()).expect("someone counts");
                log.sync(lsn).expect("a good disk");
            });
        }
        assert_eq!(all_in.iter().take(10).count(), 10);
        drop(release);
    });
    assert_eq!(
        gate.syncs.load(Ordering::SeqCst),
        3,
        "the segment's, the first, one for ten"
    );
}

/// What is applied under the log's lock is applied in the log's order.
#[test]
fn applies_in_the_order_of_the_log() {
    let log = Log::create(Arc::new(SimDisk::new(1)), 1, Limits::default()).expect("an empty disk");
    let applied = parking_lot::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let apply = |lsn| applied.lock().push(lsn);
                    log.append_with(b"x", apply).expect("a good disk");
                }
            });
        }
    });
    let applied = applied.into_inner();
    assert_eq!(applied.len(), 800);
    assert!(applied.is_sorted());
}

/// A record that counts the records before it: no two threads make the same one.
#[test]
fn makes_a_record_with_no_other_append_in_between() {
    let log = Log::create(Arc::new(SimDisk::new(1)), 1, Limits::default()).expect("an empty disk");
    let count = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let next = || count.load(Ordering::SeqCst).to_le_bytes();
                    let make = || Ok::<_, StoreError>(Some(next()));
                    let apply = |made: Option<[u8; 8]>, _| {
                        let made = made.expect("there is one");
                        count.store(u64::from_le_bytes(made) + 1, Ordering::SeqCst);
                    };
                    log.append_made(make, apply).expect("a good disk");
                }
            });
        }
    });
    assert_eq!(count.into_inner(), 800);
    let end = log.end();
    let refused = log.append_made(|| Err::<Option<[u8; 1]>, _>(StoreError::Stopped), |_, _| ());
    assert!(matches!(refused, Err(StoreError::Stopped)));
    assert_eq!(log.end(), end, "what could not be made leaves nothing");
    let none = || Ok::<Option<[u8; 1]>, StoreError>(None);
    let at = log.append_made(none, |made, at| (made, at));
    assert_eq!(at.expect("a good disk"), (None, end));
    assert_eq!(log.end(), end, "nor does what is not to be logged");
}

#[test]
fn a_poisoned_log_lets_nobody_wait() {
    let log = Log::create(Arc::new(SimDisk::new(1)), 1, Limits::default()).expect("an empty disk");
    let lsn = log.append(b"x").expect("a good disk");
    log.poison("the manifest could not be replaced");
    assert!(matches!(log.sync(lsn), Err(StoreError::Broken { .. })));
    assert!(
        log.broken()
            .is_some_and(|reason| reason.contains("manifest"))
    );
}
