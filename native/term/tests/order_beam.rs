//! The order of terms, both equalities and key bytes, against a real BEAM. In one thing its order
//! hangs on the run: how it compares small maps inside keys of maps; see `support/stored.rs`.

mod support;

use std::cmp::Ordering;

use magnesia_term::{Flavour, Key, Packer, View, etf, hash, key, order, packed, show};
use support::beam::{Beam, Verdict};
use support::model::{Generator, NAMES, Term};
use support::random::Random;
use support::stored::{Places, spread, spread_key};

const BATCH: usize = 1_000;

/// What is under test; a planted bug replaces one part.
#[derive(Clone, Copy)]
struct Subject {
    compare: fn(&[u8], &[u8]) -> Ordering,
    compare_exact: fn(&[u8], &[u8]) -> Ordering,
    key: fn(&[u8], Flavour) -> Vec<u8>,
}

const REAL: Subject = Subject {
    compare: order::compare,
    compare_exact: order::compare_exact,
    key: |term, flavour| {
        let mut bytes = Vec::new();
        key::encode(term, flavour, &mut bytes);
        assert_eq!(Key::of(term, flavour).as_bytes(), bytes);
        bytes
    },
};

fn expected(verdict: Verdict) -> Ordering {
    match (verdict.equal, verdict.less) {
        (true, _) => Ordering::Equal,
        (false, true) => Ordering::Less,
        (false, false) => Ordering::Greater,
    }
}

/// What is wrong about one pair, if anything is.
fn fault(subject: &Subject, a: &[u8], b: &[u8], verdict: Verdict) -> Option<&'static str> {
    let order = expected(verdict);
    let key_order = match (verdict.exact, verdict.key_less) {
        (true, _) => Ordering::Equal,
        (false, true) => Ordering::Less,
        (false, false) => Ordering::Greater,
    };
    let numeric = (subject.key)(a, Flavour::Numeric).cmp(&(subject.key)(b, Flavour::Numeric));
    let exact = (subject.key)(a, Flavour::Exact).cmp(&(subject.key)(b, Flavour::Exact));
    let swapped = (subject.compare)(b, a).reverse();
    let facts = [
        ((subject.compare)(a, b) == order, "compare"),
        (swapped == order, "compare, swapped"),
        ((subject.compare_exact)(a, b) == key_order, "compare_exact"),
        (order::equal(a, b) == verdict.equal, "equal"),
        (order::equal_exact(a, b) == verdict.exact, "equal_exact"),
        (numeric == order, "numeric key"),
        (exact.is_eq() == verdict.exact, "exact key, equality"),
        (order.is_eq() || exact == order, "exact key, order"),
        (!verdict.exact || hash::hash(a) == hash::hash(b), "hash"),
        (
            Key::of(a, Flavour::Exact).cmp(&Key::of(b, Flavour::Exact)) == exact_of(a, b),
            "Key",
        ),
    ];
    facts
        .iter()
        .find(|(holds, _)| !holds)
        .map(|&(_, name)| name)
}

fn exact_of(a: &[u8], b: &[u8]) -> Ordering {
    let key = |term| Key::of(term, Flavour::Exact).as_bytes().to_vec();
    key(a).cmp(&key(b))
}

/// Compares pairs in batches; returns the first fault in words.
fn check(subject: &Subject, beam: &mut Beam, seed: u64, pairs: usize) -> Result<(), String> {
    let mut generator = Generator::new(seed);
    let stored = beam.stored(&NAMES);
    let mut left = pairs;
    while left > 0 {
        let count = left.min(BATCH);
        let batch: Vec<_> = (0..count).map(|_| generator.pair()).collect();
        let verdicts = verdicts(beam, &stored, &batch)?;
        for ((a, b), verdict) in packed_pairs(&batch).iter().zip(verdicts) {
            if let Some(name) = fault(subject, a, b, verdict) {
                return Err(told(name, a, b, verdict));
            }
        }
        left -= count;
    }
    Ok(())
}

fn told(name: &str, a: &[u8], b: &[u8], verdict: Verdict) -> String {
    let (a, b) = (show::show(a, 2_000), show::show(b, 2_000));
    format!("{name} differs, the BEAM says {verdict:?}:\n{a}\n{b}")
}

