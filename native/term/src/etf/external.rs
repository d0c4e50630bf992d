//! References, funs, ports and pids as they come in: checked, and put in one form each, so that
//! equal terms have equal bytes whatever release sent them.
//!
//! The form is that of the newest releases: names in UTF-8, creations of 32 bits, ports with 64
//! bits only where 28 are too few. A local fun keeps its bytes: what is in it means nothing to
//! another build of its module.

use std::borrow::Cow;

use super::{EtfError, Reader, skip, tag};
use crate::atom::ATOM_CHARS_MAX;
use crate::packed::ExtKind;

/// Ports up to this number take 32 bits.
const SHORT_PORT_MAX: u64 = (1 << 28) - 1;

/// Reads what follows `tag` and appends the external bytes, tag first, to `out`.
pub(super) fn read(
    tag: u8,
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
) -> Result<ExtKind, EtfError> {
    match tag {
        tag::PID | tag::NEW_PID => {
            out.push(tag::NEW_PID);
            name(reader, out)?;
            out.extend_from_slice(reader.take(8)?);
            creation(tag == tag::NEW_PID, reader, out)?;
            Ok(ExtKind::Pid)
        }
        tag::PORT | tag::NEW_PORT | tag::V4_PORT => port(tag, reader, out),
        tag::REFERENCE | tag::NEW_REFERENCE | tag::NEWER_REFERENCE => reference(tag, reader, out),
        tag::EXPORT => {
            out.push(tag::EXPORT);
            name(reader, out)?;
            name(reader, out)?;
            arity(reader, out)?;
            Ok(ExtKind::Fun)
        }
        tag::NEW_FUN => {
            let mut after = *reader;
            skip::fun_rest(&mut after)?;
            let taken = reader.0.len() - after.0.len();
            out.push(tag::NEW_FUN);
            out.extend_from_slice(reader.take(taken)?);
            Ok(ExtKind::Fun)
        }
        other => Err(EtfError::Tag(other)),
    }
}

