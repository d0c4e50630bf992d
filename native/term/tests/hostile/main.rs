//! Decoders under bytes from an enemy: no panic, and no memory out of proportion to the input.

mod bodies;
#[path = "../../../fuzz/corpus.rs"]
mod corpus;
#[path = "../support/mod.rs"]
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};

use bodies::memory::{alone, taken};
use bodies::{USES, allowed, read_external, read_portable};
use magnesia_term::Packer;
use magnesia_term::etf::{self, Limits};
use magnesia_term::portable::{self, Dictionary};
use support::model::Generator;
use support::random::Random;

/// Runs `read` on the input, twice, so that names new to the atom table are not counted; says
/// what it did wrong.
fn fault(input: &[u8], allowed: usize, read: &dyn Fn(&[u8])) -> Option<String> {
    let Ok(taken) = catch_unwind(AssertUnwindSafe(|| taken(&mut || read(input)))) else {
        return Some(format!("a panic on {input:?}"));
    };
    (taken > allowed).then(|| format!("{taken} bytes of memory for {input:?}"))
}

fn mutate(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        match random.below(7) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => bytes[at] = *random.pick(&[0, 1, 0x7f, 0x80, 0xff]),
            3 => bytes.truncate(at + 1),
            4 => bytes.insert(at, random.next() as u8),
            5 => drop(bytes.remove(at)),
            _ => {
                let end = (at + 4).min(bytes.len());
                bytes[at..end].fill(0xff);
            }
        }
        if bytes.is_empty() {
            bytes.push(131);
        }
    }
    bytes
}

fn external_of(term: &[u8], random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    etf::encode(term, &mut out);
    if !random.once_in(10) {
        return out;
    }
    let mut zlib = flate2::read::ZlibEncoder::new(&out[1..], flate2::Compression::fast());
    let mut packed = [&[131, 80][..], &((out.len() - 1) as u32).to_be_bytes()].concat();
    std::io::Read::read_to_end(&mut zlib, &mut packed).expect("memory does not fail");
    packed
}

fn portable_of(term: &[u8], _: &mut Random) -> Vec<u8> {
    let (mut dictionary, mut body, mut out) = (Dictionary::new(), Vec::new(), Vec::new());
    portable::write(term, &mut dictionary, &mut body);
    dictionary.encode(&mut out);
    out.extend_from_slice(&body);
    out
}

fn attack(
    seed: u64,
    count: usize,
    encode: fn(&[u8], &mut Random) -> Vec<u8>,
    read: fn(&[u8]),
    uses: usize,
) -> Result<(), String> {
    let mut generator = Generator::new(seed);
    let mut random = Random::new(!seed);
    for _ in 0..count {
        let bytes = encode(&generator.term(4).packed(), &mut random);
        let input = mutate(&bytes, &mut random);
        if let Some(fault) = fault(&input, uses * allowed(&input), &read) {
            return Err(fault);
        }
    }
    Ok(())
}

#[test]
fn damaged_external_terms_do_no_harm() {
    let _alone = alone();
    let seed = support::seed();
    let outcome = attack(
        seed,
        support::cases(60_000),
        external_of,
        read_external,
        USES,
    );
    assert_eq!(outcome, Ok(()), "\n{}", support::repeat(seed, "hostile"));
}

#[test]
fn damaged_portable_terms_do_no_harm() {
    let _alone = alone();
    let seed = support::seed();
    let outcome = attack(
        seed,
        support::cases(60_000),
        portable_of,
        read_portable,
        USES,
    );
    assert_eq!(outcome, Ok(()), "\n{}", support::repeat(seed, "hostile"));
}

