//! Packed terms to the external term format: a second, plain writer for the oracle's pipe.
//!
//! Recursive on purpose: it only sees terms that the generator made.

use magnesia_term::View;
use magnesia_term::packed;

/// Appends the external form of a packed term, without the version byte.
pub(crate) fn encode(term: &[u8], out: &mut Vec<u8>) {
    match packed::view(term) {
        View::Int(int) => match i32::try_from(int) {
            Ok(word) => {
                out.push(98);
                out.extend_from_slice(&word.to_be_bytes());
            }
            Err(_) => big(int < 0, &int.unsigned_abs().to_le_bytes(), out),
        },
        View::Big {
            negative,
            magnitude,
        } => big(negative, magnitude, out),
        View::Float(float) => {
            out.push(70);
            out.extend_from_slice(&float.to_be_bytes());
        }
        View::Atom(atom) => encode_atom(atom.name(), out),
        View::Ext(_, bytes) => out.extend_from_slice(bytes),
        View::Tuple(items) => {
            tuple_head(items.count(), out);
            items.for_each(|item| encode(item, out));
        }
        View::Map(items) => {
            out.push(116);
            length(items.count() / 2, out);
            items.for_each(|item| encode(item, out));
        }
        View::Nil => out.push(106),
        View::List(items) => {
            list_head(items.count() - 1, out);
            items.for_each(|item| encode(item, out));
        }
        View::Bits(bits) if bits.is_binary() => {
            out.push(109);
            length(bits.bytes.len(), out);
            out.extend_from_slice(bits.bytes);
        }
        View::Bits(bits) => {
            out.push(77);
            length(bits.bytes.len(), out);
            out.push(bits.last_bits);
            out.extend_from_slice(bits.bytes);
        }
    }
}

pub(crate) fn encode_atom(name: &str, out: &mut Vec<u8>) {
    out.push(118);
    out.extend_from_slice(
        &u16::try_from(name.len())
            .expect("names are short")
            .to_be_bytes(),
    );
    out.extend_from_slice(name.as_bytes());
}

pub(crate) fn tuple_head(arity: usize, out: &mut Vec<u8>) {
    out.push(105);
    length(arity, out);
}

pub(crate) fn list_head(count: usize, out: &mut Vec<u8>) {
    out.push(108);
    length(count, out);
}

pub(crate) fn length(length: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(
        &u32::try_from(length)
            .expect("test terms are small")
            .to_be_bytes(),
    );
}

fn big(negative: bool, magnitude: &[u8], out: &mut Vec<u8>) {
    let used = magnitude
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |at| at + 1);
    match u8::try_from(used) {
        Ok(short) => out.extend_from_slice(&[110, short]),
        Err(_) => {
            out.push(111);
            length(used, out);
        }
    }
    out.push(u8::from(negative));
    out.extend_from_slice(&magnitude[..used]);
}
