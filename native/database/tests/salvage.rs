//! Salvage of damaged directories: the intact rest comes out, the damage is named, and nothing
//! in the directory is changed.

#![allow(missing_docs, reason = "a test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use magnesia_database::salvage::{ROWS_AT_ONCE, Salvage};
use magnesia_database::{Database, DatabaseError, open};
use magnesia_engine::apply::Op;
use magnesia_engine::locks::{OwnerId, Wake, Wakeup};
use magnesia_engine::schema::{AccessMode, Definition, Kind, Shape, Storage};
use magnesia_engine::table::Position;
use magnesia_store::StoreError;
use magnesia_term::{Atom, Packer, View, packed};

/// Keys in a snapshot, so many that it has several blocks.
const DUMPED: i64 = 6000;
/// Keys that the log has after it.
const LOGGED: i64 = 50;

struct Nobody;

impl Wake for Nobody {
    fn wake(&self, _: OwnerId, _: u64, _: Wakeup) {}
}

fn name(text: &str) -> Atom {
    Atom::intern(text).expect("a short name")
}

fn row(key: i64) -> Vec<u8> {
    let mut packer = Packer::new();
    packer.int(key);
    packer.binary(format!("{key:0>100}").as_bytes());
    packer.into_bytes()
}

fn create(database: &Database, text: &str, kind: Kind, storage: Storage) {
    let mut nil = Packer::new();
    nil.nil();
    let definition = Definition {
        name: name(text),
        kind,
        storage,
        record_name: name(text),
        arity: 3,
        shape: Shape::Exact,
        indexes: Vec::new(),
        access_mode: AccessMode::ReadWrite,
        properties: nil.into_bytes(),
    };
    database.create_table(definition).expect("a good disk");
}

fn write(database: &Database, table: &str, keys: std::ops::Range<i64>) {
    let table = database.engine().table(name(table)).expect("it is there");
    for key in keys {
        let row = table.row(2, &row(key)).expect("a small row");
        database.write(&table, Op::Write(row)).expect("a good disk");
    }
}

fn opened(dir: &Path) -> Result<Arc<Database>, DatabaseError> {
    open::open(dir, "a test", Arc::new(Nobody), Box::new(|_| ()))
}

/// Table `t`, dumped and then written on; table `later`, in the log alone; `d`, on disk.
fn made() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    open::create(dir.path(), "a test").expect("an empty directory");
    let database = opened(dir.path()).expect("a good directory");
    create(&database, "t", Kind::Set, Storage::Disc);
    write(&database, "t", 0..DUMPED);
    create(&database, "d", Kind::Bag, Storage::DiscOnly);
    write(&database, "d", 0..LOGGED);
    database.dump().expect("a good disk");
    create(&database, "later", Kind::OrderedSet, Storage::Disc);
    write(&database, "t", DUMPED..DUMPED + LOGGED);
    write(&database, "later", 0..LOGGED);
    write(&database, "d", LOGGED..2 * LOGGED);
    database.close().expect("a good disk");
    dir
}

fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut folders = vec![dir.to_owned()];
    let mut contents = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("it is there") {
            let path = entry.expect("it is there").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(&path).expect("it is there");
                contents.insert(path, bytes);
            }
        }
    }
    contents
}

/// The files with this ending, the largest last.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let contents = contents(dir);
    let mut files: Vec<PathBuf> = contents
        .keys()
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .cloned()
        .collect();
    files.sort_by_key(|path| contents[path].len());
    files
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).expect("it is there");
    bytes[at] ^= 0x10;
    fs::write(file, bytes).expect("it is writable");
}

fn file_name(file: &Path) -> String {
    let name = file.file_name().expect("it has one");
    name.to_string_lossy().into_owned()
}

struct Found {
    rows: BTreeMap<String, Vec<i64>>,
    damage: Vec<String>,
}

/// Salvages, and sees that nothing in the directory was changed and no copy is left.
fn salvaged(dir: &Path) -> Found {
    let before = contents(dir);
    let beside = tempfile::tempdir().expect("a temporary directory");
    let scratch = beside.path().join("copy");
    let salvage = Salvage::open(dir, &scratch).expect("something is intact");
    let mut rows = BTreeMap::new();
    for table in salvage.tables() {
        let table_name = table.definition().name;
        let mut keys = Vec::new();
        let mut position = Some(Position::START);
        while let Some(from) = position {
            let (found, next) = salvage.rows(table_name, &from).expect("a good disk");
            assert!(found.len() <= ROWS_AT_ONCE, "a small chunk");
            for found in found {
                let View::Int(key) = packed::view(found.key()) else {
                    panic!("a key of another kind");
                };
                assert_eq!(found.body(), row(key), "the row is whole");
                keys.push(key);
            }
            position = next;
        }
        keys.sort_unstable();
        rows.insert(table_name.name().to_owned(), keys);
    }
    let damage = salvage.damage().to_vec();
    drop(salvage);
    assert!(!scratch.exists(), "the copy is gone");
    assert!(contents(dir) == before, "the directory was changed");
    Found { rows, damage }
}

fn all() -> BTreeMap<String, Vec<i64>> {
    let tables = [("t", DUMPED + LOGGED), ("later", LOGGED), ("d", 2 * LOGGED)];
    let each = tables.map(|(table, keys)| (table.to_owned(), (0..keys).collect()));
    BTreeMap::from(each)
}

