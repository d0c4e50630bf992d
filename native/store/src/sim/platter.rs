//! What is really on the disk: durable contents and names, and the operations that are not yet.
//!
//! The model (docs/disk.md, "What a power cut may leave"): a sync makes one file's writes
//! durable, a directory sync makes names durable, and of everything else any part may be there.
//! Data and names keep no order among each other. A sync that failed has lost some writes for
//! good while programs still see them.

use std::collections::BTreeMap;

use super::random::Random;
use crate::size::{narrow, wide};

const SECTOR_BYTES: u64 = 512;

/// What survives of all that was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Image {
    /// Nothing.
    Nothing,
    /// The first so many operations.
    Prefix,
    /// Any of the operations.
    Subset,
    /// The first so many operations, the last write among them torn within a sector: the rest
    /// of it missing, zeros, or rubbish.
    Torn,
}

impl Image {
    /// All kinds of image.
    pub const ALL: [Self; 4] = [Self::Nothing, Self::Prefix, Self::Subset, Self::Torn];
}

/// One entry of a disk's journal.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Create {
        name: String,
    },
    Write {
        number: usize,
        offset: u64,
        bytes: Vec<u8>,
    },
    Truncate {
        number: usize,
        length: u64,
    },
    Rename {
        number: usize,
        from: String,
        to: String,
    },
    Remove {
        number: usize,
        name: String,
    },
    /// `lost` is the seed of what a failed sync has lost.
    Sync {
        number: usize,
        lost: Option<u64>,
    },
    SyncDir,
    Nothing,
}

/// One change that is not yet durable.
#[derive(Debug, Clone)]
enum Change<'a> {
    Data {
        number: usize,
        op: &'a Op,
    },
    Link {
        number: usize,
        name: &'a str,
    },
    Move {
        number: usize,
        from: &'a str,
        to: &'a str,
    },
    Unlink {
        number: usize,
        name: &'a str,
    },
}

/// The durable state, and what is pending.
#[derive(Debug)]
pub(crate) struct Platter<'a> {
    names: BTreeMap<String, usize>,
    files: Vec<Vec<u8>>,
    pending: Vec<Change<'a>>,
}

impl<'a> Platter<'a> {
    pub(crate) fn new(base: &BTreeMap<String, Vec<u8>>) -> Self {
        let names = base.keys().cloned().zip(0..).collect();
        Self {
            names,
            files: base.values().cloned().collect(),
            pending: Vec::new(),
        }
    }

    /// Takes the next entry of the journal.
    pub(crate) fn step(&mut self, op: &'a Op) {
        match op {
            Op::Create { name } => {
                let number = self.files.len();
                self.files.push(Vec::new());
                self.pending.push(Change::Link { number, name });
            }
            Op::Write { number, .. } | Op::Truncate { number, .. } => {
                self.pending.push(Change::Data {
                    number: *number,
                    op,
                });
            }
            Op::Rename { number, from, to } => {
                self.pending.push(Change::Move {
                    number: *number,
                    from,
                    to,
                });
            }
            Op::Remove { number, name } => {
                self.pending.push(Change::Unlink {
                    number: *number,
                    name,
                });
            }
            Op::Sync { number, lost } => self.sync(*number, lost.map(Random::new)),
            Op::SyncDir => self.settle(|change| !matches!(change, Change::Data { .. }), |_| true),
            Op::Nothing => {}
        }
    }

    fn sync(&mut self, number: usize, mut lost: Option<Random>) {
        let is_own =
            |change: &Change<'_>| matches!(change, Change::Data { number: n, .. } if *n == number);
        self.settle(is_own, |_| {
            lost.as_mut().is_none_or(|random| random.percent(50))
        });
    }

    /// Takes the chosen changes off the pending ones and makes those durable that are kept.
    fn settle(
        &mut self,
        mut chosen: impl FnMut(&Change<'a>) -> bool,
        mut kept: impl FnMut(&Change<'a>) -> bool,
    ) {
        for change in std::mem::take(&mut self.pending) {
            if !chosen(&change) {
                self.pending.push(change);
            } else if kept(&change) {
                self.apply(&change);
            }
        }
    }

    fn apply(&mut self, change: &Change<'a>) {
        match change {
            Change::Data { number, op } => {
                let Some(file) = self.files.get_mut(*number) else {
                    return;
                };
                match op {
                    Op::Write { offset, bytes, .. } => overwrite(file, *offset, bytes),
                    Op::Truncate { length, .. } => file.resize(narrow(*length), 0),
                    _ => {}
                }
            }
            Change::Link { number, name } => {
                self.names.insert((*name).to_owned(), *number);
            }
            Change::Move { number, from, to } => {
                self.unlink(from, *number);
                self.names.insert((*to).to_owned(), *number);
            }
            Change::Unlink { number, name } => self.unlink(name, *number),
        }
    }

    fn unlink(&mut self, name: &str, number: usize) {
        if self.names.get(name) == Some(&number) {
            self.names.remove(name);
        }
    }

    /// The files after a power cut now.
    pub(crate) fn image(mut self, image: Image, random: &mut Random) -> BTreeMap<String, Vec<u8>> {
        let count = self.pending.len();
        let prefix = random.below_length(count.saturating_add(1));
        let chance = [10, 50, 90]
            .get(random.below_length(3))
            .copied()
            .unwrap_or(50);
        for (index, change) in std::mem::take(&mut self.pending).iter().enumerate() {
            let is_last = index.saturating_add(1) == prefix;
            match image {
                Image::Torn if is_last => self.tear(change, random),
                Image::Prefix | Image::Torn if index < prefix => self.apply(change),
                Image::Subset if random.percent(chance) => self.apply(change),
                _ => {}
            }
        }
        let files = &self.files;
        let content = |number: usize| files.get(number).cloned().unwrap_or_default();
        self.names
            .iter()
            .map(|(name, number)| (name.clone(), content(*number)))
            .collect()
    }

    fn tear(&mut self, change: &Change<'a>, random: &mut Random) {
        let Change::Data {
            number,
            op: Op::Write { offset, bytes, .. },
        } = change
        else {
            return self.apply(change);
        };
        let Some(file) = self.files.get_mut(*number) else {
            return;
        };
        let cut = random.below_length(bytes.len());
        let kept = bytes.get(..cut).unwrap_or_default();
        overwrite(file, *offset, kept);
        // Bytes that were there before are there still: a sector has its old or its new ones.
        let at = offset
            .saturating_add(wide(kept.len()))
            .max(wide(file.len()));
        let end = offset.saturating_add(wide(bytes.len()));
        let gone = narrow(end.saturating_sub(at));
        let sector_rest = SECTOR_BYTES.saturating_sub(at.checked_rem(SECTOR_BYTES).unwrap_or(0));
        match random.below(3) {
            0 => {}
            1 => overwrite(file, at, &vec![0; gone]),
            _ => {
                let rubbish = (0..gone.min(narrow(sector_rest)))
                    .map(|_| random.next().to_le_bytes().first().copied().unwrap_or(0));
                overwrite(file, at, &rubbish.collect::<Vec<u8>>());
            }
        }
    }
}

/// Writes into `file` at `offset`, with zeros before it where the file was shorter.
pub(crate) fn overwrite(file: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let from = narrow(offset);
    let to = from.saturating_add(bytes.len());
    if bytes.is_empty() {
        return;
    }
    if file.len() < to {
        file.resize(to, 0);
    }
    if let Some(place) = file.get_mut(from..to) {
        place.copy_from_slice(bytes);
    }
}
