//! Arithmetic of guards and bodies, as the BEAM does it.
//!
//! Integers grow without bound up to the most bits of the release, where the BEAM raises
//! `system_limit`; mixed operations convert the integer to a float the BEAM's way, and a float
//! that would be infinite raises.

use magnesia_term::View;
use num_bigint::{BigInt, Sign};
use num_traits::{Signed, ToPrimitive, Zero};

use super::function::{Binary, Unary};
use super::release;

/// Most bits of an integer that arithmetic makes before OTP 27.
pub const INTEGER_BITS_MAX: u64 = ((1 << 19) - 1) * 64;
/// Most bits of an integer that arithmetic makes from OTP 27 on.
pub const INTEGER_BITS_MAX_27: u64 = ((1 << 16) - 1) * 64;

fn bits_max() -> u64 {
    if release::guards_of_27() {
        INTEGER_BITS_MAX_27
    } else {
        INTEGER_BITS_MAX
    }
}

/// A number on its way through an operation.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Big(BigInt),
    Float(f64),
}

impl Number {
    /// The number that a term is.
    pub(super) fn of(view: View<'_>) -> Option<Self> {
        match view {
            View::Int(int) => Some(Self::Int(int)),
            View::Float(float) => Some(Self::Float(float)),
            View::Big { .. } => magnesia_term::number::bigint_of(view).map(Self::Big),
            _ => None,
        }
    }

    /// The integer in its shortest form, unless it is over the limit.
    fn integer(big: BigInt) -> Option<Self> {
        match big.to_i64() {
            Some(int) => Some(Self::Int(int)),
            None if big.bits() > bits_max() => None,
            None => Some(Self::Big(big)),
        }
    }

    fn finite(float: f64) -> Option<Self> {
        float.is_finite().then_some(Self::Float(float))
    }

    fn to_float(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "the BEAM rounds to nearest too")]
            Self::Int(int) => Some(*int as f64),
            Self::Float(float) => Some(*float),
            Self::Big(big) => float_of(big),
        }
    }

    fn into_big(self) -> Option<BigInt> {
        match self {
            Self::Int(int) => Some(BigInt::from(int)),
            Self::Big(big) => Some(big),
            Self::Float(_) => None,
        }
    }
}

/// A big integer as a float: digits of 64 bits from the highest on, rounding at each step.
fn float_of(big: &BigInt) -> Option<f64> {
    const DIGIT: f64 = 18_446_744_073_709_551_616.0;
    let (sign, digits) = big.to_u64_digits();
    #[expect(clippy::cast_precision_loss, reason = "the BEAM rounds each digit too")]
    let magnitude = digits
        .iter()
        .rev()
        .fold(0.0, |sum: f64, &digit| sum * DIGIT + digit as f64);
    let float = if sign == Sign::Minus {
        -magnitude
    } else {
        magnitude
    };
    float.is_finite().then_some(float)
}

/// A whole float as an integer.
fn integer_of(float: f64) -> Option<Number> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&float) {
        #[expect(clippy::cast_possible_truncation, reason = "checked just above")]
        return Some(Number::Int(float as i64));
    }
    let bits = float.to_bits();
    let exponent = i64::try_from((bits >> 52) & 0x7ff).ok()? - 1075;
    let mantissa = (bits & ((1 << 52) - 1)) | (1 << 52);
    let magnitude = BigInt::from(mantissa) << u64::try_from(exponent).ok()?;
    Number::integer(if float < 0.0 { -magnitude } else { magnitude })
}

/// An operation on one number; `None` is an error.
pub(super) fn unary(operation: Unary, a: Number) -> Option<Number> {
    match (operation, a) {
        (Unary::Plus, a) => Some(a),
        (Unary::Minus, Number::Float(a)) => Some(Number::Float(-a)),
        (Unary::Minus, a) => Number::integer(-a.into_big()?),
        (Unary::Abs, Number::Float(a)) if release::guards_of_27() => Some(Number::Float(a.abs())),
        (Unary::Abs, Number::Float(a)) => Some(Number::Float(if a < 0.0 { -a } else { a })),
        (Unary::Abs, a) => Number::integer(a.into_big()?.abs()),
        (Unary::Ceil, Number::Float(a)) => integer_of(a.ceil()),
        (Unary::Floor, Number::Float(a)) => integer_of(a.floor()),
        (Unary::Round, Number::Float(a)) => integer_of(a.round()),
        (Unary::Trunc, Number::Float(a)) => integer_of(a.trunc()),
        (Unary::Ceil | Unary::Floor | Unary::Round | Unary::Trunc, a) => Some(a),
        (Unary::Float, a) => a.to_float().map(Number::Float),
        (Unary::Bnot, Number::Int(a)) => Some(Number::Int(!a)),
        (Unary::Bnot, a) => Number::integer(!a.into_big()?),
    }
}