/// Every tag with every short tail of the same byte: claims of all sizes with nothing behind.
#[test]
fn empty_claims_reserve_nothing() {
    let _alone = alone();
    for tag in 0..=255_u8 {
        for fill in [0, 1, 4, 0x7f, 0x80, 0xff_u8] {
            for length in 0..12 {
                let tail = vec![fill; length];
                let external = [&[131, tag][..], &tail].concat();
                let decode = |input: &[u8]| {
                    let mut packer = Packer::new();
                    assert!(
                        etf::decode(input, &Limits::default(), &mut packer)
                            .is_ok_and(|taken| taken <= input.len())
                            || packer.is_empty()
                    );
                };
                assert_eq!(fault(&external, allowed(&external), &decode), None);
                let portable = [&[0, 0, 0, 0, tag][..], &tail].concat();
                assert_eq!(fault(&portable, allowed(&portable), &read_portable), None);
            }
        }
    }
}

#[test]
fn a_careless_decoder_is_caught() {
    let _alone = alone();
    let claims = |input: &[u8]| {
        if let [131, 108 | 109 | 105, a, b, c, d, ..] = *input {
            let claimed = u32::from_be_bytes([a, b, c, d]) as usize & 0xff_ffff;
            drop(Vec::<u8>::with_capacity(claimed));
        }
    };
    assert!(attack(1, 20_000, external_of, claims, USES).is_err());
    let indexes = |input: &[u8]| {
        if input.get(1) == Some(&109) {
            let length = usize::from(input[5]);
            assert!(input[6..6 + length].len() == length);
        }
    };
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = attack(1, 20_000, external_of, indexes, USES);
    std::panic::set_hook(quiet);
    assert!(outcome.is_err());
}

#[test]
fn the_kept_inputs_do_no_harm() {
    corpus::replay("etf_decode", bodies::etf_decode);
    corpus::replay("portable_decode", bodies::portable_decode);
}

/// Maps in maps, each with two pairs: the one that holds the next map first, or last.
fn nested_maps(depth: usize, is_sorted: bool) -> Vec<u8> {
    let (small, nested): (&[u8], &[u8]) = (&[97, 1, 97, 0], &[97, 2]);
    let mut bytes = vec![131];
    let mut ends = Vec::new();
    for _ in 0..depth {
        bytes.extend_from_slice(&[116, 0, 0, 0, 2]);
        if is_sorted {
            bytes.extend_from_slice(small);
        } else {
            ends.extend_from_slice(small);
        }
        bytes.extend_from_slice(nested);
    }
    bytes.push(106);
    bytes.extend_from_slice(&ends);
    bytes
}

/// The work to put maps in order is in proportion to the term, however they are nested.
#[test]
fn unsorted_maps_move_no_more_bytes_than_in_proportion() {
    let alone = alone();
    let limits = |moved_bytes| Limits {
        moved_bytes,
        ..Limits::default()
    };
    let decode = |depth, is_sorted, moved_bytes| {
        let mut packer = Packer::new();
        let bytes = nested_maps(depth, is_sorted);
        etf::decode(&bytes, &limits(moved_bytes), &mut packer).map(|_| packer.into_bytes())
    };
    // A map of 11 bytes becomes one that holds 15 bytes more than the one within it, 7 in the
    // innermost; the sum of what they hold is moved.
    let (size, moved) = (|depth| 2 + 11 * depth, |depth| depth * (15 * depth - 1) / 2);
    let within = (1..).take_while(|&depth| moved(depth) <= etf::MOVES_MAX * (size(depth) - 1));
    let deepest = within.last().expect("one map is within");
    assert!(decode(deepest, false, 0).is_ok(), "{deepest}");
    let error = decode(deepest + 1, false, 0).expect_err("one level more");
    let most = etf::MOVES_MAX * (size(deepest + 1) - 1);
    assert_eq!(error, etf::EtfError::TooUnsorted(most));
    let needed = moved(deepest + 1) - most;
    assert!(decode(deepest + 1, false, needed).is_ok());
    assert!(decode(deepest + 1, false, needed - 1).is_err());
    // What is sorted moves nothing, and gives the same.
    assert!(decode(100_000, true, 0).is_ok());
    assert_eq!(decode(deepest, true, 0), decode(deepest, false, 0));
    drop(alone);
}
