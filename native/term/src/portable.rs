//! Packed terms for disks: the same bytes, with each atom's handle replaced by its index in a
//! dictionary of names that travels in the same block.
//!
//! A dictionary is a count `u32`, then each name as its length `u16` and its UTF-8, all
//! little-endian. What is read back is checked whole before anyone sees it: tags, lengths
//! against the bytes that are there, one form for each value, keys of maps ascending. Nothing
//! is reserved by a claimed count, nothing recurses.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use smallvec::SmallVec;
use thiserror::Error;

use crate::atom::{ATOM_CHARS_MAX, ATOMS_MAX, Atom};
use crate::etf;
use crate::order;
use crate::packed::{self, ExtKind, Items, tag};
use crate::packer::Packer;

/// Why bytes are no portable term or dictionary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PortableError {
    /// Fewer bytes are left than this part needs.
    #[error("the bytes end inside a term, at {at}")]
    Short {
        /// Bytes before the part that is cut off.
        at: usize,
    },
    /// No term begins with this tag.
    #[error("no term begins with {tag}, at {at}")]
    Tag {
        /// The tag byte.
        tag: u8,
        /// Bytes before it.
        at: usize,
    },
    /// What is inside a composite does not fill its length.
    #[error("a composite and what is in it differ in length, at {at}")]
    Length {
        /// Bytes before the end of the composite.
        at: usize,
    },
    /// A value that is never written this way.
    #[error("a value in a form that is never written, at {at}")]
    Form {
        /// Bytes before the value.
        at: usize,
    },
    /// The keys of a map are not ascending.
    #[error("the keys of a map are out of order, at {at}")]
    KeyOrder {
        /// Bytes before the map.
        at: usize,
    },
    /// An atom that the dictionary does not hold.
    #[error("the dictionary holds no name {index}, at {at}")]
    UnknownName {
        /// Index of the name.
        index: u32,
        /// Bytes before the atom.
        at: usize,
    },
    /// A name that is no atom: too long, or not UTF-8.
    #[error("name {index} of the dictionary is no atom")]
    BadName {
        /// Index of the name.
        index: usize,
    },
    /// The atom table is full, or the dictionary claims more names than a table holds.
    #[error("no room for {names} more atoms")]
    TooManyNames {
        /// Names that the dictionary holds.
        names: usize,
    },
}

/// Names of the atoms in the terms of one block, while they are written.
#[derive(Debug, Default, Clone)]
pub struct Dictionary {
    atoms: Vec<Atom>,
    by_handle: HashMap<u32, u32, FixedState>,
}

impl Dictionary {
    /// A dictionary without names.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.atoms.len()
    }

    /// Whether there are no names.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.atoms.is_empty()
    }

    /// Forgets all names, keeps the memory.
    pub fn clear(&mut self) {
        self.atoms.clear();
        self.by_handle.clear();
    }

    /// The index of an atom's name, which is added when it is new.
    #[inline]
    pub fn index(&mut self, atom: Atom) -> u32 {
        // Handles are 32 bits wide, so there are no more atoms than indexes.
        let next = self.atoms.len() as u32;
        let index = *self.by_handle.entry(atom.handle()).or_insert(next);
        if index == next {
            self.atoms.push(atom);
        }
        index
    }

    /// Appends the dictionary.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.atoms.len() as u32).to_le_bytes());
        for atom in &self.atoms {
            let name = atom.name().as_bytes();
            // 255 characters are at most 1,020 bytes.
            out.extend_from_slice(&(name.len() as u16).to_le_bytes());
            out.extend_from_slice(name);
        }
    }
}

/// Appends the portable form of packed terms, which is as long as they are. `packed` may hold
/// several terms, one after the other.
pub fn write(packed: &[u8], dictionary: &mut Dictionary, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(packed);
    let bytes = &mut out[start..];
    let mut at = 0;
    while at < packed.len() {
        match packed[at] {
            tag::ATOM => {
                let mut handle = [0; 4];
                handle.copy_from_slice(&packed[at + 1..at + 5]);
                let index = dictionary.index(Atom::from_handle(u32::from_le_bytes(handle)));
                bytes[at + 1..at + 5].copy_from_slice(&index.to_le_bytes());
                at += 5;
            }
            tag::TUPLE => at += 6,
            tag::TUPLE32 | tag::LIST | tag::MAP => at += 9,
            _ => at += packed::len(&packed[at..]),
        }
    }
}

/// Names of a dictionary that was read.
#[derive(Debug, Default, Clone)]
pub struct Names {
    atoms: Vec<Atom>,
}