#[test]
fn an_intact_directory_comes_out_whole() {
    let dir = made();
    let found = salvaged(dir.path());
    assert_eq!(found.rows, all());
    assert_eq!(found.damage, Vec::<String>::new());
    opened(dir.path()).expect("it is as it was");
}

#[test]
fn a_damaged_block_of_a_snapshot_costs_its_rows_alone() {
    let dir = made();
    let snapshots = files(dir.path(), ".msnap");
    let snapshot = snapshots.last().expect("there was a dump");
    let length = fs::read(snapshot).expect("it is there").len();
    flip(snapshot, length / 2);
    assert!(opened(dir.path()).is_err(), "the checker sees the damage");
    let found = salvaged(dir.path());
    let t = &found.rows["t"];
    assert!(
        t.len() < usize::try_from(DUMPED).expect("small"),
        "{}",
        t.len()
    );
    assert!(t.len() > 1000, "{}", t.len());
    assert!(t.ends_with(&(DUMPED..DUMPED + LOGGED).collect::<Vec<_>>()));
    assert_eq!(found.rows["later"], all()["later"]);
    assert_eq!(found.rows["d"], all()["d"]);
    assert_eq!(found.damage.len(), 1, "{:?}", found.damage);
    let start = format!("{}: damaged at byte ", file_name(snapshot));
    assert!(found.damage[0].starts_with(&start), "{:?}", found.damage);
}

#[test]
fn a_damaged_header_of_a_snapshot_costs_nothing() {
    let dir = made();
    let snapshots = files(dir.path(), ".msnap");
    flip(snapshots.last().expect("there was a dump"), 20);
    assert!(opened(dir.path()).is_err(), "the checker sees the damage");
    let found = salvaged(dir.path());
    assert_eq!(found.rows, all());
    assert_eq!(found.damage.len(), 1, "{:?}", found.damage);
}

#[test]
fn a_damaged_record_of_the_log_costs_itself_alone() {
    let dir = made();
    let logs = files(dir.path(), ".mlog");
    let log = logs.last().expect("there is a log");
    let length = fs::read(log).expect("it is there").len();
    flip(log, length / 2);
    assert!(opened(dir.path()).is_err(), "the checker sees the damage");
    let found = salvaged(dir.path());
    let lost: usize = all()
        .iter()
        .map(|(table, keys)| keys.len() - found.rows[table].len())
        .sum();
    assert_eq!(lost, 1);
    assert_eq!(found.damage.len(), 1, "{:?}", found.damage);
    let start = format!("{}: damaged at byte ", file_name(log));
    assert!(found.damage[0].starts_with(&start), "{:?}", found.damage);
}

#[test]
fn without_a_manifest_snapshots_and_log_tell_what_there_was() {
    let dir = made();
    let manifest = dir.path().join("MANIFEST");
    flip(
        &manifest,
        fs::read(&manifest).expect("it is there").len() / 2,
    );
    assert!(opened(dir.path()).is_err(), "the checker sees the damage");
    for is_there in [true, false] {
        if !is_there {
            fs::remove_file(&manifest).expect("it is there");
        }
        let found = salvaged(dir.path());
        assert_eq!(found.rows["t"], all()["t"]);
        let nameless: Vec<_> = found
            .rows
            .keys()
            .filter(|n| n.starts_with("table_"))
            .collect();
        assert_eq!(nameless, ["table_2", "table_3"], "d and later");
        // Of a table on disk the log has what came after the dump.
        assert_eq!(
            found.rows["table_2"],
            (LOGGED..2 * LOGGED).collect::<Vec<_>>()
        );
        assert_eq!(found.rows["table_3"], all()["later"]);
        assert!(
            found.damage[0].starts_with("MANIFEST: "),
            "{:?}",
            found.damage
        );
        assert!(found.damage[1].starts_with("rows: "), "{:?}", found.damage);
    }
}

#[test]
fn a_directory_that_is_open_empty_or_missing_is_refused() {
    let dir = made();
    let copy = dir.path().join("copy");
    let refusal = |dir: &Path| {
        Salvage::open(dir, &copy)
            .err()
            .map(|error| error.to_string())
    };
    let database = opened(dir.path()).expect("a good directory");
    let error = Salvage::open(dir.path(), &copy).err();
    assert!(matches!(
        error,
        Some(DatabaseError::Store(StoreError::InUse { .. }))
    ));
    drop(database);
    let empty = tempfile::tempdir().expect("a temporary directory");
    let text = refusal(empty.path()).expect("nothing is there");
    assert!(text.contains("holds no database"), "{text}");
    assert!(contents(empty.path()).is_empty());
    assert!(refusal(&empty.path().join("none")).is_some());
}

#[test]
fn damaged_rows_on_disk_never_keep_the_rest_back() {
    let dir = made();
    for file in files(&dir.path().join("rows"), "db") {
        for at in (0..fs::read(&file).expect("it is there").len()).step_by(50) {
            flip(&file, at);
        }
    }
    let beside = tempfile::tempdir().expect("a temporary directory");
    let before = contents(dir.path());
    let salvage = Salvage::open(dir.path(), &beside.path().join("copy")).expect("intact rest");
    let (rows, _) = salvage
        .rows(name("later"), &Position::START)
        .expect("in memory");
    assert_eq!(rows.len(), all()["later"].len());
    drop(salvage);
    assert!(contents(dir.path()) == before, "the directory was changed");
}
