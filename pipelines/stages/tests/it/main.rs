//! The stages on in-memory ports: what a user would notice in the log, the store and the ledger.

mod flow;
mod imports;
mod index;
mod screen;
