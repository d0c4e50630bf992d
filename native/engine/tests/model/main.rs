//! Tables of all kinds against a naive one, in memory and over a storage of the test's own.
//!
//! Random sequences of writes, deletions, counters, clears, indexes, reads, steps from key to
//! key, walks and queries with limits; some tables are large enough for segments and leaves to
//! split, and are emptied again so that they merge. Walks go on while rows are written: what
//! stayed in place is seen exactly once.
//!
//! `MAGNESIA_CASES` sets the number of sequences of each kind, `MAGNESIA_SEED` the first seed.

#![allow(missing_docs, reason = "a test")]

mod naive;
mod subject;
#[path = "../pattern_beam/term.rs"]
#[allow(
    dead_code,
    reason = "the terms of the oracle's generator, of which this uses some"
)]
mod term;

use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;
use magnesia_engine::schema::Kind;
use magnesia_engine::select::{Budget, Cursor, Query};
use magnesia_engine::table::Direction;
use magnesia_term::order;

use naive::{Naive, element};
use subject::{Bug, Subject, query};
use term::{Float, Int, Term, atom, call, list, tuple};

const CASES: u64 = 600;
const KINDS: [Kind; 3] = [Kind::Set, Kind::OrderedSet, Kind::Bag];

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

/// One sequence: a table, its model, and the chance that drives both.
struct Game {
    subject: Subject,
    naive: Naive,
    kind: Kind,
    is_on_disk: bool,
    random: Rng,
    /// Keys are below this, so that small sequences meet and large ones spread.
    span: i64,
}

type Outcome = Result<(), String>;
/// Whether a query should give a row.
type IsWanted = Box<dyn Fn(&[u8]) -> bool>;

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, wanted: &T) -> Outcome {
    if found == wanted {
        Ok(())
    } else {
        Err(format!("{what}: {found:?}, not {wanted:?}"))
    }
}

fn sorted(mut rows: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    rows.sort();
    rows
}

impl Game {
    fn new(seed: u64, kind: Kind, is_on_disk: bool, span: i64, bug: Bug) -> Self {
        Self {
            subject: Subject::new(kind, is_on_disk, bug),
            naive: Naive::new(kind, is_on_disk),
            kind,
            is_on_disk,
            random: Rng::with_seed(seed),
            span,
        }
    }

    fn key(&mut self) -> Term {
        let number = self.random.i64(0..self.span);
        #[allow(clippy::cast_precision_loss, reason = "keys are small")]
        match self.random.u8(0..20) {
            0..=2 => Float(number as f64),
            3 => tuple([Int(number % 7), Float((number % 3) as f64)]),
            4 => Term::Bits(number.to_be_bytes()[6..].to_vec(), 8),
            5 => atom(["a", "b", "c"][number as usize % 3]),
            6 => list(vec![Int(number % 5), Term::Nil]),
            _ => Int(number),
        }
    }

    fn value(&mut self) -> Term {
        match self.random.u8(0..6) {
            0 => Float(1.0),
            1 => atom("x"),
            2 => Term::Bits(vec![9; self.random.usize(0..90)], 8),
            _ => Int(self.random.i64(0..3)),
        }
    }

    fn bytes(&mut self) -> (Vec<u8>, Vec<u8>) {
        let key = self.key().packed();
        let mut bytes = key.clone();
        bytes.extend(self.value().packed());
        bytes.extend(self.value().packed());
        (key, bytes)
    }

    fn write(&mut self) {
        let (key, bytes) = self.bytes();
        self.subject.write(&bytes);
        self.naive.write(&key, &bytes);
    }

    fn change(&mut self) -> Outcome {
        let (key, bytes) = self.bytes();
        match self.random.u8(0..16) {
            0..=1 => {
                self.subject.delete(&key);
                self.naive.delete(&key);
            }
            2..=4 => {
                let rows = self.naive.read(&key);
                let bytes = rows.last().unwrap_or(&bytes);
                self.subject.delete_object(bytes);
                self.naive.delete_object(&element(bytes, 2), bytes);
            }
            5 if self.kind != Kind::Bag => {
                let old = self.naive.read(&key).pop();
                let found = self.subject.update(&key, &bytes);
                self.naive.write(&key, &bytes);
                same("what an update finds", &found, &old)?;
            }
            6 => {
                // The same row again.
                let bytes = self.naive.read(&key).pop().unwrap_or(bytes);
                self.subject.write(&bytes);
                self.naive.write(&element(&bytes, 2), &bytes);
            }
            _ => self.write(),
        }
        same("the size", &self.subject.table.rows(), &self.naive.count())
    }

