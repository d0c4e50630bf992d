//! Bounds at the bound and one past it, and the kinds of damage that take a forged checksum.

#![allow(missing_docs, reason = "a test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use magnesia_store::limits::{
    BLOCK_BYTES_MAX, BYTES_CEILING, JOB_QUEUE_MAX, MANIFEST_BYTES_MAX, NAME_BYTES_MAX,
    RECORD_BYTES_MAX, SEGMENT_BYTES, SYNC_QUEUE_MAX,
};
use magnesia_store::sim::SimDisk;
use magnesia_store::{
    DamageKind, Limits, Log, Lsn, Manifest, SnapshotEntry, SnapshotReader, SnapshotWriter,
    StoreError,
};

fn small() -> Limits {
    Limits {
        record_bytes_max: 100,
        segment_bytes: 300,
        block_bytes_max: 50,
        manifest_bytes_max: 200,
        ..Limits::default()
    }
}

fn kind<T>(result: Result<T, StoreError>) -> Option<DamageKind> {
    match result {
        Err(StoreError::Damaged { kind, .. }) => Some(kind),
        _ => None,
    }
}

#[test]
fn the_defaults_are_those_of_the_documents() {
    assert_eq!((RECORD_BYTES_MAX, SEGMENT_BYTES), (67_108_864, 67_108_864));
    assert_eq!(
        (BLOCK_BYTES_MAX, MANIFEST_BYTES_MAX),
        (67_108_864, 67_108_864)
    );
    assert_eq!((SYNC_QUEUE_MAX, JOB_QUEUE_MAX), (65_536, 1_024));
    assert_eq!((BYTES_CEILING, NAME_BYTES_MAX), (1_073_741_824, 255));
}

#[test]
fn a_limit_is_one_to_its_ceiling() {
    let ceiling = Limits {
        segment_bytes: BYTES_CEILING,
        ..Limits::default()
    };
    assert!(ceiling.check().is_ok());
    for segment_bytes in [0, BYTES_CEILING + 1] {
        let limits = Limits {
            segment_bytes,
            ..Limits::default()
        };
        let refused = Log::create(Arc::new(SimDisk::new(1)), 1, limits);
        let is_right = matches!(
            refused,
            Err(StoreError::BadLimit {
                name: "segment_bytes",
                ..
            })
        );
        assert!(is_right);
    }
}

#[test]
fn a_record_is_one_byte_to_its_bound() {
    let log = Log::create(Arc::new(SimDisk::new(1)), 1, small()).expect("an empty disk");
    assert_eq!(log.append(&[1; 100]).expect("at the bound").get(), 124);
    let refused = log.append(&[1; 101]);
    assert!(matches!(
        refused,
        Err(StoreError::TooLarge {
            what: "record",
            bytes: 101,
            max: 100
        })
    ));
    assert!(matches!(log.append(&[]), Err(StoreError::Empty)));
    assert_eq!(log.append(&[1]).expect("the log goes on").get(), 149);
}

#[test]
fn a_sync_past_the_end_is_refused() {
    let log = Log::create(Arc::new(SimDisk::new(1)), 1, small()).expect("an empty disk");
    log.append(b"x").expect("a good disk");
    assert!(matches!(
        log.sync(Lsn::new(26)),
        Err(StoreError::NotWritten { lsn: 26, end: 25 })
    ));
    assert_eq!(log.synced().get(), 25);
}

#[test]
fn segments_end_where_they_should_and_are_dropped_whole() {
    let disk = SimDisk::new(1);
    let log = Log::create(Arc::new(disk.clone()), 1, small()).expect("an empty disk");
    for _ in 0..9 {
        log.append(&[9; 76]).expect("a good disk");
    }
    assert_eq!((disk.files().len(), log.bytes()), (3, 900));
    assert_eq!(log.drop_before(Lsn::new(299)).expect("a good disk"), 0);
    assert_eq!(log.drop_before(Lsn::new(300)).expect("a good disk"), 1);
    assert_eq!(log.drop_before(Lsn::new(9_999)).expect("a good disk"), 1);
    assert_eq!((disk.files().len(), log.bytes()), (1, 300));
    drop(log);
    let disk = Arc::new(disk);
    let mut seen = Vec::new();
    let opened = Log::open(disk.clone(), 1, Lsn::new(700), small(), |lsn, _| {
        seen.push(lsn.get());
        Ok::<_, StoreError>(())
    });
    assert_eq!(opened.expect("intact").1.records, 2);
    assert_eq!(seen, [800, 900]);
    let open = |start| {
        let start = Lsn::new(start);
        Log::open(disk.clone(), 1, start, small(), |_, _| {
            Ok::<_, StoreError>(())
        })
    };
    assert_eq!(kind(open(750)), Some(DamageKind::NotABoundary(750)));
    assert_eq!(kind(open(901)), Some(DamageKind::EndsBefore(901)));
    assert_eq!(kind(open(599)), Some(DamageKind::MissingSegment(599)));
}

