//! Compiles guards and bodies into code for a small stack machine.
//!
//! Code is postfix: arguments are pushed, then the call takes them. Constructors of constants
//! are folded while compiling, and the commonest guard, a variable compared with an integer or
//! atom, becomes one instruction. Nothing recurses: what is left to do is on a stack, and the
//! nesting of an expression is bounded by [`DEPTH_MAX`].

use magnesia_term::packed::{self, View};
use magnesia_term::{Atom, Packer};

use super::Invalid;
use super::construct;
use super::function::{Comparison, Function};
use super::head::small;
use super::variable::number_of;
use super::words::Words;

/// Deepest nesting of calls and constructors in one guard or body expression.
pub const DEPTH_MAX: usize = 10_000;

/// One instruction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Code {
    /// Pushes a variable.
    Slot(u32),
    /// Pushes the constant that begins here.
    Const(u32),
    /// Pushes `'$_'`.
    Whole,
    /// Pushes `'$$'`.
    Bindings,
    /// Makes a tuple of this many values.
    Tuple(u32),
    /// Makes a list of this many values and a tail.
    List(u32),
    /// Makes a map of this many pairs.
    Map(u32),
    /// Calls a function on its arguments.
    Call(Function),
    /// Conjunction of this many truth values, all of them looked at.
    And(u32),
    /// Disjunction of this many truth values, all of them looked at.
    Or(u32),
    /// Goes on when `true` is on top, else jumps and leaves the answer.
    AndAlso(u32),
    /// Goes on when `false` is on top, else jumps and leaves the answer.
    OrElse(u32),
    /// Pushes whether a variable compares so with a scalar constant.
    Test {
        comparison: Comparison,
        slot: u32,
        constant: u32,
    },
    /// Fails unless a variable compares so with a scalar constant.
    Require {
        comparison: Comparison,
        slot: u32,
        constant: u32,
    },
    /// Fails unless `true` is on top.
    Check,
    /// Drops the top.
    Drop,
}

/// Code of the guards and of the body of one clause, with the variables they read.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) guards: Vec<Code>,
    pub(super) body: Vec<Code>,
    pub(super) is_read: Vec<bool>,
}

/// Compiles guards and body, given the variables of the head.
pub(super) fn compile(
    guards: &[u8],
    body: &[u8],
    variables: &[(u32, u32)],
    words: &Words,
    constants: &mut Vec<u8>,
) -> Result<Compiled, Invalid> {
    let mut writer = Writer::new(variables, words, constants);
    for guard in proper_items(guards)? {
        // A conjunction that must hold is as many guards that must hold.
        let mut left = vec![guard];
        while let Some(guard) = left.pop() {
            if let Some(parts) = conjuncts(guard) {
                left.extend(parts.into_iter().rev());
            } else {
                writer.expression(guard)?;
                writer.check();
            }
        }
    }
    let guards = writer.take();
    let mut has_one = false;
    for expression in proper_items(body)? {
        if has_one {
            writer.code.push(Code::Drop);
        }
        writer.expression(expression)?;
        has_one = true;
    }
    if !has_one {
        return Err(Invalid::EmptyBody);
    }
    let body = writer.take();
    Ok(Compiled {
        guards,
        body,
        is_read: writer.is_read,
    })
}

/// The arguments of `and` or `andalso`, if the guard is a call of one.
pub(super) fn conjuncts(guard: &[u8]) -> Option<Vec<&[u8]>> {
    let View::Tuple(mut items) = packed::view(guard) else {
        return None;
    };
    let View::Atom(name) = packed::view(items.next()?) else {
        return None;
    };
    let is_one = matches!(name.name(), "and" | "andalso") && items.count() > 0;
    is_one.then(|| items.collect())
}

/// The constant that an expression is, evaluated, or `None` when it needs a row.
pub(super) fn constant_of(expression: &[u8], words: &Words) -> Option<Vec<u8>> {
    let mut constants = Vec::new();
    let mut writer = Writer::new(&[], words, &mut constants);
    writer.expression(expression).ok()?;
    match writer.take()[..] {
        [Code::Const(at)] => {
            let rest = constants.split_off(at as usize);
            Some(rest[..packed::len(&rest)].to_vec())
        }
        _ => None,
    }
}

/// The elements of a proper list.
pub(super) fn proper_items(list: &[u8]) -> Result<impl Iterator<Item = &[u8]>, Invalid> {
    let items = match packed::view(list) {
        View::Nil => None,
        View::List(items) => {
            let tail = items.last().ok_or(Invalid::NotAList)?;
            if !matches!(packed::view(tail), View::Nil) {
                return Err(Invalid::NotAList);
            }
            Some(items.take(items.count() - 1))
        }
        _ => return Err(Invalid::NotAList),
    };
    Ok(items.into_iter().flatten())
}

