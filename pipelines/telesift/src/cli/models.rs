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
    #[arg(value_name = "OWNER/NAME", required_unless_present = "from", value_parser = hub_name)]
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

/// A name on the hub, which goes into an address as it is.
fn hub_name(text: &str) -> Result<String, String> {
    let is_word = |word: &str| {
        let mut chars = word.chars();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !word.is_empty() && !word.starts_with('.') && chars.all(is_plain)
    };
    match text.split_once('/') {
        Some((owner, name)) if is_word(owner) && is_word(name) => Ok(text.to_owned()),
        _ => Err("expected OWNER/NAME; a folder is taken with --from".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::hub_name;

    #[test]
    fn a_folder_is_no_name_on_the_hub() {
        for name in ["intfloat/multilingual-e5-small", "a_b/c-d.2"] {
            assert_eq!(hub_name(name).unwrap(), name);
        }
        for folder in ["/tmp/model", "./model", "../m", "model", "a/b/c", "a/", ""] {
            assert!(hub_name(folder).unwrap_err().contains("--from"), "{folder}");
        }
    }
}
