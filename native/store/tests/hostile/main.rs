//! What is kept of hostile files is read again: logs, snapshots, manifests.

#![allow(missing_docs, reason = "a test")]

mod bodies;
#[path = "../../../fuzz/corpus.rs"]
mod corpus;

#[test]
fn the_kept_inputs_do_no_harm() {
    corpus::replay("log_recover", bodies::log_recover);
    corpus::replay("snapshot_read", bodies::snapshot_read);
    corpus::replay("manifest_read", bodies::manifest_read);
}