/// What a BEAM says of pairs, but for the one thing in which ours is not its order: where it
/// stores atoms otherwise than by name, maps inside keys are compared as if it did not. What it
/// says of them as they are is then held against where it stores them.
fn verdicts(
    beam: &mut Beam,
    stored: &[String],
    batch: &[(Term, Term)],
) -> Result<Vec<Verdict>, String> {
    let spoken = asked(beam, batch);
    let by_name = by_name(stored);
    if *stored == by_name {
        return Ok(spoken);
    }
    for ((a, b), verdict) in batch.iter().zip(&spoken) {
        if as_stored(stored, a, b) != *verdict {
            return Err(told("as stored", &a.packed(), &b.packed(), *verdict));
        }
    }
    let each = |spread: fn(&Term, Places<'_>) -> Term| -> Vec<(Term, Term)> {
        let spread = |term| spread(term, &place_in(&by_name));
        batch.iter().map(|(a, b)| (spread(a), spread(b))).collect()
    };
    let (terms, keys) = (asked(beam, &each(spread)), asked(beam, &each(spread_key)));
    let key_less = keys.into_iter().map(|verdict| verdict.key_less);
    let verdicts = terms.into_iter().zip(key_less);
    Ok(verdicts
        .map(|(verdict, key_less)| Verdict {
            key_less,
            ..verdict
        })
        .collect())
}

fn asked(beam: &mut Beam, batch: &[(Term, Term)]) -> Vec<Verdict> {
    let verdicts = beam.compare(&encoded(&packed_pairs(batch)));
    assert_eq!(verdicts.len(), batch.len(), "one verdict a pair");
    verdicts
}

