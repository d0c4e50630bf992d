//! The same on a real directory, and the lock between two processes.

#![allow(missing_docs, reason = "a test")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use magnesia_store::{
    Disk, Keeper, Limits, LockFile, Log, Lsn, Manifest, RealDisk, SnapshotEntry, SnapshotReader,
    SnapshotWriter, StoreError,
};

fn limits() -> Limits {
    Limits {
        segment_bytes: 4_096,
        ..Limits::default()
    }
}

fn records(dir: &Path, start: Lsn) -> Vec<Vec<u8>> {
    let disk = Arc::new(RealDisk::open(dir).expect("there"));
    let mut found = Vec::new();
    let keep = |_, payload: &[u8]| {
        found.push(payload.to_vec());
        Ok::<_, StoreError>(())
    };
    Log::open(disk, 5, start, limits(), keep).expect("intact");
    found
}

#[test]
fn a_log_comes_back_from_a_directory() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = Arc::new(RealDisk::create(&dir.path().join("deep/er")).expect("made"));
    let path = disk.dir().to_owned();
    let log = Log::create(disk.clone(), 5, limits()).expect("an empty directory");
    let wanted: Vec<_> = (0..300)
        .map(|n| format!("record {n}").into_bytes())
        .collect();
    for payload in &wanted {
        log.append(payload).expect("room");
    }
    assert!(disk.list().expect("readable").len() > 2, "several segments");
    drop(log);
    assert_eq!(
        records(&path, Lsn::START),
        wanted,
        "without a sync or a close"
    );
    assert_eq!(records(&path, Lsn::START), wanted, "and again");
}

#[test]
fn a_dump_shortens_the_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = Arc::new(RealDisk::open(dir.path()).expect("there"));
    let log = Arc::new(Log::create(disk.clone(), 5, limits()).expect("an empty directory"));
    log.append(b"before").expect("room");
    let lsn = log.rotate().expect("room");
    let mut writer =
        SnapshotWriter::create(disk.clone(), "snap", 1, b"meta", limits()).expect("room");
    writer.block(b"before").expect("room");
    let info = writer.finish().expect("room");
    let snapshots = vec![SnapshotEntry {
        name: info.name,
        id: 1,
        lsn,
    }];
    let manifest = Manifest {
        log_id: 5,
        log_start: lsn,
        snapshots,
        payload: b"own".to_vec(),
    };
    manifest.store(disk.as_ref(), &limits()).expect("room");
    assert_eq!(log.drop_before(lsn).expect("removable"), 1);
    let end = log.append(b"after").expect("room");

    let keeper = Keeper::start(Arc::clone(&log)).expect("threads");
    let (sender, told) = std::sync::mpsc::channel();
    keeper.request_sync(
        end,
        Box::new(move |result| sender.send(result).expect("someone waits")),
    );
    told.recv().expect("told").expect("a good disk");
    keeper.stop();
    log.close().expect("a good disk");
    drop(log);

    std::fs::write(dir.path().join("left.tmp"), b"x").expect("room");
    let loaded = Manifest::load(disk.as_ref(), &limits())
        .expect("intact")
        .expect("there");
    assert_eq!(loaded, manifest);
    assert_eq!(
        loaded.sweep(disk.as_ref()).expect("removable"),
        ["left.tmp"]
    );
    let reader = SnapshotReader::open(disk.as_ref(), "snap", 1).expect("intact");
    assert_eq!(reader.meta(), b"meta");
    let blocks: Vec<_> = reader
        .blocks()
        .map(|block| block.expect("intact").bytes)
        .collect();
    assert_eq!(blocks, [b"before"]);
    assert_eq!(records(dir.path(), loaded.log_start), [b"after"]);
}

#[test]
fn names_lead_nowhere_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = RealDisk::open(dir.path()).expect("there");
    for name in ["../x", "a/b", "", ".", "..", "/etc/passwd"] {
        assert!(
            disk.open(name).is_err() && disk.create(name).is_err(),
            "{name}"
        );
    }
    let missing = dir.path().join("missing");
    assert!(matches!(
        RealDisk::open(&missing),
        Err(StoreError::NoDirectory { .. })
    ));
    assert!(matches!(
        LockFile::acquire(&missing, "me"),
        Err(StoreError::NoDirectory { .. })
    ));
}

#[test]
fn a_second_owner_in_this_process_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let lock = LockFile::acquire(dir.path(), "first@host\n").expect("free");
    let refused = LockFile::acquire(dir.path(), "second@host");
    let me = std::process::id();
    let is_right = matches!(&refused, Err(StoreError::InUse { pid, owner, .. })
        if *pid == me && owner == "first@host");
    assert!(is_right, "{refused:?}");
    drop(lock);
    LockFile::acquire(dir.path(), "second@host").expect("free again");
}

/// A process that is being started has a copy of every open file until it runs.
#[test]
fn a_copy_of_the_file_does_not_keep_the_lock() {
    let dir = tempfile::tempdir().expect("a directory");
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                Command::new("true").status().expect("a process");
            }
        });
        let freed = (0..2_000).try_for_each(|_| LockFile::acquire(dir.path(), "me").map(drop));
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        freed.expect("free again at once");
    });
}

/// The test is its own second process, told apart by a variable.
#[test]
fn a_second_process_is_refused_until_the_first_is_killed() {
    if let Ok(dir) = std::env::var("MAGNESIA_LOCK_DIR") {
        let _lock = LockFile::acquire(Path::new(&dir), "child@host").expect("free");
        eprintln!("held");
        // Ends when the parent kills it, or closes the pipe by dying.
        std::io::stdin().lines().for_each(drop);
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "a_second_process_is_refused_until_the_first_is_killed",
            "--nocapture",
        ])
        .env("MAGNESIA_LOCK_DIR", dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process");
    let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    assert!(
        lines
            .map_while(Result::ok)
            .any(|line| line.contains("held"))
    );
    let refused = LockFile::acquire(dir.path(), "parent@host");
    let is_right = matches!(&refused, Err(StoreError::InUse { pid, owner, .. })
        if *pid == child.id() && owner == "child@host");
    child.kill().expect("killed");
    child.wait().expect("gone");
    assert!(is_right, "{refused:?}");
    LockFile::acquire(dir.path(), "parent@host").expect("a dead owner holds nothing");
}