/// An operation on two numbers; `None` is an error.
pub(super) fn binary(operation: Binary, a: Number, b: Number) -> Option<Number> {
    if let (Number::Int(a), Number::Int(b)) = (&a, &b)
        && let Some(fast) = words(operation, *a, *b)
    {
        return Some(Number::Int(fast));
    }
    let has_float = matches!(a, Number::Float(_)) || matches!(b, Number::Float(_));
    if operation == Binary::Divide || has_float {
        return floats(operation, a.to_float()?, b.to_float()?);
    }
    let (a, b) = (a.into_big()?, b.into_big()?);
    match operation {
        Binary::Add => Number::integer(a + b),
        Binary::Subtract => Number::integer(a - b),
        Binary::Multiply => {
            let is_too_large = a.bits() + b.bits() > bits_max() + 1;
            if is_too_large {
                None
            } else {
                Number::integer(a * b)
            }
        }
        Binary::Div | Binary::Rem if b.is_zero() => None,
        Binary::Div => Number::integer(a / b),
        Binary::Rem => Number::integer(a % b),
        Binary::Band => Number::integer(a & b),
        Binary::Bor => Number::integer(a | b),
        Binary::Bxor => Number::integer(a ^ b),
        Binary::Bsl => shift(a, &b),
        Binary::Bsr => shift(a, &-b),
        Binary::Divide => None,
    }
}

/// The operations that stay within a word, when they do.
fn words(operation: Binary, a: i64, b: i64) -> Option<i64> {
    match operation {
        Binary::Add => a.checked_add(b),
        Binary::Subtract => a.checked_sub(b),
        Binary::Multiply => a.checked_mul(b),
        Binary::Div => a.checked_div(b),
        Binary::Rem => a.checked_rem(b),
        Binary::Band => Some(a & b),
        Binary::Bor => Some(a | b),
        Binary::Bxor => Some(a ^ b),
        Binary::Divide | Binary::Bsl | Binary::Bsr => None,
    }
}

fn floats(operation: Binary, a: f64, b: f64) -> Option<Number> {
    match operation {
        Binary::Add => Number::finite(a + b),
        Binary::Subtract => Number::finite(a - b),
        Binary::Multiply => Number::finite(a * b),
        Binary::Divide if b == 0.0 => None,
        Binary::Divide => Number::finite(a / b),
        _ => None,
    }
}

/// `a bsl by`; a negative `by` shifts to the right and rounds down.
fn shift(a: BigInt, by: &BigInt) -> Option<Number> {
    if a.is_zero() || by.is_zero() {
        return Number::integer(a);
    }
    let distance = by.magnitude().to_u64();
    if by.is_negative() {
        let gone = if a.is_negative() { -1 } else { 0 };
        return match distance {
            Some(distance) if distance < a.bits() => Number::integer(a >> distance),
            _ => Some(Number::Int(gone)),
        };
    }
    let bits = a.bits().checked_add(distance?)?;
    if bits > bits_max() {
        return None;
    }
    Number::integer(a << distance?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(value: i64) -> Number {
        Number::Int(value)
    }

    #[test]
    fn division_rounds_to_zero_and_never_panics() {
        assert_eq!(binary(Binary::Div, int(-7), int(2)), Some(int(-3)));
        assert_eq!(binary(Binary::Rem, int(-7), int(2)), Some(int(-1)));
        assert_eq!(binary(Binary::Div, int(7), int(0)), None);
        let over = binary(Binary::Div, int(i64::MIN), int(-1));
        assert_eq!(over, Some(Number::Big(BigInt::from(1_u64 << 63))));
        assert_eq!(binary(Binary::Rem, int(i64::MIN), int(-1)), Some(int(0)));
    }

    #[test]
    fn shifts_stop_at_the_limit_without_allocating() {
        let limit = i64::try_from(INTEGER_BITS_MAX).expect("it is small");
        assert!(binary(Binary::Bsl, int(1), int(limit - 1)).is_some());
        assert_eq!(binary(Binary::Bsl, int(1), int(limit)), None);
        assert_eq!(binary(Binary::Bsl, int(1), int(i64::MAX)), None);
        assert_eq!(binary(Binary::Bsr, int(-5), int(i64::MAX)), Some(int(-1)));
        assert_eq!(binary(Binary::Bsr, int(1), int(i64::MIN)), None);
        assert_eq!(binary(Binary::Bsr, int(-5), int(1)), Some(int(-3)));
    }

    #[test]
    fn floats_that_overflow_raise() {
        let huge = Number::Float(1.0e300);
        assert_eq!(binary(Binary::Multiply, huge.clone(), huge), None);
        assert_eq!(binary(Binary::Divide, int(1), Number::Float(-0.0)), None);
        let big = shift(BigInt::from(1), &BigInt::from(1024)).expect("it is under the limit");
        assert_eq!(unary(Unary::Float, big), None);
    }

    #[test]
    fn large_floats_become_exact_integers() {
        assert_eq!(unary(Unary::Trunc, Number::Float(-2.5)), Some(int(-2)));
        assert_eq!(unary(Unary::Round, Number::Float(-2.5)), Some(int(-3)));
        let exact = BigInt::from(1_u8) << 80_u32;
        let float = Number::Float(1_208_925_819_614_629_174_706_176.0);
        assert_eq!(unary(Unary::Round, float), Some(Number::Big(exact)));
    }
}
