//! Items of backup files that processes want as terms, or make of terms.
//!
//! Records of short flat elements are most of a backup and are read here; the VM reads the others.

use magnesia_database::backup_file;
use magnesia_term::{Packer, etf};
use rustler::{Encoder, Env, Term};

use crate::raw::{self, Word, nif};
use crate::{atoms, reply, source};

nif!("items_read", 1, DirtyCpu, items_read);
nif!("items_write", 1, DirtyCpu, items_write);

/// Records up to this arity are built on the stack.
const FLAT_ARITY_MAX: usize = 16;
/// Longest binary that is copied here.
const COPIED_BYTES_MAX: usize = 64;
/// Atoms whose words are remembered from item to item.
const ATOMS_MAX: usize = 16;

const VERSION: u8 = 131;
const SMALL_TUPLE: u8 = 104;
const SMALL_INTEGER: u8 = 97;
const INTEGER: u8 = 98;
const NIL: u8 = 106;
const BINARY: u8 = 109;
/// Tags of atoms, each with the bytes of its length.
const ATOMS: [(u8, usize); 4] = [(100, 2), (115, 1), (118, 2), (119, 1)];

/// `{ok, Terms, Bytes}` of the whole items at the front, or `{damaged, Text, Terms, Bytes}` of
/// those before the first that is none.
fn items_read<'a>(env: Env<'a>, [bytes]: [Term<'a>; 1]) -> Term<'a> {
    let Some(bytes) = raw::binary_of(env, raw::word(bytes)) else {
        return reply::error(env, atoms::badarg());
    };
    let (mut words, mut used, mut reason) = (Vec::new(), 0, None);
    let mut atoms_seen = Atoms::default();
    loop {
        match backup_file::next(&bytes[used..]) {
            Ok(None) => break,
            Err(error) => reason = Some(error.to_string()),
            Ok(Some((term, length))) => match atoms_seen.term(env, term) {
                Some(word) => {
                    words.push(word);
                    used += length;
                    continue;
                }
                None => reason = Some("an item that is no term".to_owned()),
            },
        }
        break;
    }
    let cons = |tail, &head| raw::cons_word(env, head, tail);
    let terms = raw::term(env, words.iter().rev().fold(raw::nil_word(), cons));
    match reason {
        None => (atoms::ok(), terms, used).encode(env),
        Some(reason) => (atoms::damaged(), reason, terms, used).encode(env),
    }
}

/// The words of the atoms that came last, by their external bytes.
#[derive(Default)]
struct Atoms<'b>(Vec<(&'b [u8], Word)>);

impl<'b> Atoms<'b> {
    fn term(&mut self, env: Env<'_>, bytes: &'b [u8]) -> Option<Word> {
        self.flat(env, bytes)
            .or_else(|| raw::trusted_word(env, bytes))
    }

    /// A tuple of flat elements and nothing after it.
    fn flat(&mut self, env: Env<'_>, bytes: &'b [u8]) -> Option<Word> {
        let (&[version, tag, arity], mut rest) = bytes.split_first_chunk()?;
        let arity = usize::from(arity);
        if version != VERSION || tag != SMALL_TUPLE || arity > FLAT_ARITY_MAX {
            return None;
        }
        let mut words = [raw::nil_word(); FLAT_ARITY_MAX];
        for place in &mut words[..arity] {
            let (word, after) = self.element(env, rest)?;
            *place = word;
            rest = after;
        }
        rest.is_empty()
            .then(|| raw::tuple_word(env, &words[..arity]))
    }

    fn element(&mut self, env: Env<'_>, bytes: &'b [u8]) -> Option<(Word, &'b [u8])> {
        let (&tag, rest) = bytes.split_first()?;
        match tag {
            SMALL_INTEGER => {
                let (&byte, rest) = rest.split_first()?;
                Some((raw::int_word(env, i64::from(byte)), rest))
            }
            INTEGER => {
                let (&word, rest) = rest.split_first_chunk()?;
                Some((
                    raw::int_word(env, i64::from(i32::from_be_bytes(word))),
                    rest,
                ))
            }
            NIL => Some((raw::nil_word(), rest)),
            BINARY => {
                let (&length, rest) = rest.split_first_chunk()?;
                let length = u32::from_be_bytes(length) as usize;
                let (data, rest) = rest.split_at_checked(length)?;
                (length <= COPIED_BYTES_MAX).then(|| (raw::binary_word(env, data), rest))
            }
            _ => self.atom(env, bytes),
        }
    }

    fn atom(&mut self, env: Env<'_>, bytes: &'b [u8]) -> Option<(Word, &'b [u8])> {
        let (_, length_bytes) = ATOMS.iter().find(|(tag, _)| bytes.first() == Some(tag))?;
        let length = bytes.get(1..1 + length_bytes)?;
        let length = length
            .iter()
            .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
        let (name, rest) = bytes.split_at_checked(1 + length_bytes + length)?;
        if let Some((_, word)) = self.0.iter().find(|(known, _)| *known == name) {
            return Some((*word, rest));
        }
        let word = raw::trusted_word(env, &[&[VERSION], name].concat())?;
        if self.0.len() < ATOMS_MAX {
            self.0.push((name, word));
        }
        Some((word, rest))
    }
}

/// The bytes of items for terms, or `badarg` when one has no form here.
fn items_write<'a>(env: Env<'a>, [terms]: [Term<'a>; 1]) -> Term<'a> {
    let Some(terms) = source::list(terms) else {
        return reply::error(env, atoms::badarg());
    };
    let mut packer = Packer::new();
    let mut out = Vec::new();
    for term in terms {
        packer.clear();
        if source::pack(term, &mut packer).is_none() {
            return reply::error(env, atoms::badarg());
        }
        backup_file::item(&mut out, |out| etf::encode(packer.as_bytes(), out));
    }
    raw::term(env, raw::binary_word(env, &out))
}