fn packed_pairs(batch: &[(Term, Term)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let pairs = batch.iter().map(|(a, b)| (a.packed(), b.packed()));
    pairs.collect()
}

fn by_name(stored: &[String]) -> Vec<String> {
    let mut names = stored.to_vec();
    names.sort();
    names
}

fn place_in(stored: &[String]) -> impl Fn(&'static str) -> usize {
    let place = |name: &str| stored.iter().position(|other| other == name);
    move |name| place(name).expect("a name of the generator")
}

/// What a BEAM says that compares maps inside keys as it stores them, by our order of the rest.
fn as_stored(stored: &[String], a: &Term, b: &Term) -> Verdict {
    let places = place_in(stored);
    let of = |spread: fn(&Term, Places<'_>) -> Term| {
        (spread(a, &places).packed(), spread(b, &places).packed())
    };
    let ((a, b), (key_a, key_b)) = (of(spread), of(spread_key));
    let order = order::compare(&a, &b);
    Verdict {
        less: order.is_lt(),
        equal: order.is_eq(),
        exact: order::equal_exact(&a, &b),
        key_less: order::compare_exact(&key_a, &key_b).is_lt(),
    }
}

fn encoded(batch: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut packer = Packer::new();
    let list = packer.list_begin(batch.len());
    for (a, b) in batch {
        let pair = packer.tuple_begin(2);
        packer.raw(a);
        packer.raw(b);
        packer.tuple_end(pair);
    }
    packer.nil();
    packer.list_end(list);
    let mut out = Vec::new();
    etf::encode(packer.as_bytes(), &mut out);
    out
}

fn start() -> Beam {
    let mut beam = Beam::start();
    order::set_zeros_distinct(beam.release() >= 27);
    beam
}

#[test]
fn order_and_keys_agree_with_a_beam() {
    let seed = support::seed();
    let outcome = check(&REAL, &mut start(), seed, support::cases(200_000));
    assert_eq!(outcome, Ok(()), "\n{}", support::repeat(seed, "order_beam"));
}

/// Two maps of up to four atoms, each the key of a map: alike, so that the first difference in an
/// order of the atoms decides.
fn pair_of_keys(random: &mut Random) -> (Term, Term) {
    let mut inner = || {
        let count = 2 + random.below(3);
        let pairs = (0..count).map(|_| {
            let name = NAMES[random.below(5)];
            (Term::Atom(name), Term::Int(random.below(2).into()))
        });
        Term::Map(pairs.collect())
    };
    let outer = |key| Term::Map(vec![(key, Term::Nil)]);
    (outer(inner()), outer(inner()))
}

/// The one difference in order, which the others leave out: of each release it is known what it
/// says, and only where atoms are not stored by name is it not what ours says.
#[test]
fn maps_in_keys_are_compared_by_a_beam_as_it_stores_them() {
    let (seed, mut beam) = (support::seed(), start());
    let mut random = Random::new(seed);
    let stored = beam.stored(&NAMES);
    let batch: Vec<_> = (0..BATCH).map(|_| pair_of_keys(&mut random)).collect();
    let mut otherwise = 0;
    for ((a, b), verdict) in batch.iter().zip(asked(&mut beam, &batch)) {
        assert_eq!(
            as_stored(&stored, a, b),
            verdict,
            "{a:?}\n{b:?}\n{}",
            support::repeat(seed, "order_beam")
        );
        let order = order::compare(&a.packed(), &b.packed());
        assert_eq!(order.is_eq(), verdict.equal, "{a:?}\n{b:?}");
        otherwise += usize::from(order.is_lt() != verdict.less);
    }
    let names_decide = stored == by_name(&stored);
    assert_eq!(names_decide, beam.release() < 26, "{stored:?}");
    assert_eq!(otherwise == 0, names_decide, "{otherwise} of {BATCH}");
}

/// Who made a local fun is no part of it: as the BEAM, so order, keys, equality and hash.
#[test]
fn funs_agree_with_a_beam_whoever_made_them() {
    let mut beam = start();
    let terms: Vec<Vec<u8>> = beam
        .funs()
        .iter()
        .map(|external| {
            let mut packer = Packer::new();
            etf::decode(external, &etf::Limits::default(), &mut packer).expect("a BEAM's own");
            packer.into_bytes()
        })
        .collect();
    let pairs: Vec<(Vec<u8>, Vec<u8>)> = terms
        .iter()
        .flat_map(|a| terms.iter().map(|b| (a.clone(), b.clone())))
        .collect();
    let verdicts = beam.compare(&encoded(&pairs));
    let mut same = 0;
    for ((a, b), verdict) in pairs.iter().zip(verdicts) {
        same += usize::from(verdict.exact && a != b);
        if let Some(name) = fault(&REAL, a, b, verdict) {
            panic!("{}", told(name, a, b, verdict));
        }
    }
    // From OTP 27 on a BEAM names one maker for all of its funs, so these come as one term.
    let (at_least, at_most) = if beam.release() >= 27 {
        (0, 0)
    } else {
        (terms.len(), pairs.len())
    };
    assert!(
        (at_least..=at_most).contains(&same),
        "{same} pairs of one fun by two processes"
    );
}

fn rounding(a: &[u8], b: &[u8]) -> Ordering {
    match (packed::view(a), packed::view(b)) {
        (View::Int(a), View::Float(b)) => (a as f64).partial_cmp(&b).unwrap_or(Ordering::Equal),
        (View::Float(a), View::Int(b)) => a.partial_cmp(&(b as f64)).unwrap_or(Ordering::Equal),
        _ => order::compare(a, b),
    }
}

fn unescaped(term: &[u8], flavour: Flavour) -> Vec<u8> {
    match packed::view(term) {
        View::Bits(bits) => [&[0x90][..], bits.bytes, &[0, bits.last_bits]].concat(),
        _ => (REAL.key)(term, flavour),
    }
}

#[test]
fn a_wrong_order_is_caught() {
    let planted = [
        (
            "an integer is rounded",
            Subject {
                compare: rounding,
                ..REAL
            },
        ),
        (
            "keys of maps by number",
            Subject {
                compare_exact: order::compare,
                ..REAL
            },
        ),
        (
            "map order for terms",
            Subject {
                compare: order::compare_exact,
                ..REAL
            },
        ),
        (
            "bytes are not escaped",
            Subject {
                key: unescaped,
                ..REAL
            },
        ),
        (
            "one flavour",
            Subject {
                key: |term, _| (REAL.key)(term, Flavour::Numeric),
                ..REAL
            },
        ),
        (
            "the other",
            Subject {
                key: |term, _| (REAL.key)(term, Flavour::Exact),
                ..REAL
            },
        ),
    ];
    let mut beam = start();
    for (name, subject) in planted {
        assert!(
            check(&subject, &mut beam, 1, 20_000).is_err(),
            "{name}: not caught"
        );
    }
}
