//! What is kept of hostile catalogs is read again.

#![allow(missing_docs, reason = "a test")]

mod bodies;
#[path = "../../../fuzz/corpus.rs"]
mod corpus;

#[test]
fn the_kept_inputs_do_no_harm() {
    corpus::replay("catalog_decode", bodies::catalog_decode);
}
