//! Going over a table's rows, one part at a time.
//!
//! A walk is a position and a direction; each step visits the rows of one part (a segment, a
//! leaf) under that part's read lock and says where the next part begins. Rows that stay where
//! they are during a walk are visited exactly once, whatever is written meanwhile.
//!
//! Never here: deciding which rows are wanted (see `select`).

use magnesia_term::Row;
use magnesia_term::key::{Flavour, Key};

use super::bag::BagRows;
use super::body::{Body, Store};
use super::hashed::{HashKey, HashPosition};
use super::tree::TreePosition;
use crate::error::TableError;

/// Which way a walk goes. Hashed tables have no order and go one way only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Towards greater keys.
    Up,
    /// Towards lesser keys.
    Down,
}

/// Where a walk goes on. Cheap to keep; holds no lock and no memory of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position(pub(crate) At);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum At {
    Start,
    Hash(HashPosition),
    Tree(TreePosition),
    /// Beyond these key bytes of a table on disk.
    Paged(Vec<u8>),
}

impl Position {
    /// Before all rows, seen in the direction of the walk.
    pub const START: Self = Self(At::Start);
}

/// How a slot's number stands to the slots there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slots {
    /// It is one of them.
    Within,
    /// It is the first after the last.
    End,
    /// It is beyond that.
    Beyond,
}

/// What is done with each row: whether to go on.
pub type Visit<'a> = dyn FnMut(&Row) -> bool + 'a;

