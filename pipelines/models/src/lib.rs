//! Embedding models: built in, from a directory, and behind HTTP.

mod call;
mod hash;
mod local;
mod remote;
mod telemetry;

pub use call::{CallError, CallPolicy, Caller, Endpoint, EndpointError};
pub use hash::HashEmbedder;
pub use local::{LoadError, LocalEmbedder, Prefixes};
pub use remote::{RemoteEmbedder, RemoteKind, RemoteModel, Secret};
