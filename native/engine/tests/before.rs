//! Tables read as a line saw them, whatever is written while they are read.
//!
//! Random scripts change a table, draw a line, go on changing it between the parts of a reading,
//! and compare what the reading shows with what was there at the line. `MAGNESIA_SEED` repeats.

#![allow(missing_docs, reason = "a test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use magnesia_engine::schema::Kind;
use magnesia_engine::table::Body;
use magnesia_engine::table::before::{Changes, Since};
use magnesia_term::{Packer, Row};

const KINDS: [Kind; 3] = [Kind::Set, Kind::OrderedSet, Kind::Bag];

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

fn seed() -> u64 {
    let given = std::env::var("MAGNESIA_SEED").ok();
    given
        .and_then(|text| text.parse().ok())
        .unwrap_or(20_261_124)
}

fn int(value: u64) -> Vec<u8> {
    let mut packer = Packer::new();
    packer.int(i64::try_from(value).expect("a small number"));
    packer.into_bytes()
}

fn row(body: &Body, key: u64, value: u64) -> Row {
    body.row(2, &[int(key), int(value)].concat())
}

/// One change of any kind; few of them empty the table at once.
fn change(body: &Body, random: &mut Random, keys: u64) {
    let (key, value) = (random.below(keys), random.below(4));
    let done = match random.below(100) {
        0..60 => body.write(row(body, key, value)),
        60..80 => body.delete(&int(key)),
        80..99 => body.delete_object(&row(body, key, value)),
        _ if random.below(20) > 0 => Ok(()),
        _ => body
            .keep_all()
            .and_then(|_| body.detach())
            .map(|rows| body.release(rows)),
    };
    done.expect("memory does not fail");
}

type Rows = BTreeMap<Vec<u8>, Vec<Vec<u8>>>;

fn there(body: &Body, keys: u64) -> Rows {
    let mut rows = Rows::new();
    for key in 0..keys {
        let of_key = |row: &Row| rows.entry(int(key)).or_default().push(row.body().to_vec());
        body.read(&int(key), of_key).expect("memory");
    }
    rows
}

fn gather(rows: &mut Rows, seen: Vec<Row>) {
    for row in seen {
        let key = row.key().to_vec();
        rows.entry(key).or_default().push(row.body().to_vec());
    }
}

#[test]
fn a_reading_shows_what_the_line_saw_each_row_once() {
    let seed = seed();
    for (number, kind) in (0..).zip(KINDS.into_iter().cycle().take(240)) {
        let mut random = Random(seed + number);
        let keys = 1 + random.below(6_000);
        let body = Arc::new(Body::in_memory(kind));
        for _ in 0..random.below(keys * 3) {
            change(&body, &mut random, keys);
        }
        let before = body.draw_since();
        for _ in 0..random.below(40) {
            change(&body, &mut random, keys);
        }
        let wanted = there(&body, keys);
        let line = body.draw_since();
        for _ in 0..random.below(200) {
            change(&body, &mut random, keys);
        }
        // A line that is read once keeps less, where no other line is there.
        let is_last = random.below(2) == 0;
        if is_last {
            body.forget_since(&before);
        }
        for reading in 0..if is_last { 1 } else { 2 } {
            let begun = Since::begin(Arc::clone(&body), Arc::clone(&line), is_last);
            let mut since = begun.expect("a line that may be read");
            let mut seen = Rows::new();
            while let Some(part) = since.part().expect("memory") {
                gather(&mut seen, part);
                for _ in 0..random.below(60) {
                    change(&body, &mut random, keys);
                }
            }
            assert!(
                seen == wanted,
                "{kind:?}, reading {reading}: MAGNESIA_SEED={seed} cargo test --test before"
            );
        }
        let again = Since::begin(Arc::clone(&body), Arc::clone(&line), false);
        assert_eq!(
            again.is_none(),
            is_last,
            "what is read once is not read again"
        );
        body.forget_since(&line);
        body.forget_since(&before);
        assert!(!body.keep_all().expect("memory"), "no line is left");
    }
}

#[test]
fn changes_lead_from_one_line_to_another() {
    let seed = seed();
    for (number, kind) in (0..).zip(KINDS.into_iter().cycle().take(120)) {
        let mut random = Random(seed + number);
        let keys = 1 + random.below(2_000);
        let body = Arc::new(Body::in_memory(kind));
        for _ in 0..keys {
            change(&body, &mut random, keys);
        }
        let mut rows = there(&body, keys);
        let from = body.draw_since();
        for _ in 0..random.below(500) {
            change(&body, &mut random, keys);
        }
        let wanted = there(&body, keys);
        let to = body.draw_since();
        let mut changes = Changes::begin(Arc::clone(&body), from, to);
        while let Some(part) = changes.part().expect("memory") {
            for change in part {
                rows.remove(&*change.key);
                gather(&mut rows, change.rows);
            }
            for _ in 0..random.below(20) {
                change(&body, &mut random, keys);
            }
        }
        assert!(
            rows == wanted,
            "{kind:?}: MAGNESIA_SEED={seed} cargo test --test before"
        );
    }
}

#[test]
fn rows_that_threads_change_meanwhile_are_seen_as_they_were() {
    for kind in KINDS {
        let body = Arc::new(Body::in_memory(kind));
        for is_last in [false, true] {
            for key in 0..30_000 {
                body.delete(&int(key)).expect("memory");
            }
            for key in 0..20_000 {
                body.write(row(&body, key, 0)).expect("memory");
            }
            read_amid_writes(kind, &body, is_last);
        }
    }
}

fn read_amid_writes(kind: Kind, body: &Arc<Body>, is_last: bool) {
    let line = body.draw_since();
    let seen: usize = std::thread::scope(|scope| {
        for thread in 0..2 {
            let body = Arc::clone(body);
            scope.spawn(move || {
                for key in (thread..30_000).step_by(2) {
                    body.delete(&int(key)).expect("memory");
                    body.write(row(&body, key, 1)).expect("memory");
                }
            });
        }
        let begun = Since::begin(Arc::clone(body), Arc::clone(&line), is_last);
        let mut since = begun.expect("a line that may be read");
        let mut seen = 0;
        while let Some(part) = since.part().expect("memory") {
            let old = int(0);
            assert!(part.iter().all(|row| row.at(3) == Some(old.as_slice())));
            seen += part.len();
        }
        seen
    });
    body.forget_since(&line);
    assert_eq!(seen, 20_000, "{kind:?}");
}
