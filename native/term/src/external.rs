//! References, funs, ports and pids by their external bytes: their fields, in the order that
//! decides between them.
//!
//! The order is a BEAM's: pids by serial, number, node, creation; ports by node, creation,
//! number; references by node, creation and their words, the last word first; local funs before
//! external ones, by module, index, unique number and count of free variables, whoever made them;
//! external funs by module, name, arity. One thing is approximate: free variables compare by
//! their external bytes.

use std::borrow::Cow;

use crate::etf::{tag, without_maker};
use crate::key::{self, Sink};
use crate::packed::ExtKind;

/// First bytes of the keys, by kind and by what was understood.
mod lead {
    pub(super) const REFERENCE: u8 = 0x50;
    pub(super) const FUN: u8 = 0x54;
    pub(super) const EXPORT: u8 = 0x55;
    pub(super) const PORT: u8 = 0x58;
    pub(super) const PID: u8 = 0x5c;
    /// Added to the first of a kind when the bytes are not understood.
    pub(super) const OPAQUE: u8 = 3;
}

/// Appends order-preserving bytes for an `EXT` term, self-delimiting.
pub(crate) fn encode_key<S: Sink>(kind: ExtKind, external: &[u8], out: &mut S) {
    let start = out.len();
    if understood(external, out).is_some() {
        return;
    }
    out.truncate(start);
    let first = match kind {
        ExtKind::Reference => lead::REFERENCE,
        ExtKind::Fun => lead::FUN,
        ExtKind::Port => lead::PORT,
        ExtKind::Pid => lead::PID,
    };
    out.push(first + lead::OPAQUE);
    key::escape(external, out);
    out.push(0);
}

fn understood<S: Sink>(external: &[u8], out: &mut S) -> Option<()> {
    let (&tag, rest) = external.split_first()?;
    let mut fields = Fields(rest);
    match tag {
        tag::PID | tag::NEW_PID => pid(&mut fields, tag == tag::NEW_PID, out)?,
        tag::PORT | tag::NEW_PORT | tag::V4_PORT => port(&mut fields, tag, out)?,
        tag::REFERENCE | tag::NEW_REFERENCE | tag::NEWER_REFERENCE => {
            reference(&mut fields, tag, out)?;
        }
        tag::EXPORT => export(&mut fields, out)?,
        tag::NEW_FUN => return fun(&mut fields, external, out),
        _ => return None,
    }
    fields.0.is_empty().then_some(())
}

fn pid<S: Sink>(fields: &mut Fields<'_>, new: bool, out: &mut S) -> Option<()> {
    let node = fields.atom()?;
    let number = fields.bytes::<4>()?;
    let serial = fields.bytes::<4>()?;
    let creation = fields.creation(new)?;
    out.push(lead::PID);
    out.append(&serial);
    out.append(&number);
    name(&node, out);
    out.append(&creation);
    Some(())
}

fn port<S: Sink>(fields: &mut Fields<'_>, tag: u8, out: &mut S) -> Option<()> {
    let node = fields.atom()?;
    let number = if tag == tag::V4_PORT {
        u64::from_be_bytes(fields.bytes()?)
    } else {
        u64::from(u32::from_be_bytes(fields.bytes()?))
    };
    let creation = fields.creation(tag != tag::PORT)?;
    out.push(lead::PORT);
    name(&node, out);
    out.append(&creation);
    out.append(&number.to_be_bytes());
    Some(())
}

fn reference<S: Sink>(fields: &mut Fields<'_>, tag: u8, out: &mut S) -> Option<()> {
    let count = if tag == tag::REFERENCE {
        1
    } else {
        u16::from_be_bytes(fields.bytes()?)
    };
    let node = fields.atom()?;
    let (words, creation);
    if tag == tag::REFERENCE {
        words = fields.take(4)?;
        creation = fields.creation(false)?;
    } else {
        creation = fields.creation(tag == tag::NEWER_REFERENCE)?;
        words = fields.take(4 * usize::from(count))?;
    }
    let used = words
        .chunks_exact(4)
        .rposition(|word| word != [0; 4])
        .map_or(0, |at| at + 1);
    out.push(lead::REFERENCE);
    name(&node, out);
    out.append(&creation);
    out.append(&u16::try_from(used).ok()?.to_be_bytes());
    for word in words.chunks_exact(4).take(used).rev() {
        out.append(word);
    }
    Some(())
}

fn export<S: Sink>(fields: &mut Fields<'_>, out: &mut S) -> Option<()> {
    let module = fields.atom()?;
    let function = fields.atom()?;
    let arity = fields.small_int()?;
    out.push(lead::EXPORT);
    name(&module, out);
    name(&function, out);
    out.append(&ordered(arity));
    Some(())
}

fn fun<S: Sink>(fields: &mut Fields<'_>, external: &[u8], out: &mut S) -> Option<()> {
    // Size, arity, the 16 bytes that identify the module's code, the index in it.
    fields.take(4 + 1 + 16 + 4)?;
    let free = fields.bytes::<4>()?;
    let module = fields.atom()?;
    let index = fields.small_int()?;
    let unique = fields.small_int()?;
    out.push(lead::FUN);
    name(&module, out);
    out.append(&ordered(index));
    out.append(&ordered(unique));
    out.append(&free);
    match without_maker(external) {
        Some(canonical) => key::escape(&canonical, out),
        None => key::escape(external, out),
    }
    out.push(0);
    Some(())
}

