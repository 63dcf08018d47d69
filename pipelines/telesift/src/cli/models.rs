//! What can be asked of embedding models.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Clone, Debug, Args)]
pub(crate) struct ModelsArgs {
    #[command(subcommand)]
    pub(crate) action: ModelsAction,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ModelsAction {
    /// Bring a model into the data directory: from the Hugging Face hub, or from a folder.
    Pull(PullArgs),
    /// List the models in the data directory.
    List,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct PullArgs {
    /// The model on the hub, such as intfloat/multilingual-e5-small (Ukrainian, Russian, English and 90 more) or
    /// sentence-transformers/all-MiniLM-L6-v2 (English).
    #[arg(value_name = "OWNER/NAME", required_unless_present = "from")]
    pub(crate) name: Option<String>,
    /// Take it from this folder instead: config.json, tokenizer.json, model.safetensors.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["hub", "revision"])]
    pub(crate) from: Option<PathBuf>,
    /// Branch, tag or commit on the hub.
    #[arg(long, value_name = "REVISION", default_value = "main")]
    pub(crate) revision: String,
    /// Refuse it unless the SHA-256 of model.safetensors is this.
    #[arg(long, value_name = "HEX")]
    pub(crate) sha256: Option<String>,
    /// Address of the hub.
    #[arg(
        long,
        value_name = "URL",
        env = "HF_ENDPOINT",
        default_value = "https://huggingface.co"
    )]
    pub(crate) hub: String,
}
