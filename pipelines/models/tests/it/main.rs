//! Models as their users meet them: a real one from a directory, and providers that misbehave.

mod local;
mod provider;
mod remote;
