//! The short way for the commonest clauses: flat heads, guards that compare a variable with an
//! integer or atom, and a body that is the record, a variable or a constant.
//!
//! It does what `walk` and `run` do, without the state of a run; a scan spends its time here.
//! Never here: anything that may need the arena or the stack.

use magnesia_term::packed;

use super::Clause;
use super::Record;
use super::expression::Code;
use super::head::{Head, NameTest, Step};
use super::machine::{compare_scalar, offset};
use super::value::Value;
use super::walk::after;

/// Whether [`run`] can answer for a clause.
pub(super) fn fits(head: &Head, guards: &[Code], body: &[Code]) -> bool {
    let is_flat = match head {
        Head::Any => true,
        Head::Tuple { name, rest, .. } => {
            let is_step = |step: &Step| {
                matches!(
                    step,
                    Step::Skip(_) | Step::Bind(_) | Step::Two(_) | Step::Five(_) | Step::Literal(_)
                )
            };
            !matches!(name, NameTest::Bind(_)) && rest.iter().all(is_step)
        }
        Head::Whole(_) | Head::Other(_) => false,
    };
    is_flat
        && guards
            .iter()
            .all(|guard| matches!(guard, Code::Require { .. }))
        && matches!(body, [Code::Whole | Code::Slot(_) | Code::Const(_)])
}

/// Runs a clause that [`fits`] on a record; the value has a place or is the record.
#[inline]
pub(super) fn run(
    clause: &Clause,
    record: Record<'_>,
    constants: &[u8],
    slots: &mut [Value],
) -> Option<Value> {
    let bytes = record.row.body();
    if let Head::Tuple {
        arity, name, rest, ..
    } = &clause.head
    {
        let is_named = match *name {
            NameTest::Any => true,
            NameTest::Is(wanted) => wanted == record.name,
            NameTest::Bind(_) | NameTest::Never => false,
        };
        if !is_named || record.row.elements() + 1 != *arity {
            return None;
        }
        walk(bytes, rest, constants, slots)?;
    }
    for guard in &clause.guards {
        let Code::Require {
            comparison,
            slot,
            constant,
        } = *guard
        else {
            return None;
        };
        let Value::Row(at) = slots[slot as usize] else {
            return None;
        };
        let term = &bytes[at as usize..];
        if !compare_scalar(comparison, term, &constants[constant as usize..]) {
            return None;
        }
    }
    match clause.body[..] {
        [Code::Slot(slot)] => Some(slots[slot as usize]),
        [Code::Const(at)] => Some(Value::Const(at)),
        _ => Some(Value::Whole),
    }
}

#[inline]
fn walk(bytes: &[u8], steps: &[Step], constants: &[u8], slots: &mut [Value]) -> Option<()> {
    let mut at = 0;
    for step in steps {
        match *step {
            Step::Skip(count) => {
                for _ in 0..count {
                    at = after(bytes, at);
                }
            }
            Step::Bind(slot) => {
                slots[slot as usize] = Value::Row(offset(at));
                at = after(bytes, at);
            }
            Step::Two(wanted) if bytes[at..].starts_with(&wanted) => at += 2,
            Step::Five(wanted) if bytes[at..].starts_with(&wanted) => at += 5,
            Step::Literal(span) => {
                let wanted = &constants[span.at as usize..][..span.len as usize];
                if !bytes[at..].starts_with(wanted) {
                    return None;
                }
                at += packed::len(wanted);
            }
            _ => return None,
        }
    }
    Some(())
}
