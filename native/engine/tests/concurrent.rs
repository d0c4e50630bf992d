//! Many threads on one table: what stays is always seen once, and nothing drifts apart.
//!
//! Writers change rows of their own while walkers go over the table; other rows stay in place.
//! At the end the size, the rows and the indexes must agree.

#![allow(missing_docs, reason = "a test")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use magnesia_engine::schema::Kind;
use magnesia_engine::table::{Body, Direction, Position};
use magnesia_term::{Packer, Row};

const KINDS: [Kind; 3] = [Kind::Set, Kind::OrderedSet, Kind::Bag];
/// Keys below this stay; those above are written and deleted.
const STAYING: i64 = 3_000;
const MOVING: i64 = 3_000;
const ROUNDS: usize = 20_000;
const WRITERS: u64 = 2;
const GAMES: usize = 200;

fn packed(value: i64) -> Vec<u8> {
    let mut packer = Packer::new();
    packer.int(value);
    packer.into_bytes()
}

fn row(body: &Body, key: i64, value: i64) -> Row {
    body.row(2, &[packed(key), packed(value)].concat())
}

/// Spread over the whole range, so that staying and moving keys lie beside each other.
fn moving(number: i64) -> i64 {
    2 * number + 1
}

fn filled(kind: Kind) -> Body {
    let body = Body::in_memory(kind);
    body.add_index(3).expect("memory does not fail");
    for key in 0..STAYING {
        body.write(row(&body, 2 * key, key % 5))
            .expect("memory does not fail");
    }
    body
}

fn walk(body: &Body, direction: Direction) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    let mut position = Some(Position::START);
    while let Some(from) = position {
        let next = body.walk(&from, direction, &mut |row| {
            rows.push((row.key().to_vec(), row.body().to_vec()));
            true
        });
        position = next.expect("memory does not fail");
    }
    rows
}

fn write_and_delete(body: &Body, thread: u64, writes: usize) {
    let mut random = fastrand::Rng::with_seed(thread);
    for _ in 0..writes {
        // Each writer has keys of its own, and all writers meet on some.
        let number = random.i64(0..MOVING);
        let key = moving(if random.u8(0..4) == 0 {
            number % 8
        } else {
            number
        });
        let done = match random.u8(0..5) {
            0 | 1 => body.delete(&packed(key)),
            2 => body.delete_object(&row(body, key, random.i64(0..5))),
            _ => body.write(row(body, key, random.i64(0..5))),
        };
        done.expect("memory does not fail");
    }
}

fn check_standing(body: &Body, direction: Direction) {
    let mut seen: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for (key, _) in walk(body, direction) {
        *seen.entry(key).or_default() += 1;
    }
    for key in 0..STAYING {
        let times = seen.get(&packed(2 * key)).copied().unwrap_or(0);
        assert_eq!(times, 1, "key {} was met {times} times", 2 * key);
    }
}

fn check_agreement(body: &Body) {
    let rows = walk(body, Direction::Up);
    assert_eq!(body.rows(), rows.len(), "the size and the rows");
    let mut by_index = Vec::new();
    for index in body.indexes().iter() {
        for value in 0..5 {
            index.read(&packed(value), |row| by_index.push(row.body().to_vec()));
        }
    }
    let mut rows: Vec<_> = rows.into_iter().map(|(_, body)| body).collect();
    rows.sort();
    by_index.sort();
    assert!(
        rows == by_index,
        "{} rows, {} by index",
        rows.len(),
        by_index.len()
    );
}

/// Runs writers, and `meanwhile` again and again until they have ended.
fn among_writers(body: &Arc<Body>, writes: usize, meanwhile: impl Fn(&Body) + Sync) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|thread| {
                let body = Arc::clone(body);
                scope.spawn(move || write_and_delete(&body, thread, writes))
            })
            .collect();
        let others = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                meanwhile(body);
            }
        });
        for writer in writers {
            writer.join().expect("a writer does not panic");
        }
        is_over.store(true, Ordering::Relaxed);
        others.join().expect("what goes on meanwhile holds");
    });
}

#[test]
fn rows_that_stay_are_met_once_by_every_walk() {
    for kind in KINDS {
        let body = Arc::new(filled(kind));
        among_writers(&body, ROUNDS, |body| {
            check_standing(body, Direction::Up);
            if kind == Kind::OrderedSet {
                check_standing(body, Direction::Down);
            }
        });
        check_agreement(&body);
    }
}

#[test]
fn a_clear_among_writers_leaves_rows_and_index_agreeing() {
    for kind in KINDS {
        // The next clear hides what one has left, so there are many short games.
        for _ in 0..GAMES {
            let body = Arc::new(Body::in_memory(kind));
            body.add_index(3).expect("memory does not fail");
            among_writers(&body, ROUNDS / 100, |body| {
                let detached = body.detach().expect("memory does not fail");
                body.release(detached);
            });
            check_agreement(&body);
        }
    }
}

#[test]
fn an_index_made_among_writers_has_every_row() {
    for kind in KINDS {
        let body = Arc::new(filled(kind));
        among_writers(&body, ROUNDS, |body| {
            body.drop_index(3);
            body.add_index(3).expect("memory does not fail");
        });
        check_agreement(&body);
    }
}

#[test]
#[should_panic(expected = "was met 0 times")]
fn finds_a_row_that_did_not_stay() {
    let body = filled(Kind::Set);
    body.delete(&packed(20)).expect("memory does not fail");
    check_standing(&body, Direction::Up);
}

#[test]
#[should_panic(expected = "by index")]
fn finds_an_index_that_lacks_a_row() {
    let body = filled(Kind::Set);
    body.drop_index(3);
    check_agreement(&body);
}
