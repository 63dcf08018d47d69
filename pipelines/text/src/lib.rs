//! Tokens, folding, stems, language and queries: one analysis for guests, index, queries and alerts, so that they
//! cannot drift. Pure and wasm32-able.

mod query;

pub use query::{Query, Unit};
