//! Each fault of a disk at each operation, and each bit of each file flipped at rest.
//!
//! A refused write leaves nothing, an acknowledged one stays, a failed sync ends all
//! acknowledgements, and damage is named or, at the very end of the log, cut; never a wrong row.

#![allow(missing_docs, reason = "a test")]

mod book;

use std::collections::BTreeMap;
use std::sync::Arc;

use book::{Book, Bug, limits};
use magnesia_store::sim::{Fault, Image, OpKind, SimDisk};
use magnesia_store::{DamageKind, Disk, Limits, Log, Lsn, Manifest, SnapshotReader, StoreError};

type Files = BTreeMap<String, Vec<u8>>;

fn item(number: usize) -> Vec<u8> {
    format!("item {number:04} {}", "x".repeat(number % 90)).into_bytes()
}

/// What the caller of one run was told.
#[derive(Default)]
struct Told {
    kept: Vec<Vec<u8>>,
    synced: usize,
}

/// Appends, syncs, rotates and dumps; goes on after a full disk, reopens after other errors.
fn play(disk: &SimDisk) -> Told {
    let mut told = Told::default();
    let mut book = open(disk);
    for number in 0..24 {
        if number == 10 {
            // One refused write belongs to the script itself, so that something is undone.
            disk.plan(OpKind::Write, 0, Fault::Full);
        }
        let appended = book.append(&item(number));
        let result = appended.and_then(|()| {
            told.kept.push(item(number));
            match number % 6 {
                1 | 3 => book.sync().map(|()| told.synced = told.kept.len()),
                4 if number > 6 => book.dump().map(|()| told.synced = told.kept.len()),
                5 => book.close().map(|()| told.synced = told.kept.len()),
                _ => Ok(()),
            }
        });
        let is_broken = result
            .as_ref()
            .is_err_and(|e| !matches!(e, StoreError::Full { .. }));
        if is_broken || number == 14 {
            drop(book);
            book = open(disk);
            assert_eq!(book.items, told.kept, "after {result:?}");
            told.synced = told.kept.len();
        }
    }
    told
}

/// Opens; a planned fault may refuse it once.
fn open(disk: &SimDisk) -> Book {
    Book::open(disk, Bug::None)
        .or_else(|first| {
            assert!(
                matches!(first, StoreError::Io { .. } | StoreError::Full { .. }),
                "{first}"
            );
            Book::open(disk, Bug::None)
        })
        .expect("a fault that happens once refuses once")
}

