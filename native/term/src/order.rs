//! The order of Erlang terms, on packed bytes.
//!
//! [`compare`] is the order of `<` and `==`, where 1 and 1.0 are equal; [`compare_exact`] is the
//! order of map keys, where every integer comes before every float. Numbers < atoms <
//! references < funs < ports < pids < tuples < maps < `[]` < lists < bitstrings.
//!
//! Nothing here recurses: nested terms wait on a stack that exists only once there is nesting.
//! Slices may be longer than their first term.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::atomic::{AtomicBool, Ordering as Memory};

use smallvec::SmallVec;

use crate::etf;
use crate::external;
use crate::key::Buffer;
use crate::number;
use crate::packed::{self, Bits, ExtKind, Items, View, tag};

static ZEROS_DISTINCT: AtomicBool = AtomicBool::new(false);

/// Says whether `0.0` and `-0.0` are two terms for `=:=`, as from OTP 27 on. Off at first.
pub fn set_zeros_distinct(distinct: bool) {
    ZEROS_DISTINCT.store(distinct, Memory::Relaxed);
}

/// Whether `0.0` and `-0.0` are two terms for `=:=`.
#[must_use]
#[inline]
pub fn zeros_distinct() -> bool {
    ZEROS_DISTINCT.load(Memory::Relaxed)
}

/// Compares two packed terms as `<` and `==` do.
#[must_use]
#[inline]
pub fn compare(a: &[u8], b: &[u8]) -> Ordering {
    run(a, b, Manner::Numeric)
}

/// Compares two packed terms as keys of a map.
#[must_use]
#[inline]
pub fn compare_exact(a: &[u8], b: &[u8]) -> Ordering {
    run(a, b, Manner::MapKey)
}

/// Whether two packed terms are `==`.
#[must_use]
#[inline]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    same_bytes(a, b) || compare(a, b).is_eq()
}

/// Whether two packed terms are `=:=`.
#[must_use]
#[inline]
pub fn equal_exact(a: &[u8], b: &[u8]) -> bool {
    if same_bytes(a, b) {
        return true;
    }
    if a[0] != b[0] || !has_spellings(a) {
        return false;
    }
    let (a, b) = (&a[..packed::len(a)], &b[..packed::len(b)]);
    if a.len() != b.len() && !holds_local_fun(a) {
        return false;
    }
    canonical(a) == canonical(b)
}

/// The term in the one spelling of all terms that are `=:=` to it: each `-0.0` made `0.0`, unless
/// these are two terms, and no local fun by the process that made it.
#[must_use]
#[inline]
pub fn canonical(packed: &[u8]) -> Cow<'_, [u8]> {
    if !has_spellings(packed) || !(holds_minus_zero(packed) || holds_local_fun(packed)) {
        return Cow::Borrowed(packed);
    }
    Cow::Owned(respelt(packed))
}

const MINUS_ZERO: [u8; 9] = [tag::FLOAT, 0, 0, 0, 0, 0, 0, 0, 0x80];
const ZERO: [u8; 9] = [tag::FLOAT, 0, 0, 0, 0, 0, 0, 0, 0];
/// Bytes of an external term's head in packed form: tag, kind, length.
const EXT_HEAD_BYTES: usize = 6;

/// Whether a term of this tag may be spelt in several ways.
#[inline]
fn has_spellings(packed: &[u8]) -> bool {
    matches!(
        packed.first(),
        Some(&(tag::FLOAT | tag::EXT | tag::TUPLE | tag::TUPLE32 | tag::LIST | tag::MAP))
    )
}

/// Whether there may be a `-0.0` that is the same as `0.0`.
#[inline]
fn holds_minus_zero(packed: &[u8]) -> bool {
    let mut signs = memchr::memchr_iter(MINUS_ZERO[8], packed);
    !zeros_distinct() && signs.any(|at| packed[..=at].ends_with(&MINUS_ZERO))
}

/// Whether there may be a local fun.
#[inline]
fn holds_local_fun(packed: &[u8]) -> bool {
    let is_fun = |at: usize| {
        packed.get(at + 1) == Some(&(ExtKind::Fun as u8))
            && packed.get(at + EXT_HEAD_BYTES) == Some(&etf::tag::NEW_FUN)
    };
    memchr::memchr_iter(tag::EXT, packed).any(is_fun)
}

