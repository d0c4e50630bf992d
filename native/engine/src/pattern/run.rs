//! Runs the code of guards and bodies.
//!
//! In a guard a failed call fails the clause; in a body it becomes `'EXIT'` where it stands
//! and the rest goes on, as in `ets`.

use super::construct;
use super::expression::Code;
use super::function::{Comparison, Function};
use super::machine::{Machine, Subject, atom_of, compare_scalar};
use super::value::Value;

/// A call that raised.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raised;

/// Whether code runs as guards or as a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Guard,
    Body,
}

impl Machine<'_, '_> {
    /// Runs code to its end; `None` when a guard does not hold. The stack keeps the result.
    pub(super) fn run(
        &mut self,
        code: &[Code],
        variables: &[(u32, u32)],
        place: Place,
    ) -> Option<()> {
        let mut next = 0;
        while let Some(&instruction) = code.get(next) {
            next += 1;
            match instruction {
                Code::Require {
                    comparison,
                    slot,
                    constant,
                } => {
                    if !self.test(comparison, slot, constant) {
                        return None;
                    }
                }
                Code::Check => {
                    let top = self.scratch.stack.pop()?;
                    if self.truth(top) != Some(true) {
                        return None;
                    }
                }
                Code::AndAlso(target) | Code::OrElse(target) => {
                    let goes_on = matches!(instruction, Code::AndAlso(_));
                    let top = self.scratch.stack.pop()?;
                    match self.truth(top) {
                        Some(answer) if answer == goes_on => continue,
                        Some(_) => self.scratch.stack.push(top),
                        None => self.answer(Err(Raised), place)?,
                    }
                    next = target as usize;
                }
                Code::Drop => {
                    self.scratch.stack.pop();
                }
                other => {
                    let answer = self.step(other, variables);
                    self.answer(answer, place)?;
                }
            }
        }
        Some(())
    }

    #[inline]
    fn answer(&mut self, answer: Result<Value, Raised>, place: Place) -> Option<()> {
        let value = match (answer, place) {
            (Ok(value), _) => value,
            (Err(Raised), Place::Body) => Value::Atom(self.words.exit),
            (Err(Raised), Place::Guard) => return None,
        };
        self.scratch.stack.push(value);
        Some(())
    }

    /// One instruction that pushes a value.
    fn step(&mut self, code: Code, variables: &[(u32, u32)]) -> Result<Value, Raised> {
        match code {
            Code::Slot(slot) => Ok(self.load(self.scratch.slots[slot as usize])),
            Code::Const(at) => Ok(self.load(Value::Const(at))),
            Code::Whole => Ok(self.whole()),
            Code::Bindings => Ok(self.bindings(variables)),
            Code::Tuple(count) => Ok(self.gather(count as usize, construct::tuple)),
            Code::List(count) => Ok(self.gather(count as usize + 1, construct::list)),
            Code::Map(pairs) => Ok(self.gather(pairs as usize * 2, construct::map)),
            Code::And(count) => self.junction(count as usize, true),
            Code::Or(count) => self.junction(count as usize, false),
            Code::Test {
                comparison,
                slot,
                constant,
            } => {
                let holds = self.test(comparison, slot, constant);
                Ok(self.boolean(holds))
            }
            Code::Call(function) => self.invoke(function),
            Code::AndAlso(_)
            | Code::OrElse(_)
            | Code::Require { .. }
            | Code::Check
            | Code::Drop => Err(Raised),
        }
    }

    /// The value of `'$_'`.
    fn whole(&self) -> Value {
        match self.subject {
            Subject::Record(_) => Value::Whole,
            Subject::Term(_) => self.load_row(0),
        }
    }

    #[inline]
    fn test(&mut self, comparison: Comparison, slot: u32, constant: u32) -> bool {
        let scalar = &self.constants[constant as usize..];
        match self.scratch.slots[slot as usize] {
            Value::Row(at) => {
                compare_scalar(comparison, &self.subject.bytes()[at as usize..], scalar)
            }
            other => {
                let place = self.settle(other);
                compare_scalar(comparison, self.place(place), scalar)
            }
        }
    }

    /// `and` starts from `true` and `or` from `false`; the other truth value decides, but all
    /// arguments must be truth values.
    fn junction(&mut self, count: usize, start: bool) -> Result<Value, Raised> {
        let from = self.scratch.stack.len() - count;
        let mut answer = Ok(start);
        for index in from..self.scratch.stack.len() {
            match self.truth(self.scratch.stack[index]) {
                Some(value) if value != start => answer = answer.map(|_| value),
                Some(_) => {}
                None => answer = Err(Raised),
            }
        }
        self.scratch.stack.truncate(from);
        Ok(self.boolean(answer?))
    }

    fn invoke(&mut self, function: Function) -> Result<Value, Raised> {
        let arity = function.arity();
        let mut arguments = [Value::Int(0); 3];
        for argument in arguments[..arity].iter_mut().rev() {
            *argument = self.scratch.stack.pop().ok_or(Raised)?;
        }
        let value = self.call(function, arguments)?;
        Ok(self.load(value))
    }

    /// The truth value that a value is, if it is one.
    #[inline]
    pub(super) fn truth(&self, value: Value) -> Option<bool> {
        atom_of(self.view(value)).and_then(|atom| self.words.truth(atom))
    }

    /// A truth value as a term.
    #[inline]
    pub(super) fn boolean(&self, value: bool) -> Value {
        Value::Atom(self.words.boolean(value))
    }
}
