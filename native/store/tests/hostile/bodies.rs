//! What must hold of the store's readers on any bytes at all: no panic, no memory out of
//! proportion, and the same answer as the strict reader, which shares no code with them.
//!
//! An input begins with one byte: how many checksums are made right first. Without that no
//! fuzzer gets past the first one. The replay of the kept inputs calls this, and so do the fuzz
//! targets of `native/fuzz`.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each caller takes a part of this"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use magnesia_store::sim::SimDisk;
use magnesia_store::{Disk, Limits, Log, Lsn, Manifest, SnapshotReader, StoreError};

#[path = "../../../fuzz/memory.rs"]
pub mod memory;
#[path = "../strict_reader.rs"]
mod strict;

const ID: u64 = 77;
const SEGMENT_HEADER: usize = 36;
const SNAPSHOT_HEADER: usize = 28;
const FRAME_HEADER: usize = 24;

/// The simulated disk keeps files, their history and what a reader reads of them.
fn allowed(input: &[u8]) -> usize {
    32 * input.len() + (64 << 10)
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..at + 4)?.try_into().expect("four");
    Some(u32::from_le_bytes(word) as usize)
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(
        bytes.get(at..at + 8)?.try_into().expect("eight"),
    ))
}

fn put_sum(bytes: &mut [u8], at: usize, sum: u32) {
    bytes[at..at + 4].copy_from_slice(&sum.to_le_bytes());
}

/// Makes the checksum of the first bytes right: that of the head, and one over `covered` after.
fn sum_header(bytes: &mut [u8], covered: usize) {
    if bytes.len() >= covered + 4 {
        put_sum(bytes, 12, crc32c::crc32c(&bytes[..12]));
        put_sum(bytes, covered, crc32c::crc32c(&bytes[..covered]));
    }
}

/// Makes the checksums of the first frames or blocks right. Position 0 is `base` in the place
/// that a header's checksum covers.
fn sum_frames(bytes: &mut [u8], begin: usize, id: u64, base: u64, count: u8) {
    let mut at = begin;
    for _ in 0..count {
        let Some(length) = word(bytes, at + 4) else {
            return;
        };
        if at + FRAME_HEADER > bytes.len() {
            return;
        }
        if let Some(payload) = bytes.get(at + FRAME_HEADER..at + FRAME_HEADER + length) {
            let sum = crc32c::crc32c(payload);
            put_sum(bytes, at + 16, sum);
        }
        let place = base.wrapping_add(at as u64);
        let place = [&id.to_le_bytes(), &place.to_le_bytes(), &bytes[at..at + 20]].concat();
        put_sum(bytes, at + 20, crc32c::crc32c(&place));
        at += FRAME_HEADER + length;
    }
}

fn segment(mut bytes: Vec<u8>, count: u8) -> (u64, Vec<u8>) {
    let first = long(&bytes, 24).unwrap_or_default();
    if count > 0 {
        sum_header(&mut bytes, SEGMENT_HEADER - 4);
        let base = first.wrapping_sub(SEGMENT_HEADER as u64);
        sum_frames(&mut bytes, SEGMENT_HEADER, ID, base, count);
    }
    (first, bytes)
}

type Records = Vec<(u64, Vec<u8>)>;

fn open_log(disk: &SimDisk) -> Result<(Records, bool), StoreError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut records = Records::new();
    let opened = Log::open(disk, ID, Lsn::START, Limits::default(), |lsn, bytes| {
        records.push((lsn.get(), bytes.to_vec()));
        Ok::<_, StoreError>(())
    });
    opened.map(|(_, found)| (records, found.cut.is_some()))
}

fn read_segments(files: &BTreeMap<String, Vec<u8>>) {
    let disk = SimDisk::with_files(files.clone(), 1);
    let mut salvaged = Vec::new();
    let salvage = Log::salvage(&disk, ID, Lsn::START, |_, bytes| {
        salvaged.push(bytes.to_vec());
        Ok::<_, StoreError>(())
    });
    assert!(
        !matches!(salvage, Err(StoreError::Io { .. })),
        "{salvage:?}"
    );
    let strictly = strict::read_log(files, ID, 0);
    match open_log(&disk) {
        Ok((records, _)) => {
            assert_eq!(Ok(&records), strictly.as_ref());
            let of_salvage = records.iter().all(|(_, record)| salvaged.contains(record));
            assert!(of_salvage, "salvage has less than an opening");
            let again = open_log(&disk).expect("it was opened before");
            assert_eq!(again, (records, false), "a second opening");
        }
        Err(error) => {
            assert!(!matches!(error, StoreError::Io { .. }), "{error:?}");
            assert!(
                strictly.is_err(),
                "{error:?}, and the strict reader sees no damage"
            );
            assert_eq!(disk.files(), *files, "what was refused was changed");
        }
    }
}

