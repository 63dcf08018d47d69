//! What a chain is made of, and how to say so in a record.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The modules of a chain, first to last, and what they may use.
#[derive(Clone, Debug)]
pub struct ChainSpec {
    /// The modules in the order they run.
    pub modules: Vec<ModuleSpec>,
    /// How much memory each module may have, in bytes. A record that makes one ask for more fails as a trap.
    pub memory_limit_bytes: usize,
}

impl ChainSpec {
    /// 64 MB: a thousand times what a message needs.
    pub const DEFAULT_MEMORY_LIMIT_BYTES: usize = 64_000_000;

    /// A chain of `modules` with the default memory limit.
    pub fn new(modules: Vec<ModuleSpec>) -> Self {
        ChainSpec {
            modules,
            memory_limit_bytes: Self::DEFAULT_MEMORY_LIMIT_BYTES,
        }
    }
}

/// A module of a chain.
#[derive(Clone, Debug)]
pub struct ModuleSpec {
    /// Its name, for outcomes, metrics and provenance.
    pub name: String,
    /// The compiled module.
    pub wasm: Cow<'static, [u8]>,
    /// What its `init` gets.
    pub params: BTreeMap<String, String>,
}

impl ModuleSpec {
    /// The module `name` without params.
    pub fn new(name: impl Into<String>, wasm: impl Into<Cow<'static, [u8]>>) -> Self {
        ModuleSpec {
            name: name.into(),
            wasm: wasm.into(),
            params: BTreeMap::new(),
        }
    }

    /// The same with one more param for its `init`.
    pub fn with_param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.insert(name.into(), value.into());
        self
    }

    /// What identifies it.
    pub fn version(&self) -> ModuleVersion {
        ModuleVersion {
            name: self.name.clone(),
            sha256: hex::encode(Sha256::digest(&self.wasm)),
            params: self.params.clone(),
        }
    }
}

/// What identifies a module of a chain: equal versions give equal results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleVersion {
    /// Its name.
    pub name: String,
    /// SHA-256 of the wasm, in lower-case hexadecimal.
    pub sha256: String,
    /// What its `init` got.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
}