fn port(tag: u8, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<ExtKind, EtfError> {
    out.push(tag::NEW_PORT);
    let tag_at = out.len() - 1;
    name(reader, out)?;
    let number = if tag == tag::V4_PORT {
        u64::from_be_bytes(reader.bytes()?)
    } else {
        u64::from(u32::from_be_bytes(reader.bytes()?))
    };
    let bytes = number.to_be_bytes();
    if number > SHORT_PORT_MAX {
        out.extend_from_slice(&bytes);
        out[tag_at] = tag::V4_PORT;
    } else {
        out.extend_from_slice(&bytes[4..]);
    }
    creation(tag != tag::PORT, reader, out)?;
    Ok(ExtKind::Port)
}

fn reference(tag: u8, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<ExtKind, EtfError> {
    let words = if tag == tag::REFERENCE {
        1
    } else {
        u16::from_be_bytes(reader.bytes()?)
    };
    if !(1..=WORDS_MAX).contains(&words) {
        return Err(EtfError::Value(tag));
    }
    out.push(tag::NEWER_REFERENCE);
    out.extend_from_slice(&words.to_be_bytes());
    name(reader, out)?;
    if tag == tag::REFERENCE {
        let word = reader.take(4)?;
        creation(false, reader, out)?;
        out.extend_from_slice(word);
    } else {
        creation(tag == tag::NEWER_REFERENCE, reader, out)?;
        out.extend_from_slice(reader.take(4 * usize::from(words))?);
    }
    Ok(ExtKind::Reference)
}

/// Most words of a reference.
pub(super) const WORDS_MAX: u16 = 5;

fn creation(wide: bool, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), EtfError> {
    let creation = if wide {
        reader.bytes()?
    } else {
        [0, 0, 0, reader.byte()?]
    };
    out.extend_from_slice(&creation);
    Ok(())
}

fn arity(reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), EtfError> {
    let arity = match reader.byte()? {
        tag::SMALL_INTEGER => i32::from(reader.byte()?),
        tag::INTEGER => i32::from_be_bytes(reader.bytes()?),
        other => return Err(EtfError::Tag(other)),
    };
    match u8::try_from(arity) {
        Ok(short) => out.extend_from_slice(&[tag::SMALL_INTEGER, short]),
        Err(_) => {
            out.push(tag::INTEGER);
            out.extend_from_slice(&arity.to_be_bytes());
        }
    }
    Ok(())
}

/// An atom by its name, in UTF-8.
fn name(reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), EtfError> {
    let tag = reader.byte()?;
    let name = atom_name(tag, reader)?;
    write_name(&name, out);
    Ok(())
}

/// Appends an atom by its name.
pub(super) fn write_name(name: &str, out: &mut Vec<u8>) {
    match u8::try_from(name.len()) {
        Ok(short) => out.extend_from_slice(&[tag::SMALL_ATOM_UTF8, short]),
        Err(_) => {
            out.push(tag::ATOM_UTF8);
            // 255 characters are at most 1,020 bytes.
            out.extend_from_slice(&(name.len() as u16).to_be_bytes());
        }
    }
    out.extend_from_slice(name.as_bytes());
}

/// The name after the tag of an atom.
pub(super) fn atom_name<'a>(tag: u8, reader: &mut Reader<'a>) -> Result<Cow<'a, str>, EtfError> {
    let length = match tag {
        tag::ATOM | tag::ATOM_UTF8 => reader.short()?,
        tag::SMALL_ATOM | tag::SMALL_ATOM_UTF8 => usize::from(reader.byte()?),
        other => return Err(EtfError::Tag(other)),
    };
    let bytes = reader.take(length)?;
    let name = match str::from_utf8(bytes) {
        Ok(name) if name.is_ascii() => Cow::Borrowed(name),
        _ if matches!(tag, tag::ATOM | tag::SMALL_ATOM) => {
            Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect())
        }
        Ok(name) => Cow::Borrowed(name),
        Err(_) => return Err(EtfError::Value(tag)),
    };
    if name.len() > ATOM_CHARS_MAX && name.chars().count() > ATOM_CHARS_MAX {
        return Err(EtfError::Value(tag));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(bytes: &[u8]) -> Result<(ExtKind, Vec<u8>), EtfError> {
        let (mut reader, mut out) = (Reader(bytes), Vec::new());
        let tag = reader.byte()?;
        let kind = read(tag, &mut reader, &mut out)?;
        assert!(reader.0.is_empty());
        Ok((kind, out))
    }

    #[test]
    fn old_forms_become_new_ones() {
        let pid = [tag::PID, 100, 0, 1, 0xe4, 0, 0, 0, 1, 0, 0, 0, 2, 3];
        let new = vec![
            tag::NEW_PID,
            119,
            2,
            0xc3,
            0xa4,
            0,
            0,
            0,
            1,
            0,
            0,
            0,
            2,
            0,
            0,
            0,
            3,
        ];
        assert_eq!(one(&pid), Ok((ExtKind::Pid, new)));
        let port = [
            tag::V4_PORT,
            115,
            1,
            b'n',
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            5,
            0,
            0,
            0,
            9,
        ];
        let new = vec![tag::NEW_PORT, 119, 1, b'n', 0, 0, 0, 5, 0, 0, 0, 9];
        assert_eq!(one(&port), Ok((ExtKind::Port, new)));
        let reference = [tag::REFERENCE, 119, 1, b'n', 0, 0, 0, 5, 9];
        let new = vec![
            tag::NEWER_REFERENCE,
            0,
            1,
            119,
            1,
            b'n',
            0,
            0,
            0,
            9,
            0,
            0,
            0,
            5,
        ];
        assert_eq!(one(&reference), Ok((ExtKind::Reference, new)));
    }

    #[test]
    fn a_reference_has_one_to_five_words() {
        for words in [0, 6] {
            let mut bytes = vec![tag::NEWER_REFERENCE, 0, words, 119, 1, b'n'];
            bytes.extend_from_slice(&[0; 28]);
            assert_eq!(one(&bytes), Err(EtfError::Value(tag::NEWER_REFERENCE)));
        }
    }
}
