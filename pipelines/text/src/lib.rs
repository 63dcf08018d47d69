//! Tokens, folding, stems, language and queries: one analysis for guests, index, queries and alerts, so that they
//! cannot drift. Pure and wasm32-able.
//!
//! The UDFs of Arroyo carry this source in one file each, which its compiler builds as Rust 2021: no `let` chains here, and what an `impl Trait` borrows is said.

mod fold;
mod homoglyph;
pub mod lang;
mod query;
mod script;
pub mod signature;
mod stem;
mod terms;
mod tokens;
mod topical;

pub use fold::{fold, fold_into};
pub use homoglyph::fold_homoglyphs;
pub use query::{Query, Unit};
pub use script::{Script, script_of};
pub use stem::stem;
pub use terms::terms;
pub use tokens::{Token, TokenKind, Tokens, tokens};
pub use topical::{Topical, topical_terms, topical_words};
