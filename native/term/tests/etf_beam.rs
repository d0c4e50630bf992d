//! External term format against a real BEAM, in both directions.

mod support;

use magnesia_term::etf::{self, EtfError, Limits};
use magnesia_term::{Packer, order, packed, show};
use support::beam::Beam;
use support::model::{Generator, Kinds};

const BATCH: usize = 1_000;

type Encode = fn(&[u8]) -> Vec<u8>;
type Decode = fn(&[u8]) -> Result<Vec<u8>, EtfError>;

fn encode(term: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    etf::encode(term, &mut out);
    out
}

fn decode(bytes: &[u8]) -> Result<Vec<u8>, EtfError> {
    let mut packer = Packer::new();
    let taken = etf::decode(bytes, &Limits::default(), &mut packer)?;
    assert_eq!(taken, bytes.len(), "all of the bytes are the term");
    Ok(packer.into_bytes())
}

/// From this release on a BEAM forgets who made a local fun, and writes its `init` for all.
const FORGETS_MAKERS: u32 = 27;

/// Ours to the BEAM and back: the same packed bytes, but for the makers that a BEAM forgets;
/// where no form differs between releases, the same external bytes too.
fn there_and_back(
    beam: &mut Beam,
    mut generator: Generator,
    count: usize,
    (encode, decode): (Encode, Decode),
) -> Result<(), String> {
    let with_names = generator.kinds().with_names;
    let makers_forgotten = beam.release() >= FORGETS_MAKERS;
    let mut left = count;
    while left > 0 {
        let size = left.min(BATCH);
        let terms: Vec<_> = (0..size).map(|_| generator.term(4).packed()).collect();
        let sent: Vec<_> = terms.iter().map(|term| encode(term)).collect();
        for ((term, sent), back) in terms.iter().zip(&sent).zip(beam.echo(&sent)) {
            let decoded = decode(&back).map_err(|error| format!("{error}: {}", shown(term)))?;
            let same = if makers_forgotten {
                // With two zeros, as from that release on, this takes out makers and no more.
                order::zeros_distinct() && order::canonical(&decoded) == order::canonical(term)
            } else {
                decoded == *term
            };
            if !same {
                return Err(format!("sent {}\nback {}", shown(term), shown(&decoded)));
            }
            if !with_names && *sent != back {
                return Err(format!("bytes differ: {}\n{sent:?}\n{back:?}", shown(term)));
            }
        }
        left -= size;
    }
    Ok(())
}

/// The BEAM's to ours and back, judged by the BEAM.
fn back_and_there(
    beam: &mut Beam,
    seed: u64,
    count: usize,
    (encode, decode): (Encode, Decode),
) -> Result<(), String> {
    let mut left = count;
    while left > 0 {
        let size = left.min(BATCH);
        let made = beam.generate(seed.wrapping_add(left as u64), size as u32);
        let mut ours = Vec::new();
        for bytes in &made {
            let term = decode(bytes).map_err(|error| format!("{error}: {bytes:?}"))?;
            ours.push(encode(&term));
        }
        if let Some(at) = beam.verify(&ours).iter().position(|holds| !holds) {
            return Err(format!(
                "not =:= what was sent:\n{:?}\n{:?}",
                made[at], ours[at]
            ));
        }
        left -= size;
    }
    Ok(())
}

fn shown(term: &[u8]) -> String {
    show::show(term, 2_000)
}

fn start() -> Beam {
    let mut beam = Beam::start();
    order::set_zeros_distinct(beam.release() >= 27);
    beam
}

#[test]
fn our_terms_come_back_from_a_beam() {
    let seed = support::seed();
    let repeat = support::repeat(seed, "etf_beam");
    let (mut beam, ours) = (start(), (encode as Encode, decode as Decode));
    let generator = Generator::new(seed);
    let outcome = there_and_back(&mut beam, generator, support::cases(50_000), ours);
    assert_eq!(outcome, Ok(()), "\n{repeat}");
    let generator = Generator::of(seed, Kinds { with_names: false });
    let outcome = there_and_back(&mut beam, generator, support::cases(30_000), ours);
    assert_eq!(outcome, Ok(()), "\n{repeat}");
}

#[test]
fn terms_of_a_beam_come_back_to_it() {
    let seed = support::seed();
    let outcome = back_and_there(&mut start(), seed, support::cases(20_000), (encode, decode));
    assert_eq!(outcome, Ok(()), "\n{}", support::repeat(seed, "etf_beam"));
}

/// A change in the bytes that come in stands for a decoder that reads one form wrongly.
fn decode_with(bytes: &[u8], form: u8, change: fn(&mut Vec<u8>)) -> Result<Vec<u8>, EtfError> {
    let mut bytes = bytes.to_vec();
    if bytes.get(1) == Some(&form) {
        change(&mut bytes);
    }
    let mut packer = Packer::new();
    etf::decode(&bytes, &Limits::default(), &mut packer)?;
    Ok(packer.into_bytes())
}

/// A bit of a float, a small integer, the first byte of a string, the sign of
/// a big integer, the bits of a bitstring.
const WRONG_DECODERS: [(&str, Decode); 5] = [
    ("a float has a wrong bit", |b| {
        decode_with(b, 70, |b| b[9] ^= 1)
    }),
    ("an integer is off by one", |b| {
        decode_with(b, 97, |b| b[2] ^= 1)
    }),
    ("a string has a wrong byte", |b| {
        decode_with(b, 107, |b| b[4] ^= 0x80)
    }),
    ("a big integer loses its sign", |b| {
        decode_with(b, 110, |b| b[3] = 0)
    }),
    ("a bitstring has a wrong length", |b| {
        decode_with(b, 77, |b| b[6] = b[6] % 8 + 1)
    }),
];

#[test]
fn a_wrong_decoder_is_caught() {
    let mut beam = start();
    for (name, wrong) in WRONG_DECODERS {
        let outcome = there_and_back(&mut beam, Generator::new(1), 10_000, (encode, wrong));
        assert!(outcome.is_err(), "{name}: not caught");
    }
    let drops_tail: Encode = |term| match packed::view(term) {
        packed::View::Int(value) if value > i64::from(i32::MAX) => {
            let mut packer = Packer::new();
            packer.int(value & 0xffff_ffff);
            encode(packer.as_bytes())
        }
        _ => encode(term),
    };
    let generator = Generator::new(1);
    assert!(there_and_back(&mut beam, generator, 10_000, (drops_tail, decode)).is_err());
    assert!(back_and_there(&mut beam, 1, 2_000, (drops_tail, decode)).is_err());
}