/// What the bytes are, for people.
pub(crate) fn describe(external: &[u8]) -> String {
    described(external).unwrap_or_else(|| format!("#External<{} bytes>", external.len()))
}

fn described(external: &[u8]) -> Option<String> {
    let (&tag, rest) = external.split_first()?;
    let mut fields = Fields(rest);
    Some(match tag {
        tag::PID | tag::NEW_PID => {
            let node = fields.text()?;
            let (number, serial) = (fields.u32()?, fields.u32()?);
            format!("#Pid<{node}.{number}.{serial}>")
        }
        tag::PORT | tag::NEW_PORT => format!("#Port<{}.{}>", fields.text()?, fields.u32()?),
        tag::V4_PORT => {
            format!(
                "#Port<{}.{}>",
                fields.text()?,
                u64::from_be_bytes(fields.bytes()?)
            )
        }
        tag::NEW_REFERENCE | tag::NEWER_REFERENCE => {
            fields.take(2)?;
            let node = fields.text()?;
            fields.creation(tag == tag::NEWER_REFERENCE)?;
            let words = fields
                .0
                .chunks_exact(4)
                .rev()
                .filter_map(|word| word.try_into().ok());
            let words: Vec<_> = words
                .map(|word| u32::from_be_bytes(word).to_string())
                .collect();
            format!("#Ref<{node}.{}>", words.join("."))
        }
        tag::REFERENCE => format!("#Ref<{}.{}>", fields.text()?, fields.u32()?),
        tag::EXPORT => {
            let (module, function) = (fields.text()?, fields.text()?);
            format!("fun {module}:{function}/{}", fields.small_int()?)
        }
        tag::NEW_FUN => {
            fields.take(4 + 1 + 16 + 4 + 4)?;
            let module = fields.text()?;
            format!(
                "#Fun<{module}.{}.{}>",
                fields.small_int()?,
                fields.small_int()?
            )
        }
        _ => return None,
    })
}

fn name<S: Sink>(name: &[u8], out: &mut S) {
    key::escape(name, out);
    out.push(0);
}

/// An integer whose bytes compare as it does.
fn ordered(int: i32) -> [u8; 4] {
    (int.cast_unsigned() ^ 0x8000_0000).to_be_bytes()
}

/// Fields of an external term not read yet.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn creation(&mut self, wide: bool) -> Option<[u8; 4]> {
        if wide {
            self.bytes()
        } else {
            self.bytes::<1>().map(|[byte]| [0, 0, 0, byte])
        }
    }

    fn small_int(&mut self) -> Option<i32> {
        match self.bytes()? {
            [97] => self.bytes::<1>().map(|[byte]| i32::from(byte)),
            [98] => self.bytes().map(i32::from_be_bytes),
            _ => None,
        }
    }

    fn u32(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_be_bytes)
    }

    fn text(&mut self) -> Option<String> {
        self.atom()
            .map(|name| String::from_utf8_lossy(&name).into_owned())
    }

    /// The name of an atom in UTF-8.
    fn atom(&mut self) -> Option<Cow<'a, [u8]>> {
        let [tag] = self.bytes()?;
        let length = match tag {
            100 | 118 => usize::from(u16::from_be_bytes(self.bytes()?)),
            115 | 119 => usize::from(self.bytes::<1>()?[0]),
            _ => return None,
        };
        let text = self.take(length)?;
        let is_latin1 = matches!(tag, 100 | 115) && !text.is_ascii();
        Some(if is_latin1 {
            Cow::Owned(
                text.iter()
                    .map(|&b| char::from(b))
                    .collect::<String>()
                    .into_bytes(),
            )
        } else {
            Cow::Borrowed(text)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: ExtKind, external: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode_key(kind, external, &mut out);
        out
    }

    fn pid(node: &str, number: u8, serial: u8, creation: u8) -> Vec<u8> {
        let mut bytes = vec![tag::NEW_PID, 119, node.len() as u8];
        bytes.extend_from_slice(node.as_bytes());
        bytes.extend_from_slice(&[0, 0, 0, number, 0, 0, 0, serial, 0, 0, 0, creation]);
        bytes
    }

    #[test]
    fn pids_compare_by_serial_number_node_creation() {
        let ascending = [
            pid("z", 9, 0, 9),
            pid("a", 1, 1, 9),
            pid("a", 2, 1, 1),
            pid("b", 2, 1, 0),
            pid("b", 2, 1, 1),
        ];
        let keys: Vec<_> = ascending
            .iter()
            .map(|bytes| key(ExtKind::Pid, bytes))
            .collect();
        assert!(keys.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn old_and_new_forms_of_a_pid_are_one_key() {
        let mut old = vec![tag::PID, 100, 0, 1, b'n'];
        old.extend_from_slice(&[0, 0, 0, 7, 0, 0, 0, 0, 3]);
        assert_eq!(
            key(ExtKind::Pid, &old),
            key(ExtKind::Pid, &pid("n", 7, 0, 3))
        );
    }

    #[test]
    fn bytes_that_are_not_understood_still_have_a_place() {
        for cut in 0..8 {
            let key = key(ExtKind::Pid, &pid("n", 1, 0, 0)[..cut]);
            assert_eq!(key[0], 0x5f);
        }
    }
}
