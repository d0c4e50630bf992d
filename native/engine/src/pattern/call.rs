//! The functions of guards and bodies, but for arithmetic.
//!
//! Each takes settled or scalar values and answers a value or that it raised; which error it
//! was is invisible in a match specification.

use magnesia_term::packed::{self, Bits, ExtKind, View};
use magnesia_term::{Atom, Items, order};

use super::arithmetic::{self, Number};
use super::construct;
use super::function::{Comparison, Function, Kind};
use super::machine::{Machine, Subject};
use super::node::node_of;
use super::release;
use super::run::Raised;
use super::value::Value;

/// Integers that a BEAM keeps in a word: sizes and positions must be such.
const SMALL: std::ops::RangeInclusive<i64> = -(1 << 59)..=(1 << 59) - 1;

impl Machine<'_, '_> {
    /// Calls `function` on the first of `arguments`, as many as it takes.
    pub(super) fn call(
        &mut self,
        function: Function,
        arguments: [Value; 3],
    ) -> Result<Value, Raised> {
        if let (Function::Element, [Value::Int(position), Value::Whole, _]) = (function, arguments)
        {
            return self.element_of_subject(position);
        }
        let [a, b, c] = arguments.map(|value| match value {
            Value::Whole => self.settle(value),
            other => other,
        });
        match function {
            Function::Is(kind) => Ok(self.boolean(is_kind(kind, self.view(a)))),
            Function::IsBoolean => Ok(self.boolean(self.truth(a).is_some())),
            Function::IsFunction2 => self.is_function(a, b),
            Function::IsRecord => self.is_record(a, b, c),
            Function::IsMapKey => {
                let found = self.find_key(a, b)?;
                Ok(self.boolean(found.is_some()))
            }
            Function::MapGet => self.find_key(a, b)?.ok_or(Raised),
            Function::Element => self.element(a, b),
            Function::Hd => self.hd(a),
            Function::Tl => self.tl(a),
            Function::Length => self.length(a),
            Function::Size => self.size(a),
            Function::TupleSize => match self.view(a) {
                View::Tuple(items) => Ok(count(items.count())),
                _ => Err(Raised),
            },
            Function::ByteSize => self.bits(a).map(|bits| count(bits.bytes.len())),
            Function::BitSize => self.bits(a).map(|bits| count(bits.bit_len())),
            Function::MapSize => self.map(a).map(|items| count(items.count() / 2)),
            Function::BinaryPart2 => {
                let (from, length) = self.pair(b)?;
                self.binary_part(a, from, length)
            }
            Function::BinaryPart3 => self.binary_part(a, b, c),
            Function::Node0 => Ok(Value::Atom(self.host.node)),
            Function::Node1 => self.node(a),
            Function::SelfPid => Ok(self.make(|machine, work| work.raw(&machine.host.self_pid))),
            Function::Not => self.truth(a).map(|a| self.boolean(!a)).ok_or(Raised),
            Function::Xor => match (self.truth(a), self.truth(b)) {
                (Some(a), Some(b)) => Ok(self.boolean(a != b)),
                _ => Err(Raised),
            },
            Function::Compare(comparison) => {
                let holds = self.holds(comparison, a, b);
                Ok(self.boolean(holds))
            }
            Function::Max if self.holds(Comparison::GreaterEqual, a, b) => Ok(a),
            Function::Min if self.holds(Comparison::LessEqual, a, b) => Ok(a),
            Function::Max | Function::Min => Ok(b),
            Function::Unary(operation) => {
                let number = arithmetic::unary(operation, self.number(a)?).ok_or(Raised)?;
                Ok(self.pack_number(&number))
            }
            Function::Binary(operation) => {
                let numbers = (self.number(a)?, self.number(b)?);
                let number = arithmetic::binary(operation, numbers.0, numbers.1).ok_or(Raised)?;
                Ok(self.pack_number(&number))
            }
        }
    }

    fn number(&self, value: Value) -> Result<Number, Raised> {
        Number::of(self.view(value)).ok_or(Raised)
    }

    fn pack_number(&mut self, number: &Number) -> Value {
        match number {
            Number::Int(int) => Value::Int(*int),
            Number::Float(float) => Value::Float(*float),
            Number::Big(big) => self.make(|_, work| magnesia_term::number::pack_bigint(big, work)),
        }
    }