    fn toggle_index(&mut self) {
        let position = self.random.usize(3..5);
        if self.subject.positions().contains(&position) {
            self.subject.table.body().drop_index(position);
        } else {
            self.subject
                .table
                .body()
                .add_index(position)
                .expect("memory does not fail");
        }
    }

    fn check_key(&mut self) -> Outcome {
        let key = self.key().packed();
        same("a read", &self.subject.read(&key), &self.naive.read(&key))?;
        let body = self.subject.table.body();
        for direction in [Direction::Up, Direction::Down] {
            let is_up = direction == Direction::Up;
            let next = body.next_key(&key, direction);
            if self.kind == Kind::OrderedSet {
                same(
                    "the next key",
                    &next,
                    &Ok(self.naive.neighbour(&key, is_up)),
                )?;
            } else if next.is_err() && !self.is_on_disk {
                same("a key to step from", &self.naive.read(&key).len(), &0)?;
            }
        }
        Ok(())
    }

    /// First to last by steps from key to key: each once.
    fn check_steps(&self) -> Outcome {
        let body = self.subject.table.body();
        let mut keys = Vec::new();
        let mut next = body.first_key(Direction::Up);
        while let Ok(Some(key)) = next {
            next = body.next_key(&key, Direction::Up);
            keys.push(key);
        }
        let wanted = self.naive.keys();
        if self.kind == Kind::OrderedSet {
            same("the keys", &keys, &wanted)
        } else {
            same("the keys", &sorted(keys), &sorted(wanted))
        }
    }

    fn check_walks(&mut self) -> Outcome {
        let wanted = self.naive.all();
        let up = self.subject.walk(Direction::Up);
        if self.kind == Kind::OrderedSet {
            let down: Vec<_> = wanted.iter().rev().cloned().collect();
            same("a walk down", &self.subject.walk(Direction::Down), &down)?;
            return same("a walk up", &up, &wanted);
        }
        let by_key = |rows: &[Vec<u8>]| {
            let mut map: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
            rows.iter()
                .for_each(|r| map.entry(element(r, 2)).or_default().push(r.clone()));
            map
        };
        same("a walk", &by_key(&up), &by_key(&wanted))
    }

    fn check_indexes(&mut self) -> Outcome {
        let holds_keys = self.is_on_disk && self.kind != Kind::Bag;
        for position in self.subject.positions() {
            let value = self.value().packed();
            let rows = self.naive.all();
            let rows = rows
                .into_iter()
                .filter(|row| element(row, position) == value);
            let wanted: Vec<_> = rows
                .map(|row| if holds_keys { element(&row, 2) } else { row })
                .collect();
            let found = self
                .subject
                .index_read(position, &value)
                .unwrap_or_default();
            same("an index", &sorted(found), &sorted(wanted))?;
        }
        Ok(())
    }

    /// A query and the rows it should give.
    fn question(&mut self) -> (Arc<Query>, IsWanted) {
        let head = |key: Term, a: Term| tuple([atom("tab"), key, a, atom("_")]);
        let clause = |head: Term, guards: Vec<Term>| {
            query(vec![tuple([head, list(guards), list(vec![atom("$_")])])])
        };
        match self.random.u8(0..7) {
            0 => {
                let key = self.key().packed();
                let bound = Term::Packed(key.clone());
                // A pattern matches exactly, whatever the table's keys are equal by.
                let is_it = move |row: &[u8]| element(row, 2) == key;
                (clause(head(bound, atom("_")), vec![]), Box::new(is_it))
            }
            1 | 2 => {
                let value = self.value().packed();
                let bound = Term::Packed(value.clone());
                let is_it = move |row: &[u8]| element(row, 3) == value;
                (clause(head(atom("$1"), bound), vec![]), Box::new(is_it))
            }
            3 => {
                let low = self.random.i64(0..self.span);
                let high = low + self.random.i64(0..self.span);
                let (from, to) = (Int(low).packed(), Int(high).packed());
                let is_it = move |row: &[u8]| {
                    let key = element(row, 2);
                    order::compare(&key, &from).is_ge() && order::compare(&key, &to).is_lt()
                };
                let from = call(">=", vec![atom("$1"), Int(low)]);
                let to = call("<", vec![atom("$1"), Int(high)]);
                (
                    clause(head(atom("$1"), atom("_")), vec![from, to]),
                    Box::new(is_it),
                )
            }
            4 | 5 => self.range_of_values(),
            _ => (
                clause(head(atom("_"), atom("_")), vec![]),
                Box::new(|_: &[u8]| true),
            ),
        }
    }