impl Names {
    /// Reads the dictionary at the front of `bytes`; returns it and the bytes it takes.
    ///
    /// # Errors
    /// `Short`, `BadName`, `TooManyNames`. Names read before the error stay atoms.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), PortableError> {
        let short = |rest: &[u8]| PortableError::Short {
            at: bytes.len() - rest.len(),
        };
        let (count, mut rest) = bytes.split_first_chunk().ok_or(short(bytes))?;
        let count = u32::from_le_bytes(*count) as usize;
        if count > ATOMS_MAX {
            return Err(PortableError::TooManyNames { names: count });
        }
        let mut atoms = Vec::with_capacity(count.min(rest.len() / 2));
        for index in 0..count {
            let (length, after) = rest.split_first_chunk().ok_or(short(rest))?;
            let length = usize::from(u16::from_le_bytes(*length));
            let (name, after) = after.split_at_checked(length).ok_or(short(rest))?;
            let name = str::from_utf8(name).map_err(|_| PortableError::BadName { index })?;
            if name.len() > ATOM_CHARS_MAX && name.chars().count() > ATOM_CHARS_MAX {
                return Err(PortableError::BadName { index });
            }
            let atom = Atom::intern(name).ok_or(PortableError::TooManyNames { names: count })?;
            atoms.push(atom);
            rest = after;
        }
        Ok((Self { atoms }, bytes.len() - rest.len()))
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.atoms.len()
    }

    /// Whether there are no names.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.atoms.is_empty()
    }
}

