//! External term format in: no recursion, no reservation by a claimed count, every length
//! checked against the bytes that are left.

use std::io::Read;

use flate2::bufread::ZlibDecoder;

use super::external::{self, atom_name};
use super::limits::MOVES_MAX;
use super::{EtfError, Limits, Reader, VERSION, tag};
use crate::atom::Atom;
use crate::packer::{Mark, Packer};

/// Most bytes of packed terms in one packer.
const PACKED_BYTES_MAX: usize = u32::MAX as usize;

/// Decodes the term at the front of `bytes`, which begins with the version byte, appends it to
/// `out` and returns the bytes it takes. On an error `out` is as it was; atoms that were new
/// stay.
///
/// # Errors
/// [`EtfError::Short`] when the bytes end early, and the other causes by their names.
pub fn decode(bytes: &[u8], limits: &Limits, out: &mut Packer) -> Result<usize, EtfError> {
    let start = out.len();
    let result = decode_version(bytes, limits, out);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn decode_version(bytes: &[u8], limits: &Limits, out: &mut Packer) -> Result<usize, EtfError> {
    let mut reader = Reader(bytes);
    match reader.byte()? {
        VERSION => {}
        other => return Err(EtfError::Version(other)),
    }
    if reader.0.first() == Some(&tag::COMPRESSED) {
        let inflated = inflate(&mut reader, limits)?;
        let mut inner = Reader(&inflated);
        Decoding::new(limits, out).run(&mut inner)?;
        if !inner.0.is_empty() {
            return Err(EtfError::Compression);
        }
    } else {
        Decoding::new(limits, out).run(&mut reader)?;
    }
    Ok(bytes.len() - reader.0.len())
}

fn inflate(reader: &mut Reader<'_>, limits: &Limits) -> Result<Vec<u8>, EtfError> {
    reader.byte()?;
    let bytes = reader.long()?;
    if bytes > limits.inflated_bytes {
        return Err(EtfError::InflatesTooFar {
            bytes,
            max: limits.inflated_bytes,
        });
    }
    let mut inflated = Vec::new();
    let mut zlib = ZlibDecoder::new(reader.0);
    let read = zlib
        .by_ref()
        .take(bytes as u64 + 1)
        .read_to_end(&mut inflated);
    if read.is_err() || inflated.len() != bytes {
        return Err(EtfError::Compression);
    }
    reader.0 = zlib.into_inner();
    Ok(inflated)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Tuple,
    Map,
    /// Elements of a list.
    List,
    /// The tail of a list, which is one term more.
    Tail,
}

/// What one tag was.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// A term, or the opening of one.
    Term,
    /// Nothing: the term is what follows.
    Prefix,
}

/// A composite whose terms are still to come.
struct Open {
    shape: Shape,
    /// Terms still to come; of a list without its tail.
    left: u32,
    mark: Mark,
}

struct Decoding<'a> {
    limits: &'a Limits,
    out: &'a mut Packer,
    stack: Vec<Open>,
    new_atoms: usize,
    /// Bytes that were moved, and the most that may be, to put maps in order.
    moved: usize,
    moved_max: usize,
}

impl<'a> Decoding<'a> {
    fn new(limits: &'a Limits, out: &'a mut Packer) -> Self {
        Self {
            limits,
            out,
            stack: Vec::new(),
            new_atoms: 0,
            moved: 0,
            moved_max: limits.moved_bytes,
        }
    }

    fn run(mut self, reader: &mut Reader<'_>) -> Result<(), EtfError> {
        let in_proportion = reader.0.len().saturating_mul(MOVES_MAX);
        self.moved_max = self.moved_max.saturating_add(in_proportion);
        loop {
            if self.term(reader)? == Step::Prefix {
                continue;
            }
            while let Some(top) = self.stack.last_mut() {
                if top.left > 0 {
                    top.left -= 1;
                    break;
                }
                if top.shape == Shape::List {
                    top.shape = Shape::Tail;
                    break;
                }
                self.close()?;
            }
            if self.stack.is_empty() {
                return Ok(());
            }
        }
    }

    fn open(&mut self, shape: Shape, left: usize, mark: Mark) -> Result<(), EtfError> {
        if self.stack.len() >= self.limits.depth {
            return Err(EtfError::TooDeep(self.limits.depth));
        }
        let left = u32::try_from(left).map_err(|_| EtfError::TooLong)?;
        self.stack.push(Open { shape, left, mark });
        Ok(())
    }

    fn close(&mut self) -> Result<(), EtfError> {
        let Some(open) = self.stack.pop() else {
            return Ok(());
        };
        if self.out.len() > PACKED_BYTES_MAX {
            return Err(EtfError::TooLong);
        }
        match open.shape {
            Shape::Tuple => self.out.tuple_end(open.mark),
            Shape::List | Shape::Tail => self.out.list_end(open.mark),
            Shape::Map => {
                let moved = self.out.map_end_counted(open.mark);
                self.moved = self.moved.saturating_add(moved);
                if self.moved > self.moved_max {
                    return Err(EtfError::TooUnsorted(self.moved_max));
                }
                if self.out.map_has_double_key(open.mark) {
                    return Err(EtfError::DoubleKey);
                }
            }
        }
        Ok(())
    }

