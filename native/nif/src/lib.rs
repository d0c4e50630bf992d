//! Magnesia in a BEAM: what `Magnesia.Native` loads.
//!
//! Map: `boundary` is what every call passes, `calls` has the calls by topic, `source`
//! and `sink` turn terms into packed ones and back, `slots` holds the transactions of
//! processes, `audience` knows who is told of changes, `journal` which changes are logged, and
//! `change` makes, logs and tells them; `mail` sends messages to those that wait, `reaper` has
//! the thread that takes large things apart, `host` makes the VM the source of atoms, `raw` is
//! the only room with unsafe code.
//!
//! Never here: a panic that crosses into the VM, a call on a normal scheduler that does more
//! than a millisecond's work or waits.

mod atoms;
mod audience;
mod boundary;
mod calls;
mod change;
mod host;
mod journal;
mod mail;
mod raw;
mod reaper;
mod record;
mod reply;
mod sink;
mod slice;
mod slots;
mod source;
mod state;

use rustler::{Env, Term};

/// Rows are many small blocks of few sizes, made and freed on all threads, and looked up at
/// random: this allocator packs them tightly and asks for huge pages, which spares most of the
/// address translation that a random read waits for.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Refuses to load where the library and the Elixir module are not of one version, or where
/// the VM lays terms out in a way that this library doesn't know.
fn load(env: Env<'_>, info: Term<'_>) -> bool {
    let Ok((version, release, functions, maps)) = info.decode::<(String, u32, bool, bool)>() else {
        return false;
    };
    if version != env!("CARGO_PKG_VERSION") || !raw::check(env) {
        return false;
    }
    magnesia_engine::table::touch::install(raw::fetch);
    host::install(release, functions, maps);
    true
}

rustler::init!("Elixir.Magnesia.Native", load = load);