/// Walks all terms in `packed` in their order, composites from the inside, and spells each in
/// the one way; a composite's length follows when its end is reached.
fn respelt(packed: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(packed.len());
    // Ends of the open composites, and where their lengths are in the copy.
    let mut open: SmallVec<[(usize, usize); 8]> = SmallVec::new();
    let mut at = 0;
    while at < packed.len() {
        let end = at + packed::len(&packed[at..]);
        let head = match packed[at] {
            tag::TUPLE => Some(6),
            tag::TUPLE32 | tag::LIST | tag::MAP => Some(9),
            _ => None,
        };
        if let Some(head) = head {
            out.extend_from_slice(&packed[at..at + head]);
            open.push((end, out.len() - 4));
            at += head;
        } else {
            respell_leaf(&packed[at..end], &mut out);
            at = end;
        }
        while let Some(&(end, length_at)) = open.last()
            && end == at
        {
            let length = u32::try_from(out.len() - length_at - 4).expect("a term is under 4 GiB");
            out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
            open.pop();
        }
    }
    out
}

fn respell_leaf(leaf: &[u8], out: &mut Vec<u8>) {
    if leaf == MINUS_ZERO && !zeros_distinct() {
        out.extend_from_slice(&ZERO);
        return;
    }
    let external = match packed::view(leaf) {
        View::Ext(ExtKind::Fun, external) => etf::without_maker(external),
        _ => None,
    };
    match external {
        Some(external) => {
            out.extend_from_slice(&leaf[..2]);
            let length = u32::try_from(external.len()).expect("a term is under 4 GiB");
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(&external);
        }
        None => out.extend_from_slice(leaf),
    }
}

/// Whether the first terms are the same bytes; no term begins another.
#[inline]
fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    let length = packed::len(a);
    b.len() >= length && a[..length] == b[..length]
}

/// How numbers compare.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// By value alone.
    Numeric,
    /// Integers before floats, and by value within each.
    MapKey,
}

/// Terms that wait to be compared pairwise.
struct Pending<'a> {
    manner: Manner,
    kind: Pairing,
    a: Items<'a>,
    b: Items<'a>,
}

#[derive(Clone, Copy)]
enum Pairing {
    /// All of both, of equal count.
    All,
    /// Elements of lists, then what follows them.
    List,
    /// Every first of two.
    Keys,
    /// Every second of two.
    Values,
}

#[inline]
fn run(a: &[u8], b: &[u8], manner: Manner) -> Ordering {
    match (packed::small_int(a), packed::small_int(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => walk(a, b, manner),
    }
}

fn walk(a: &[u8], b: &[u8], manner: Manner) -> Ordering {
    let mut stack: SmallVec<[Pending<'_>; 2]> = SmallVec::new();
    let mut next = Some((a, b, manner));
    loop {
        if let Some((a, b, manner)) = next.take() {
            let outcome = step(packed::view(a), packed::view(b), manner, &mut stack);
            if outcome.is_ne() {
                return outcome;
            }
        }
        let Some(top) = stack.last_mut() else {
            return Ordering::Equal;
        };
        match top.advance() {
            Advance::Pair(a, b) => next = Some((a, b, top.manner)),
            Advance::Decided(outcome) => return outcome,
            Advance::Done => {
                stack.pop();
            }
        }
    }
}

enum Advance<'a> {
    Pair(&'a [u8], &'a [u8]),
    Decided(Ordering),
    Done,
}

impl<'a> Pending<'a> {
    fn advance(&mut self) -> Advance<'a> {
        match self.kind {
            Pairing::All => self.pair(),
            Pairing::List => self.list_pair(),
            Pairing::Keys => {
                let pair = self.pair();
                self.pair();
                pair
            }
            Pairing::Values => {
                self.pair();
                self.pair()
            }
        }
    }

    fn pair(&mut self) -> Advance<'a> {
        match (self.a.next(), self.b.next()) {
            (Some(a), Some(b)) => Advance::Pair(a, b),
            _ => Advance::Done,
        }
    }

    /// The last item of each is its tail; where one list ends, its tail meets the rest of the
    /// other list.
    fn list_pair(&mut self) -> Advance<'a> {
        let ends = (self.a.count() == 1, self.b.count() == 1);
        match (ends, self.a.next(), self.b.next()) {
            ((true, false), Some(tail), _) => Advance::Decided(tail_against_list(tail)),
            ((false, true), _, Some(tail)) => Advance::Decided(tail_against_list(tail).reverse()),
            (_, Some(a), Some(b)) => Advance::Pair(a, b),
            _ => Advance::Done,
        }
    }
}

