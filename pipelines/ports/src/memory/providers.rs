//! Providers that answer from a script, and a keeper of them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use telesift_schemas::{ExtractorRef, Timestamp, Usage};
use tokio::sync::Semaphore;

use crate::{
    extractor::{Claim, Unit},
    providers::{
        AskError, Asked, Enrich, Estimate, NewProvider, Provider, ProviderError, ProviderInfo,
        Providers, Terms,
    },
};

/// A [`Provider`] whose answers are told beforehand; without any left it answers that nothing is claimed.
pub struct ScriptedProvider {
    by: ExtractorRef,
    is_local: bool,
    most: Usage,
    used: Usage,
    answers: Mutex<VecDeque<Result<String, AskError>>>,
    asked: Mutex<Vec<String>>,
    /// Calls need one each of [`ScriptedProvider::OPEN`]; whoever takes them all stops every call.
    pub gate: Semaphore,
}

impl ScriptedProvider {
    /// Calls that may be under way at once.
    pub const OPEN: u32 = 1_000;

    /// A provider that says a call costs at most `most`, and takes `used`.
    pub fn new(name: &str, is_local: bool, most: Usage, used: Usage) -> Self {
        ScriptedProvider {
            by: ExtractorRef {
                name: name.to_owned(),
                version: "extract@1".to_owned(),
                model: Some("small".to_owned()),
            },
            is_local,
            most,
            used,
            answers: Mutex::default(),
            asked: Mutex::default(),
            gate: Semaphore::new(Self::OPEN as usize),
        }
    }

    /// What it answers next, after what was told before.
    pub fn will(&self, answer: Result<&str, AskError>) {
        let answer = answer.map(str::to_owned);
        locked(&self.answers).push_back(answer);
    }

    /// The units it was asked about, in order.
    pub fn asked(&self) -> Vec<String> {
        locked(&self.asked).clone()
    }
}

#[async_trait]
impl Provider for ScriptedProvider {
    fn by(&self) -> &ExtractorRef {
        &self.by
    }

    fn is_local(&self) -> bool {
        self.is_local
    }

    fn estimate(&self, unit: &Unit) -> Estimate {
        let texts: Vec<&str> = unit.messages.iter().map(|m| m.text.as_str()).collect();
        Estimate {
            input: format!("{}:{}", self.by.name, texts.join("\n")),
            most: self.most,
        }
    }

    async fn ask(&self, unit: &Unit) -> Asked {
        locked(&self.asked).push(unit.id.clone());
        let _pass = self.gate.acquire().await;
        let answer = locked(&self.answers).pop_front();
        let answer = answer.unwrap_or_else(|| Ok("[]".to_owned()));
        let is_free = matches!(
            answer,
            Err(AskError::Resting { .. } | AskError::Unavailable { .. })
        );
        Asked {
            answer,
            usage: if is_free { Usage::default() } else { self.used },
            is_estimated: false,
        }
    }

    /// An answer is the JSON list of the contents of its claims.
    fn claims(&self, _: &Unit, answer: &str) -> Result<Vec<Claim>, AskError> {
        let contents: Vec<String> =
            serde_json::from_str(answer).map_err(|e| AskError::Unusable {
                reason: e.to_string(),
            })?;
        let claim = |content: String| Claim {
            kind: telesift_schemas::AtomKind::Insight,
            title: content.clone(),
            content,
            confidence: Some(0.5),
            subject: None,
            quotes: Vec::new(),
            links: Vec::new(),
        };
        Ok(contents.into_iter().map(claim).collect())
    }
}

/// [`Providers`] that forget everything with the process, and call nobody.
#[derive(Default)]
pub struct MemoryProviders {
    kept: Mutex<BTreeMap<String, (ProviderInfo, Arc<ScriptedProvider>)>>,
}

impl MemoryProviders {
    /// With these, as if they stood in the configuration.
    pub fn with(providers: impl IntoIterator<Item = Arc<ScriptedProvider>>) -> Self {
        let kept = providers.into_iter().map(|provider| {
            let info = ProviderInfo {
                name: provider.by.name.clone(),
                kind: crate::providers::ProviderKind::OpenAi,
                url: "https://api.example/v1".to_owned(),
                model: "small".to_owned(),
                has_key: false,
                local: provider.is_local,
                source: "config",
                terms: Terms::default(),
                created_at: None,
                failure: None,
            };
            (info.name.clone(), (info, provider))
        });
        MemoryProviders {
            kept: Mutex::new(kept.collect()),
        }
    }
}

#[async_trait]
impl Providers for MemoryProviders {
    async fn get(&self, name: &str) -> Result<Option<Arc<dyn Provider>>, ProviderError> {
        let found = locked(&self.kept).get(name).map(|(_, p)| p.clone());
        Ok(found.map(|p| p as Arc<dyn Provider>))
    }

    async fn chosen(&self, enrich: Enrich) -> Result<Option<Arc<dyn Provider>>, ProviderError> {
        let kept = locked(&self.kept);
        let first = |is_local| {
            let found = kept.values().find(|(_, p)| p.is_local == is_local);
            found.map(|(_, p)| p.clone() as Arc<dyn Provider>)
        };
        Ok(match enrich {
            Enrich::Off => None,
            Enrich::Local => first(true),
            Enrich::Remote => first(false).or_else(|| first(true)),
        })
    }

    async fn list(&self) -> Result<Vec<ProviderInfo>, ProviderError> {
        Ok(locked(&self.kept)
            .values()
            .map(|(i, _)| i.clone())
            .collect())
    }

    async fn add(&self, new: NewProvider) -> Result<ProviderInfo, ProviderError> {
        let mut kept = locked(&self.kept);
        if kept.contains_key(&new.name) {
            return Err(ProviderError::Exists(new.name));
        }
        if let Some((field, reason)) = new.terms.fault() {
            let reason = reason.to_owned();
            return Err(ProviderError::Invalid { field, reason });
        }
        let used = new.terms.usage(10, 5);
        let provider = ScriptedProvider::new(&new.name, false, used, used);
        let info = ProviderInfo {
            name: new.name.clone(),
            kind: new.kind,
            url: new.url,
            model: new.model,
            has_key: new.key.is_some(),
            local: false,
            source: "api",
            terms: new.terms,
            created_at: Some(Timestamp::UNIX_EPOCH),
            failure: None,
        };
        kept.insert(new.name, (info.clone(), Arc::new(provider)));
        Ok(info)
    }

    async fn remove(&self, name: &str) -> Result<bool, ProviderError> {
        let mut kept = locked(&self.kept);
        match kept.get(name) {
            Some((info, _)) if info.source == "config" => {
                Err(ProviderError::Configured(name.to_owned()))
            }
            _ => Ok(kept.remove(name).is_some()),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
