//! The hash of a key: fast for the short terms that keys are, good in every bit.
//!
//! Terms that are `=:=` have the same hash. The seed is drawn once per process, so hashes mean
//! nothing elsewhere: never write one to a disk or send it to a peer.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;

use foldhash::quality::{FoldHasher, SeedableRandomState};

use crate::order;

#[derive(Debug)]
struct Seeds {
    low: u64,
    high: u64,
    long: SeedableRandomState,
}

static SEEDS: OnceLock<Seeds> = OnceLock::new();

/// Sets the seed, for tests that must repeat. Must come before the first hash of the process;
/// returns whether it did.
pub fn set_seed(seed: u64) -> bool {
    SEEDS.set(Seeds::of(seed)).is_ok()
}

/// The hash of a packed term.
#[must_use]
#[inline]
pub fn hash(packed: &[u8]) -> u64 {
    let seeds = SEEDS.get_or_init(|| Seeds::of(RandomState::new().hash_one(0_u8)));
    hash_bytes(&order::canonical(packed), seeds)
}

const ODD: [u64; 3] = [
    0x9e37_79b9_7f4a_7c15,
    0xd6e8_feb8_6659_fd93,
    0xa076_1d64_78bd_642f,
];

impl Seeds {
    fn of(seed: u64) -> Self {
        Self {
            low: fold(seed ^ ODD[0], ODD[1]),
            high: fold(seed ^ ODD[1], ODD[2]),
            long: SeedableRandomState::with_seed(seed, foldhash::SharedSeed::global_fixed()),
        }
    }
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[inline]
fn hash_bytes(bytes: &[u8], seeds: &Seeds) -> u64 {
    let length = bytes.len();
    let (low, high) = match length {
        8..=16 => (word(bytes, 0), word(bytes, length - 8)),
        4..=7 => (half(bytes, 0), half(bytes, length - 4)),
        1..=3 => {
            let (first, middle, last) = (bytes[0], bytes[length / 2], bytes[length - 1]);
            (
                u64::from(first) << 16 | u64::from(middle) << 8 | u64::from(last),
                0,
            )
        }
        0 => (0, 0),
        _ => return long(bytes, seeds),
    };
    let mixed = fold(low ^ seeds.low, high ^ seeds.high ^ length as u64);
    fold(mixed ^ seeds.high, ODD[0])
}

#[inline(never)]
fn long(bytes: &[u8], seeds: &Seeds) -> u64 {
    let mut hasher: FoldHasher<'_> = seeds.long.build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

#[inline]
fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

#[inline]
fn half(bytes: &[u8], at: usize) -> u64 {
    let mut half = [0; 4];
    half.copy_from_slice(&bytes[at..at + 4]);
    u64::from(u32::from_le_bytes(half))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packer::Packer;

    fn packed(write: impl FnOnce(&mut Packer)) -> Vec<u8> {
        let mut packer = Packer::new();
        write(&mut packer);
        packer.into_bytes()
    }

    #[test]
    fn both_zeros_have_one_hash_and_an_integer_another() {
        let zero = hash(&packed(|p| p.float(0.0)));
        assert_eq!(zero, hash(&packed(|p| p.float(-0.0))));
        assert_ne!(zero, hash(&packed(|p| p.int(0))));
    }

    /// The table's directory takes the top bits, its buckets the bottom ones.
    #[test]
    fn top_and_bottom_bits_spread_evenly() {
        for seed in [0, 1, u64::MAX] {
            let seeds = Seeds::of(seed);
            for shift in [0, 24, 56] {
                let mut counts = [0_u32; 256];
                for value in 0..65_536_i64 {
                    let bytes = packed(|p| p.int(value));
                    counts[(hash_bytes(&bytes, &seeds) >> shift) as usize & 255] += 1;
                }
                let (least, most) = (counts.iter().min(), counts.iter().max());
                assert!(
                    least >= Some(&170) && most <= Some(&345),
                    "{shift}: {least:?} {most:?}"
                );
            }
        }
    }

    /// One flipped bit of the input flips about half of the output, at every length.
    #[test]
    fn each_input_bit_reaches_every_output_half() {
        let seeds = Seeds::of(7);
        for length in 1..40 {
            let mut bytes = vec![0x5a; length];
            let before = hash_bytes(&bytes, &seeds);
            for bit in 0..length * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                let flipped = before ^ hash_bytes(&bytes, &seeds);
                assert!((flipped >> 32).count_ones() >= 3, "{length} {bit}");
                assert!((flipped as u32).count_ones() >= 3, "{length} {bit}");
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    #[test]
    fn a_seed_counts_only_before_the_first_hash() {
        let first = hash(&packed(Packer::nil));
        assert!(!set_seed(1));
        assert_eq!(hash(&packed(Packer::nil)), first);
    }
}