#[test]
fn keeps_its_word_under_each_fault_at_each_operation() {
    let quiet = SimDisk::new(1);
    play(&quiet);
    for kind in OpKind::ALL {
        assert!(quiet.count(kind) > 0, "{kind:?} is never used");
        for fault in [Fault::Io, Fault::Full, Fault::Short(0), Fault::Short(7)] {
            for nth in 0..quiet.count(kind) {
                let disk = SimDisk::new(nth);
                disk.plan(kind, nth, fault);
                let told = play(&disk);
                for image in Image::ALL {
                    let cut = disk.crash(disk.operations(), image, nth);
                    let found = open(&cut).items;
                    let context = format!("{fault:?} at {kind:?} {nth}, {image:?}");
                    assert!(found.len() >= told.synced, "{context}: lost");
                    assert!(told.kept.starts_with(&found), "{context}: wrong");
                }
            }
        }
    }
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged() {
    let disk = SimDisk::new(3);
    let log = Log::create(Arc::new(disk.clone()), 1, limits()).expect("an empty disk");
    let first = log.append(b"one").expect("a good disk");
    log.sync(first).expect("a good disk");
    let second = log.append(b"two").expect("a good disk");
    disk.plan(OpKind::Sync, 0, Fault::Io);
    assert!(matches!(
        log.sync(second),
        Err(StoreError::Io {
            operation: "sync",
            ..
        })
    ));
    assert!(matches!(log.sync(second), Err(StoreError::Broken { .. })));
    assert!(matches!(
        log.append(b"three"),
        Err(StoreError::Broken { .. })
    ));
    assert!(matches!(log.rotate(), Err(StoreError::Broken { .. })));
    assert!(matches!(log.close(), Err(StoreError::Broken { .. })));
    assert!(
        log.sync(first).is_ok(),
        "what was on disk before stays acknowledged"
    );
    assert!(log.broken().is_some_and(|reason| reason.contains("sync")));
}

#[test]
fn a_full_disk_refuses_and_lifts_by_itself() {
    let disk = SimDisk::new(4);
    let log = Log::create(Arc::new(disk.clone()), 1, Limits::default()).expect("room enough");
    let kept = log.append(b"before").expect("room enough");
    disk.set_room(Some(10));
    let before = disk.files();
    for _ in 0..3 {
        let refused = log.append(b"too long for what is left");
        assert!(matches!(
            refused,
            Err(StoreError::Full {
                bytes: 49,
                offset: 66,
                ..
            })
        ));
        assert_eq!(disk.files(), before, "nothing of it was kept");
        log.sync(kept).expect("reads and syncs go on");
    }
    disk.set_room(None);
    assert!(log.append(b"after").is_ok_and(|lsn| lsn > kept));
}

/// What a refused write left must not come back between later records after a power cut.
#[test]
fn the_rest_of_a_refused_write_never_comes_back() {
    let disk = SimDisk::new(4);
    let log = Log::create(Arc::new(disk.clone()), 1, Limits::default()).expect("room enough");
    let kept = log.append(b"before").expect("room enough");
    log.sync(kept).expect("a good disk");
    let before = disk.files();
    disk.plan(OpKind::Write, 0, Fault::Full);
    disk.plan(OpKind::Write, 1, Fault::Full);
    assert!(matches!(
        log.append(&[3; 300]),
        Err(StoreError::Full { .. })
    ));
    for seed in 0..50 {
        for image in Image::ALL {
            assert_eq!(
                disk.crash(disk.operations(), image, seed).files(),
                before,
                "{seed}"
            );
        }
    }
}

#[test]
fn a_full_disk_at_a_rotation_leaves_the_log_usable() {
    let disk = SimDisk::new(5);
    let log = Log::create(Arc::new(disk.clone()), 1, limits()).expect("room enough");
    log.append(&[7; 1000]).expect("room enough");
    disk.set_room(Some(20));
    assert!(
        matches!(log.append(b"x"), Err(StoreError::Full { .. })),
        "no room for a header"
    );
    assert_eq!(disk.files().len(), 1, "no half segment stays");
    disk.set_room(None);
    log.append(b"x").expect("room enough");
    assert_eq!(disk.files().len(), 2);
}

#[test]
fn a_failed_write_breaks_the_log_and_leaves_nothing() {
    let disk = SimDisk::new(6);
    let log = Log::create(Arc::new(disk.clone()), 1, limits()).expect("a good disk");
    let before = disk.files();
    disk.plan(OpKind::Write, 0, Fault::Io);
    assert!(matches!(
        log.append(b"x"),
        Err(StoreError::Io {
            operation: "write",
            ..
        })
    ));
    assert!(matches!(log.append(b"x"), Err(StoreError::Broken { .. })));
    assert_eq!(disk.files(), before);
}

/// Two segments, a snapshot, a manifest, closed in good order.
fn closed() -> (Files, Vec<Vec<u8>>) {
    let disk = SimDisk::new(9);
    let mut book = Book::open(&disk, Bug::None).expect("an empty disk");
    for number in 0..30 {
        book.append(&item(number)).expect("a good disk");
        if number == 3 {
            book.dump().expect("a good disk");
        }
    }
    book.close().expect("a good disk");
    let files = disk.files();
    assert_eq!(
        files.keys().filter(|name| name.ends_with(".mlog")).count(),
        2
    );
    (files, book.items)
}

fn opened(files: Files) -> Result<Vec<Vec<u8>>, StoreError> {
    Book::open(&SimDisk::with_files(files, 1), Bug::None).map(|book| book.items)
}

fn names(error: &StoreError) -> &str {
    match error {
        StoreError::Damaged { file, .. } | StoreError::TooNew { file, .. } => file,
        _ => "",
    }
}

#[test]
fn names_every_bit_that_flips() {
    let (files, items) = closed();
    let last = files
        .keys()
        .rfind(|name| name.ends_with(".mlog"))
        .expect("a segment")
        .clone();
    for (name, bytes) in &files {
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = files.clone();
                flipped.get_mut(name).expect("there")[at] ^= 1 << bit;
                // The mark of the clean close guards all before it, and nothing guards the mark.
                let is_mark = *name == last && at >= bytes.len() - 24;
                match opened(flipped) {
                    Ok(found) => assert!(is_mark && found == items, "{name} byte {at} bit {bit}"),
                    Err(error) => assert_eq!(names(&error), name, "byte {at}: {error}"),
                }
            }
        }
    }
}

