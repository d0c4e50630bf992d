//! What is kept of hostile match specifications and records is read again.

#![allow(missing_docs, reason = "a test")]

mod bodies;
#[path = "../../../fuzz/corpus.rs"]
mod corpus;

#[test]
fn the_kept_inputs_do_no_harm() {
    corpus::replay("match_spec", bodies::match_spec);
    corpus::replay("record_replay", bodies::record_replay);
}