/// What is left to write, last first.
enum Task<'a> {
    Expression { term: &'a [u8], depth: usize },
    Emit(Code),
    Jump { group: usize, code: fn(u32) -> Code },
    Land(usize),
}

struct Writer<'a> {
    variables: &'a [(u32, u32)],
    words: Words,
    constants: &'a mut Vec<u8>,
    code: Vec<Code>,
    /// Code before this is the target of no fold: a jump lands behind it.
    barrier: usize,
    jumps: Vec<Vec<usize>>,
    is_read: Vec<bool>,
    packer: Packer,
}

impl<'a> Writer<'a> {
    fn new(variables: &'a [(u32, u32)], words: &Words, constants: &'a mut Vec<u8>) -> Self {
        Self {
            variables,
            words: *words,
            constants,
            code: Vec::new(),
            barrier: 0,
            jumps: Vec::new(),
            is_read: vec![false; variables.len()],
            packer: Packer::new(),
        }
    }

    fn take(&mut self) -> Vec<Code> {
        self.barrier = 0;
        std::mem::take(&mut self.code)
    }

    fn expression(&mut self, term: &[u8]) -> Result<(), Invalid> {
        let mut tasks = vec![Task::Expression { term, depth: 0 }];
        while let Some(task) = tasks.pop() {
            match task {
                Task::Expression { term, depth } => self.term(term, depth, &mut tasks)?,
                Task::Emit(code) => self.emit(code)?,
                Task::Jump { group, code } => {
                    self.jumps[group].push(self.code.len());
                    self.code.push(code(0));
                }
                Task::Land(group) => self.land(group)?,
            }
        }
        Ok(())
    }

