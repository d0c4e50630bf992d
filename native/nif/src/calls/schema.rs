//! Changes of the schema, all on dirty schedulers.

use std::sync::Arc;

use magnesia_database::Database;
use magnesia_engine::TableError;
use magnesia_engine::schema::{AccessMode, Definition, Kind, Shape, Storage};
use magnesia_engine::unique::{self, Rules};
use magnesia_term::Atom;
use rustler::{Encoder, Env, Term};

use crate::raw::{self, nif};
use crate::{atoms, change, record, reply, sink, source, state};

nif!("schema_properties", 1, DirtyIo, schema_properties);
nif!("set_schema_properties", 2, DirtyIo, set_schema_properties);
nif!("tables", 1, Normal, tables);
nif!("table_create", 8, DirtyIo, table_create);
nif!("table_delete", 1, DirtyIo, table_delete);
nif!("table_clear", 1, DirtyIo, table_clear);
nif!("table_define", 3, DirtyIo, table_define);
nif!("table_reshape", 4, DirtyIo, table_reshape);
nif!("table_definition", 1, Normal, table_definition);
nif!("table_add_index", 3, DirtyIo, table_add_index);
nif!("table_del_index", 3, DirtyIo, table_del_index);
nif!("table_set_storage", 3, DirtyIo, table_set_storage);
nif!("dump_tables", 1, DirtyIo, dump_tables);
nif!("table_unique", 3, DirtyCpu, table_unique);

fn atom(term: Term<'_>) -> Option<Atom> {
    raw::atom_of(raw::word(term))
}

/// One of a few atoms.
fn one_of<T: Copy>(term: Term<'_>, choices: &[(rustler::Atom, T)]) -> Option<T> {
    let atom = term.decode::<rustler::Atom>().ok()?;
    choices
        .iter()
        .find(|(choice, _)| *choice == atom)
        .map(|(_, value)| *value)
}

fn kind(term: Term<'_>) -> Option<Kind> {
    one_of(
        term,
        &[
            (atoms::set(), Kind::Set),
            (atoms::ordered_set(), Kind::OrderedSet),
            (atoms::bag(), Kind::Bag),
        ],
    )
}

fn storage(term: Term<'_>) -> Option<Storage> {
    one_of(
        term,
        &[
            (atoms::ram_copies(), Storage::Ram),
            (atoms::disc_copies(), Storage::Disc),
            (atoms::disc_only_copies(), Storage::DiscOnly),
        ],
    )
}

fn access_mode(term: Term<'_>) -> Option<AccessMode> {
    one_of(
        term,
        &[
            (atoms::read_write(), AccessMode::ReadWrite),
            (atoms::read_only(), AccessMode::ReadOnly),
        ],
    )
}

/// Runs `f`, whose `None` means an argument of the wrong kind.
fn checked<'a>(env: Env<'a>, f: impl FnOnce() -> Option<Term<'a>>) -> Term<'a> {
    f().unwrap_or_else(|| reply::error(env, atoms::badarg()))
}

/// Calls `f` with the open database of the side that an atom says.
fn with_side<'a>(
    env: Env<'a>,
    side: Term<'a>,
    f: impl FnOnce(&Arc<Database>) -> Term<'a>,
) -> Term<'a> {
    match state::side(side) {
        Some(side) => side.with_database(env, f),
        None => reply::error(env, atoms::badarg()),
    }
}