    /// `element(Position, '$_')` without making the record's tuple.
    fn element_of_subject(&mut self, position: i64) -> Result<Value, Raised> {
        let bytes = self.subject.bytes();
        match self.subject {
            Subject::Record(record) if position == 1 => Ok(Value::Atom(record.name)),
            Subject::Record(record) => {
                let position = usize::try_from(position).map_err(|_| Raised)?;
                let term = record.row.at(position).ok_or(Raised)?;
                Ok(Value::Row(distance(bytes, term)))
            }
            Subject::Term(_) => self.element(Value::Int(position), Value::Row(0)),
        }
    }

    fn element(&self, position: Value, tuple: Value) -> Result<Value, Raised> {
        let (Value::Int(position), View::Tuple(mut items)) = (position, self.view(tuple)) else {
            return Err(Raised);
        };
        let index = usize::try_from(position)
            .ok()
            .and_then(|at| at.checked_sub(1));
        let term = items.nth(index.ok_or(Raised)?).ok_or(Raised)?;
        Ok(self.inside(tuple, term))
    }

    /// The value of `part`, a slice of the term that `whole` is.
    fn inside(&self, whole: Value, part: &[u8]) -> Value {
        let at = distance(self.place(whole), part);
        match whole {
            Value::Row(from) => Value::Row(from + at),
            Value::Const(from) => Value::Const(from + at),
            Value::Arena(from) => Value::Arena(from + at),
            scalar => scalar,
        }
    }

    fn is_record(&self, term: Value, name: Value, arity: Value) -> Result<Value, Raised> {
        let View::Atom(name) = self.view(name) else {
            return Err(Raised);
        };
        let arity = small(arity)?;
        let is = match self.view(term) {
            View::Tuple(mut items) => {
                usize::try_from(arity) == Ok(items.count())
                    && items
                        .next()
                        .is_some_and(|f| matches!(packed::view(f), View::Atom(a) if a == name))
            }
            _ => false,
        };
        Ok(self.boolean(is))
    }

    /// `is_function(Term, Arity)`; the arity is judged first.
    fn is_function(&self, term: Value, arity: Value) -> Result<Value, Raised> {
        let wanted = match self.view(arity) {
            View::Int(arity) if arity >= 0 => u8::try_from(arity).ok(),
            View::Big {
                negative: false, ..
            } => None,
            _ => return Err(Raised),
        };
        let is = match self.view(term) {
            View::Ext(ExtKind::Fun, external) => wanted.is_some() && arity_of(external) == wanted,
            _ => false,
        };
        Ok(self.boolean(is))
    }