/// Zeros look like a write that was lost, but these writes were known to be on disk.
#[test]
fn names_a_range_of_zeros_where_something_was_synced() {
    let (files, items) = closed();
    let last = files
        .keys()
        .rfind(|name| name.ends_with(".mlog"))
        .expect("a segment")
        .clone();
    for (name, bytes) in &files {
        for from in 0..bytes.len() {
            let mut wiped = files.clone();
            let to = bytes.len().min(from + 40);
            wiped.get_mut(name).expect("there")[from..to].fill(0);
            if wiped == files {
                continue;
            }
            // Without the mark at its end, the log has nothing that says how long it was.
            let is_end = *name == last && to > bytes.len() - 24;
            match opened(wiped) {
                Ok(found) => assert!(is_end && items.starts_with(&found), "{name} from {from}"),
                Err(error) => assert_eq!(names(&error), name, "from {from}: {error}"),
            }
        }
    }
}

/// The same bytes twice: only what a later record says about its place tells them apart.
#[test]
fn a_lost_write_is_torn_before_and_damage_after_its_sync() {
    for is_synced in [false, true] {
        let disk = SimDisk::new(14);
        let log = Log::create(Arc::new(disk.clone()), 1, Limits::default()).expect("empty disk");
        let first = log.append(b"first").expect("a good disk");
        if is_synced {
            log.sync(first).expect("a good disk");
        }
        log.append(b"second").expect("a good disk");
        drop(log);
        let mut files = disk.files();
        files.values_mut().next().expect("a segment")[36..36 + 29].fill(0);
        let disk = Arc::new(SimDisk::with_files(files, 1));
        let opened = Log::open(disk, 1, Lsn::START, Limits::default(), |_, _| {
            Ok::<_, StoreError>(())
        });
        match opened {
            Ok((_, found)) => assert!(!is_synced && found.records == 0 && found.cut.is_some()),
            Err(error) => assert!(is_synced && names(&error).ends_with(".mlog"), "{error}"),
        }
    }
}

/// Nothing here was ever synced, but no power cut makes such bytes.
#[test]
fn names_a_flipped_bit_before_intact_records_that_were_never_synced() {
    let disk = SimDisk::new(12);
    let log = Log::create(Arc::new(disk.clone()), 1, Limits::default()).expect("an empty disk");
    for payload in [&b"first"[..], b"second", b"third"] {
        log.append(payload).expect("a good disk");
    }
    drop(log);
    for at in 36..36 + 29 {
        let mut files = disk.files();
        files.values_mut().next().expect("a segment")[at] ^= 16;
        let disk = Arc::new(SimDisk::with_files(files, 1));
        let refused = Log::open(disk, 1, Lsn::START, Limits::default(), |_, _| {
            Ok::<_, StoreError>(())
        });
        assert!(
            matches!(refused, Err(StoreError::Damaged { offset: 36, .. })),
            "byte {at}"
        );
    }
}

