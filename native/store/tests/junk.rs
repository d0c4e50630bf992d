//! Bytes that nobody wrote: no panic, no hang, and never an item that was not there.
//!
//! `MAGNESIA_JUNK` sets the number of rounds, `MAGNESIA_SEED` the first seed.

#![allow(missing_docs, reason = "a test")]

mod book;

use std::collections::BTreeMap;

use book::{Book, Bug};
use magnesia_store::sim::{Random, SimDisk};
use magnesia_store::{Log, Lsn, SnapshotReader, StoreError};

const ROUNDS: u64 = 20_000;

type Files = BTreeMap<String, Vec<u8>>;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

fn valid() -> (Files, Vec<Vec<u8>>) {
    let disk = SimDisk::new(2);
    let mut book = Book::open(&disk, Bug::None).expect("an empty disk");
    for number in 0..40u32 {
        book.append(format!("{number} {}", "y".repeat(40)).as_bytes())
            .expect("a good disk");
        if number == 7 {
            book.dump().expect("a good disk");
        }
    }
    (disk.files(), book.items)
}

/// Changes some bytes of one file.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let from = random.below_length(bytes.len() + 1);
    let to = (from + random.below_length(64)).min(bytes.len());
    let part = bytes[from..to].to_vec();
    match random.below(8) {
        0 => bytes[from..to]
            .iter_mut()
            .for_each(|byte| *byte = random.next() as u8),
        1 => bytes[from..to].fill(0),
        2 => bytes[from..to].fill(0xFF),
        3 => bytes.truncate(from),
        4 => drop(bytes.drain(from..to)),
        5 => drop(bytes.splice(from..from, part)),
        6 => bytes.extend(part),
        _ => {
            *bytes = (0..random.below(300))
                .map(|_| random.next() as u8)
                .collect();
        }
    }
}

/// Makes the checksums of the head and of a manifest's body right again.
fn sum_anew(bytes: &mut [u8]) {
    if bytes.len() >= 16 {
        let sum = crc32c::crc32c(&bytes[..12]).to_le_bytes();
        bytes[12..16].copy_from_slice(&sum);
    }
    if bytes.len() >= 24 && bytes[..8] == *b"\x89MagnMan" {
        let length = (bytes.len() as u32 - 24).to_le_bytes();
        bytes[16..20].copy_from_slice(&length);
        let sum = crc32c::crc32c(&bytes[24..]).to_le_bytes();
        bytes[20..24].copy_from_slice(&sum);
    }
}

/// Opens and salvages; returns what an ordinary opening finds.
fn look(files: Files) -> Option<Vec<Vec<u8>>> {
    let names: Vec<_> = files.keys().cloned().collect();
    let disk = SimDisk::with_files(files, 1);
    for name in names {
        let read = SnapshotReader::salvage(&disk, &name, 1, |_, _| Ok::<_, StoreError>(()));
        assert!(read.is_ok() || !matches!(read, Err(StoreError::Io { .. })));
    }
    let read = Log::salvage(&disk, 77, Lsn::START, |_, _| Ok::<_, StoreError>(()));
    assert!(!matches!(read, Err(StoreError::Io { .. })));
    Book::open(&disk, Bug::None).ok().map(|book| book.items)
}

#[test]
fn changed_files_never_yield_what_was_not_there() {
    let (files, items) = valid();
    let first = setting("MAGNESIA_SEED", 1);
    let (mut refused, mut opened) = (0, 0);
    for seed in first..first + setting("MAGNESIA_JUNK", ROUNDS) {
        let mut random = Random::new(seed);
        let mut changed = files.clone();
        for _ in 0..=random.below(3) {
            let name = changed
                .keys()
                .nth(random.below_length(changed.len()))
                .expect("one")
                .clone();
            mutate(changed.get_mut(&name).expect("there"), &mut random);
        }
        match look(changed) {
            None => refused += 1,
            Some(found) => {
                opened += 1;
                assert!(
                    items.starts_with(&found),
                    "repeat: MAGNESIA_SEED={seed} MAGNESIA_JUNK=1 cargo test -p magnesia-store \
                     --test junk"
                );
            }
        }
    }
    println!("from seed {first}: {refused} refused, {opened} opened");
}

/// With right checksums the parsers behind them are reached: no panic, whatever they say.
#[test]
fn right_checksums_over_junk_do_no_harm() {
    let (files, _) = valid();
    let first = setting("MAGNESIA_SEED", 1);
    for seed in first..first + setting("MAGNESIA_JUNK", ROUNDS) {
        let mut random = Random::new(seed ^ 0x5A5A);
        let mut changed = files.clone();
        let bytes = changed.get_mut("MANIFEST").expect("there");
        mutate(bytes, &mut random);
        sum_anew(bytes);
        drop(look(changed));
    }
}
