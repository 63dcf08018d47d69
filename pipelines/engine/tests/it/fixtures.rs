//! Raw records: our own, and real ones where they are there.

#[path = "../../benches/support/corpus.rs"]
mod corpus;

pub(crate) use corpus::{exports, own, posts};
