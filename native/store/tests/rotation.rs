//! Who waits for the disk when a log segment is full: the storage threads, not the writers.

#![allow(missing_docs, reason = "a test")]

use std::io;
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use magnesia_store::sim::SimDisk;
use magnesia_store::{Disk, DiskFile, Keeper, Limits, Log, Lsn, StoreError};
use parking_lot::Mutex;

/// A disk that notes which thread synced.
#[derive(Clone)]
struct Watched {
    disk: SimDisk,
    syncs: Arc<Mutex<Vec<ThreadId>>>,
}

struct WatchedFile(Arc<dyn DiskFile>, Arc<Mutex<Vec<ThreadId>>>);

impl Watched {
    fn file(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(WatchedFile(file, Arc::clone(&self.syncs)))
    }

    fn syncs_of_this_thread(&self) -> usize {
        let me = thread::current().id();
        self.syncs.lock().iter().filter(|id| **id == me).count()
    }
}

impl Disk for Watched {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(self.disk.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(self.disk.open(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.syncs.lock().push(thread::current().id());
        self.disk.sync_dir()
    }
}

impl DiskFile for WatchedFile {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_at(offset, bytes)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.truncate(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.1.lock().push(thread::current().id());
        self.0.sync_data()
    }
}

fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::yield_now();
    }
}

#[test]
fn writers_never_sync_while_a_long_job_holds_the_dumps_up() {
    let disk = Watched {
        disk: SimDisk::new(1),
        syncs: Arc::default(),
    };
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
    let before = disk.syncs_of_this_thread();
    for _ in 0..500 {
        log.append(&[7; 100]).expect("a good disk");
        keeper.rotate_ahead();
        wait_for("nobody closed the segment", || !log.wants_rotation());
    }
    assert_eq!(disk.syncs_of_this_thread(), before, "syncs of the writer");
    drop(release);
    keeper.stop();
    let names = disk.list().expect("a good disk");
    assert!(names.len() >= 500 * 124 / 4096, "{names:?}");
    drop(log);
    let count = |_: Lsn, _: &[u8]| Ok::<_, StoreError>(());
    let opened = Log::open(Arc::new(disk), 1, Lsn::START, limits, count);
    assert_eq!(opened.expect("an intact log").1.records, 500);
}
