//! What the router is given from outside, and what it keeps for itself.

use std::sync::Arc;

use async_trait::async_trait;
use telesift_ports::{
    AtomIndex, Bots, Catalog, Clock, Embedder, Explainer, Generations, Imports, MessageStore,
    Providers, RecordLog, Replays, RuleSets,
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    auth::{KeyRing, LiveKeys, Tickets},
    config::ApiConfig,
    limits::Limits,
    pins::Pins,
    tail::Hub,
    visible::{Log, Store},
};

/// The parts an API stands on, all behind ports.
#[derive(Clone)]
pub struct ApiState {
    /// The log: raw records, `messages`, the ledger of log-to-log stages.
    pub log: Arc<dyn RecordLog>,
    /// The message store.
    pub store: Arc<dyn MessageStore>,
    /// Keys, and the ledger of log-to-store stages.
    pub catalog: Arc<dyn Catalog>,
    /// Takes in exports.
    pub imports: Arc<dyn Imports>,
    /// Keeps bots, and takes their updates.
    pub bots: Arc<dyn Bots>,
    /// Runs replays.
    pub replays: Arc<dyn Replays>,
    /// Finds atoms by what they say, by vectors of a model of its own.
    pub atom_index: Arc<AtomIndex>,
    /// Keeps providers of language models.
    pub providers: Arc<dyn Providers>,
    /// Which generation is live.
    pub generations: Arc<Generations>,
    /// Makes the vector of a query; must be the model of the store's vectors.
    pub embedder: Arc<dyn Embedder>,
    /// Keeps rule sets, and what of the log each screens.
    pub rules: Arc<dyn RuleSets>,
    /// Takes scores apart.
    pub explainer: Arc<dyn Explainer>,
    /// For key expiry and what is stamped here.
    pub clock: Arc<dyn Clock>,
    /// Limits and choices.
    pub config: ApiConfig,
    /// Renders `/metrics` in the Prometheus text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Asked by `/readyz`.
    pub health: Arc<dyn Health>,
    /// Once cancelled, streams are closed (1001) and new ones refused.
    pub shutdown: CancellationToken,
}

/// Tells whether the process can do its work. The API itself checks catalog and log.
#[async_trait]
pub trait Health: Send + Sync + 'static {
    /// One check per part, such as a stage or the store.
    async fn checks(&self) -> Vec<HealthCheck>;
}

/// The outcome of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What was checked, such as `index`.
    pub name: String,
    /// Why it does not work; `None` if it does. Logged, never sent.
    pub failure: Option<String>,
}

impl HealthCheck {
    /// The part `name` works.
    pub fn ok(name: impl Into<String>) -> Self {
        HealthCheck {
            name: name.into(),
            failure: None,
        }
    }

    /// The part `name` does not work, because of `failure`.
    pub fn failed(name: impl Into<String>, failure: impl Into<String>) -> Self {
        HealthCheck {
            name: name.into(),
            failure: Some(failure.into()),
        }
    }
}

/// A [`Health`] without any check of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysHealthy;

#[async_trait]
impl Health for AlwaysHealthy {
    async fn checks(&self) -> Vec<HealthCheck> {
        Vec::new()
    }
}

/// Closed clients waited for at the same time; each holds a socket and at most one batch of frames.
const MAX_FAREWELLS: usize = 500;

/// The state every handler gets. Log and store are wrapped: a handler reaches them only as a viewer.
pub(crate) struct App {
    pub(crate) log: Log,
    pub(crate) store: Store,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) imports: Arc<dyn Imports>,
    pub(crate) bots: Arc<dyn Bots>,
    pub(crate) replays: Arc<dyn Replays>,
    pub(crate) atom_index: Arc<AtomIndex>,
    pub(crate) providers: Arc<dyn Providers>,
    pub(crate) generations: Arc<Generations>,
    pub(crate) embedder: Arc<dyn Embedder>,
    pub(crate) rules: Arc<dyn RuleSets>,
    pub(crate) explainer: Arc<dyn Explainer>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: ApiConfig,
    pub(crate) metrics: Arc<dyn Fn() -> String + Send + Sync>,
    pub(crate) health: Arc<dyn Health>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) limits: Limits,
    pub(crate) keys: KeyRing,
    pub(crate) live_keys: LiveKeys,
    pub(crate) tickets: Tickets,
    pub(crate) pins: Pins,
    pub(crate) hub: Hub,
    pub(crate) requests: Semaphore,
    pub(crate) uploads: Semaphore,
    pub(crate) streams: Arc<Semaphore>,
    /// Clients that read nothing and are waited for until they hear why they were closed.
    pub(crate) farewells: Arc<Semaphore>,
}

impl App {
    pub(crate) fn new(state: ApiState) -> Arc<App> {
        let config = state.config;
        let tail = &config.tail;
        Arc::new(App {
            hub: Hub::new(state.log.clone(), tail.clone(), state.shutdown.clone()),
            limits: Limits::new(&config.limits),
            keys: KeyRing::new(state.catalog.clone(), state.clock.clone()),
            live_keys: LiveKeys::new(tail.key_check()),
            tickets: Tickets::new(tail, state.catalog.clone(), state.clock.clone()),
            pins: Pins::new(&config),
            requests: Semaphore::new(config.max_requests.max(1)),
            uploads: Semaphore::new(config.max_uploads.max(1)),
            streams: Arc::new(Semaphore::new(tail.max_streams)),
            farewells: Arc::new(Semaphore::new(MAX_FAREWELLS)),
            log: Log::new(state.log, state.generations.clone()),
            store: Store::new(state.store),
            catalog: state.catalog,
            imports: state.imports,
            bots: state.bots,
            replays: state.replays,
            atom_index: state.atom_index,
            providers: state.providers,
            generations: state.generations,
            embedder: state.embedder,
            rules: state.rules,
            explainer: state.explainer,
            clock: state.clock,
            metrics: state.metrics,
            health: state.health,
            shutdown: state.shutdown,
            config,
        })
    }
}
