//! Match specifications against the real `ets`, on random specifications and rows.
//!
//! Every specification goes to our compiler and to `ets:match_spec_compile/1`, which must agree
//! on whether it is one; every row goes through both, and results must be identical down to
//! the sign of a zero. What `values_at` and `range_at` say must hold for every match.
//!
//! `MAGNESIA_CASES` sets how many specifications, `MAGNESIA_SEED` repeats a run.

mod beam;
mod external;
mod generate;
mod term;

use fastrand::Rng;
use magnesia_engine::pattern::{Host, Out, Record, Scratch, Spec, pack_record, release};
use magnesia_term::packed::{self, View};
use magnesia_term::{Packer, Row, order};

use beam::{Beam, Ours};
use generate::{Case, Coverage, Generator, all_forms};
use term::{Float, Int, Term};

const ROWS_MAX: usize = 20;
const BATCH: usize = 200;

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// Our answer to a case; with `plant`, each row is changed before we see it.
fn answer(case: &Case, host: &Host, scratch: &mut Scratch, plant: fn(&Term) -> Term) -> Ours {
    let Ok(spec) = Spec::compile(&case.spec.packed()) else {
        return Ours::Refused;
    };
    let rows = case.rows.iter().map(|row| {
        let seen = plant(row).packed();
        let result = run_both_ways(&spec, &seen, host, scratch);
        (row.packed(), result)
    });
    Ours::Rows(rows.collect())
}

/// Runs a term as itself and, when it is a record, as a row of a table.
fn run_both_ways(spec: &Spec, term: &[u8], host: &Host, scratch: &mut Scratch) -> Option<Vec<u8>> {
    let as_term = match spec.run_term(term, host, scratch) {
        None => None,
        Some(Out::Whole) => Some(term.to_vec()),
        Some(Out::Term(result)) => Some(result.to_vec()),
    };
    let View::Tuple(mut items) = packed::view(term) else {
        return as_term;
    };
    let Some(View::Atom(name)) = items.next().map(packed::view) else {
        return as_term;
    };
    if items.count() == 0 {
        return as_term;
    }
    let row = Row::new(0, items.count(), items.rest());
    let record = Record { name, row: &row };
    let as_row = match spec.run(record, host, scratch) {
        None => None,
        Some(Out::Term(result)) => Some(result.to_vec()),
        Some(Out::Whole) => {
            let mut packer = Packer::new();
            pack_record(record, &mut packer);
            Some(packer.into_bytes())
        }
    };
    assert_eq!(
        as_row, as_term,
        "a row and the same tuple differ: {spec:?} on {term:?}"
    );
    if as_row.is_some() {
        check_candidates(spec, &row);
    }
    as_row
}

/// A row that matched must be where the specification says that matches are.
fn check_candidates(spec: &Spec, row: &Row) {
    for position in 2..row.elements() + 2 {
        let element = row.at(position).expect("it is within the row");
        if let Some(values) = spec.values_at(position) {
            let is_there = values.iter().any(|value| order::equal(value, element));
            assert!(
                is_there,
                "position {position} of {row:?} is none of {values:?}"
            );
        }
        if let Some(range) = spec.range_at(position) {
            assert!(
                range.contains(element),
                "position {position} of {row:?} not in {range:?}"
            );
            assert!(!range.is_empty(), "{range:?} is not empty");
        }
    }
}

fn note_access(spec: &Spec, coverage: &mut Coverage) {
    let mut note = |name: &str| *coverage.entry(name.to_owned()).or_default() += 1;
    match (spec.values_at(2), spec.range_at(2)) {
        (Some(_), _) => note("access point"),
        (None, Some(_)) => note("access range"),
        (None, None) if spec.positions().any(|position| position > 2) => note("access index"),
        (None, None) => note("access full"),
    }
}

