//! Key bytes while they are made: on the stack as long as they are few.

use super::{Held, Sink};

/// Bytes that need no allocation.
const ROOM: usize = 64;

/// A sink for the bytes of one key. Inline bytes from `len` on are 0.
pub(crate) struct Buffer {
    len: usize,
    inline: [u8; ROOM],
    /// All bytes, once they are too many.
    spilled: Vec<u8>,
}

impl Buffer {
    #[inline]
    pub(crate) fn new() -> Self {
        Self {
            len: 0,
            inline: [0; ROOM],
            spilled: Vec::new(),
        }
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        if self.len > ROOM {
            &self.spilled
        } else {
            &self.inline[..self.len]
        }
    }

    #[inline]
    pub(crate) fn into_key<const INLINE: usize, const HEAD: usize>(self) -> Held<INLINE, HEAD> {
        match self.inline.first_chunk::<INLINE>() {
            Some(bytes) if self.len <= INLINE => Held::of_inline(self.len as u8, *bytes),
            _ if self.len > ROOM => Held::of_box(self.spilled.into_boxed_slice()),
            _ => Held::from_bytes(self.as_bytes()),
        }
    }

    #[cold]
    fn spill(&mut self, bytes: &[u8]) {
        if self.len <= ROOM {
            self.spilled.extend_from_slice(&self.inline[..self.len]);
        }
        self.spilled.extend_from_slice(bytes);
        self.len = self.spilled.len();
    }
}

impl Sink for Buffer {
    #[inline]
    fn push(&mut self, byte: u8) {
        if self.len < ROOM {
            self.inline[self.len] = byte;
            self.len += 1;
        } else {
            self.spill(&[byte]);
        }
    }

    #[inline]
    fn append(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if end <= ROOM {
            self.inline[self.len..end].copy_from_slice(bytes);
            self.len = end;
        } else {
            self.spill(bytes);
        }
    }

    fn len(&self) -> usize {
        self.len
    }

    fn truncate(&mut self, len: usize) {
        if self.len <= ROOM {
            self.inline[len..].fill(0);
        } else if len <= ROOM {
            self.inline.fill(0);
            self.inline[..len].copy_from_slice(&self.spilled[..len]);
            self.spilled.clear();
        } else {
            self.spilled.truncate(len);
        }
        self.len = len;
    }

    fn complement_from(&mut self, start: usize) {
        let bytes = if self.len > ROOM {
            &mut self.spilled
        } else {
            &mut self.inline[..self.len]
        };
        bytes[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{INLINE_BYTES, Key};
    use super::*;

    #[test]
    fn bytes_are_the_same_inline_and_spilled() {
        for total in [0, INLINE_BYTES, INLINE_BYTES + 1, ROOM, ROOM + 1, 200] {
            let (mut buffer, mut plain) = (Buffer::new(), Vec::new());
            for byte in 0..total as u8 {
                buffer.push(byte);
                plain.push(byte);
            }
            buffer.append(&plain.clone());
            plain.extend_from_within(..);
            buffer.complement_from(total);
            Sink::complement_from(&mut plain, total);
            assert_eq!(buffer.as_bytes(), plain);
            buffer.truncate(total);
            plain.truncate(total);
            buffer.append(&[1, 2]);
            plain.extend_from_slice(&[1, 2]);
            assert_eq!((buffer.len(), buffer.as_bytes()), (plain.len(), &plain[..]));
            assert_eq!(buffer.into_key(), Key::from_bytes(&plain), "{total}");
        }
    }
}
