//! Rows by a range of an index's values, in the order of the values.
//!
//! An entry's key begins with the exact key bytes of its value, and those with the numeric ones,
//! so the two ends of a range are byte strings between which entries lie. What lies on an end
//! that the range leaves out is looked at and refused by the specification.
//!
//! Never here: rows of single values, the choice between an index and the keys.

use magnesia_term::key::LongKey;

use super::{Run, Way, bytes_at};
use crate::error::TableError;
use crate::index::Holds;
use crate::pattern::{Edge, Spec};
use crate::table::Table;
use crate::table::tree::TreePosition;

/// Keys that one part of an index on disk may name before their rows are read.
const KEYS_MAX: usize = 1_000;

/// The position whose index narrows the rows best: with both ends rather than with one. A range
/// of the keys of an ordered table is narrower than any.
pub(super) fn index_of(table: &Table, spec: &Spec) -> Option<usize> {
    if table.body().is_tree() && spec.range_at(2).is_some() {
        return None;
    }
    let indexes = table.body().indexes();
    let ends = |position: usize| {
        let range = spec.range_at(position)?;
        Some(usize::from(range.lower != Edge::Open) + usize::from(range.upper != Edge::Open))
    };
    let positions = indexes.iter().map(|index| index.position());
    positions
        .filter_map(|position| Some((ends(position)?, position)))
        .reduce(|best, other| if other.0 > best.0 { other } else { best })
        .map(|(_, position)| position)
}

impl Run<'_> {
    /// Goes over the part of an index where the specification's range lies.
    pub(super) fn by_between(
        &mut self,
        position: usize,
        at: Option<TreePosition<LongKey>>,
    ) -> Result<Option<Way>, TableError> {
        let cursor = self.cursor;
        let (Some(index), Some(range)) = (
            cursor.table.index(position),
            cursor.query.spec.range_at(position),
        ) else {
            // As with single values: a dropped index has no more to show.
            return Ok(None);
        };
        let upper = bytes_at(&range.upper);
        let mut at = at.unwrap_or_else(|| match bytes_at(&range.lower) {
            Some(bytes) => TreePosition::From(LongKey::from_bytes(&bytes)),
            None => TreePosition::Start,
        });
        while !self.is_spent() {
            let mut last = None;
            let mut is_past = false;
            let mut keys = Vec::new();
            let next = index.scan(&at, |entry, row| {
                let bytes = entry.as_bytes();
                is_past = upper
                    .as_ref()
                    .is_some_and(|upper| bytes > &upper[..] && !bytes.starts_with(upper));
                if is_past {
                    return false;
                }
                let is_on = if index.holds() == Holds::Keys {
                    keys.push((entry.clone(), row.clone()));
                    keys.len() < KEYS_MAX
                } else {
                    self.visit(row)
                };
                if !is_on {
                    last = Some(entry.clone());
                }
                is_on
            });
            for (entry, key) in keys {
                cursor.table.body().read(key.key(), |row| {
                    // A row that has moved on is shown where it is now.
                    if index.entry(row).as_ref() == Some(&entry) {
                        self.visit(row);
                    }
                })?;
            }
            at = match (last, next) {
                _ if is_past => return Ok(None),
                (Some(entry), _) => TreePosition::Beyond(entry),
                (None, Some(next)) => next,
                (None, None) => return Ok(None),
            };
        }
        Ok(Some(Way::Between {
            position,
            at: Some(at),
        }))
    }
}