#[test]
fn asks_for_a_rotation_from_half_a_segment_on() {
    let log = Log::create(Arc::new(SimDisk::new(1)), 1, small()).expect("an empty disk");
    log.append(&[1; 76]).expect("a good disk");
    assert!(!log.wants_rotation());
    log.append(&[1; 76]).expect("a good disk");
    assert!(log.wants_rotation());
    assert_eq!(log.rotate().expect("a good disk"), log.end());
    assert!(!log.wants_rotation());
}

#[test]
fn a_block_a_meta_and_a_name_have_bounds() {
    let disk = Arc::new(SimDisk::new(1));
    let create =
        |name: &str, meta: &[u8]| SnapshotWriter::create(disk.clone(), name, 1, meta, small());
    let mut writer = create("s", &[1; 50]).expect("at the bound");
    writer.block(&[2; 50]).expect("at the bound");
    let refused = writer.block(&[2; 51]);
    assert!(matches!(
        refused,
        Err(StoreError::TooLarge {
            what: "block",
            bytes: 51,
            max: 50
        })
    ));
    writer.block(&[]).expect("an empty block is one");
    let info = writer.finish().expect("a good disk");
    assert_eq!((info.blocks, info.bytes), (2, 50));
    assert_eq!(info.file_bytes, disk.files()["s"].len() as u64);
    let reader = SnapshotReader::open(disk.as_ref(), "s", 1).expect("intact");
    assert_eq!(reader.meta(), [1; 50]);
    let blocks: Vec<_> = reader
        .blocks()
        .map(|block| block.expect("intact").bytes)
        .collect();
    assert_eq!(blocks, [vec![2; 50], vec![]]);
    assert!(create("t", &[1; 51]).is_err());
    for name in [
        "",
        "a/b",
        ".hidden",
        "..",
        "zero\0",
        &"n".repeat(NAME_BYTES_MAX),
    ] {
        assert!(
            matches!(create(name, b""), Err(StoreError::BadName { .. })),
            "{name:?}"
        );
    }
    drop(create("u", b"").expect("a plain name"));
    assert!(
        !disk.files().contains_key("u.tmp"),
        "what is abandoned is removed"
    );
}

#[test]
fn a_manifest_round_trips_and_has_a_bound() {
    let disk = SimDisk::new(1);
    assert_eq!(Manifest::load(&disk, &small()).expect("readable"), None);
    let entry = SnapshotEntry {
        name: String::from("snap"),
        id: 4,
        lsn: Lsn::new(5),
    };
    let mut manifest = Manifest {
        log_id: 3,
        log_start: Lsn::new(5),
        snapshots: vec![entry],
        payload: vec![6; 200 - 24 - 20 - 22 - 4],
    };
    manifest.store(&disk, &small()).expect("at the bound");
    assert_eq!(
        Manifest::load(&disk, &small()).expect("intact"),
        Some(manifest.clone())
    );
    manifest.payload.push(6);
    let refused = manifest.store(&disk, &small());
    assert!(matches!(
        refused,
        Err(StoreError::TooLarge {
            what: "manifest",
            bytes: 201,
            ..
        })
    ));
    manifest.snapshots[0].name = String::from("../snap");
    assert!(matches!(
        manifest.store(&disk, &small()),
        Err(StoreError::BadName { .. })
    ));
    let tight = Limits {
        manifest_bytes_max: 199,
        ..small()
    };
    assert_eq!(kind(Manifest::load(&disk, &tight)), Some(DamageKind::Long));
}