/// Reads the term at the front of `bytes`, appends it to `out` and returns the bytes it takes.
/// On an error `out` is as it was.
///
/// # Errors
/// Any [`PortableError`] but those of names.
pub fn read(bytes: &[u8], names: &Names, out: &mut Packer) -> Result<usize, PortableError> {
    let start = out.len();
    let length = claimed_len(bytes, 0)?;
    out.raw(&bytes[..length]);
    let copy = out.written_mut(start);
    match check(copy, names) {
        Ok(()) => Ok(length),
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

/// An open composite.
struct Open {
    at: usize,
    end: usize,
    left: usize,
}

/// Checks the one term that `bytes` is and puts handles in place of indexes.
fn check(bytes: &mut [u8], names: &Names) -> Result<(), PortableError> {
    let mut stack: SmallVec<[Open; 4]> = SmallVec::new();
    let mut at = 0;
    let mut end = bytes.len();
    loop {
        let length = claimed_len(&bytes[..end], at)?;
        match open(bytes, at, length)? {
            Some(open) => {
                at = body(bytes[at]) + at;
                end = open.end;
                stack.push(open);
            }
            None => {
                scalar(&mut bytes[at..at + length], at, names)?;
                at += length;
            }
        }
        while let Some(top) = stack.last_mut() {
            if top.left > 0 {
                top.left -= 1;
                break;
            }
            close(bytes, top, at)?;
            stack.pop();
            end = stack.last().map_or(bytes.len(), |top| top.end);
        }
        if stack.is_empty() {
            return Ok(());
        }
    }
}

/// Bytes from the tag of a composite to its first element.
fn body(tag: u8) -> usize {
    if tag == tag::TUPLE { 6 } else { 9 }
}

/// The composite at `at`, if there is one; its count is not believed, only counted down.
fn open(bytes: &[u8], at: usize, length: usize) -> Result<Option<Open>, PortableError> {
    let form = PortableError::Form { at };
    let left = match bytes[at] {
        tag::TUPLE => usize::from(bytes[at + 1]),
        tag::TUPLE32 => match u32_at(bytes, at + 1) {
            ..256 => return Err(form),
            arity => arity,
        },
        tag::MAP => 2 * u32_at(bytes, at + 1),
        tag::LIST => match u32_at(bytes, at + 1) {
            0 => return Err(form),
            count => count + 1,
        },
        _ => return Ok(None),
    };
    Ok(Some(Open {
        at,
        end: at + length,
        left,
    }))
}

/// Checks a composite whose elements have all been seen, the last of them ending at `at`.
fn close(bytes: &[u8], open: &Open, at: usize) -> Result<(), PortableError> {
    if at != open.end {
        return Err(PortableError::Length { at });
    }
    let whole = &bytes[open.at..open.end];
    let count = || u32_at(whole, 1);
    match whole[0] {
        tag::MAP if !ascending(Items::new(&whole[9..], 2 * count())) => {
            Err(PortableError::KeyOrder { at: open.at })
        }
        tag::LIST if tail_is_list(Items::new(&whole[9..], count() + 1)) => {
            Err(PortableError::Form { at: open.at })
        }
        _ => Ok(()),
    }
}

fn ascending(mut items: Items<'_>) -> bool {
    let mut before: Option<&[u8]> = None;
    while let (Some(key), Some(_)) = (items.next(), items.next()) {
        if before.is_some_and(|before| order::compare_exact(before, key).is_ge()) {
            return false;
        }
        before = Some(key);
    }
    true
}

fn tail_is_list(items: Items<'_>) -> bool {
    items.last().is_some_and(|tail| tail[0] == tag::LIST)
}

/// Checks a term with nothing inside, of the length that it claims.
#[inline]
fn scalar(term: &mut [u8], at: usize, names: &Names) -> Result<(), PortableError> {
    let is_canonical = match term[0] {
        tag::ATOM => {
            let index = u32_at(term, 1);
            let Some(atom) = names.atoms.get(index) else {
                return Err(PortableError::UnknownName {
                    index: index as u32,
                    at,
                });
            };
            term[1..5].copy_from_slice(&atom.handle().to_le_bytes());
            true
        }
        tag::INT16 => !fits(term, 2, 1),
        tag::INT32 => !fits(term, 4, 2),
        tag::INT64 => !fits(term, 8, 4),
        // All bits of the exponent are set in what is no finite number.
        tag::FLOAT => u16::from_le_bytes([term[7], term[8]]) & 0x7ff0 != 0x7ff0,
        tag::BIG => is_big(term),
        tag::BIN32 => term.len() - 5 > 255,
        tag::BITS => {
            let unused = 0xff_u8.checked_shr(u32::from(term[5])).unwrap_or(0);
            term.len() > 6 && (1..=7).contains(&term[5]) && term[term.len() - 1] & unused == 0
        }
        tag::EXT => etf::external_kind(&term[6..])
            .is_some_and(|kind| ExtKind::from_byte(term[1]) == Some(kind)),
        _ => true,
    };
    if is_canonical {
        Ok(())
    } else {
        Err(PortableError::Form { at })
    }
}

/// Whether a little-endian integer of `size` bytes fits in the first `half` of them.
#[inline]
fn fits(term: &[u8], size: usize, half: usize) -> bool {
    let sign = if term[half] & 0x80 == 0 { 0 } else { 0xff };
    term[1 + half..=size].iter().all(|&byte| byte == sign)
}

/// Whether sign and magnitude are outside the 64-bit range, without leading zeros.
fn is_big(term: &[u8]) -> bool {
    let magnitude = &term[6..];
    let is_trimmed = magnitude.last().is_some_and(|&high| high != 0);
    let is_wide = match magnitude {
        [low @ .., high] if low.len() == 7 => {
            *high > 0x80 || *high == 0x80 && (term[1] == 0 || low.iter().any(|&b| b != 0))
        }
        _ => magnitude.len() > 8,
    };
    term[1] <= 1 && is_trimmed && is_wide
}

/// Bytes that the term at `at` says it takes, which are all there.
#[inline]
fn claimed_len(bytes: &[u8], at: usize) -> Result<usize, PortableError> {
    let short = PortableError::Short { at };
    let left = &bytes[at..];
    let &tag = left.first().ok_or(short)?;
    let (length_at, head) = match tag {
        tag::NIL => (0, 1),
        tag::INT8 => (0, 2),
        tag::INT16 => (0, 3),
        tag::INT32 | tag::ATOM => (0, 5),
        tag::INT64 | tag::FLOAT => (0, 9),
        tag::BIN => {
            let length = 2 + usize::from(*left.get(1).ok_or(short)?);
            (0, length)
        }
        tag::BIN32 => (1, 5),
        tag::BITS => (1, 6),
        tag::BIG | tag::EXT | tag::TUPLE => (2, 6),
        tag::MAP | tag::LIST | tag::TUPLE32 => (5, 9),
        tag => return Err(PortableError::Tag { tag, at }),
    };
    if left.len() < head {
        return Err(short);
    }
    let length = if length_at == 0 {
        head
    } else {
        head + u32_at(left, length_at)
    };
    if left.len() < length {
        Err(short)
    } else {
        Ok(length)
    }
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(write: impl FnOnce(&mut Packer)) -> Vec<u8> {
        let mut packer = Packer::new();
        write(&mut packer);
        packer.into_bytes()
    }

    fn atom(name: &str) -> Atom {
        Atom::intern(name).expect("there is room")
    }

    fn record() -> Vec<u8> {
        packed(|p| {
            let mark = p.tuple_begin(3);
            p.atom(atom("b"));
            let inner = p.map_begin(2);
            p.atom(atom("z"));
            p.int(70_000);
            p.atom(atom("b"));
            p.binary(&[6; 300]);
            p.map_end(inner);
            let inner = p.list_begin(1);
            p.float(1.5);
            p.atom(atom("tail"));
            p.list_end(inner);
            p.tuple_end(mark);
        })
    }

    #[test]
    fn a_term_comes_back_with_its_dictionary() {
        let term = record();
        let (mut dictionary, mut bytes, mut head) = (Dictionary::new(), Vec::new(), Vec::new());
        write(&term, &mut dictionary, &mut bytes);
        dictionary.encode(&mut head);
        assert_eq!(
            head,
            [
                3, 0, 0, 0, 1, 0, b'b', 1, 0, b'z', 4, 0, b't', b'a', b'i', b'l'
            ]
            .map(|b: u8| b)
        );
        let (names, taken) = Names::parse(&head).expect("a dictionary");
        let mut out = Packer::new();
        assert_eq!(read(&bytes, &names, &mut out), Ok(bytes.len()));
        assert_eq!((out.as_bytes(), taken), (&term[..], head.len()));
    }

    #[test]
    fn every_cut_is_refused_and_leaves_nothing() {
        let (mut dictionary, mut bytes) = (Dictionary::new(), Vec::new());
        write(&record(), &mut dictionary, &mut bytes);
        let names = Names {
            atoms: dictionary.atoms.clone(),
        };
        let mut out = Packer::new();
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut], &names, &mut out).is_err());
            assert!(out.is_empty());
        }
    }

    fn refused(cases: &[(&[u8], PortableError)]) {
        let names = Names {
            atoms: vec![atom("a")],
        };
        for (bytes, error) in cases {
            let outcome = read(bytes, &names, &mut Packer::new());
            assert_eq!(outcome, Err(*error), "{bytes:?}");
        }
    }

    #[test]
    fn values_in_another_form_are_refused() {
        let at = 0;
        refused(&[
            (&[], PortableError::Short { at }),
            (&[0], PortableError::Tag { tag: 0, at }),
            (
                &[tag::ATOM, 1, 0, 0, 0],
                PortableError::UnknownName { index: 1, at },
            ),
            (&[tag::INT16, 1, 0], PortableError::Form { at }),
            (
                &[tag::INT32, 0xff, 0xff, 0xff, 0xff],
                PortableError::Form { at },
            ),
            (
                &[tag::INT64, 0, 0, 0, 0x80, 0xff, 0xff, 0xff, 0xff],
                PortableError::Form { at },
            ),
            (
                &[tag::FLOAT, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f],
                PortableError::Form { at },
            ),
            (&[tag::BIG, 0, 1, 0, 0, 0, 9], PortableError::Form { at }),
            (
                &[tag::BITS, 1, 0, 0, 0, 3, 0x10],
                PortableError::Form { at },
            ),
        ]);
    }

    #[test]
    fn composites_that_do_not_hold_together_are_refused() {
        let at = 0;
        refused(&[
            (
                &[tag::TUPLE, 1, 1, 0, 0, 0, tag::TUPLE],
                PortableError::Short { at: 6 },
            ),
            (
                &[tag::TUPLE, 1, 2, 0, 0, 0, tag::NIL, tag::NIL],
                PortableError::Length { at: 7 },
            ),
            (
                &[tag::LIST, 0, 0, 0, 0, 1, 0, 0, 0, tag::NIL],
                PortableError::Form { at },
            ),
            (
                &[
                    tag::MAP,
                    2,
                    0,
                    0,
                    0,
                    6,
                    0,
                    0,
                    0,
                    tag::INT8,
                    1,
                    tag::NIL,
                    tag::INT8,
                    1,
                    tag::NIL,
                ],
                PortableError::KeyOrder { at },
            ),
            (&[tag::EXT, 4, 1, 0, 0, 0, 88], PortableError::Form { at }),
        ]);
    }

    #[test]
    fn a_damaged_dictionary_is_named() {
        assert_eq!(
            Names::parse(&[0xff; 4]).map(|_| ()),
            Err(PortableError::TooManyNames {
                names: u32::MAX as usize
            })
        );
        assert_eq!(
            Names::parse(&[1, 0, 0, 0, 1, 0, 0xff]).map(|_| ()),
            Err(PortableError::BadName { index: 0 })
        );
    }
}
