//! Tables as they were at one moment, for backups: as records, or as bytes of a backup file.

use magnesia_database::backup_file;
use magnesia_database::checkpoint::{Checkpoint, Item, Of, Rows};
use magnesia_engine::TableError;
use magnesia_term::Atom;
use parking_lot::Mutex;
use rustler::{Encoder, Env, Resource, ResourceArc, Term};

use crate::raw::{self, nif};
use crate::{atoms, reaper, reply, sink, source, state};

nif!("checkpoint_start", 1, DirtyIo, checkpoint_start);
nif!("checkpoint_end", 1, DirtyCpu, checkpoint_end);
nif!("checkpoint_kept", 1, DirtyCpu, checkpoint_kept);
nif!("checkpoint_rows", 3, DirtyIo, checkpoint_rows);
nif!("checkpoint_changes", 3, DirtyIo, checkpoint_changes);
nif!("rows_next", 2, DirtyIo, rows_next);
nif!("rows_log", 2, DirtyIo, rows_log);

/// A checkpoint; nothing after it was ended.
struct Handle(Mutex<Option<Checkpoint>>);

#[rustler::resource_impl]
impl Resource for Handle {}

impl Drop for Handle {
    /// What was kept may be much.
    fn drop(&mut self) {
        if let Some(checkpoint) = self.0.get_mut().take() {
            reaper::run(move || drop(checkpoint));
        }
    }
}

/// A way over one of its tables, which ends when the checkpoint does.
struct Reading {
    checkpoint: ResourceArc<Handle>,
    name: Atom,
    rows: Mutex<Rows>,
}

#[rustler::resource_impl]
impl Resource for Reading {}

/// Takes a list of `{Table, rows | image}`.
fn checkpoint_start<'a>(env: Env<'a>, [tables]: [Term<'a>; 1]) -> Term<'a> {
    let Some(names) = wanted(env, tables) else {
        return reply::error(env, atoms::badarg());
    };
    state::with_database(env, |database| match database.checkpoint(&names) {
        Ok(checkpoint) => ResourceArc::new(Handle(Mutex::new(Some(checkpoint)))).encode(env),
        Err(error) => reply::database(env, &error),
    })
}

fn wanted<'a>(env: Env<'a>, tables: Term<'a>) -> Option<Vec<(Atom, Of)>> {
    let one = |term: Term<'a>| {
        let &[name, of] = raw::tuple_of(env, raw::word(term))? else {
            return None;
        };
        let of = raw::term(env, of).decode::<rustler::Atom>().ok()?;
        let of = if of == atoms::rows() {
            Of::Rows
        } else if of == atoms::image() {
            Of::Image
        } else {
            return None;
        };
        Some((raw::atom_of(name)?, of))
    };
    source::list(tables)?.into_iter().map(one).collect()
}

fn with_checkpoint<'a>(
    env: Env<'a>,
    handle: Term<'a>,
    f: impl FnOnce(&ResourceArc<Handle>, &Checkpoint) -> Term<'a>,
) -> Term<'a> {
    let Ok(handle) = handle.decode::<ResourceArc<Handle>>() else {
        return reply::error(env, atoms::badarg());
    };
    match handle.0.lock().as_ref() {
        Some(checkpoint) => f(&handle, checkpoint),
        None => reply::error(env, atoms::closed()),
    }
}