/// Fuzz target: the commit log, in one or two segments.
pub fn log_recover(input: &[u8]) {
    let [count, low, high, bytes @ ..] = input else {
        return;
    };
    let split = usize::from(u16::from_le_bytes([*low, *high])).min(bytes.len());
    let (one, two) = bytes.split_at(split);
    let mut files = BTreeMap::new();
    for bytes in [one, two].into_iter().filter(|bytes| !bytes.is_empty()) {
        let (first, bytes) = segment(bytes.to_vec(), *count);
        files.insert(format!("log-{first:016x}.mlog"), bytes);
    }
    let _alone = memory::alone();
    memory::within(allowed(input), &mut || read_segments(&files));
}

fn read_blocks(disk: &SimDisk, bytes: &[u8]) {
    let mut salvaged = Vec::new();
    let salvage = SnapshotReader::salvage(disk, "snapshot", ID, |_, block| {
        salvaged.push(block.to_vec());
        Ok::<_, StoreError>(())
    });
    assert!(
        !matches!(salvage, Err(StoreError::Io { .. })),
        "a good disk"
    );
    let opened = SnapshotReader::open(disk, "snapshot", ID).and_then(|reader| {
        let blocks: Result<Vec<_>, _> = reader.blocks().map(|b| b.map(|b| b.bytes)).collect();
        Ok((reader.meta().to_vec(), blocks?))
    });
    match (opened, strict::read_snapshot(bytes, ID)) {
        (Ok(found), Some(strictly)) => {
            assert_eq!(found, strictly);
            assert_eq!([vec![found.0], found.1].concat(), salvaged);
        }
        (Err(error), None) => assert!(!matches!(error, StoreError::Io { .. }), "{error:?}"),
        (found, strictly) => panic!("{found:?}, strictly {strictly:?}"),
    }
}

/// Makes the totals in the end mark right, where the last bytes can be one.
fn total(bytes: &mut [u8]) {
    let (mut at, mut blocks, mut length, mut sums) = (SNAPSHOT_HEADER, 0_u64, 0_u64, Vec::new());
    while let Some(size) = word(bytes, at + 4) {
        if bytes[at..at + 4] == *b"\xF2mSE" && bytes.len() == at + FRAME_HEADER + 20 {
            let end = &mut bytes[at + FRAME_HEADER..];
            end[..8].copy_from_slice(&blocks.to_le_bytes());
            end[8..16].copy_from_slice(&length.to_le_bytes());
            put_sum(end, 16, crc32c::crc32c(&sums));
            return;
        }
        if bytes[at..at + 4] == *b"\xF2mSB" && bytes.len() > at + 20 {
            (blocks, length) = (blocks + 1, length + size as u64);
            sums.extend_from_slice(&bytes[at + 16..at + 20]);
        }
        at += FRAME_HEADER + size;
    }
}

/// Fuzz target: a snapshot.
pub fn snapshot_read(input: &[u8]) {
    let [count, bytes @ ..] = input else { return };
    let mut bytes = bytes.to_vec();
    if *count > 0 {
        sum_header(&mut bytes, SNAPSHOT_HEADER - 4);
        sum_frames(&mut bytes, SNAPSHOT_HEADER, ID, 0, *count);
        total(&mut bytes);
        sum_frames(&mut bytes, SNAPSHOT_HEADER, ID, 0, *count);
    }
    let files = BTreeMap::from([("snapshot".to_owned(), bytes.clone())]);
    let disk = SimDisk::with_files(files, 1);
    let _alone = memory::alone();
    memory::within(allowed(input), &mut || read_blocks(&disk, &bytes));
}

fn load(disk: &SimDisk, bytes: &[u8]) {
    let strictly = strict::read_manifest(bytes);
    let manifest = match Manifest::load(disk, &Limits::default()) {
        Ok(manifest) => manifest.expect("the file is there"),
        Err(error) => return assert!(!matches!(error, StoreError::Io { .. }), "{error:?}"),
    };
    let (id, start, names, payload) = strictly.expect("what is taken is right");
    assert_eq!((id, start), (manifest.log_id, manifest.log_start.get()));
    let entries = manifest.snapshots.iter();
    let found: Vec<_> = entries
        .map(|entry| (entry.id, entry.name.clone()))
        .collect();
    assert_eq!((found, &payload), (names, &manifest.payload));
    let other = SimDisk::new(1);
    manifest
        .store(&other, &Limits::default())
        .expect("it was loaded");
    assert_eq!(other.files()["MANIFEST"], bytes, "what is written again");
}

/// Fuzz target: the manifest.
pub fn manifest_read(input: &[u8]) {
    let [count, bytes @ ..] = input else { return };
    let mut bytes = bytes.to_vec();
    if *count > 0 && bytes.len() >= 24 {
        let (length, sum) = (bytes.len() as u32 - 24, crc32c::crc32c(&bytes[24..]));
        bytes[16..20].copy_from_slice(&length.to_le_bytes());
        put_sum(&mut bytes, 20, sum);
        let head = crc32c::crc32c(&bytes[..12]);
        put_sum(&mut bytes, 12, head);
    }
    let disk = SimDisk::with_files(BTreeMap::from([("MANIFEST".to_owned(), bytes.clone())]), 1);
    let _alone = memory::alone();
    memory::within(allowed(input), &mut || load(&disk, &bytes));
}
