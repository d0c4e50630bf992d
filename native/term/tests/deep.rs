//! Terms nested a million deep: nothing that reads one recurses. The threads of these tests
//! have small stacks, so that recursion would not go unnoticed.

use magnesia_term::etf::{self, Limits};
use magnesia_term::portable::{self, Dictionary, Names};
use magnesia_term::{Atom, Flavour, Key, Packer, hash, order, show};

const LEVELS: usize = 1_000_000;

/// Runs `test` on 256 KiB of stack, as threads of a BEAM may have.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new()
        .stack_size(256 << 10)
        .spawn(test);
    let outcome = thread.expect("a thread starts").join();
    assert!(outcome.is_ok(), "the test failed on its thread");
}

fn tuples(core: i64) -> Vec<u8> {
    let mut packer = Packer::new();
    let mut marks: Vec<_> = (0..LEVELS).map(|_| packer.tuple_begin(1)).collect();
    packer.int(core);
    while let Some(mark) = marks.pop() {
        packer.tuple_end(mark);
    }
    packer.into_bytes()
}

/// Lists in the heads of lists, whose tails are atoms, in values of maps.
fn mixed(core: i64) -> Vec<u8> {
    let mut packer = Packer::new();
    let atom = Atom::intern("deep").expect("there is room");
    let mut marks = Vec::new();
    for _ in 0..LEVELS / 2 {
        let map = packer.map_begin(1);
        packer.float(-0.0);
        marks.push((map, packer.list_begin(1)));
    }
    packer.int(core);
    while let Some((map, list)) = marks.pop() {
        packer.atom(atom);
        packer.list_end(list);
        packer.map_end(map);
    }
    packer.into_bytes()
}

#[test]
fn comparing_hashing_and_keys_do_not_recurse() {
    on_a_small_stack(|| {
        for make in [tuples, mixed] {
            let (a, b) = (make(1), make(2));
            assert!(order::compare(&a, &b).is_lt() && order::compare_exact(&a, &b).is_lt());
            assert!(order::equal(&a, &a.clone()) && !order::equal_exact(&a, &b));
            assert_ne!(hash::hash(&a), hash::hash(&b));
            for flavour in [Flavour::Numeric, Flavour::Exact] {
                assert!(Key::of(&a, flavour) < Key::of(&b, flavour));
            }
        }
    });
}

#[test]
fn formats_and_text_do_not_recurse() {
    on_a_small_stack(|| {
        for make in [tuples, mixed] {
            let term = make(1);
            let (mut bytes, mut packer) = (Vec::new(), Packer::new());
            etf::encode(&term, &mut bytes);
            let limits = Limits {
                depth: LEVELS,
                ..Limits::default()
            };
            assert_eq!(etf::decode(&bytes, &limits, &mut packer), Ok(bytes.len()));
            assert!(packer.as_bytes() == term);
            let (mut dictionary, mut bytes, mut head) = (Dictionary::new(), Vec::new(), Vec::new());
            portable::write(&term, &mut dictionary, &mut bytes);
            dictionary.encode(&mut head);
            let (names, _) = Names::parse(&head).expect("a dictionary");
            packer.clear();
            assert_eq!(portable::read(&bytes, &names, &mut packer), Ok(bytes.len()));
            assert!(packer.as_bytes() == term);
            assert_eq!(show::show(&term, 100).chars().count(), 100);
            assert!(show::show(&term, usize::MAX).len() > LEVELS);
        }
    });
}