    /// Reads one tag with its own bytes.
    fn term(&mut self, reader: &mut Reader<'_>) -> Result<Step, EtfError> {
        let tag = reader.byte()?;
        match tag {
            tag::SMALL_INTEGER => self.out.int(i64::from(reader.byte()?)),
            tag::INTEGER => self.out.int(i64::from(i32::from_be_bytes(reader.bytes()?))),
            tag::SMALL_BIG | tag::LARGE_BIG => self.big(tag, reader)?,
            tag::NEW_FLOAT => self.float(tag, f64::from_be_bytes(reader.bytes()?))?,
            tag::FLOAT => {
                let value = old_float(reader.take(31)?).ok_or(EtfError::Value(tag))?;
                self.float(tag, value)?;
            }
            tag::ATOM | tag::SMALL_ATOM | tag::ATOM_UTF8 | tag::SMALL_ATOM_UTF8 => {
                let name = atom_name(tag, reader)?;
                self.atom(&name)?;
            }
            tag::NIL => self.out.nil(),
            tag::STRING => self.string(reader)?,
            tag::LIST => return self.list(reader),
            tag::SMALL_TUPLE => self.tuple(usize::from(reader.byte()?))?,
            tag::LARGE_TUPLE => self.tuple(reader.long()?)?,
            tag::MAP => {
                let pairs = reader.long()?;
                let mark = self.out.map_begin(pairs);
                self.open(Shape::Map, pairs.saturating_mul(2), mark)?;
            }
            tag::BINARY => {
                let length = reader.long()?;
                self.out.binary(reader.take(length)?);
            }
            tag::BIT_BINARY => self.bit_binary(reader)?,
            _ => self.external(tag, reader)?,
        }
        if self.out.len() > PACKED_BYTES_MAX {
            Err(EtfError::TooLong)
        } else {
            Ok(Step::Term)
        }
    }

    fn tuple(&mut self, arity: usize) -> Result<(), EtfError> {
        let mark = self.out.tuple_begin(arity);
        self.open(Shape::Tuple, arity, mark)
    }

    /// A list; in the tail of a list its elements go on with those before. A list of no
    /// elements is its own tail.
    fn list(&mut self, reader: &mut Reader<'_>) -> Result<Step, EtfError> {
        let count = reader.long()?;
        if count == 0 {
            return Ok(Step::Prefix);
        }
        let Some(mark) = self.continued() else {
            let mark = self.out.list_begin(count);
            self.open(Shape::List, count, mark)?;
            return Ok(Step::Term);
        };
        self.lengthen(mark, count)?;
        self.stack.pop();
        self.open(Shape::List, count, mark)?;
        Ok(Step::Term)
    }

    /// A list of bytes, which may be the tail of another list too.
    fn string(&mut self, reader: &mut Reader<'_>) -> Result<(), EtfError> {
        let length = reader.short()?;
        let bytes = reader.take(length)?;
        let opened = match self.continued() {
            _ if bytes.is_empty() => None,
            Some(mark) => {
                self.lengthen(mark, length)?;
                None
            }
            None => Some(self.out.list_begin(length)),
        };
        bytes.iter().for_each(|&byte| self.out.int(i64::from(byte)));
        self.out.nil();
        if let Some(mark) = opened {
            self.out.list_end(mark);
        }
        Ok(())
    }

    /// The list whose tail is being read, if one is.
    fn continued(&self) -> Option<Mark> {
        self.stack
            .last()
            .filter(|top| top.shape == Shape::Tail)
            .map(|top| top.mark)
    }

    fn lengthen(&mut self, mark: Mark, more: usize) -> Result<(), EtfError> {
        let count = self.out.list_count(mark).saturating_add(more);
        if count > PACKED_BYTES_MAX {
            return Err(EtfError::TooLong);
        }
        self.out.list_recount(mark, count);
        Ok(())
    }

    fn big(&mut self, tag: u8, reader: &mut Reader<'_>) -> Result<(), EtfError> {
        let bytes = if tag == tag::SMALL_BIG {
            usize::from(reader.byte()?)
        } else {
            reader.long()?
        };
        let sign = reader.byte()?;
        let magnitude = reader.take(bytes)?;
        if bytes > self.limits.big_bytes {
            return Err(EtfError::BigTooLong {
                bytes,
                max: self.limits.big_bytes,
            });
        }
        self.out.big(sign != 0, magnitude);
        Ok(())
    }

    fn float(&mut self, tag: u8, value: f64) -> Result<(), EtfError> {
        if !value.is_finite() {
            return Err(EtfError::Value(tag));
        }
        self.out.float(value);
        Ok(())
    }

    fn atom(&mut self, name: &str) -> Result<(), EtfError> {
        let atom = match Atom::known(name) {
            Some(atom) => atom,
            None if self.new_atoms >= self.limits.atoms => {
                return Err(EtfError::TooManyAtoms(self.limits.atoms));
            }
            None => {
                self.new_atoms += 1;
                Atom::intern(name).ok_or(EtfError::TooManyAtoms(self.limits.atoms))?
            }
        };
        self.out.atom(atom);
        Ok(())
    }

    fn bit_binary(&mut self, reader: &mut Reader<'_>) -> Result<(), EtfError> {
        let length = reader.long()?;
        let last_bits = reader.byte()?;
        let data = reader.take(length)?;
        match last_bits {
            0 if data.is_empty() => self.out.binary(data),
            1..=8 if !data.is_empty() => self.out.bits(data, last_bits),
            _ => return Err(EtfError::Value(tag::BIT_BINARY)),
        }
        Ok(())
    }

    fn external(&mut self, tag: u8, reader: &mut Reader<'_>) -> Result<(), EtfError> {
        let mut bytes = Vec::new();
        let kind = external::read(tag, reader, &mut bytes)?;
        self.out.ext(kind, &bytes);
        Ok(())
    }
}

/// The text form of a float: C's `%.20e`, filled up with zeros.
fn old_float(text: &[u8]) -> Option<f64> {
    let used = text
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(text.len());
    let text = str::from_utf8(&text[..used]).ok()?;
    text.contains('.').then(|| text.parse().ok())?
}