#[test]
fn a_forged_manifest_is_refused() {
    let disk = SimDisk::new(1);
    Manifest {
        payload: vec![1; 9],
        ..Manifest::default()
    }
    .store(&disk, &small())
    .expect("room");
    let good = disk.files()["MANIFEST"].clone();
    let load = |bytes: Vec<u8>| {
        let files = BTreeMap::from([(String::from("MANIFEST"), bytes)]);
        kind(Manifest::load(&SimDisk::with_files(files, 1), &small()))
    };
    let mut longer = good.clone();
    longer.push(0);
    assert_eq!(load(longer), Some(DamageKind::Trailing));
    // A million snapshots announced, none there, under a right checksum.
    let mut forged = good.clone();
    forged[40..44].copy_from_slice(&1_000_000u32.to_le_bytes());
    let sum = crc32c::crc32c(&forged[24..]);
    forged[20..24].copy_from_slice(&sum.to_le_bytes());
    assert_eq!(load(forged), Some(DamageKind::Field));
    let mut ancient = good;
    ancient[8..12].copy_from_slice(&0u32.to_le_bytes());
    let sum = crc32c::crc32c(&ancient[..12]);
    ancient[12..16].copy_from_slice(&sum.to_le_bytes());
    assert_eq!(load(ancient), Some(DamageKind::Version));
}

/// A block with right checksums, as `docs/disk.md` has it.
fn forge(file: &mut Vec<u8>, letter: u8, length: u32, index: u64, payload: &[u8]) {
    let mut block = vec![0xF2, b'm', b'S', letter];
    block.extend(length.to_le_bytes());
    block.extend(index.to_le_bytes());
    block.extend(crc32c::crc32c(payload).to_le_bytes());
    let place = [
        &7u64.to_le_bytes()[..],
        &(file.len() as u64).to_le_bytes(),
        &block,
    ]
    .concat();
    block.extend(crc32c::crc32c(&place).to_le_bytes());
    file.extend(block);
    file.extend(payload);
}

#[test]
fn a_forged_snapshot_is_refused() {
    let disk = Arc::new(SimDisk::new(1));
    let empty = SnapshotWriter::create(disk.clone(), "s", 7, b"", small());
    empty.and_then(SnapshotWriter::finish).expect("a good disk");
    let header = disk.files()["s"][..28].to_vec();
    let read = |blocks: &[(u8, u32, u64, &[u8])]| {
        let mut file = header.clone();
        for (letter, length, index, payload) in blocks {
            forge(&mut file, *letter, *length, *index, payload);
        }
        let disk = SimDisk::with_files(BTreeMap::from([(String::from("s"), file)]), 1);
        SnapshotReader::open(&disk, "s", 7)
            .and_then(|reader| reader.blocks().collect::<Result<Vec<_>, _>>())
    };
    let (meta, one) = ((b'M', 0, 0, &b""[..]), (b'B', 1, 0, &b"x"[..]));
    assert_eq!(kind(read(&[one])), Some(DamageKind::Order));
    assert_eq!(
        kind(read(&[meta, (b'B', 1, 1, b"x")])),
        Some(DamageKind::Order)
    );
    assert_eq!(kind(read(&[meta, one, meta])), Some(DamageKind::Order));
    assert_eq!(kind(read(&[meta, one])), Some(DamageKind::Short));
    assert_eq!(
        kind(read(&[meta, one, (b'E', 20, 1, &[0; 20])])),
        Some(DamageKind::Totals)
    );
    // A gigabyte announced in a file of a few bytes: refused before anything is reserved.
    assert_eq!(
        kind(read(&[meta, (b'B', 1 << 30, 0, b"x")])),
        Some(DamageKind::Short)
    );
    assert_eq!(
        kind(read(&[meta, (b'B', u32::MAX, 0, b"x")])),
        Some(DamageKind::Field)
    );
}

#[test]
fn a_log_without_a_manifest_is_not_made_anew() {
    let disk = Arc::new(SimDisk::new(1));
    Log::create(disk.clone(), 1, small()).expect("an empty disk");
    let log = Log::create(disk.clone(), 2, small()).expect("an empty log is no log");
    log.append(b"x").expect("a good disk");
    assert_eq!(
        kind(Log::create(disk, 3, small())),
        Some(DamageKind::NoManifest)
    );
}

#[test]
fn an_error_of_the_caller_ends_recovery() {
    let disk = Arc::new(SimDisk::new(1));
    let log = Log::create(disk.clone(), 1, small()).expect("an empty disk");
    log.append(b"x").expect("a good disk");
    let refused = Log::open(disk, 1, Lsn::START, small(), |_, _| {
        Err(StoreError::Stopped)
    });
    assert!(matches!(refused, Err(StoreError::Stopped)));
}