/// A segment that was begun proves that the one before it was complete.
#[test]
fn an_unfinished_segment_speaks_for_the_one_before() {
    let disk = SimDisk::new(13);
    let log = Log::create(Arc::new(disk.clone()), 1, Limits::default()).expect("an empty disk");
    let end = log
        .append(b"first")
        .and_then(|_| log.append(b"second"))
        .expect("a good disk");
    assert_eq!(log.rotate().expect("a good disk"), end);
    drop(log);
    let open = |shorter: usize| {
        let mut files = disk.files();
        files
            .values_mut()
            .next_back()
            .expect("the new segment")
            .truncate(10);
        let old = files.values_mut().next().expect("the old segment");
        old.truncate(old.len() - shorter);
        let disk = Arc::new(SimDisk::with_files(files, 1));
        Log::open(disk, 1, Lsn::START, Limits::default(), |_, _| {
            Ok::<_, StoreError>(())
        })
    };
    assert!(open(0).is_ok_and(|(log, found)| log.end() == end && found.records == 2));
    for shorter in [1, 29, 30] {
        assert!(
            matches!(open(shorter), Err(StoreError::Damaged { .. })),
            "{shorter}"
        );
    }
}

#[test]
fn a_file_cut_short_is_named_or_yields_a_prefix() {
    let (files, items) = closed();
    let last = files
        .keys()
        .rfind(|name| name.ends_with(".mlog"))
        .expect("a segment")
        .clone();
    for (name, bytes) in &files {
        for length in 0..bytes.len() {
            let mut cut = files.clone();
            cut.get_mut(name).expect("there").truncate(length);
            match opened(cut) {
                Ok(found) => {
                    assert!(
                        *name == last && items.starts_with(&found),
                        "{name} at {length}"
                    );
                }
                // Cut between two frames it looks like a segment that is missing in between.
                Err(StoreError::Damaged {
                    kind: DamageKind::MissingSegment(_),
                    ..
                }) => {
                    assert!(name.ends_with(".mlog"), "{name} at {length}");
                }
                Err(error) => assert_eq!(names(&error), name, "at {length}: {error}"),
            }
        }
    }
}

#[test]
fn names_a_file_that_is_missing() {
    let (files, _) = closed();
    for name in files.keys() {
        let mut fewer = files.clone();
        fewer.remove(name);
        let error = opened(fewer);
        let is_last_segment = files.keys().rfind(|name| name.ends_with(".mlog")) == Some(name);
        if name == "MANIFEST" {
            let kind = DamageKind::NoManifest;
            assert!(matches!(error, Err(StoreError::Damaged { kind: k, .. }) if k == kind));
        } else if !is_last_segment {
            assert_eq!(error.as_ref().map_err(names), Err(name.as_str()));
        }
    }
}

#[test]
fn a_segment_of_another_place_or_database_is_refused() {
    let (files, _) = closed();
    let segments: Vec<_> = files
        .keys()
        .filter(|name| name.ends_with(".mlog"))
        .collect();
    let mut swapped = files.clone();
    swapped.insert(segments[0].clone(), files[segments[1]].clone());
    swapped.insert(segments[1].clone(), files[segments[0]].clone());
    let kind = DamageKind::Misplaced;
    assert!(matches!(opened(swapped), Err(StoreError::Damaged { kind: k, .. }) if k == kind));

    let disk = Arc::new(SimDisk::with_files(files, 1));
    let start = Manifest::load(disk.as_ref(), &limits())
        .expect("intact")
        .expect("there")
        .log_start;
    let other = Log::open(disk, 78, start, limits(), |_, _| Ok::<_, StoreError>(()));
    let kind = DamageKind::Foreign;
    assert!(matches!(other, Err(StoreError::Damaged { kind: k, offset: 16, .. }) if k == kind));
}