    fn term<'t>(
        &mut self,
        term: &'t [u8],
        depth: usize,
        tasks: &mut Vec<Task<'t>>,
    ) -> Result<(), Invalid> {
        if depth > DEPTH_MAX {
            return Err(Invalid::TooDeep);
        }
        match packed::view(term) {
            View::Atom(atom) => self.atom(atom, term),
            View::Tuple(items) => {
                let terms: Vec<&[u8]> = items.collect();
                self.tuple(&terms, depth, tasks)
            }
            View::List(items) => {
                tasks.push(Task::Emit(Code::List(small(items.count() - 1)?)));
                push_all(tasks, items, depth);
                Ok(())
            }
            View::Map(items) if items.count() > 0 => {
                tasks.push(Task::Emit(Code::Map(small(items.count() / 2)?)));
                push_all(tasks, items, depth);
                Ok(())
            }
            _ => self.constant(term),
        }
    }

    fn atom(&mut self, atom: Atom, term: &[u8]) -> Result<(), Invalid> {
        if atom == self.words.whole {
            self.code.push(Code::Whole);
        } else if atom == self.words.bindings {
            self.is_read.fill(true);
            self.code.push(Code::Bindings);
        } else if let Some(number) = number_of(atom) {
            let found = self
                .variables
                .binary_search_by_key(&number, |&(number, _)| number);
            let slot = self.variables[found.map_err(|_| Invalid::Unbound(number))?].1;
            self.is_read[slot as usize] = true;
            self.code.push(Code::Slot(slot));
        } else {
            self.constant(term)?;
        }
        Ok(())
    }

    fn tuple<'t>(
        &mut self,
        terms: &[&'t [u8]],
        depth: usize,
        tasks: &mut Vec<Task<'t>>,
    ) -> Result<(), Invalid> {
        let (&first, arguments) = terms.split_first().ok_or(Invalid::NotACall)?;
        match packed::view(first) {
            View::Tuple(items) if arguments.is_empty() => {
                tasks.push(Task::Emit(Code::Tuple(small(items.count())?)));
                push_all(tasks, items, depth);
                Ok(())
            }
            View::Atom(atom) => self.call(atom.name(), arguments, depth, tasks),
            _ => Err(Invalid::NotACall),
        }
    }

    fn call<'t>(
        &mut self,
        name: &str,
        arguments: &[&'t [u8]],
        depth: usize,
        tasks: &mut Vec<Task<'t>>,
    ) -> Result<(), Invalid> {
        let count = small(arguments.len())?;
        let emit = match (name, arguments) {
            ("const", [term]) => return self.constant(term),
            ("andalso", [_, ..]) => return self.jumping(Code::AndAlso, arguments, depth, tasks),
            ("orelse", [_, ..]) => return self.jumping(Code::OrElse, arguments, depth, tasks),
            ("and", [_, ..]) => Code::And(count),
            ("or", [_, ..]) => Code::Or(count),
            _ => Code::Call(Function::find(name, arguments.len()).ok_or(Invalid::NotACall)?),
        };
        tasks.push(Task::Emit(emit));
        push_all(tasks, arguments.iter().copied(), depth);
        Ok(())
    }

    fn jumping<'t>(
        &mut self,
        code: fn(u32) -> Code,
        arguments: &[&'t [u8]],
        depth: usize,
        tasks: &mut Vec<Task<'t>>,
    ) -> Result<(), Invalid> {
        let group = self.jumps.len();
        self.jumps.push(Vec::new());
        tasks.push(Task::Land(group));
        for (index, &term) in arguments.iter().enumerate().rev() {
            if index + 1 < arguments.len() {
                tasks.push(Task::Jump { group, code });
            }
            tasks.push(Task::Expression {
                term,
                depth: depth + 1,
            });
        }
        Ok(())
    }

    fn land(&mut self, group: usize) -> Result<(), Invalid> {
        let target = small(self.code.len())?;
        for at in std::mem::take(&mut self.jumps[group]) {
            match &mut self.code[at] {
                Code::AndAlso(to) | Code::OrElse(to) => *to = target,
                _ => {}
            }
        }
        self.barrier = self.code.len();
        Ok(())
    }

    fn constant(&mut self, term: &[u8]) -> Result<(), Invalid> {
        let at = small(self.constants.len())?;
        self.constants.extend_from_slice(&term[..packed::len(term)]);
        small(self.constants.len())?;
        self.code.push(Code::Const(at));
        Ok(())
    }

    fn emit(&mut self, code: Code) -> Result<(), Invalid> {
        let values = match code {
            Code::Tuple(count) => count as usize,
            Code::List(count) => count as usize + 1,
            Code::Map(pairs) => pairs as usize * 2,
            Code::Call(Function::Compare(comparison)) => {
                self.compare(comparison);
                return Ok(());
            }
            _ => 0,
        };
        let is_constructor = matches!(code, Code::Tuple(_) | Code::List(_) | Code::Map(_));
        if !is_constructor || !self.fold(code, values)? {
            self.code.push(code);
        }
        Ok(())
    }

    /// Replaces a constructor of constants by the constant it makes.
    fn fold(&mut self, code: Code, values: usize) -> Result<bool, Invalid> {
        let Some(first) = self
            .code
            .len()
            .checked_sub(values)
            .filter(|&at| at >= self.barrier)
        else {
            return Ok(false);
        };
        let mut terms: Vec<&[u8]> = Vec::with_capacity(values);
        for code in &self.code[first..] {
            let Code::Const(at) = *code else {
                return Ok(false);
            };
            let rest = &self.constants[at as usize..];
            terms.push(&rest[..packed::len(rest)]);
        }
        self.packer.clear();
        match code {
            Code::Tuple(_) => construct::tuple(&mut self.packer, &terms),
            Code::List(_) => construct::list(&mut self.packer, &terms),
            _ => construct::map(&mut self.packer, &terms),
        }
        if let Some(Code::Const(at)) = self.code.get(first) {
            self.constants.truncate(*at as usize);
        }
        self.code.truncate(first);
        let folded = std::mem::take(&mut self.packer);
        self.constant(folded.as_bytes())?;
        self.packer = folded;
        Ok(true)
    }

    fn compare(&mut self, comparison: Comparison) {
        let from = self.code.len().saturating_sub(2).max(self.barrier);
        let test = match self.code[from..] {
            [Code::Slot(slot), Code::Const(constant)] if self.is_scalar(constant) => Code::Test {
                comparison,
                slot,
                constant,
            },
            [Code::Const(constant), Code::Slot(slot)] if self.is_scalar(constant) => Code::Test {
                comparison: comparison.flipped(),
                slot,
                constant,
            },
            _ => return self.code.push(Code::Call(Function::Compare(comparison))),
        };
        self.code.truncate(from);
        self.code.push(test);
    }

    fn is_scalar(&self, constant: u32) -> bool {
        let term = packed::view(&self.constants[constant as usize..]);
        matches!(term, View::Int(_) | View::Atom(_))
    }

    fn check(&mut self) {
        match self.code.last() {
            Some(&Code::Test {
                comparison,
                slot,
                constant,
            }) if self.code.len() > self.barrier => {
                self.code.pop();
                self.code.push(Code::Require {
                    comparison,
                    slot,
                    constant,
                });
            }
            _ => self.code.push(Code::Check),
        }
        self.barrier = self.code.len();
    }
}

fn push_all<'a>(tasks: &mut Vec<Task<'a>>, terms: impl Iterator<Item = &'a [u8]>, depth: usize) {
    let first = tasks.len();
    tasks.extend(terms.map(|term| Task::Expression {
        term,
        depth: depth + 1,
    }));
    tasks[first..].reverse();
}
