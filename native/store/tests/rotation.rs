//! Who waits for the disk when a log segment is full: the storage threads, not the writers.

#![allow(missing_docs, reason = "a test")]

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use magnesia_store::sim::{OpKind, Pass, SimDisk, Watched};
use magnesia_store::{Disk, Keeper, Limits, Log, Lsn, StoreError};
use parking_lot::Mutex;

fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::yield_now();
    }
}

#[test]
fn writers_never_sync_while_a_long_job_holds_the_dumps_up() {
    let me = thread::current().id();
    let syncs = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&syncs);
    let watcher = move |kind, _: &str| {
        if matches!(kind, OpKind::Sync | OpKind::SyncDir) && thread::current().id() == me {
            *counted.lock() += 1;
        }
        Pass::Through
    };
    let disk = Watched::over(&SimDisk::new(1), Arc::new(watcher));
    let limits = Limits {
        segment_bytes: 4096,
        ..Limits::default()
    };
    let log = Arc::new(Log::create(Arc::new(disk.clone()), 1, limits).expect("an empty disk"));
    let keeper = Keeper::start(Arc::clone(&log)).expect("threads");
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let dump = move || {
        wait.recv().ok();
    };
    keeper.submit(Box::new(dump)).expect("an empty queue");
    let before = *syncs.lock();
    for _ in 0..500 {
        log.append(&[7; 100]).expect("a good disk");
        keeper.rotate_ahead();
        wait_for("nobody closed the segment", || !log.wants_rotation());
    }
    assert_eq!(*syncs.lock(), before, "syncs of the writer");
    drop(release);
    keeper.stop();
    let names = disk.list().expect("a good disk");
    assert!(names.len() >= 500 * 124 / 4096, "{names:?}");
    drop(log);
    let count = |_: Lsn, _: &[u8]| Ok::<_, StoreError>(());
    let opened = Log::open(Arc::new(disk), 1, Lsn::START, limits, count);
    assert_eq!(opened.expect("an intact log").1.records, 500);
}