/// Runs cases until one disagrees; answers the disagreements.
fn compare(cases: u64, seed: u64, plant: fn(&Term) -> Term, coverage: &mut Coverage) -> String {
    let mut beam = Beam::start();
    order::set_zeros_distinct(beam.release >= 27);
    release::set_functions_of_26(beam.release >= 26);
    release::set_guards_of_27(beam.release >= 27);
    let host = beam.host();
    let special = beam.special.clone();
    let mut rng = Rng::with_seed(seed);
    let mut generator = Generator::new(&mut rng, &special, beam.release >= 26);
    let mut scratch = Scratch::default();
    for number in 1..=cases {
        let case = generator.case(ROWS_MAX);
        let ours = answer(&case, &host, &mut scratch, plant);
        if matches!(ours, Ours::Rows(_)) {
            case.forms
                .iter()
                .for_each(|form| *coverage.entry(form.clone()).or_default() += 1);
            note_access(
                &Spec::compile(&case.spec.packed()).expect("as above"),
                coverage,
            );
        }
        beam.add(&case.spec.packed(), &ours);
        if number % BATCH as u64 == 0 || number == cases {
            let text = beam.disagreements();
            if !text.is_empty() {
                return text;
            }
        }
    }
    String::new()
}

#[test]
fn agrees_with_ets_on_random_specifications() {
    let cases = from_environment("MAGNESIA_CASES", 50_000);
    let seed = from_environment("MAGNESIA_SEED", Rng::new().u64(..));
    let repeat = format!("MAGNESIA_SEED={seed} MAGNESIA_CASES={cases} cargo test pattern_beam");
    eprintln!("repeat with: {repeat}");
    let mut coverage = Coverage::new();
    let text = compare(cases, seed, Term::clone, &mut coverage);
    assert!(
        text.is_empty(),
        "{}\nrepeat with: {repeat}",
        first_paragraphs(&text)
    );
    eprintln!("{coverage:?}");
    let access = [
        "access point",
        "access range",
        "access index",
        "access full",
    ];
    let has_new = Beam::start().release >= 26;
    let wanted = all_forms(has_new)
        .into_iter()
        .chain(access.map(str::to_owned));
    let missing: Vec<String> = wanted.filter(|form| !coverage.contains_key(form)).collect();
    assert!(
        cases < 10_000 || missing.is_empty(),
        "never taken: {missing:?}; {repeat}"
    );
}

fn first_paragraphs(text: &str) -> String {
    text.split("\n\n").take(5).collect::<Vec<_>>().join("\n\n")
}

/// The checker must notice an engine that takes `1` and `1.0` for one in a head.
#[test]
fn a_head_that_compares_loosely_is_caught() {
    fn floats_to_integers(term: &Term) -> Term {
        match term {
            Float(float) if float.to_bits() == 1.0_f64.to_bits() => Int(1),
            Term::Tuple(terms) => Term::Tuple(terms.iter().map(floats_to_integers).collect()),
            other => other.clone(),
        }
    }
    let text = compare(5_000, 1, floats_to_integers, &mut Coverage::new());
    assert!(!text.is_empty(), "the planted bug was not seen");
}

/// The checker must notice a zero whose sign got lost.
#[test]
fn a_lost_sign_of_zero_is_caught() {
    fn plain_zeros(term: &Term) -> Term {
        match term {
            Float(zero) if *zero == 0.0 => Float(0.0),
            Term::Tuple(terms) => Term::Tuple(terms.iter().map(plain_zeros).collect()),
            other => other.clone(),
        }
    }
    let text = compare(5_000, 2, plain_zeros, &mut Coverage::new());
    assert!(!text.is_empty(), "the planted bug was not seen");
}

/// The checker must notice a specification that we refuse and `ets` takes.
#[test]
fn a_refusal_that_is_wrong_is_caught() {
    let mut beam = Beam::start();
    beam.add(&term::list(vec![]).packed(), &Ours::Refused);
    assert_eq!(beam.disagreements(), "");
    let head = term::tuple([term::atom("_"), Term::Nil, term::list(vec![Int(1)])]);
    beam.add(&term::list(vec![head]).packed(), &Ours::Refused);
    assert!(beam.disagreements().starts_with("ets accepts"));
}
