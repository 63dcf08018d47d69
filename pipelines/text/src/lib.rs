//! Tokens, folding, stems, language and queries: one analysis for guests, index, queries and alerts, so that they
//! cannot drift. Pure and wasm32-able.

mod fold;
mod homoglyph;
pub mod lang;
mod query;
mod script;
pub mod signature;
mod stem;
mod terms;
mod tokens;

pub use fold::{fold, fold_into};
pub use homoglyph::fold_homoglyphs;
pub use query::{Query, Unit};
pub use script::{Script, script_of};
pub use stem::stem;
pub use terms::terms;
pub use tokens::{Token, TokenKind, Tokens, tokens};