fn schema_properties<'a>(env: Env<'a>, [side]: [Term<'a>; 1]) -> Term<'a> {
    with_side(env, side, |database| {
        raw::term(env, sink::term(env, &database.schema_properties(), None))
    })
}

fn set_schema_properties<'a>(env: Env<'a>, [side, properties]: [Term<'a>; 2]) -> Term<'a> {
    with_side(env, side, |database| {
        checked(env, || {
            Some(reply::done(
                env,
                database.set_schema_properties(record::owned(properties)?),
            ))
        })
    })
}

fn tables<'a>(env: Env<'a>, [side]: [Term<'a>; 1]) -> Term<'a> {
    with_side(env, side, |database| {
        let tables = database.engine().tables();
        let names = tables
            .keys()
            .map(|&name| raw::term(env, raw::atom_word(name)));
        names.collect::<Vec<_>>().encode(env)
    })
}

fn table_create<'a>(env: Env<'a>, arguments: [Term<'a>; 8]) -> Term<'a> {
    state::with_database_of(env, arguments[0], |database, name| {
        checked(env, || {
            let definition = definition(name, arguments)?;
            Some(reply::done(env, database.create_table(definition)))
        })
    })
}

/// A definition of the table's term, its kind, storage, record name, arity, indexes, access mode
/// and properties.
pub(super) fn definition<'a>(name: Atom, arguments: [Term<'a>; 8]) -> Option<Definition> {
    let [
        table,
        of_kind,
        of_storage,
        of_record,
        arity,
        indexes,
        access,
        properties,
    ] = arguments;
    let indexes = source::list(indexes)?
        .into_iter()
        .map(|index| index.decode().ok());
    let mut indexes = indexes.collect::<Option<Vec<usize>>>()?;
    indexes.sort_unstable();
    indexes.dedup();
    let (arity, shape) = arity_and_shape(table, arity)?;
    Some(Definition {
        name,
        kind: kind(of_kind)?,
        storage: storage(of_storage)?,
        record_name: atom(of_record)?,
        arity,
        shape,
        indexes,
        access_mode: access_mode(access)?,
        properties: record::owned(properties)?,
    })
}

/// A main table takes records of its arity alone. What a hot one takes, a stock Mnesia has
/// checked, and its arity changes unsaid; 0 stands for tuples without a name.
fn arity_and_shape<'a>(table: Term<'a>, arity: Term<'a>) -> Option<(usize, Shape)> {
    let arity: usize = arity.decode().ok()?;
    match arity {
        _ if table.is_atom() => (arity >= 2).then_some((arity, Shape::Exact)),
        0 => Some((arity, Shape::Nameless)),
        _ => Some((arity, Shape::AnyArity)),
    }
}

fn table_delete<'a>(env: Env<'a>, [table]: [Term<'a>; 1]) -> Term<'a> {
    state::with_database_of(env, table, |database, name| {
        checked(env, || Some(reply::done(env, database.delete_table(name))))
    })
}

fn table_clear<'a>(env: Env<'a>, [table]: [Term<'a>; 1]) -> Term<'a> {
    state::with_database_of(env, table, |database, name| {
        let cleared = if raw::atom_of(raw::word(table)).is_some() {
            change::clear(env, database, name)
        } else {
            database.clear_table(name)
        };
        reply::done(env, cleared)
    })
}

fn table_define<'a>(env: Env<'a>, [table, access, properties]: [Term<'a>; 3]) -> Term<'a> {
    state::with_database_of(env, table, |database, name| {
        checked(env, || {
            let properties = record::owned(properties)?;
            Some(reply::done(
                env,
                database.define(name, access_mode(access)?, properties),
            ))
        })
    })
}

fn table_reshape<'a>(env: Env<'a>, arguments: [Term<'a>; 4]) -> Term<'a> {
    let [table, of_record, arity, properties] = arguments;
    state::with_database_of(env, table, |database, name| {
        checked(env, || {
            let arity = arity.decode().ok().filter(|&arity: &usize| arity >= 2)?;
            let properties = record::owned(properties)?;
            Some(reply::done(
                env,
                database.reshape(name, atom(of_record)?, arity, properties),
            ))
        })
    })
}

fn table_definition<'a>(env: Env<'a>, [table]: [Term<'a>; 1]) -> Term<'a> {
    state::with_table(env, table, |table| definition_term(env, table.definition()))
}

/// `{Kind, Storage, RecordName, Arity, Indexes, AccessMode, Properties}`.
pub(super) fn definition_term<'a>(env: Env<'a>, definition: &Definition) -> Term<'a> {
    let kind = match definition.kind {
        Kind::Set => atoms::set(),
        Kind::OrderedSet => atoms::ordered_set(),
        Kind::Bag => atoms::bag(),
    };
    let storage = match definition.storage {
        Storage::Ram => atoms::ram_copies(),
        Storage::Disc => atoms::disc_copies(),
        Storage::DiscOnly => atoms::disc_only_copies(),
    };
    let access = match definition.access_mode {
        AccessMode::ReadWrite => atoms::read_write(),
        AccessMode::ReadOnly => atoms::read_only(),
    };
    let record_name = raw::term(env, raw::atom_word(definition.record_name));
    let properties = raw::term(env, sink::term(env, &definition.properties, None));
    let indexes = &definition.indexes;
    (
        kind,
        storage,
        record_name,
        definition.arity,
        indexes,
        access,
        properties,
    )
        .encode(env)
}

fn table_add_index<'a>(env: Env<'a>, [table, position, properties]: [Term<'a>; 3]) -> Term<'a> {
    state::with_database_of(env, table, |database, name| {
        checked(env, || {
            let position = position.decode().ok()?;
            let properties = record::owned(properties)?;
            Some(reply::done(
                env,
                database.add_index(name, position, properties),
            ))
        })
    })
}

fn table_del_index<'a>(env: Env<'a>, [table, position, properties]: [Term<'a>; 3]) -> Term<'a> {
    state::with_database_of(env, table, |database, name| {
        checked(env, || {
            let position = position.decode().ok()?;
            let properties = record::owned(properties)?;
            Some(reply::done(
                env,
                database.drop_index(name, position, properties),
            ))
        })
    })
}

fn table_set_storage<'a>(env: Env<'a>, [table, to, properties]: [Term<'a>; 3]) -> Term<'a> {
    state::with_database_of(env, table, |database, name| {
        checked(env, || {
            let properties = record::owned(properties)?;
            Some(reply::done(
                env,
                database.set_storage(name, storage(to)?, properties),
            ))
        })
    })
}

fn dump_tables<'a>(env: Env<'a>, [names]: [Term<'a>; 1]) -> Term<'a> {
    state::with_database(env, |database| {
        checked(env, || {
            let names = source::list(names)?;
            let mut tables = Vec::with_capacity(names.len());
            for table in names {
                match database.engine().table(atom(table)?) {
                    Some(table) => tables.push(table),
                    None => return Some(reply::error(env, atoms::no_table())),
                }
            }
            Some(reply::done(env, database.dump_images(&tables)))
        })
    })
}

/// Makes positions unique, values that are exempt apart; rows that share one already are told of
/// and change nothing.
fn table_unique<'a>(env: Env<'a>, [name, positions, exempt]: [Term<'a>; 3]) -> Term<'a> {
    let positions = source::list(positions).and_then(|terms| {
        let each = terms.into_iter().map(|term| term.decode::<usize>().ok());
        each.collect::<Option<Vec<_>>>()
    });
    let exempt = source::list(exempt).and_then(|terms| {
        terms
            .into_iter()
            .map(record::owned)
            .collect::<Option<Vec<_>>>()
    });
    let (Some(positions), Some(exempt)) = (positions, exempt) else {
        return reply::error(env, atoms::badarg());
    };
    let rules = Rules {
        positions,
        exempt: exempt.into_iter().map(Into::into).collect(),
    };
    state::with_table(env, name, |table| {
        let unique = table.body().unique();
        if *unique.rules() == rules {
            return atoms::ok().encode(env);
        }
        // Writers are checked from here on, so that no row slips in behind the look at all.
        let before = unique.rules();
        unique.set(rules.clone());
        match unique::first_shared(table, &rules) {
            Ok(None) => atoms::ok().encode(env),
            outcome => {
                unique.set(Rules::clone(&before));
                match outcome {
                    Ok(position) => {
                        let (table, position) =
                            (table.definition().name, position.unwrap_or_default());
                        reply::table(env, &TableError::NotUnique { table, position })
                    }
                    Err(error) => reply::table(env, &error),
                }
            }
        }
    })
}