    fn map(&self, value: Value) -> Result<Items<'_>, Raised> {
        match self.view(value) {
            View::Map(items) => Ok(items),
            _ => Err(Raised),
        }
    }

    fn find_key(&mut self, key: Value, map: Value) -> Result<Option<Value>, Raised> {
        let key = self.settle(key);
        let mut items = self.map(map)?;
        while let (Some(found), Some(value)) = (items.next(), items.next()) {
            if order::equal_exact(found, self.place(key)) {
                return Ok(Some(self.inside(map, value)));
            }
        }
        Ok(None)
    }

    fn hd(&self, list: Value) -> Result<Value, Raised> {
        let View::List(mut items) = self.view(list) else {
            return Err(Raised);
        };
        let first = items.next().ok_or(Raised)?;
        Ok(self.inside(list, first))
    }

    fn tl(&mut self, list: Value) -> Result<Value, Raised> {
        let View::List(mut items) = self.view(list) else {
            return Err(Raised);
        };
        items.next();
        if items.count() == 1 {
            let tail = items.next().ok_or(Raised)?;
            return Ok(self.inside(list, tail));
        }
        Ok(self.make(|machine, work| {
            if let View::List(mut items) = machine.view(list) {
                items.next();
                construct::rest_of_list(work, items);
            }
        }))
    }

    fn length(&self, list: Value) -> Result<Value, Raised> {
        match self.view(list) {
            View::Nil => Ok(Value::Int(0)),
            View::List(items) => {
                let length = items.count() - 1;
                let tail = items.last().ok_or(Raised)?;
                if matches!(packed::view(tail), View::Nil) {
                    Ok(count(length))
                } else {
                    Err(Raised)
                }
            }
            _ => Err(Raised),
        }
    }

    fn size(&self, value: Value) -> Result<Value, Raised> {
        match self.view(value) {
            View::Tuple(items) => Ok(count(items.count())),
            View::Bits(bits) => Ok(count(bits.bit_len() / 8)),
            _ => Err(Raised),
        }
    }

    fn bits(&self, value: Value) -> Result<Bits<'_>, Raised> {
        match self.view(value) {
            View::Bits(bits) => Ok(bits),
            _ => Err(Raised),
        }
    }

    fn pair(&self, value: Value) -> Result<(Value, Value), Raised> {
        let View::Tuple(mut items) = self.view(value) else {
            return Err(Raised);
        };
        if items.count() != 2 {
            return Err(Raised);
        }
        let first = self.inside(value, items.next().ok_or(Raised)?);
        let second = self.inside(value, items.next().ok_or(Raised)?);
        Ok((self.load(first), self.load(second)))
    }

    fn binary_part(&mut self, binary: Value, from: Value, length: Value) -> Result<Value, Raised> {
        let (from, length) = (small(from)?, small(length)?);
        let bits = self.bits(binary)?;
        if !bits.is_binary() && release::guards_of_27() {
            return Err(Raised);
        }
        let size = bits.bit_len() / 8;
        let (from, length) = if length < 0 {
            (from + length, -length)
        } else {
            (from, length)
        };
        let from = usize::try_from(from).map_err(|_| Raised)?;
        let length = usize::try_from(length).map_err(|_| Raised)?;
        if from > size || length > size - from {
            return Err(Raised);
        }
        Ok(self.make(|machine, work| {
            if let View::Bits(bits) = machine.view(binary) {
                work.binary(&bits.bytes[from..from + length]);
            }
        }))
    }

    fn node(&self, value: Value) -> Result<Value, Raised> {
        let name: Option<Atom> = match self.view(value) {
            View::Ext(ExtKind::Pid | ExtKind::Port | ExtKind::Reference, external) => {
                node_of(external)
            }
            _ => None,
        };
        name.map(Value::Atom).ok_or(Raised)
    }
}

fn is_kind(kind: Kind, view: View<'_>) -> bool {
    match kind {
        Kind::Atom => matches!(view, View::Atom(_)),
        Kind::Float => matches!(view, View::Float(_)),
        Kind::Integer => matches!(view, View::Int(_) | View::Big { .. }),
        Kind::Number => matches!(view, View::Int(_) | View::Big { .. } | View::Float(_)),
        Kind::List => matches!(view, View::Nil | View::List(_)),
        Kind::Pid => matches!(view, View::Ext(ExtKind::Pid, _)),
        Kind::Port => matches!(view, View::Ext(ExtKind::Port, _)),
        Kind::Reference => matches!(view, View::Ext(ExtKind::Reference, _)),
        Kind::Function => matches!(view, View::Ext(ExtKind::Fun, _)),
        Kind::Tuple => matches!(view, View::Tuple(_)),
        Kind::Map => matches!(view, View::Map(_)),
        Kind::Binary => matches!(view, View::Bits(bits) if bits.is_binary()),
        Kind::Bitstring => matches!(view, View::Bits(_)),
    }
}

/// The arity in the external bytes of a fun: NEW_FUN has a size before it, and EXPORT ends in a
/// small integer.
fn arity_of(external: &[u8]) -> Option<u8> {
    match *external {
        [112, _, _, _, _, arity, ..] | [113, .., 97, arity] => Some(arity),
        _ => None,
    }
}

fn small(value: Value) -> Result<i64, Raised> {
    match value {
        Value::Int(int) if SMALL.contains(&int) => Ok(int),
        _ => Err(Raised),
    }
}

fn count(count: usize) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

/// How far behind the start of `bytes` its sub-slice `part` begins.
fn distance(bytes: &[u8], part: &[u8]) -> u32 {
    super::machine::offset(super::offset_of(bytes, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_arity_of_local_and_of_exported_funs() {
        assert_eq!(arity_of(&[112, 0, 0, 0, 9, 3, 1, 2, 3, 4]), Some(3));
        assert_eq!(arity_of(&[113, 119, 1, b'm', 119, 1, b'f', 97, 2]), Some(2));
        assert_eq!(arity_of(&[112, 0, 0]), None);
        assert_eq!(arity_of(&[]), None);
    }
}
