//! The providers there are: those of the configuration, whose addresses are trusted, and those of the catalog, whose are not.

mod check;

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use telesift_ports::{
    Clock, Provider, ProviderCatalog, Providers, catalog,
    providers::{
        Enrich, NewProvider, ProviderError, ProviderInfo, ProviderKind, ProviderRow, Terms,
    },
};

use crate::{
    RemoteKind,
    call::{CallPolicy, Caller, Endpoint},
    chat::{ChatModel, ChatProvider},
};

/// Attempts at one call: each may cost, and whoever asks comes again by itself.
const MAX_ATTEMPTS: u32 = 3;
/// Bytes an answer may have.
const MAX_ANSWER_BYTES: usize = 2 << 20;

/// A provider of the configuration.
#[derive(Clone, Debug)]
pub struct ConfiguredProvider {
    /// What an added one has too.
    pub provider: NewProvider,
    /// Whether texts stay with those who run this. Absent: so it is for Ollama on this machine, and for nobody else.
    pub local: Option<bool>,
    /// How long nobody is asked after failures in a row. Absent: as [`CallPolicy`] has it.
    pub rest: Option<Duration>,
}

/// Who reads which chats.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// The provider for chats that allow local models; absent: the built-in rules.
    pub local: Option<String>,
    /// The provider for chats that allow remote ones; absent: the first by name that is not local.
    pub remote: Option<String>,
}

/// [`Providers`] over the configuration and a catalog.
pub struct ProviderBook {
    configured: BTreeMap<String, Known>,
    choice: Choice,
    catalog: Arc<dyn ProviderCatalog>,
    clock: Arc<dyn Clock>,
    /// Those of the catalog that were asked for, as they were made: limits and breakers are theirs.
    made: Mutex<BTreeMap<String, (ProviderRow, Arc<ChatProvider>)>>,
}

struct Known {
    info: ProviderInfo,
    provider: Arc<ChatProvider>,
}

impl ProviderBook {
    /// A book of these providers and those of `catalog`.
    ///
    /// # Errors
    /// [`ProviderError`] naming what is wrong with a configured one, or with the choice.
    pub fn new(
        configured: Vec<ConfiguredProvider>,
        choice: Choice,
        catalog: Arc<dyn ProviderCatalog>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ProviderError> {
        let mut known = BTreeMap::new();
        for one in configured {
            let name = one.provider.name.clone();
            if known.insert(name.clone(), Known::of(one)?).is_some() {
                return Err(ProviderError::Exists(name));
            }
        }
        let is_remote = |name: &String| known.get(name).is_some_and(|k| !k.info.local);
        if let Some(name) = choice.local.as_ref().filter(|name| is_remote(name)) {
            let reason = "it reads chats that allow only local models, and is not marked local";
            return Err(unusable(name, reason));
        }
        Ok(ProviderBook {
            configured: known,
            choice,
            catalog,
            clock,
            made: Mutex::default(),
        })
    }

    fn made(&self) -> MutexGuard<'_, BTreeMap<String, (ProviderRow, Arc<ChatProvider>)>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The provider of a row, made anew where the row is another than before. Its address is resolved then.
    async fn of_row(&self, row: ProviderRow) -> Result<Arc<ChatProvider>, ProviderError> {
        let made = self.made().get(&row.name).cloned();
        if let Some((_, provider)) = made.filter(|(before, _)| *before == row) {
            return Ok(provider);
        }
        let key = row.key.clone().map_err(|e| unusable(&row.name, e))?;
        let endpoint = Endpoint::checked(&row.url).await;
        let endpoint = endpoint.map_err(|e| unusable(&row.name, e))?;
        let model = ChatModel {
            kind: row.kind,
            name: row.model.clone(),
            key,
            is_local: false,
            terms: row.terms.clone(),
        };
        let provider = Arc::new(provider(&row.name, endpoint, model, None)?);
        let name = row.name.clone();
        // Whoever made it meanwhile is heeded: its limits are in use.
        let mut made = self.made();
        if let Some((before, there)) = made.get(&name)
            && *before == row
        {
            return Ok(there.clone());
        }
        made.insert(name, (row, provider.clone()));
        Ok(provider)
    }

    async fn rows(&self) -> Result<Vec<ProviderRow>, ProviderError> {
        let rows = self.catalog.providers().await?;
        // One of the configuration hides one that was added before it.
        let is_hidden = |row: &ProviderRow| self.configured.contains_key(&row.name);
        Ok(rows.into_iter().filter(|row| !is_hidden(row)).collect())
    }

    async fn named(&self, name: &str) -> Result<Arc<dyn Provider>, ProviderError> {
        let found = self.get(name).await?;
        found.ok_or_else(|| unusable(name, "there is no such provider"))
    }
}

impl Known {
    fn of(one: ConfiguredProvider) -> Result<Self, ProviderError> {
        let ConfiguredProvider {
            provider: new,
            local,
            rest,
        } = one;
        check::fields(&new)?;
        let endpoint = Endpoint::trusted(&new.url).map_err(|e| check::invalid("url", e))?;
        let interface = match new.kind {
            ProviderKind::Ollama => RemoteKind::Ollama,
            _ => RemoteKind::OpenAi,
        };
        let is_passed_on = interface.passes_on(&new.model);
        if local == Some(true) && is_passed_on {
            let reason = "a model in the cloud is not local";
            return Err(check::invalid("local", reason));
        }
        let is_local = local.unwrap_or(interface.stays_here(&endpoint, &new.model));
        let model = ChatModel {
            kind: new.kind,
            name: new.model.clone(),
            key: new.key.clone(),
            is_local,
            terms: new.terms.clone(),
        };
        Ok(Known {
            provider: Arc::new(provider(&new.name, endpoint, model, rest)?),
            info: ProviderInfo {
                name: new.name,
                kind: new.kind,
                url: new.url,
                model: new.model,
                has_key: new.key.is_some(),
                local: is_local,
                source: "config",
                terms: new.terms,
                created_at: None,
                failure: None,
            },
        })
    }
}

#[async_trait]
impl Providers for ProviderBook {
    async fn get(&self, name: &str) -> Result<Option<Arc<dyn Provider>>, ProviderError> {
        if let Some(known) = self.configured.get(name) {
            return Ok(Some(known.provider.clone()));
        }
        let row = self.rows().await?.into_iter().find(|row| row.name == name);
        match row {
            Some(row) => Ok(Some(self.of_row(row).await?)),
            None => Ok(None),
        }
    }