/// A tail is never a list, so its type decides.
fn tail_against_list(tail: &[u8]) -> Ordering {
    match packed::view(tail) {
        View::Bits(_) => Ordering::Greater,
        _ => Ordering::Less,
    }
}

/// Compares one level; what is inside goes on the stack.
#[inline]
fn step<'a>(
    a: View<'a>,
    b: View<'a>,
    manner: Manner,
    stack: &mut SmallVec<[Pending<'a>; 2]>,
) -> Ordering {
    match (a, b) {
        (View::Int(a), View::Int(b)) => a.cmp(&b),
        (View::Atom(a), View::Atom(b)) if a == b => Ordering::Equal,
        (View::Atom(a), View::Atom(b)) => a.name().as_bytes().cmp(b.name().as_bytes()),
        (View::Bits(a), View::Bits(b)) => compare_bits(&a, &b),
        (View::Tuple(a), View::Tuple(b)) => {
            let sizes = a.count().cmp(&b.count());
            if sizes.is_eq() {
                stack.push(Pending {
                    manner,
                    kind: Pairing::All,
                    a,
                    b,
                });
            }
            sizes
        }
        (View::List(a), View::List(b)) => {
            stack.push(Pending {
                manner,
                kind: Pairing::List,
                a,
                b,
            });
            Ordering::Equal
        }
        (View::Map(a), View::Map(b)) => {
            let sizes = a.count().cmp(&b.count());
            if sizes.is_eq() {
                stack.push(Pending {
                    manner,
                    kind: Pairing::Values,
                    a,
                    b,
                });
                stack.push(Pending {
                    manner: Manner::MapKey,
                    kind: Pairing::Keys,
                    a,
                    b,
                });
            }
            sizes
        }
        (View::Ext(a_kind, a), View::Ext(b_kind, b)) => a_kind
            .cmp(&b_kind)
            .then_with(|| compare_external(a_kind, a, b)),
        _ => rank(&a)
            .cmp(&rank(&b))
            .then_with(|| compare_numbers(&a, &b, manner)),
    }
}

fn compare_external(kind: ExtKind, a: &[u8], b: &[u8]) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let mut keys = [Buffer::new(), Buffer::new()];
    external::encode_key(kind, a, &mut keys[0]);
    external::encode_key(kind, b, &mut keys[1]);
    keys[0].as_bytes().cmp(keys[1].as_bytes())
}

/// Two bitstrings bit by bit; a prefix comes first.
fn compare_bits(a: &Bits<'_>, b: &Bits<'_>) -> Ordering {
    a.bytes
        .cmp(b.bytes)
        .then_with(|| a.bit_len().cmp(&b.bit_len()))
}

/// Place of a type; numbers share theirs.
fn rank(view: &View<'_>) -> u8 {
    match view {
        View::Int(_) | View::Big { .. } | View::Float(_) => 0,
        View::Atom(_) => 1,
        View::Ext(..) => 2,
        View::Tuple(_) => 3,
        View::Map(_) => 4,
        View::Nil => 5,
        View::List(_) => 6,
        View::Bits(_) => 7,
    }
}

