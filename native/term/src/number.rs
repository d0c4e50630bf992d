//! Numbers: integers of any size against floats, compared exactly, and big integers in and out
//! of packed terms.
//!
//! No comparison here rounds: an integer and a float are equal only when they are the same
//! number, which is what a BEAM decides too.

use std::cmp::Ordering;

use num_bigint::{BigInt, Sign};

use crate::packed::View;
use crate::packer::Packer;

/// The least float that is above every 64-bit integer: 2^63.
const ABOVE_I64: f64 = 9_223_372_036_854_775_808.0;

/// Compares a 64-bit integer with a finite float.
#[must_use]
#[inline]
pub fn compare_int_float(int: i64, float: f64) -> Ordering {
    if float >= ABOVE_I64 {
        return Ordering::Less;
    }
    if float < -ABOVE_I64 {
        return Ordering::Greater;
    }
    let whole = float as i64;
    let rest = float - whole as f64;
    int.cmp(&whole).then_with(|| {
        if rest > 0.0 {
            Ordering::Less
        } else if rest < 0.0 {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    })
}

/// Compares an integer outside the 64-bit range with a finite float.
#[must_use]
pub fn compare_big_float(negative: bool, magnitude: &[u8], float: f64) -> Ordering {
    if float.is_sign_negative() != negative {
        return if negative {
            Ordering::Less
        } else {
            Ordering::Greater
        };
    }
    let by_size = compare_magnitude_float(magnitude, float.abs());
    if negative { by_size.reverse() } else { by_size }
}

/// Compares two integers outside the 64-bit range.
#[must_use]
pub fn compare_bigs(a: (bool, &[u8]), b: (bool, &[u8])) -> Ordering {
    match (a.0, b.0) {
        (false, true) => Ordering::Greater,
        (true, false) => Ordering::Less,
        (false, false) => compare_magnitudes(a.1, b.1),
        (true, true) => compare_magnitudes(b.1, a.1),
    }
}

/// The integer that a view holds, if it holds one.
#[must_use]
pub fn bigint_of(view: View<'_>) -> Option<BigInt> {
    match view {
        View::Int(int) => Some(BigInt::from(int)),
        View::Big {
            negative,
            magnitude,
        } => {
            let sign = if negative { Sign::Minus } else { Sign::Plus };
            Some(BigInt::from_bytes_le(sign, magnitude))
        }
        _ => None,
    }
}

/// Appends an integer of any size in its shortest form.
pub fn pack_bigint(int: &BigInt, packer: &mut Packer) {
    if let Ok(small) = i64::try_from(int) {
        return packer.int(small);
    }
    let (sign, magnitude) = int.to_bytes_le();
    packer.big(sign == Sign::Minus, &magnitude);
}

fn compare_magnitudes(a: &[u8], b: &[u8]) -> Ordering {
    a.len()
        .cmp(&b.len())
        .then_with(|| a.iter().rev().cmp(b.iter().rev()))
}

/// A magnitude of at least 2^63 against a float that is not negative.
fn compare_magnitude_float(magnitude: &[u8], float: f64) -> Ordering {
    if float < ABOVE_I64 {
        return Ordering::Greater;
    }
    let (mantissa, exponent) = parts(float);
    let bits = bit_len(magnitude);
    let float_bits = 53 + u64::from(exponent);
    bits.cmp(&float_bits).then_with(|| {
        let (top, rest) = top_bits(magnitude);
        top.cmp(&(mantissa << 11)).then(if rest {
            Ordering::Greater
        } else {
            Ordering::Equal
        })
    })
}

/// Mantissa (bit 52 set) and exponent of a float of at least 2^63, so that it is
/// `mantissa * 2^exponent`.
pub(crate) fn parts(float: f64) -> (u64, u32) {
    let bits = float.to_bits();
    let mantissa = (bits & ((1 << 52) - 1)) | (1 << 52);
    let exponent = ((bits >> 52) & 0x7ff) as u32;
    (mantissa, exponent.saturating_sub(1075))
}

fn bit_len(magnitude: &[u8]) -> u64 {
    let Some(&last) = magnitude.last() else {
        return 0;
    };
    magnitude.len() as u64 * 8 - u64::from(last.leading_zeros())
}

/// The 64 highest bits from the first set one on, and whether any lower bit is set.
fn top_bits(magnitude: &[u8]) -> (u64, bool) {
    let mut window: u128 = 0;
    for &byte in magnitude.iter().rev().take(9) {
        window = window << 8 | u128::from(byte);
    }
    let taken = magnitude.len().min(9);
    let window = window << window.leading_zeros();
    let top = (window >> 64) as u64;
    let below = &magnitude[..magnitude.len() - taken];
    (top, window << 64 != 0 || below.iter().any(|&b| b != 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packed;

    #[test]
    fn integers_and_floats_compare_without_rounding() {
        let near = 1_i64 << 53;
        assert_eq!(
            compare_int_float(near + 1, 9_007_199_254_740_992.0),
            Ordering::Greater
        );
        assert_eq!(
            compare_int_float(near, 9_007_199_254_740_992.0),
            Ordering::Equal
        );
        assert_eq!(compare_int_float(i64::MAX, ABOVE_I64), Ordering::Less);
        assert_eq!(compare_int_float(i64::MIN, -ABOVE_I64), Ordering::Equal);
        assert_eq!(compare_int_float(-1, -1.5), Ordering::Greater);
        assert_eq!(compare_int_float(0, 5e-324), Ordering::Less);
        assert_eq!(compare_int_float(0, -0.0), Ordering::Equal);
    }

    #[test]
    fn big_integers_compare_with_floats_by_every_bit() {
        let power = |bits: u32, plus: u8| {
            let mut bytes = vec![0; bits as usize / 8 + 1];
            bytes[bits as usize / 8] = 1 << (bits % 8);
            bytes[0] |= plus;
            bytes
        };
        let float = 2.0_f64.powi(70);
        assert_eq!(
            compare_big_float(false, &power(70, 0), float),
            Ordering::Equal
        );
        assert_eq!(
            compare_big_float(false, &power(70, 1), float),
            Ordering::Greater
        );
        assert_eq!(
            compare_big_float(true, &power(70, 1), -float),
            Ordering::Less
        );
        assert_eq!(
            compare_big_float(false, &power(63, 0), ABOVE_I64),
            Ordering::Equal
        );
        assert_eq!(
            compare_big_float(false, &power(1023, 0), f64::MAX),
            Ordering::Less
        );
        assert_eq!(
            compare_big_float(false, &power(1024, 0), f64::MAX),
            Ordering::Greater
        );
    }

    #[test]
    fn big_integers_go_in_and_out() {
        for text in [
            "0",
            "-1",
            "9223372036854775808",
            "-9223372036854775808",
            "-1180591620717411303424",
        ] {
            let int: BigInt = text.parse().expect("digits");
            let mut packer = Packer::new();
            pack_bigint(&int, &mut packer);
            assert_eq!(bigint_of(packed::view(packer.as_bytes())), Some(int));
        }
    }
}
