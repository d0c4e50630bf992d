//! The inputs of a fuzz target that are kept: good ones, and every one that ever did harm.
//!
//! `replay` is for the tests of the crates, so that `cargo test` repeats all of them without a
//! fuzzer.

use std::fs;
use std::path::Path;

/// Runs `body` on every kept input of `target`, and on none at all.
pub(crate) fn replay(target: &str, body: fn(&[u8])) {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("it has siblings");
    let dir = crates.join("fuzz/corpus").join(target);
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("it is listed").path())
        .collect();
    assert!(!files.is_empty(), "{} is empty", dir.display());
    files.sort();
    body(&[]);
    for file in files {
        let input = fs::read(&file).expect("it is listed");
        // Shown for the one that fails.
        println!("{}", file.display());
        body(&input);
    }
}