impl Body {
    /// Visits the rows of one part from `position`.
    ///
    /// When `visit` says stop, the rows of a bag's key are still all shown, and the position to
    /// go on from is [`Body::beyond`] the last row shown. Returns where the next part begins,
    /// or `None` when this was the last.
    ///
    /// # Errors
    /// When the rows are on disk and the disk fails.
    pub fn walk(
        &self,
        position: &Position,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<Option<Position>, TableError> {
        Ok(match &self.store {
            Store::Set(hashed) => hash_position(hashed.scan_segment(&hash_start(position), visit)),
            Store::Bag(hashed) => hash_position(
                hashed.scan_segment(&hash_start(position), |slot: &BagRows| {
                    visit_all(slot, visit)
                }),
            ),
            Store::Ordered(tree) => {
                let start = tree_start(position);
                let each = |_: &Key, row: &Row| visit(row);
                let next = match direction {
                    Direction::Up => tree.scan_up(&start, each),
                    Direction::Down => tree.scan_down(&start, each),
                };
                next.map(|next| Position(At::Tree(next)))
            }
            Store::Paged(paged) => {
                let from = match &position.0 {
                    At::Paged(key) => Some(key.as_slice()),
                    _ => None,
                };
                paged
                    .walk(from, direction, visit)?
                    .map(|key| Position(At::Paged(key)))
            }
        })
    }

    /// The position just beyond a row.
    #[must_use]
    pub fn beyond(&self, row: &Row) -> Position {
        Position(match &self.store {
            Store::Set(_) | Store::Bag(_) => At::Hash(HashPosition {
                hash: row.hash(),
                key: Some(row.key().into()),
            }),
            Store::Ordered(_) => {
                At::Tree(TreePosition::Beyond(Key::of(row.key(), Flavour::Numeric)))
            }
            Store::Paged(paged) => At::Paged(paged.beyond(row)),
        })
    }

    /// Whether a walk upwards that ended a part here has met the place of a row's key.
    pub(super) fn is_within(&self, row: &Row, end: &Position) -> bool {
        match &end.0 {
            At::Start => false,
            At::Hash(end) => row.hash() < end.hash,
            At::Tree(TreePosition::Start) => false,
            At::Tree(TreePosition::From(end)) => Key::of(row.key(), Flavour::Numeric) < *end,
            At::Tree(TreePosition::Beyond(end)) => Key::of(row.key(), Flavour::Numeric) <= *end,
            At::Paged(end) => match &self.store {
                Store::Paged(paged) => paged.is_within(row, end),
                _ => false,
            },
        }
    }

    /// Whether the rows are in a tree, whose walks can begin at key bytes.
    pub(crate) fn is_tree(&self) -> bool {
        matches!(self.store, Store::Ordered(_))
    }

    /// Whether keys are in order and walks go both ways.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        match &self.store {
            Store::Ordered(_) => true,
            Store::Paged(paged) => paged.is_ordered(),
            Store::Set(_) | Store::Bag(_) => false,
        }
    }

    /// The packed first key in a direction.
    ///
    /// # Errors
    /// When the rows are on disk and the disk fails.
    pub fn first_key(&self, direction: Direction) -> Result<Option<Vec<u8>>, TableError> {
        self.nearest_key(Position::START, direction)
    }

    /// The packed key that follows a packed key in a direction.
    ///
    /// # Errors
    /// [`TableError::NoSuchKey`] when a hashed table that isn't fixed doesn't have the key; when
    /// the disk fails.
    pub fn next_key(
        &self,
        key: &[u8],
        direction: Direction,
    ) -> Result<Option<Vec<u8>>, TableError> {
        let position = match &self.store {
            Store::Set(hashed) => {
                let there = hashed.read(&HashKey::new(key), |row| self.beyond(row));
                self.step(key, there)?
            }
            Store::Bag(hashed) => {
                let first = |slot: &BagRows| slot.rows().first().map(|row| self.beyond(row));
                let there = hashed.read(&HashKey::new(key), first).flatten();
                self.step(key, there)?
            }
            Store::Ordered(_) => Position(At::Tree(TreePosition::Beyond(Key::of(
                key,
                Flavour::Numeric,
            )))),
            Store::Paged(paged) => Position(At::Paged(paged.step(key))),
        };
        self.nearest_key(position, direction)
    }

    /// Where to go on from a key of a hashed table, given where it is if it is there.
    fn step(&self, key: &[u8], there: Option<Position>) -> Result<Position, TableError> {
        let gone = || {
            self.fixes
                .was_there(key)
                .then(|| self.beyond(&self.row(1, key)))
                .ok_or(TableError::NoSuchKey)
        };
        there.map_or_else(gone, Ok)
    }

    /// Shows the rows of one slot, as `ets:slot/2` numbers them: a key's place in an ordered
    /// table, a part of a hashed one. Returns how the number stands to the last slot.
    ///
    /// # Errors
    /// When the rows are on disk and the disk fails.
    pub fn slot(&self, number: usize, mut f: impl FnMut(&Row)) -> Result<Slots, TableError> {
        let is_there = match &self.store {
            Store::Set(hashed) => hashed.nth_segment(number, &mut f),
            Store::Bag(hashed) => {
                hashed.nth_segment(number, |slot: &BagRows| slot.rows().iter().for_each(&mut f))
            }
            Store::Ordered(_) | Store::Paged(_) => return self.nth_row(number, f),
        };
        let is_end = !is_there && (number == 0 || self.has_segment(number - 1));
        Ok(if is_there {
            Slots::Within
        } else if is_end {
            Slots::End
        } else {
            Slots::Beyond
        })
    }

    fn has_segment(&self, number: usize) -> bool {
        match &self.store {
            Store::Set(hashed) => hashed.nth_segment(number, |_| {}),
            Store::Bag(hashed) => hashed.nth_segment(number, |_| {}),
            Store::Ordered(_) | Store::Paged(_) => false,
        }
    }

    fn nth_row(&self, number: usize, mut f: impl FnMut(&Row)) -> Result<Slots, TableError> {
        let mut seen = 0;
        let mut position = Some(Position::START);
        while let Some(from) = position {
            position = self.walk(&from, Direction::Up, &mut |row| {
                if seen == number {
                    f(row);
                }
                seen += 1;
                seen <= number
            })?;
            if seen > number {
                return Ok(Slots::Within);
            }
        }
        Ok(if seen == number {
            Slots::End
        } else {
            Slots::Beyond
        })
    }

    fn nearest_key(
        &self,
        mut position: Position,
        direction: Direction,
    ) -> Result<Option<Vec<u8>>, TableError> {
        let mut found = None;
        loop {
            let next = self.walk(&position, direction, &mut |row| {
                found.get_or_insert_with(|| row.key().to_vec());
                false
            })?;
            match (found, next) {
                (Some(key), _) => return Ok(Some(key)),
                (None, None) => return Ok(None),
                (None, Some(next)) => {
                    found = None;
                    position = next;
                }
            }
        }
    }
}

/// Shows all rows of a bag's key, also after `visit` said stop; returns what it said.
fn visit_all(slot: &BagRows, visit: &mut Visit<'_>) -> bool {
    let mut is_on = true;
    for row in slot.rows() {
        is_on &= visit(row);
    }
    is_on
}

fn hash_start(position: &Position) -> HashPosition {
    match &position.0 {
        At::Hash(position) => position.clone(),
        _ => HashPosition::START,
    }
}

fn hash_position(next: Option<u32>) -> Option<Position> {
    next.map(|hash| Position(At::Hash(HashPosition { hash, key: None })))
}

fn tree_start(position: &Position) -> TreePosition {
    match &position.0 {
        At::Tree(position) => position.clone(),
        _ => TreePosition::Start,
    }
}