#[test]
fn a_newer_format_is_refused_and_nothing_is_touched() {
    let (files, _) = closed();
    for name in files.keys() {
        let mut newer = files.clone();
        let bytes = newer.get_mut(name).expect("there");
        bytes[8..12].copy_from_slice(&2u32.to_le_bytes());
        let sum = crc32c::crc32c(&bytes[..12]);
        bytes[12..16].copy_from_slice(&sum.to_le_bytes());
        let disk = SimDisk::with_files(newer, 1);
        let refused = Book::open(&disk, Bug::None).map(|book| book.items);
        let is_right = matches!(&refused, Err(StoreError::TooNew { version: 2, known: 1, file })
            if file == name);
        assert!(is_right, "{name}: {refused:?}");
        assert_eq!(disk.operations(), 0, "{name}");
    }
}

#[test]
fn salvage_gives_all_but_the_damaged() {
    let (mut files, items) = closed();
    let snapshot = files
        .keys()
        .find(|name| name.ends_with(".msnap"))
        .expect("one")
        .clone();
    let segment = files
        .keys()
        .find(|name| name.ends_with(".mlog"))
        .expect("one")
        .clone();
    // In the second data block of the snapshot, and in the first record of the first segment.
    let block = 28 + 24 + 5 + 24 + items[0].len() + 24;
    files.get_mut(&snapshot).expect("there")[block + 3] ^= 4;
    files.get_mut(&segment).expect("there")[36 + 5] ^= 4;
    let disk = SimDisk::with_files(files, 1);
    let manifest = Manifest::load(&disk, &limits())
        .expect("intact")
        .expect("there");

    let mut found = Vec::new();
    let blocks = SnapshotReader::salvage(&disk, &snapshot, 1, |index, bytes| {
        found.extend(index.map(|_| bytes.to_vec()));
        Ok::<_, StoreError>(())
    })
    .expect("readable");
    let records = Log::salvage(&disk, 77, manifest.log_start, |_, payload| {
        found.push(payload.to_vec());
        Ok::<_, StoreError>(())
    })
    .expect("readable");
    let wanted: Vec<_> = items
        .iter()
        .enumerate()
        .filter(|(n, _)| ![1, 4].contains(n))
        .map(|(_, i)| i)
        .collect();
    assert_eq!(found.iter().collect::<Vec<_>>(), wanted);
    assert_eq!((blocks.intact, blocks.damaged.len()), (3, 1));
    assert_eq!((records.intact, records.damaged.len()), (25, 1));
    assert_eq!(disk.operations(), 0, "salvage writes nothing");
}

#[test]
fn a_torn_end_is_cut_and_reported() {
    let disk = SimDisk::new(11);
    let log = Log::create(Arc::new(disk.clone()), 1, Limits::default()).expect("an empty disk");
    let kept = log.append(b"whole").expect("a good disk");
    log.append(b"torn").expect("a good disk");
    drop(log);
    let mut files = disk.files();
    let bytes = files.values_mut().next().expect("a segment");
    bytes.pop();
    bytes.extend([0; 700]);
    let disk = Arc::new(SimDisk::with_files(files, 1));
    let opened = Log::open(disk.clone(), 1, Lsn::START, Limits::default(), |_, _| {
        Ok::<_, StoreError>(())
    });
    let (log, found) = opened.expect("a torn end is no damage");
    let cut = found.cut.expect("reported");
    assert_eq!((cut.offset, cut.bytes), (36 + 29, 27 + 700));
    assert_eq!((found.records, found.end, log.end()), (1, kept, kept));
    assert_eq!(
        disk.files().values().next().expect("a segment").len(),
        36 + 29
    );
    assert!(disk.list().is_ok_and(|names| names.len() == 1));
}
