//! What the shipped model and rules come to, on data they have not seen.

mod pairs;
mod shared;
mod support;