    /// A query for values from one to another, with an end left open now and then; the values
    /// are of all types, so that an index has to order them.
    fn range_of_values(&mut self) -> (Arc<Query>, IsWanted) {
        let ends = [self.value().packed(), self.value().packed()];
        let (has_low, has_high) =
            [(true, true), (true, false), (false, true)][self.random.usize(0..3)];
        let is_exclusive = self.random.bool();
        let operators = if is_exclusive {
            [">", "<"]
        } else {
            [">=", "=<"]
        };
        let guard = |end: usize| {
            let constant = tuple([atom("const"), Term::Packed(ends[end].clone())]);
            call(operators[end], vec![atom("$2"), constant])
        };
        let mut guards = Vec::new();
        if has_low {
            guards.push(guard(0));
        }
        if has_high {
            guards.push(guard(1));
        }
        let head = tuple([atom("tab"), atom("$1"), atom("$2"), atom("_")]);
        let query = query(vec![tuple([head, list(guards), list(vec![atom("$_")])])]);
        let is_it = move |row: &[u8]| {
            let value = element(row, 3);
            let low = order::compare(&value, &ends[0]);
            let high = order::compare(&value, &ends[1]);
            (!has_low || low.is_gt() || (low.is_eq() && !is_exclusive))
                && (!has_high || high.is_lt() || (high.is_eq() && !is_exclusive))
        };
        (query, Box::new(is_it))
    }

    fn budget(&mut self) -> Budget {
        let matches = [1, 2, 7, 1000][self.random.usize(0..4)];
        Budget {
            matches,
            visits: [1, 3, 50, 10_000][self.random.usize(0..4)],
        }
    }

    fn check_query(&mut self) -> Outcome {
        let (query, is_wanted) = self.question();
        let is_up = self.random.bool();
        let direction = if is_up {
            Direction::Up
        } else {
            Direction::Down
        };
        let budget = self.budget();
        let mut found = Vec::new();
        let is_any = self.random.bool();
        let mut cursor = Some(if is_any {
            self.subject.cursor_in_any_order(&query)
        } else {
            self.subject.cursor(&query, direction)
        });
        let is_ordered = !is_any && cursor.as_ref().is_some_and(Cursor::is_walk);
        let mut steps_left = 1000 + 4 * self.naive.count();
        while let Some(from) = cursor {
            cursor = self.subject.step(&from, budget, &mut found);
            steps_left -= 1;
            if steps_left == 0 {
                return Err(String::from("a query without end"));
            }
        }
        let mut wanted: Vec<_> = self
            .naive
            .all()
            .into_iter()
            .filter(|row| is_wanted(row))
            .collect();
        if is_ordered && self.kind == Kind::OrderedSet {
            if !is_up {
                wanted.reverse();
            }
            return same("a query", &found, &wanted);
        }
        if !is_any && self.kind == Kind::Bag && !self.is_on_disk {
            found.sort_by_key(|row| element(row, 2));
            wanted.sort_by_key(|row| element(row, 2));
            return same("a query of a bag, key by key", &found, &wanted);
        }
        same("a query", &sorted(found), &sorted(wanted))
    }

    /// A query that is interrupted by writes: rows that stayed are there once, others once or
    /// not at all for each time they were written.
    fn check_interrupted(&mut self) -> Outcome {
        let (query, is_wanted) = self.question();
        let before: Vec<_> = self.naive.all();
        let mut touched = Naive::new(self.kind, false);
        let mut found = Vec::new();
        let mut cursor = Some(if self.random.bool() {
            self.subject.cursor_in_any_order(&query)
        } else {
            self.subject.cursor(&query, Direction::Up)
        });
        let mut changes = 0;
        while let Some(from) = cursor {
            let budget = self.budget();
            cursor = self.subject.step(&from, budget, &mut found);
            for _ in 0..self.random.usize(0..3) {
                if changes < 300 {
                    let (key, bytes) = self.bytes();
                    touched.write(&key, &bytes);
                    changes += 1;
                    if self.random.u8(0..3) == 0 {
                        self.subject.delete(&key);
                        self.naive.delete(&key);
                    } else {
                        self.subject.write(&bytes);
                        self.naive.write(&key, &bytes);
                    }
                }
            }
        }
        let stayed = |row: &Vec<u8>| touched.read(&element(row, 2)).is_empty() && is_wanted(row);
        let wanted: Vec<_> = before.into_iter().filter(stayed).collect();
        let found: Vec<_> = found.into_iter().filter(stayed).collect();
        same("rows that stayed", &sorted(found), &sorted(wanted))
    }