/// Two terms of equal rank that are no pair of 64-bit integers: numbers, or both `[]`.
fn compare_numbers(a: &View<'_>, b: &View<'_>, manner: Manner) -> Ordering {
    let exact = manner == Manner::MapKey;
    match (*a, *b) {
        (View::Float(a), View::Float(b)) if exact && zeros_distinct() => a.total_cmp(&b),
        (View::Float(a), View::Float(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
        (View::Float(_), View::Int(_) | View::Big { .. }) if exact => Ordering::Greater,
        (View::Int(_) | View::Big { .. }, View::Float(_)) if exact => Ordering::Less,
        (View::Int(a), View::Float(b)) => number::compare_int_float(a, b),
        (View::Float(a), View::Int(b)) => number::compare_int_float(b, a).reverse(),
        (
            View::Big {
                negative,
                magnitude,
            },
            View::Float(b),
        ) => number::compare_big_float(negative, magnitude, b),
        (
            View::Float(a),
            View::Big {
                negative,
                magnitude,
            },
        ) => number::compare_big_float(negative, magnitude, a).reverse(),
        (
            View::Big {
                negative: a,
                magnitude: x,
            },
            View::Big {
                negative: b,
                magnitude: y,
            },
        ) => number::compare_bigs((a, x), (b, y)),
        (View::Big { negative, .. }, View::Int(_)) => sign(negative),
        (View::Int(_), View::Big { negative, .. }) => sign(negative).reverse(),
        _ => Ordering::Equal,
    }
}

/// A big integer against a 64-bit one.
fn sign(negative: bool) -> Ordering {
    if negative {
        Ordering::Less
    } else {
        Ordering::Greater
    }
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

    fn int(value: i64) -> Vec<u8> {
        packed(|p| p.int(value))
    }

    fn float(value: f64) -> Vec<u8> {
        packed(|p| p.float(value))
    }

    fn list(elements: &[Vec<u8>], tail: &[u8]) -> Vec<u8> {
        packed(|p| {
            let mark = p.list_begin(elements.len());
            elements.iter().for_each(|e| p.raw(e));
            p.raw(tail);
            p.list_end(mark);
        })
    }

    fn map(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        packed(|p| {
            let mark = p.map_begin(pairs.len());
            for (key, value) in pairs {
                p.raw(key);
                p.raw(value);
            }
            p.map_end(mark);
        })
    }

    #[test]
    fn one_and_one_point_zero_are_equal_but_not_exactly() {
        assert!(equal(&int(1), &float(1.0)) && !equal_exact(&int(1), &float(1.0)));
        assert_eq!(compare_exact(&int(100), &float(0.5)), Ordering::Less);
        assert_eq!(compare(&int(100), &float(0.5)), Ordering::Greater);
    }

    #[test]
    fn map_keys_compare_integers_first_and_values_by_number() {
        let a = packed(Packer::nil);
        let first = map(&[(int(1), a.clone())]);
        assert_eq!(
            compare(&first, &map(&[(float(0.5), a.clone())])),
            Ordering::Less
        );
        assert!(equal(
            &map(&[(int(1), int(1))]),
            &map(&[(int(1), float(1.0))])
        ));
        assert!(!equal(&first, &map(&[(float(1.0), a)])));
    }

    #[test]
    fn a_list_that_ends_meets_the_rest_of_the_other() {
        let nil = packed(Packer::nil);
        let bits = packed(|p| p.binary(b""));
        let short = list(&[int(1)], &nil);
        let long = list(&[int(1), int(0)], &nil);
        assert_eq!(compare(&short, &long), Ordering::Less);
        assert_eq!(compare(&list(&[int(1)], &bits), &long), Ordering::Greater);
        assert_eq!(compare(&list(&[int(1)], &int(9)), &long), Ordering::Less);
    }

    #[test]
    fn minus_zero_is_zero_until_told_otherwise() {
        let (plus, minus) = (list(&[float(0.0)], &int(0)), list(&[float(-0.0)], &int(0)));
        assert!(equal_exact(&plus, &minus) && equal(&plus, &minus));
        assert_eq!(canonical(&minus), plus);
        let text = packed(|p| p.binary(&MINUS_ZERO));
        let holder = list(&[text], &int(0));
        assert_eq!(canonical(&holder), holder);
    }

    #[test]
    fn a_deep_term_compares_without_recursion() {
        let deep = |core: i64| {
            let mut marks = Vec::new();
            packed(|p| {
                (0..200_000).for_each(|_| marks.push(p.tuple_begin(1)));
                p.int(core);
                while let Some(mark) = marks.pop() {
                    p.tuple_end(mark);
                }
            })
        };
        assert_eq!(compare(&deep(1), &deep(2)), Ordering::Less);
    }
}
