//! The engine with real guests: what they do to a batch, good or bad, and what of it an owner of the chain sees.

mod conformance;
mod fixtures;
mod misbehaving;
mod support;
