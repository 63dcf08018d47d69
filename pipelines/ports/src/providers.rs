//! Providers of language models: who they are, what they are asked, what they cost.

mod catalog;
mod cost;
mod settings;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::Serialize;
use telesift_schemas::{ExtractorRef, Timestamp, Usage};

use crate::{
    extractor::{Claim, Unit},
    secret::Secret,
};

pub use catalog::{AnswerCache, CachedAnswer, ProviderCatalog, ProviderRow};
pub use cost::{
    Budget, BudgetRefusal, BudgetScope, CallOutcome, CallRow, CostBy, CostFilter, CostLedger,
    CostRow, Limits, Reservation, Spent, day_of, next_day,
};
pub use settings::{ChatSetting, ChatSettings, Consent, Enrich, KeptHere};

/// A model that reads units of conversation, and knows beforehand what that may cost.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// Its name, the version of the prompt, the model.
    fn by(&self) -> &ExtractorRef;

    /// Whether texts stay on this machine or with those who run it.
    fn is_local(&self) -> bool;

    /// What a call with `unit` is, and what it costs at most. Without IO.
    fn estimate(&self, unit: &Unit) -> Estimate;

    /// Asks. What it cost is told even where the answer is of no use.
    async fn ask(&self, unit: &Unit) -> Asked;

    /// The claims of an answer, as `ask` gave it for a unit with the same [`Estimate::input`]: their quotes in the very
    /// words of `unit`, as far as they stand there. Without IO.
    ///
    /// # Errors
    /// [`AskError::Unusable`] if it is no answer of this version.
    fn claims(&self, unit: &Unit, answer: &str) -> Result<Vec<Claim>, AskError>;
}

/// A call that was not made yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Hash over what would be read (texts as they are sent, prompt, model), in hex.
    pub input: String,
    /// What it costs at most, as far as that can be told: tokens of texts are estimated, tokens of answers limited.
    pub most: Usage,
}

/// A call that was made.
#[derive(Debug)]
pub struct Asked {
    /// The answer, in the form [`Provider::claims`] takes.
    pub answer: Result<String, AskError>,
    /// What it cost.
    pub usage: Usage,
    /// Whether `usage` is an estimate, because the provider did not say.
    pub is_estimated: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The provider failed too often just now: nobody is asked for a while.
    #[error("it rests after repeated failures")]
    Resting {
        /// How long.
        wait: Duration,
    },
    /// It cannot be reached or failed.
    #[error("{reason}")]
    Unavailable {
        /// What happened, without secrets and message texts.
        reason: String,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// It answers, but not with what can be read.
    #[error("{reason}")]
    Unusable {
        /// What is wrong, without the content.
        reason: String,
    },
    /// It refuses this unit.
    #[error("{reason}")]
    Refused {
        /// What it said, without secrets and message texts.
        reason: String,
    },
}

/// Keeps providers: those of the configuration, and those added through the API.
#[async_trait]
pub trait Providers: Send + Sync + 'static {
    /// The provider of that name, ready to be asked; `None` if there is none.
    ///
    /// # Errors
    /// [`ProviderError`] if there is one, but it cannot be used now.
    async fn get(&self, name: &str) -> Result<Option<Arc<dyn Provider>>, ProviderError>;

    /// The provider that reads chats with this setting; `None`: none does, and the built-in rules do. Chats that allow
    /// remote models are read by a local one where there is no other.
    ///
    /// # Errors
    /// [`ProviderError`] if there should be one, but it cannot be used now.
    async fn chosen(&self, enrich: Enrich) -> Result<Option<Arc<dyn Provider>>, ProviderError>;

    /// All of them, by name.
    ///
    /// # Errors
    /// [`ProviderError::Catalog`].
    async fn list(&self) -> Result<Vec<ProviderInfo>, ProviderError>;

    /// Adds one. Its address must be public and encrypted: it is resolved now, and what it resolves to is what is called.
    ///
    /// # Errors
    /// [`ProviderError`]: nothing was added.
    async fn add(&self, provider: NewProvider) -> Result<ProviderInfo, ProviderError>;

    /// Removes one that was added; `false` if there is none of that name.
    ///
    /// # Errors
    /// [`ProviderError::Configured`] if it stands in the configuration.
    async fn remove(&self, name: &str) -> Result<bool, ProviderError>;
}

/// A provider to be added.
#[derive(Clone, Debug)]
pub struct NewProvider {
    /// Its name here.
    pub name: String,
    /// The interface it speaks.
    pub kind: ProviderKind,
    /// Its base address.
    pub url: String,
    /// Its name of the model.
    pub model: String,
    /// The key, where one is needed.
    pub key: Option<Secret>,
    /// How it may be called, and what that costs.
    pub terms: Terms,
}

