//! The files of a model, read and checked: what is missing or does not fit is said by name.

use std::{
    fs,
    path::{Path, PathBuf},
};

use candle_transformers::models::bert::Config;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokenizers::{Tokenizer, TruncationParams};

/// What some models want before a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefixes {
    /// Before a query, such as `query: `.
    pub query: String,
    /// Before what is searched, such as `passage: `.
    pub passage: String,
}

/// Why a model cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file is missing or unreadable.
    #[error("cannot read `{path}`: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The system gives no threads.
    #[error("no threads can be started for the model")]
    Threads,
    /// A file is not what it should be.
    #[error("`{path}` does not fit: {reason}", path = path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// A model's parts, before the weights are laid out.
pub(super) struct Files {
    pub(super) id: String,
    pub(super) config: Config,
    pub(super) tokenizer: Tokenizer,
    pub(super) weights: Vec<u8>,
    pub(super) prefixes: Prefixes,
    pub(super) path: PathBuf,
}

pub(super) fn read(directory: &Path, prefixes: Option<Prefixes>) -> Result<Files, LoadError> {
    let config_path = directory.join("config.json");
    let config_bytes = bytes(&config_path)?;
    let kind: Kind = json(&config_path, &config_bytes)?;
    if kind.model_type != "bert" {
        return Err(LoadError::Content {
            path: config_path,
            reason: format!(
                "it is a model of type `{}`; BERT-shaped sentence encoders are understood, such as \
                 all-MiniLM-L6-v2 and intfloat/multilingual-e5-small",
                kind.model_type
            ),
        });
    }
    let config: Config = json(&config_path, &config_bytes)?;
    let tokenizer_path = directory.join("tokenizer.json");
    let tokenizer_bytes = bytes(&tokenizer_path)?;
    let longest = longest_input(directory, &config)?;
    let tokenizer = tokenizer(&tokenizer_path, &tokenizer_bytes, longest)?;
    let path = directory.join("model.safetensors");
    let weights = bytes(&path)?;
    let name = name(directory);
    let prefixes = prefixes.unwrap_or_else(|| usual_prefixes(&name));
    let id = format!(
        "{name}@{}",
        fingerprint(&[
            &config_bytes,
            &tokenizer_bytes,
            &weights,
            prefixes.query.as_bytes(),
            prefixes.passage.as_bytes(),
            &longest.to_le_bytes(),
        ])
    );
    Ok(Files {
        id,
        config,
        tokenizer,
        weights,
        prefixes,
        path,
    })
}

#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    model_type: String,
}

#[derive(Deserialize)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
}

/// The most tokens a text may have: what the model was made for, and never more than it has positions.
fn longest_input(directory: &Path, config: &Config) -> Result<usize, LoadError> {
    let path = directory.join("sentence_bert_config.json");
    let stated = match fs::read(&path) {
        Ok(bytes) => json::<SentenceConfig>(&path, &bytes)?.max_seq_length,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(source) => return Err(LoadError::File { path, source }),
    };
    let most = config.max_position_embeddings;
    Ok(stated.unwrap_or(most).clamp(2, most.max(2)))
}

fn tokenizer(path: &Path, bytes: &[u8], longest: usize) -> Result<Tokenizer, LoadError> {
    let content = |e: tokenizers::Error| LoadError::Content {
        path: path.to_owned(),
        reason: e.to_string(),
    };
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(content)?;
    let truncation = TruncationParams {
        max_length: longest,
        ..TruncationParams::default()
    };
    tokenizer
        .with_truncation(Some(truncation))
        .map_err(content)?;
    tokenizer.with_padding(None); // batches pad to their own longest
    Ok(tokenizer)
}

/// The e5 family was trained with these words in front; see the model's card.
fn usual_prefixes(name: &str) -> Prefixes {
    match name.split(['-', '_', '/', '.']).any(|part| part == "e5") {
        true => Prefixes {
            query: "query: ".to_owned(),
            passage: "passage: ".to_owned(),
        },
        false => Prefixes::default(),
    }
}

fn name(directory: &Path) -> String {
    let full = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    let name = full.file_name().map(|n| n.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "local".to_owned())
}

/// The first 12 hex digits of SHA-256 over the parts, each with its length before it.
fn fingerprint(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hex::encode(&hasher.finalize()[..6])
}

fn bytes(path: &Path) -> Result<Vec<u8>, LoadError> {
    fs::read(path).map_err(|source| LoadError::File {
        path: path.to_owned(),
        source,
    })
}

fn json<T: serde::de::DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, LoadError> {
    serde_json::from_slice(bytes).map_err(|e| LoadError::Content {
        path: path.to_owned(),
        reason: e.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_e5_family_gets_its_prefixes_and_no_other() {
        assert_eq!(usual_prefixes("multilingual-e5-small").query, "query: ");
        assert_eq!(usual_prefixes("e5-base").passage, "passage: ");
        assert_eq!(usual_prefixes("all-MiniLM-L6-v2"), Prefixes::default());
        assert_eq!(usual_prefixes("code5-small"), Prefixes::default());
    }

    #[test]
    fn what_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = read(folder.path(), None).err().unwrap().to_string();
        assert!(error.contains("config.json"), "{error}");
        fs::write(
            folder.path().join("config.json"),
            r#"{"model_type": "llama"}"#,
        )
        .unwrap();
        let error = read(folder.path(), None).err().unwrap().to_string();
        assert!(
            error.contains("`llama`") && error.contains("BERT"),
            "{error}"
        );
    }

    #[test]
    fn parts_moved_between_files_are_another_model() {
        assert_ne!(fingerprint(&[b"ab", b"c"]), fingerprint(&[b"a", b"bc"]));
    }
}
