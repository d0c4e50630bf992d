//! Kernels of the store, on the simulated disk: log records and snapshot blocks, both ways.

use std::hint::black_box;
use std::sync::Arc;

use magnesia_store::sim::SimDisk;
use magnesia_store::{Disk, Limits, Log, Lsn, SnapshotReader, SnapshotWriter, StoreError};

use crate::{Kernel, measured, once};

pub const KERNELS: &[Kernel] = &[
    ("log_append", log_append),
    ("log_recover", log_recover),
    ("snapshot_write", snapshot_write),
    ("snapshot_read", snapshot_read),
];

const RECORDS: usize = 500;
const BLOCKS: usize = 10;
const NAME: &str = "snapshot";

fn records() -> Vec<Vec<u8>> {
    (0..RECORDS).map(|number| vec![number as u8; 120]).collect()
}

fn log() -> (Arc<dyn Disk>, Log) {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let log = Log::create(Arc::clone(&disk), 42, Limits::default()).expect("an empty disk");
    log.append(b"the first one").expect("a good disk");
    (disk, log)
}

fn log_append() -> usize {
    let (_, log) = log();
    once(&records(), |record| {
        black_box(log.append(record)).expect("a good disk");
    })
}

fn log_recover() -> usize {
    let (disk, log) = log();
    for record in records() {
        log.append(&record).expect("a good disk");
    }
    log.close().expect("a good disk");
    let mut found = 0;
    measured(&mut || {
        let opened = Log::open(
            Arc::clone(&disk),
            42,
            Lsn::START,
            Limits::default(),
            |_, bytes| {
                found += usize::from(!black_box(bytes).is_empty());
                Ok::<_, StoreError>(())
            },
        );
        drop(opened.expect("a good disk"));
    });
    found
}

fn writer(disk: &Arc<dyn Disk>) -> SnapshotWriter {
    SnapshotWriter::create(Arc::clone(disk), NAME, 1, b"meta", Limits::default())
        .expect("an empty disk")
}

fn blocks() -> Vec<Vec<u8>> {
    (0..BLOCKS)
        .map(|number| vec![number as u8; 64 << 10])
        .collect()
}

fn snapshot_write() -> usize {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let mut writer = writer(&disk);
    once(&blocks(), |block| writer.block(block).expect("a good disk"))
}

fn snapshot_read() -> usize {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let mut writer = writer(&disk);
    for block in blocks() {
        writer.block(&block).expect("a good disk");
    }
    writer.finish().expect("a good disk");
    let reader = SnapshotReader::open(&*disk, NAME, 1).expect("it is there");
    let mut found = 0;
    measured(&mut || {
        for block in reader.blocks() {
            black_box(block).expect("it is whole");
            found += 1;
        }
    });
    found
}
