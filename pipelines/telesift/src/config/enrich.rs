//! The section `[enrich]`: which language models read chats, and what they may cost.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Deserialize;
use telesift_models::{Choice, ConfiguredProvider};
use telesift_ports::{
    Secret,
    providers::{Budget, Limits, NewProvider, ProviderKind, Terms},
};
use telesift_schemas::Timestamp;

/// What the environment calls the key of a configured provider, before its name in capitals.
const KEY_PREFIX: &str = "TELESIFT_PROVIDER_KEY_";

/// What is older is forgotten.
pub(crate) struct Kept {
    pub(crate) answers: Option<Timestamp>,
    pub(crate) calls: Option<Timestamp>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Enrich {
    local: String,
    remote: String,
    daily_tokens: u64,
    daily_usd: f64,
    chat_daily_tokens: u64,
    chat_daily_usd: f64,
    keep_answers_days: u32,
    keep_calls_days: u32,
    providers: Vec<Provider>,
}

/// A provider of the configuration; what is left out is as in [`Terms::default`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Provider {
    name: String,
    kind: Kind,
    url: String,
    model: String,
    #[serde(default)]
    key: Secret,
    #[serde(default)]
    local: Option<bool>,
    #[serde(default)]
    usd_per_million_in: Option<f64>,
    #[serde(default)]
    usd_per_million_out: Option<f64>,
    #[serde(default)]
    max_tokens_out: Option<u32>,
    #[serde(default)]
    reasoning: bool,
    #[serde(default)]
    timeout_s: Option<u64>,
    #[serde(default)]
    rest_s: Option<u64>,
    #[serde(default)]
    max_concurrent: Option<usize>,
    #[serde(default)]
    requests_per_minute: u32,
    #[serde(default)]
    tokens_per_minute: u32,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    OpenAi,
    Ollama,
    Anthropic,
}

impl Provider {
    fn configured(&self) -> ConfiguredProvider {
        let usual = Terms::default();
        let variable = format!(
            "{KEY_PREFIX}{}",
            self.name.to_uppercase().replace(['-', '.'], "_")
        );
        let of_environment = std::env::var(variable).ok().map(Secret::new);
        let key = of_environment.unwrap_or_else(|| self.key.clone());
        ConfiguredProvider {
            local: self.local,
            rest: self.rest_s.map(|s| Duration::from_secs(s.max(1))),
            provider: NewProvider {
                name: self.name.clone(),
                kind: match self.kind {
                    Kind::OpenAi => ProviderKind::OpenAi,
                    Kind::Ollama => ProviderKind::Ollama,
                    Kind::Anthropic => ProviderKind::Anthropic,
                },
                url: self.url.clone(),
                model: self.model.clone(),
                key: (!key.expose().is_empty()).then_some(key),
                terms: Terms {
                    usd_per_million_in: self.usd_per_million_in.unwrap_or(0.0),
                    usd_per_million_out: self.usd_per_million_out.unwrap_or(0.0),
                    max_tokens_out: self.max_tokens_out.unwrap_or(usual.max_tokens_out),
                    reasoning: self.reasoning,
                    timeout_s: self.timeout_s.unwrap_or(usual.timeout_s),
                    max_concurrent: self.max_concurrent.unwrap_or(usual.max_concurrent),
                    requests_per_minute: self.requests_per_minute,
                    tokens_per_minute: self.tokens_per_minute,
                },
            },
        }
    }
}

impl Enrich {
    pub(super) fn check(&self) -> Result<()> {
        for (name, usd) in [
            ("daily_usd", self.daily_usd),
            ("chat_daily_usd", self.chat_daily_usd),
        ] {
            ensure!(
                (0.0..=1e9).contains(&usd),
                "enrich.{name} must be dollars, 0 for no limit"
            );
        }
        // Budgets look at the calls' days.
        ensure!(
            self.keep_calls_days != 1,
            "enrich.keep_calls_days must be at least 2, or 0 to keep them for ever"
        );
        Ok(())
    }

    /// The providers, their keys of the environment if they stand there.
    pub(crate) fn providers(&self) -> Vec<ConfiguredProvider> {
        self.providers.iter().map(Provider::configured).collect()
    }

    /// Who reads which chats.
    pub(crate) fn choice(&self) -> Choice {
        let named = |name: &str| {
            let is_named = !name.is_empty() && name != "rules";
            is_named.then(|| name.to_owned())
        };
        Choice {
            local: named(&self.local),
            remote: named(&self.remote),
        }
    }

    /// Since when answers and calls are kept, `now`; absent: since ever.
    pub(crate) fn kept_since(&self, now: Timestamp) -> Kept {
        let before = |days: u32| {
            let since = now.as_second().saturating_sub(i64::from(days) * 86_400);
            let since = Timestamp::from_second(since).ok();
            since.filter(|_| days > 0)
        };
        Kept {
            answers: before(self.keep_answers_days),
            calls: before(self.keep_calls_days),
        }
    }

    /// The budgets.
    pub(crate) fn limits(&self) -> Limits {
        let budget = |tokens: u64, usd: f64| Budget {
            tokens: (tokens > 0).then_some(tokens),
            micro_usd: (usd > 0.0).then_some((usd * 1e6).round() as u64),
        };
        Limits {
            daily: budget(self.daily_tokens, self.daily_usd),
            chat_daily: budget(self.chat_daily_tokens, self.chat_daily_usd),
        }
    }
}
