//! External term format against the `eetf` crate, an implementation that is not ours.

mod support;

use eetf::Term as Other;
use magnesia_term::etf::{self, Limits};
use magnesia_term::{Atom, ExtKind, Packer};
use num_bigint::BigInt;
use support::model::{Generator, Term};

/// The other crate's term, where it has one that it can send: of bitstrings it shifts the last
/// byte, and a list of integers below 256 it sends as bytes even when some are negative.
fn other(term: &Term) -> Option<Other> {
    Some(match term {
        Term::Int(int) => match i32::try_from(int) {
            Ok(value) => Other::from(eetf::FixInteger::from(value)),
            Err(_) => Other::from(eetf::BigInteger { value: int.clone() }),
        },
        Term::Float(value) => Other::from(eetf::Float { value: *value }),
        Term::Atom(name) => Other::from(eetf::Atom::from(*name)),
        Term::Nil => Other::from(eetf::List::nil()),
        Term::Bits(bytes, 8) => Other::from(eetf::Binary::from(bytes.clone())),
        Term::Bits(bytes, _) if bytes.is_empty() => Other::from(eetf::Binary::from(bytes.clone())),
        Term::Bits(..) | Term::Ext(..) => return None,
        Term::Tuple(items) => Other::from(eetf::Tuple {
            elements: others(items)?,
        }),
        Term::List(items, _) if items.iter().all(is_short) && items.iter().any(is_negative) => {
            return None;
        }
        Term::List(items, tail) if **tail == Term::Nil => Other::from(eetf::List {
            elements: others(items)?,
        }),
        Term::List(items, tail) if matches!(**tail, Term::List(..)) => {
            let mut all = items.clone();
            let Term::List(more, next) = &**tail else {
                return None;
            };
            all.extend(more.iter().cloned());
            return other(&Term::List(all, next.clone()));
        }
        Term::List(items, tail) => Other::from(eetf::ImproperList {
            elements: others(items)?,
            last: Box::new(other(tail)?),
        }),
        Term::Map(pairs) => map(pairs)?,
    })
}

fn is_short(term: &Term) -> bool {
    matches!(term, Term::Int(int) if *int < BigInt::from(256))
}

fn is_negative(term: &Term) -> bool {
    matches!(term, Term::Int(int) if int.sign() == num_bigint::Sign::Minus)
}

fn others(terms: &[Term]) -> Option<Vec<Other>> {
    terms.iter().map(other).collect()
}

fn map(pairs: &[(Term, Term)]) -> Option<Other> {
    let mut map = std::collections::HashMap::new();
    for (key, value) in pairs {
        if !matches!(key, Term::Int(_) | Term::Atom(_) | Term::Bits(_, 8)) {
            return None;
        }
        map.entry(other(key)?).or_insert(other(value)?);
    }
    Some(Other::from(eetf::Map { map }))
}

/// What the other crate decoded, packed.
fn pack(term: &Other, packer: &mut Packer) {
    match term {
        Other::Atom(atom) => packer.atom(Atom::intern(&atom.name).expect("there is room")),
        Other::FixInteger(int) => packer.int(i64::from(int.value)),
        Other::BigInteger(int) => magnesia_term::number::pack_bigint(&int.value, packer),
        Other::Float(float) => packer.float(float.value),
        Other::Binary(binary) => packer.binary(&binary.bytes),
        Other::ByteList(list) => pack_list(
            &list
                .bytes
                .iter()
                .map(|&byte| Other::from(eetf::FixInteger::from(byte)))
                .collect::<Vec<_>>(),
            None,
            packer,
        ),
        Other::List(list) => pack_list(&list.elements, None, packer),
        Other::ImproperList(list) => pack_list(&list.elements, Some(&list.last), packer),
        Other::Tuple(tuple) => {
            let mark = packer.tuple_begin(tuple.elements.len());
            tuple
                .elements
                .iter()
                .for_each(|element| pack(element, packer));
            packer.tuple_end(mark);
        }
        Other::Map(map) => {
            let mark = packer.map_begin(map.map.len());
            for (key, value) in &map.map {
                pack(key, packer);
                pack(value, packer);
            }
            packer.map_end(mark);
        }
        _ => panic!("never sent: {term}"),
    }
}

