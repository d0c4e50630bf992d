# Where tables of a stock Mnesia under our aliases differ from stock ones: `%{name: name, reason:
# text}`. The names are those of Magnesia.Parity.Allowance, which says for which storages; each
# has a script there that must really differ.
[
  %{
    name: :bad_node,
    reason: "Mnesia names the whole option where a backend's list of nodes is wrong"
  },
  %{
    name: :ordered_on_disc,
    reason: "dets has no ordered sets; ours are changed to disc_only_copies like any table"
  },
  %{
    name: :ets_activity,
    reason: "mnesia:ets/1 goes to ets by the table's name, whatever holds the table: a badarg"
  },
  %{
    name: :record_validation,
    reason: "Mnesia puts the alias and the module of a backend into this item of information"
  },
  %{
    name: :counter_events,
    reason:
      "the event of a counter that begins, or would go below zero, has an old row that Mnesia " <>
        "counts back to: we answer the new value, so nothing is lost where two begin a counter"
  },
  %{
    name: :empty_specification,
    reason: "dets refuses a match specification without a clause; we find nothing, as ets does"
  },
  %{
    name: :map_in_key,
    reason:
      "dets takes a map with variables in the key's place for a key; we match it, as ets does"
  },
  %{
    name: :slice_limit,
    reason: "dets takes a limit of 0; we refuse it, as ets does"
  },
  %{
    name: :slice_sizes,
    reason: "dets fills slices by blocks of its file, beyond the limit; we keep to the limit"
  }
]
