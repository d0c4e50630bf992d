//! Passes over an encoded term and checks its structure, makes nothing of it. A count of terms
//! still to come stands for a stack.

use super::external::WORDS_MAX;
use super::{EtfError, Reader, tag};
use crate::packed::ExtKind;

/// What these external bytes are, if they are exactly one reference, fun, port or pid.
pub(crate) fn external_kind(external: &[u8]) -> Option<ExtKind> {
    let kind = match *external.first()? {
        tag::REFERENCE | tag::NEW_REFERENCE | tag::NEWER_REFERENCE => ExtKind::Reference,
        tag::NEW_FUN | tag::EXPORT => ExtKind::Fun,
        tag::PORT | tag::NEW_PORT | tag::V4_PORT => ExtKind::Port,
        tag::PID | tag::NEW_PID => ExtKind::Pid,
        _ => return None,
    };
    let mut reader = Reader(external);
    skip(&mut reader).ok()?;
    reader.0.is_empty().then_some(kind)
}

/// Passes over one term.
fn skip(reader: &mut Reader<'_>) -> Result<(), EtfError> {
    terms(1, reader)
}

/// Passes over a local fun after its tag.
pub(super) fn fun_rest(reader: &mut Reader<'_>) -> Result<(), EtfError> {
    let pending = fun(reader)?;
    terms(pending, reader)
}

fn terms(mut pending: u64, reader: &mut Reader<'_>) -> Result<(), EtfError> {
    while pending > 0 {
        pending = pending - 1 + one(reader)?;
    }
    Ok(())
}

/// Passes over one tag and its own bytes; returns how many terms follow as part of it.
pub(super) fn one(reader: &mut Reader<'_>) -> Result<u64, EtfError> {
    let tag = reader.byte()?;
    let own = match tag {
        tag::NIL => 0,
        tag::SMALL_INTEGER => 1,
        tag::INTEGER => 4,
        tag::NEW_FLOAT => 8,
        tag::FLOAT => 31,
        tag::ATOM | tag::ATOM_UTF8 | tag::STRING => reader.short()?,
        tag::SMALL_ATOM | tag::SMALL_ATOM_UTF8 => usize::from(reader.byte()?),
        tag::BINARY => reader.long()?,
        tag::BIT_BINARY => reader.long()?.saturating_add(1),
        tag::SMALL_BIG => 1 + usize::from(reader.byte()?),
        tag::LARGE_BIG => reader.long()?.saturating_add(1),
        tag::SMALL_TUPLE => return reader.byte().map(u64::from),
        tag::LARGE_TUPLE => return reader.long().map(|arity| arity as u64),
        tag::LIST => return reader.long().map(|count| count as u64 + 1),
        tag::MAP => return reader.long().map(|pairs| 2 * pairs as u64),
        tag::EXPORT => {
            node(reader)?;
            node(reader)?;
            return small_int(reader).map(|()| 0);
        }
        tag::NEW_FUN => return fun(reader),
        _ => return identifier(tag, reader).map(|()| 0),
    };
    reader.take(own).map(|_| 0)
}

/// A pid, port or reference.
fn identifier(tag: u8, reader: &mut Reader<'_>) -> Result<(), EtfError> {
    let words = match tag {
        tag::NEW_REFERENCE | tag::NEWER_REFERENCE => reader.short()?,
        _ => 0,
    };
    if matches!(tag, tag::NEW_REFERENCE | tag::NEWER_REFERENCE)
        && !(1..=usize::from(WORDS_MAX)).contains(&words)
    {
        return Err(EtfError::Value(tag));
    }
    let own = match tag {
        tag::PID => 9,
        tag::NEW_PID => 12,
        tag::PORT | tag::REFERENCE => 5,
        tag::NEW_PORT => 8,
        tag::V4_PORT => 12,
        tag::NEW_REFERENCE => 1 + 4 * words,
        tag::NEWER_REFERENCE => 4 + 4 * words,
        other => return Err(EtfError::Tag(other)),
    };
    node(reader)?;
    reader.take(own).map(|_| ())
}

/// A local fun's own parts; its maker and free variables follow.
fn fun(reader: &mut Reader<'_>) -> Result<u64, EtfError> {
    // Size, arity, the 16 bytes that identify the module's code, the index in it.
    reader.take(4 + 1 + 16 + 4)?;
    let free = reader.long()?;
    node(reader)?;
    small_int(reader)?;
    small_int(reader)?;
    let mut maker = *reader;
    match maker.byte()? {
        tag::PID | tag::NEW_PID => Ok(free as u64 + 1),
        other => Err(EtfError::Tag(other)),
    }
}

fn small_int(reader: &mut Reader<'_>) -> Result<(), EtfError> {
    match reader.byte()? {
        tag::SMALL_INTEGER => reader.take(1).map(|_| ()),
        tag::INTEGER => reader.take(4).map(|_| ()),
        other => Err(EtfError::Tag(other)),
    }
}

/// An atom by its bytes: a node, a module, a function.
fn node(reader: &mut Reader<'_>) -> Result<(), EtfError> {
    let tag = reader.byte()?;
    let length = match tag {
        tag::ATOM | tag::ATOM_UTF8 => reader.short()?,
        tag::SMALL_ATOM | tag::SMALL_ATOM_UTF8 => usize::from(reader.byte()?),
        other => return Err(EtfError::Tag(other)),
    };
    let name = reader.take(length)?;
    match tag {
        tag::ATOM_UTF8 | tag::SMALL_ATOM_UTF8 if str::from_utf8(name).is_err() => {
            Err(EtfError::Value(tag))
        }
        _ => Ok(()),
    }
}