/// A provider, without its key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProviderInfo {
    /// Its name here.
    pub name: String,
    /// The interface it speaks.
    pub kind: ProviderKind,
    /// Its base address.
    pub url: String,
    /// Its name of the model.
    pub model: String,
    /// Whether a key is kept for it.
    pub has_key: bool,
    /// Whether texts stay on this machine or with those who run it.
    pub local: bool,
    /// `config` or `api`.
    pub source: &'static str,
    /// How it may be called, and what that costs.
    #[serde(flatten)]
    pub terms: Terms,
    /// When it was added; absent for those of the configuration.
    pub created_at: Option<Timestamp>,
    /// Why it cannot be used, in words.
    pub failure: Option<String>,
}

/// The interface a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// `POST {base}/chat/completions`, as OpenAI has it and many others.
    OpenAi,
    /// `POST {base}/api/chat`.
    Ollama,
    /// `POST {base}/v1/messages`.
    Anthropic,
}

impl ProviderKind {
    /// All of them.
    pub const ALL: [ProviderKind; 3] = [Self::OpenAi, Self::Ollama, Self::Anthropic];

    /// The name in JSON and in the catalog.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Ollama => "ollama",
            Self::Anthropic => "anthropic",
        }
    }
}

/// How a provider may be called, and what that costs.
#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Terms {
    /// US dollars per million tokens sent.
    pub usd_per_million_in: f64,
    /// US dollars per million tokens received.
    pub usd_per_million_out: f64,
    /// Tokens an answer may have, 64 to 32,768.
    pub max_tokens_out: u32,
    /// Whether the model thinks before it answers: it then takes no temperature, and its limit has another name.
    pub reasoning: bool,
    /// Seconds one attempt may take, 1 to 600.
    pub timeout_s: u64,
    /// Calls under way at once, 1 to 64.
    pub max_concurrent: usize,
    /// Calls begun per minute; 0 = no limit.
    pub requests_per_minute: u32,
    /// Tokens sent per minute; 0 = no limit.
    pub tokens_per_minute: u32,
}

impl Default for Terms {
    fn default() -> Self {
        Terms {
            usd_per_million_in: 0.0,
            usd_per_million_out: 0.0,
            max_tokens_out: 2_048,
            reasoning: false,
            timeout_s: 60,
            max_concurrent: 4,
            requests_per_minute: 0,
            tokens_per_minute: 0,
        }
    }
}

impl Terms {
    /// What so many tokens cost, rounded up.
    pub fn usage(&self, tokens_in: u64, tokens_out: u64) -> Usage {
        // A dollar per million tokens is a millionth of a dollar per token.
        let money = tokens_in as f64 * self.usd_per_million_in
            + tokens_out as f64 * self.usd_per_million_out;
        Usage {
            tokens_in,
            tokens_out,
            micro_usd: money.ceil() as u64,
        }
    }

    /// The field that cannot be used, and why.
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        let is_price = |usd: f64| (0.0..=100_000.0).contains(&usd);
        let faults = [
            (
                is_price(self.usd_per_million_in),
                "usd_per_million_in",
                "must be from 0 to 100000",
            ),
            (
                is_price(self.usd_per_million_out),
                "usd_per_million_out",
                "must be from 0 to 100000",
            ),
            (
                (64..=32_768).contains(&self.max_tokens_out),
                "max_tokens_out",
                "must be from 64 to 32768",
            ),
            (
                (1..=600).contains(&self.timeout_s),
                "timeout_s",
                "must be from 1 to 600",
            ),
            (
                (1..=64).contains(&self.max_concurrent),
                "max_concurrent",
                "must be from 1 to 64",
            ),
        ];
        faults
            .iter()
            .find(|(is_well, _, _)| !is_well)
            .map(|(_, field, why)| (*field, *why))
    }
}

/// Why something cannot be done with a provider.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// A field that cannot be used.
    #[error("`{field}`: {reason}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// Why, without the value of a secret.
        reason: String,
    },
    /// There is one of that name.
    #[error("a provider `{0}` is there already")]
    Exists(String),
    /// It stands in the configuration, and is removed there.
    #[error("`{0}` stands in the configuration file, and is removed there")]
    Configured(String),
    /// It cannot be used now: its key cannot be read, its name not be resolved.
    #[error("`{name}` cannot be used: {reason}")]
    Unusable {
        /// Which.
        name: String,
        /// Why, in words.
        reason: String,
    },
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] crate::catalog::Error),
}
