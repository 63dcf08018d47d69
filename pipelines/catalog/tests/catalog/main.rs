//! One catalog, two databases: the contract suite and what goes beyond it.

mod common;
mod postgres;
mod server;
mod sqlite;
