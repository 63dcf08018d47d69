//! The binary as a user meets it: started, fed, killed, asked.

mod commands;
mod crash;
mod demo;
mod imports;
mod provenance;
mod server;
mod shared;
mod tail;