    fn turn(&mut self) -> Outcome {
        match self.random.u8(0..40) {
            0 => self.check_walks(),
            1 => self.check_steps(),
            2..=4 => self.check_indexes(),
            5..=8 => self.check_query(),
            9 => self.check_interrupted(),
            10..=13 => self.check_key(),
            14 if self.random.u8(0..6) == 0 => {
                self.subject.clear();
                self.naive.clear();
                same("the size after a clear", &self.subject.table.rows(), &0)
            }
            15 => {
                self.toggle_index();
                Ok(())
            }
            _ => self.change(),
        }
    }

    fn check_all(&mut self) -> Outcome {
        same("the size", &self.subject.table.rows(), &self.naive.count())?;
        self.check_walks()?;
        self.check_steps()?;
        (0..6).try_for_each(|_| self.check_indexes())
    }

    /// Grows past the size at which parts split, and shrinks to nothing.
    fn grow_and_shrink(&mut self, rows: usize) -> Outcome {
        self.toggle_index();
        for number in 0..rows {
            self.write();
            if number.is_multiple_of(rows / 4) {
                self.check_interrupted()?;
            }
        }
        self.check_all()?;
        (0..10).try_for_each(|_| self.check_query())?;
        let mut keys = self.naive.keys();
        match self.random.u8(0..3) {
            0 => keys.reverse(),
            1 => self.random.shuffle(&mut keys),
            _ => {}
        }
        for (number, key) in keys.iter().enumerate() {
            self.subject.delete(key);
            self.naive.delete(key);
            if number.is_multiple_of(1 + keys.len() / 3) {
                self.check_all()?;
            }
        }
        (0..200).for_each(|_| self.write());
        self.check_all()
    }
}

fn play(seed: u64, kind: Kind, is_on_disk: bool, bug: Bug) -> Outcome {
    let span = [4, 12, 60][seed as usize % 3];
    let mut game = Game::new(seed, kind, is_on_disk, span, bug);
    (0..60).try_for_each(|_| game.turn())?;
    game.check_all()
}

fn report(seed: u64, error: &str, test: &str) -> String {
    let error: String = error.chars().take(2_000).collect();
    format!(
        "seed {seed}: {error}\nrepeat: MAGNESIA_SEED={seed} MAGNESIA_CASES=1 \
         cargo test -p magnesia-engine --test model {test}"
    )
}

#[test]
fn small_tables_do_as_the_naive_one() {
    let first = setting("MAGNESIA_SEED", 1);
    for seed in first..first + setting("MAGNESIA_CASES", CASES) {
        for kind in KINDS {
            for is_on_disk in [false, true] {
                let context = |error| format!("{kind:?}, on disk {is_on_disk}: {error}");
                let played = play(seed, kind, is_on_disk, Bug::None).map_err(context);
                played.unwrap_or_else(|error| panic!("{}", report(seed, &error, "small")));
            }
        }
    }
}

#[test]
fn large_tables_split_and_merge() {
    let first = setting("MAGNESIA_SEED", 1);
    for seed in first..first + setting("MAGNESIA_CASES", CASES).div_ceil(250) {
        for kind in KINDS {
            for is_on_disk in [false, true] {
                let rows = if is_on_disk { 2_000 } else { 20_000 };
                let span = if seed % 2 == 0 { 800 } else { 200_000 };
                let mut game = Game::new(seed, kind, is_on_disk, span, Bug::None);
                let context = |error| format!("{kind:?}, on disk {is_on_disk}: {error}");
                let played = game.grow_and_shrink(rows).map_err(context);
                played.unwrap_or_else(|error| panic!("{}", report(seed, &error, "large")));
            }
        }
    }
}

fn is_found(bug: Bug) {
    let found = (1..=40).find_map(|seed| {
        KINDS
            .into_iter()
            .find_map(|kind| Some((seed, kind, play(seed, kind, false, bug).err()?)))
    });
    assert!(found.is_some(), "{bug:?} was not found");
}

#[test]
fn finds_a_write_that_is_lost() {
    is_found(Bug::LoseWrite);
}

#[test]
fn finds_an_index_that_lags_behind() {
    is_found(Bug::StaleIndex);
}

#[test]
fn finds_a_walk_that_skips_a_row() {
    is_found(Bug::SkipRow);
}

#[test]
fn finds_a_query_that_repeats_a_step() {
    is_found(Bug::RepeatStep);
}

#[test]
fn finds_a_deletion_of_too_much() {
    is_found(Bug::DeleteAll);
}