    async fn chosen(&self, enrich: Enrich) -> Result<Option<Arc<dyn Provider>>, ProviderError> {
        if enrich == Enrich::Off {
            return Ok(None);
        }
        if enrich == Enrich::Remote {
            if let Some(name) = &self.choice.remote {
                return self.named(name).await.map(Some);
            }
            let configured = self.configured.values().filter(|k| !k.info.local);
            let rows = self.rows().await?;
            let names = configured.map(|k| &k.info.name);
            if let Some(first) = names.chain(rows.iter().map(|r| &r.name)).min() {
                return self.named(first).await.map(Some);
            }
        }
        match &self.choice.local {
            Some(name) => self.named(name).await.map(Some),
            None => Ok(None),
        }
    }

    async fn list(&self) -> Result<Vec<ProviderInfo>, ProviderError> {
        let rows = self.rows().await?;
        let added = rows.into_iter().map(of_catalog);
        let configured = self.configured.values().map(|k| k.info.clone());
        let mut all: Vec<ProviderInfo> = configured.chain(added).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    async fn add(&self, new: NewProvider) -> Result<ProviderInfo, ProviderError> {
        check::fields(&new)?;
        if self.configured.contains_key(&new.name) {
            return Err(ProviderError::Exists(new.name));
        }
        let endpoint = Endpoint::checked(&new.url).await;
        endpoint.map_err(|e| check::invalid("url", e))?;
        let row = ProviderRow {
            name: new.name,
            kind: new.kind,
            url: new.url,
            model: new.model,
            key: Ok(new.key),
            terms: new.terms,
            created_at: self.clock.now(),
        };
        match self.catalog.add_provider(&row).await {
            Err(catalog::Error::Conflict { .. }) => Err(ProviderError::Exists(row.name)),
            Err(error) => Err(error.into()),
            Ok(()) => Ok(of_catalog(row)),
        }
    }

    async fn remove(&self, name: &str) -> Result<bool, ProviderError> {
        if self.configured.contains_key(name) {
            return Err(ProviderError::Configured(name.to_owned()));
        }
        let is_removed = self.catalog.remove_provider(name).await?;
        self.made().remove(name);
        Ok(is_removed)
    }
}

fn of_catalog(row: ProviderRow) -> ProviderInfo {
    ProviderInfo {
        name: row.name,
        kind: row.kind,
        url: row.url,
        model: row.model,
        has_key: !matches!(row.key, Ok(None)),
        local: false,
        source: "api",
        terms: row.terms,
        created_at: Some(row.created_at),
        failure: row.key.err(),
    }
}

fn provider(
    name: &str,
    endpoint: Endpoint,
    model: ChatModel,
    rest: Option<Duration>,
) -> Result<ChatProvider, ProviderError> {
    let mut policy = policy(&model.terms);
    policy.breaker_rest = rest.unwrap_or(policy.breaker_rest);
    let caller = Caller::new(name, endpoint, policy);
    let caller = caller.map_err(|e| unusable(name, e))?;
    Ok(ChatProvider::new(model, Arc::new(caller)))
}

fn policy(terms: &Terms) -> CallPolicy {
    CallPolicy {
        timeout: Duration::from_secs(terms.timeout_s),
        max_attempts: MAX_ATTEMPTS,
        max_concurrent: terms.max_concurrent,
        requests_per_minute: NonZeroU32::new(terms.requests_per_minute),
        tokens_per_minute: NonZeroU32::new(terms.tokens_per_minute),
        max_answer_bytes: MAX_ANSWER_BYTES,
        ..CallPolicy::default()
    }
}

fn unusable(name: &str, reason: impl ToString) -> ProviderError {
    ProviderError::Unusable {
        name: name.to_owned(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests;