fn pack_list(elements: &[Other], tail: Option<&Other>, packer: &mut Packer) {
    if elements.is_empty() {
        return packer.nil();
    }
    let mark = packer.list_begin(elements.len());
    elements.iter().for_each(|element| pack(element, packer));
    match tail {
        Some(tail) => pack(tail, packer),
        None => packer.nil(),
    }
    packer.list_end(mark);
}

fn packed(term: &Other) -> Vec<u8> {
    let mut packer = Packer::new();
    pack(term, &mut packer);
    packer.into_bytes()
}

fn decode(bytes: &[u8]) -> Vec<u8> {
    let mut packer = Packer::new();
    let taken = etf::decode(bytes, &Limits::default(), &mut packer).expect("valid bytes");
    assert_eq!(taken, bytes.len());
    packer.into_bytes()
}

fn agrees(term: &Term, decode: fn(&[u8]) -> Vec<u8>) -> Option<bool> {
    let there = other(term)?;
    let ours = term.packed();
    let mut bytes = Vec::new();
    there.encode(&mut bytes).ok()?;
    let mut sent = Vec::new();
    etf::encode(&ours, &mut sent);
    let back = Other::decode(&sent[..]).ok()?;
    Some(decode(&bytes) == ours && packed(&back) == ours)
}

#[test]
fn both_implementations_understand_each_other() {
    let seed = support::seed();
    let mut generator = Generator::new(seed);
    let (mut judged, count) = (0, support::cases(60_000));
    for _ in 0..count {
        let term = generator.term(3);
        if let Some(agrees) = agrees(&term, decode) {
            assert!(agrees, "{term:?}\n{}", support::repeat(seed, "etf_eetf"));
            judged += 1;
        }
    }
    assert!(
        judged > count / 2,
        "only {judged} of {count} terms were judged"
    );
}

#[test]
fn the_identifiers_of_both_are_the_same() {
    let node = eetf::Atom::from("a@b");
    let pid = eetf::Pid {
        node: node.clone(),
        id: 5,
        serial: 6,
        creation: 7,
    };
    let port = eetf::Port {
        node: node.clone(),
        id: 1 << 40,
        creation: 7,
    };
    let reference = eetf::Reference {
        node,
        id: vec![1, 2, 3],
        creation: 7,
    };
    let fun = eetf::ExternalFun {
        module: eetf::Atom::from("lists"),
        function: eetf::Atom::from("map"),
        arity: 2,
    };
    let terms = [
        (Other::from(pid), ExtKind::Pid),
        (Other::from(port), ExtKind::Port),
        (Other::from(reference), ExtKind::Reference),
        (Other::from(fun), ExtKind::Fun),
    ];
    for (term, kind) in terms {
        let mut bytes = Vec::new();
        term.encode(&mut bytes).expect("it encodes");
        let ours = decode(&bytes);
        let magnesia_term::View::Ext(found, _) = magnesia_term::packed::view(&ours) else {
            panic!("{term} is no identifier");
        };
        let mut sent = Vec::new();
        etf::encode(&ours, &mut sent);
        assert_eq!(
            (found, Other::decode(&sent[..]).expect("it decodes")),
            (kind, term)
        );
    }
}

#[test]
fn a_wrong_decoder_is_caught() {
    let wrong = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        if bytes[1] == 110 {
            bytes[3] ^= 1;
        }
        decode(&bytes)
    };
    let big = Term::Int(BigInt::from(1) << 70);
    assert_eq!(agrees(&big, decode), Some(true));
    assert_eq!(agrees(&big, wrong), Some(false));
}
