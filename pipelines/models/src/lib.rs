//! Models: embedding ones built in, from a directory and behind HTTP; language models behind HTTP.

mod book;
mod call;
mod chat;
mod hash;
mod local;
mod remote;
mod telemetry;

pub use book::{Choice, ConfiguredProvider, ProviderBook};
pub use call::{CallError, CallPolicy, Caller, Endpoint, EndpointError};
pub use chat::{ChatModel, ChatProvider};
pub use hash::HashEmbedder;
pub use local::{LoadError, LocalEmbedder, Prefixes};
pub use remote::{RemoteEmbedder, RemoteKind, RemoteModel};