fn checkpoint_end<'a>(env: Env<'a>, [handle]: [Term<'a>; 1]) -> Term<'a> {
    match handle.decode::<ResourceArc<Handle>>() {
        Ok(handle) => {
            drop(handle.0.lock().take());
            atoms::ok().encode(env)
        }
        Err(_) => reply::error(env, atoms::badarg()),
    }
}

/// Number of keys whose old rows are kept.
fn checkpoint_kept<'a>(env: Env<'a>, [handle]: [Term<'a>; 1]) -> Term<'a> {
    with_checkpoint(env, handle, |_, checkpoint| checkpoint.kept().encode(env))
}

fn checkpoint_rows<'a>(env: Env<'a>, [handle, name, is_last]: [Term<'a>; 3]) -> Term<'a> {
    let is_last = is_last.decode().unwrap_or(false);
    let Some(name) = raw::atom_of(raw::word(name)) else {
        return reply::error(env, atoms::badarg());
    };
    with_checkpoint(env, handle, |handle, checkpoint| {
        reading(env, handle, name, checkpoint.rows(name, is_last))
    })
}

/// The same for what changed since an earlier checkpoint.
fn checkpoint_changes<'a>(env: Env<'a>, [handle, earlier, name]: [Term<'a>; 3]) -> Term<'a> {
    let Some(name) = raw::atom_of(raw::word(name)) else {
        return reply::error(env, atoms::badarg());
    };
    with_checkpoint(env, earlier, |_, earlier| {
        with_checkpoint(env, handle, |handle, checkpoint| {
            reading(env, handle, name, checkpoint.changes(earlier, name))
        })
    })
}

fn reading<'a>(
    env: Env<'a>,
    checkpoint: &ResourceArc<Handle>,
    name: Atom,
    rows: Option<Rows>,
) -> Term<'a> {
    let Some(rows) = rows else {
        return reply::error(env, atoms::no_table());
    };
    let reading = Reading {
        checkpoint: checkpoint.clone(),
        name,
        rows: Mutex::new(rows),
    };
    ResourceArc::new(reading).encode(env)
}

/// Shows `f` rows until it has enough; returns whether there may be more, or what went wrong.
fn read<'a>(
    env: Env<'a>,
    reading: &Reading,
    mut f: impl FnMut(&Item) -> bool,
) -> Result<bool, Term<'a>> {
    let refused = |error: TableError| reply::table(env, &error);
    let mut rows = reading.rows.lock();
    while let Some(part) = rows.part().map_err(refused)? {
        // Rows that were changed after the end of the checkpoint are in no line.
        if reading.checkpoint.0.lock().is_none() {
            return Err(reply::error(env, atoms::closed()));
        }
        let mut is_enough = false;
        for item in &part {
            is_enough = f(item);
        }
        if is_enough {
            return Ok(true);
        }
    }
    Ok(false)
}

fn more_or_done(is_more: bool) -> rustler::Atom {
    if is_more {
        atoms::more()
    } else {
        atoms::done()
    }
}

/// `{Records, more | done}`: at least as many as asked for, unless they are the last. Records
/// begin with their table's name, as those of a backup do.
fn rows_next<'a>(env: Env<'a>, [reading, count]: [Term<'a>; 2]) -> Term<'a> {
    let (Ok(reading), Ok(count)) = (
        reading.decode::<ResourceArc<Reading>>(),
        count.decode::<usize>(),
    ) else {
        return reply::error(env, atoms::badarg());
    };
    let name = raw::atom_word(reading.name);
    let mut words = Vec::new();
    let read = read(env, &reading, |item| {
        words.push(match item {
            Item::Row(row) => sink::record(env, name, row),
            Item::Gone(key) => raw::tuple_word(env, &[name, sink::term(env, key, None)]),
        });
        words.len() >= count
    });
    match read {
        Ok(is_more) => {
            let list = words.iter().rev().fold(raw::nil_word(), |tail, &head| {
                raw::cons_word(env, head, tail)
            });
            (raw::term(env, list), more_or_done(is_more)).encode(env)
        }
        Err(refusal) => refusal,
    }
}

/// `{Bytes, Rows, more | done}`: the same as bytes of a backup file, at least so many.
fn rows_log<'a>(env: Env<'a>, [reading, bytes]: [Term<'a>; 2]) -> Term<'a> {
    let (Ok(reading), Ok(enough)) = (
        reading.decode::<ResourceArc<Reading>>(),
        bytes.decode::<usize>(),
    ) else {
        return reply::error(env, atoms::badarg());
    };
    let (mut out, mut count) = (Vec::new(), 0_usize);
    let read = read(env, &reading, |item| {
        match item {
            Item::Row(row) => backup_file::record(&mut out, reading.name, row),
            Item::Gone(key) => backup_file::gone(&mut out, reading.name, key),
        }
        count += 1;
        out.len() >= enough
    });
    match read {
        Ok(is_more) => {
            let bytes = raw::term(env, raw::binary_word(env, &out));
            (bytes, count, more_or_done(is_more)).encode(env)
        }
        Err(refusal) => refusal,
    }
}
