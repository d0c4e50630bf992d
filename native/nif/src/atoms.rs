//! The atoms that calls take and return.

rustler::atoms! {
    ok,
    nil,
    error = "$magnesia_error",
    message = "$magnesia",
    end_of_table = "$end_of_table",
    whole_table = "______WHOLETABLE_____",
    stick = "______STICK_____",
    of_global = "______GLOBAL_____",
    closed, no_table, no_key, read_only, bad_type, bad_position, badarg, bad_kind, exists,
    nested, not_owner, storage, disc_full, broken, damaged, in_use, too_new, bug, too_large,
    no_directory,
    more, done, wait, die, granted, gone, large,
    read, write, sticky_write, delete, delete_object, table, record, global,
    set, ordered_set, bag, ram_copies, disc_copies, disc_only_copies, read_write,
    create, bytes, writes, main, hot,
    lock_queue, system_limit,
    events = "$magnesia_events",
    simple, detailed, activity, complete, dirty, tid,
    mnesia_table_event, mnesia_activity_event,
    any, asc, desc, keys, index, index_range, key_range, all,
}
