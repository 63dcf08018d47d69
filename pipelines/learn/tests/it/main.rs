//! What the shipped model and rules come to, on data they have not seen.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its data fails")]

mod pairs;
mod shared;
mod support;
