//! A running server: its tasks, its socket, its health, and how it ends.

mod apart;
mod restart;
mod signals;
mod tasks;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use telesift_api::{ApiConfig, ApiState, IssuedKey, KeyRequest, TailConfig, issue_key};
use telesift_ports::catalog::{AuditOutcome, AuditRecord, Scope};
use tokio::net::TcpListener;

use crate::{
    client::{ServerFile, admin_key_file, server_file},
    config::Config,
    exit::Usage,
    topology::{Flow, Roles},
};
use apart::Apart;
pub(crate) use restart::restart;
use signals::Signals;
pub(crate) use tasks::{Ended, Tasks};

/// How long a server may take to stop: SIGTERM promises 10 s.
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// Everything that runs.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) address: SocketAddr,
    pub(crate) data_dir: PathBuf,
    /// Empty where no users are served.
    pub(crate) admin_key: String,
    tasks: Tasks,
    signals: Signals,
    flow: Flow,
    /// Dropped last: connections of the catalog may have been opened on it.
    _answers: Apart,
}

impl Server {
    /// Opens the data directory, starts the flow and accepts requests.
    pub(crate) async fn start(config: &Config, roles: &Roles) -> Result<Self> {
        let data_dir = config.data_dir()?;
        create_private_dir(&data_dir)?;
        let metrics = metrics_exporter_prometheus::PrometheusBuilder::new()
            .install_recorder()
            .context("cannot install the metrics recorder")?;

        // Before anybody is told that the server is ready: a signal from then on is a request to stop in order.
        let signals = Signals::listen()?;
        let mut tasks = Tasks::new();
        let flow = Flow::start(config, &data_dir, roles, &mut tasks).await?;
        let listener = bind(&config.server.listen).await?;
        let address = listener.local_addr().context("the socket has no address")?;
        let serves_users = roles.contains("api");
        let admin_key = match serves_users {
            true => admin_key(&flow, &data_dir).await?,
            false => String::new(),
        };
        let state = ApiState {
            log: flow.log.clone(),
            store: flow.store.clone(),
            catalog: flow.catalog.clone(),
            imports: flow.imports.clone(),
            bots: flow.bots.clone(),
            replays: flow.replays.clone(),
            atom_index: flow.atom_index.clone(),
            providers: flow.providers.clone(),
            generations: flow.generations.clone(),
            embedder: flow.embedder.clone(),
            rules: flow.rules.clone(),
            explainer: flow.explainer.clone(),
            clock: flow.clock.clone(),
            config: api_config(config),
            metrics: Arc::new(move || metrics.render()),
            health: tasks.health(),
            shutdown: tasks.stop_token(),
        };
        let max_connections = state.config.max_connections;
        let app = match serves_users {
            true => telesift_api::router(state),
            false => telesift_api::operations_router(state),
        };
        let answers = Apart::new("api")?;
        let listener = listener.into_std().context("the socket")?;
        tasks.spawn_on(answers.handle(), "api", move |stop| async move {
            let listener = TcpListener::from_std(listener).context("the socket")?;
            telesift_api::serve(listener, app, max_connections, stop).await;
            Ok(())
        });

        let url = format!("http://{address}");
        let file = ServerFile {
            url: url.clone(),
            pid: std::process::id(),
        };
        std::fs::write(server_file(&data_dir), serde_json::to_vec(&file)?)
            .context("cannot write server.json")?;
        Ok(Server {
            url,
            address,
            data_dir,
            admin_key,
            tasks,
            signals,
            flow,
            _answers: answers,
        })
    }

    /// Runs until a signal, or until a part ends that must not.
    pub(crate) async fn run(&mut self) -> Ended {
        tokio::select! {
            () = self.signals.any() => Ended::Asked,
            ended = self.tasks.first_failure() => ended,
        }
    }

    /// Stops every part in order and frees the data directory. What does not stop in time is left behind; nothing is
    /// lost by that, since everything acknowledged is durable.
    pub(crate) async fn stop(self) -> Result<()> {
        let file = server_file(&self.data_dir);
        if let Err(error) = std::fs::remove_file(&file) {
            tracing::debug!(%error, "server.json was gone already");
        }
        if !self.tasks.stop(STOP_WITHIN).await {
            tracing::warn!("some parts did not stop within {} s", STOP_WITHIN.as_secs());
        }
        self.flow.close().await
    }
}

fn api_config(config: &Config) -> ApiConfig {
    ApiConfig {
        max_import_bytes: config.server.max_upload_mib << 20,
        max_body_bytes: config.server.max_body_kib << 10,
        max_connections: config.server.max_connections,
        tail: TailConfig {
            max_streams: config.server.max_streams,
            together_ms: config.server.tail_together_ms,
            ..TailConfig::default()
        },
        request_timeout_s: config.server.request_timeout_s,
        open_metrics: config.server.metrics_public,
        allowed_origins: config.server.allowed_origins.clone(),
        trusted_proxies: config.server.trusted_proxies.clone(),
        limits: config.limits.clone(),
        budgets: config.enrich.limits(),
        conversations: config.units.bounds(),
        ..ApiConfig::default()
    }
}

async fn bind(listen: &str) -> Result<TcpListener> {
    let listen = restart::listen_address().unwrap_or_else(|| listen.to_owned());
    match TcpListener::bind(&listen).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            Err(anyhow::Error::new(Usage(format!(
                "`{listen}` is no address to listen on, such as 127.0.0.1:8080"
            ))))
        }
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => anyhow::bail!(
            "cannot listen on {listen}: another program does; choose another address with --listen (port 0 takes any \
             free one)"
        ),
        Err(error) => Err(error).with_context(|| format!("cannot listen on {listen}")),
    }
}

/// Creates the data directory for its owner alone.
fn create_private_dir(dir: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(dir)
        .with_context(|| format!("cannot create the data directory {}", dir.display()))
}

/// The admin key of the data directory. The first start makes it, and so does one that finds a catalog without it: keys
/// live in the catalog alone, so they are lost with it.
async fn admin_key(flow: &Flow, data_dir: &Path) -> Result<String> {
    let file = admin_key_file(data_dir);
    match std::fs::read_to_string(&file) {
        Ok(text) => {
            let secret = text.trim().to_owned();
            let known = telesift_api::is_known_key(&*flow.catalog, &secret).await;
            if known.context("cannot look up the admin key")? {
                return Ok(secret);
            }
            tracing::warn!(
                "the catalog does not know the admin key: it is made anew, other keys must be too"
            );
            std::fs::remove_file(&file)
                .with_context(|| format!("cannot replace {}", file.display()))?;
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(e).with_context(|| format!("cannot read {}", file.display())),
    }
    let request = KeyRequest {
        name: "admin (made at the first start)".to_owned(),
        scopes: vec![Scope::Admin],
        chats: None,
        expires_at: None,
    };
    let IssuedKey { row, secret } = issue_key(&*flow.catalog, &*flow.clock, request)
        .await
        .context("cannot make the admin key")?;
    let record = AuditRecord {
        id: uuid::Uuid::now_v7().simple().to_string(),
        at: row.created_at,
        actor: None,
        actor_name: "the server".to_owned(),
        action: "keys.create".to_owned(),
        target: Some(row.id),
        address: None,
        request: None,
        outcome: Some(AuditOutcome {
            status: 201,
            code: None,
        }),
    };
    flow.catalog
        .begin_audit(&record)
        .await
        .context("cannot record the admin key")?;
    write_private(&file, &secret)?;
    Ok(secret)
}

fn write_private(file: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options
        .open(file)
        .with_context(|| format!("cannot create {}", file.display()))?;
    writeln!(out, "{text}")
        .and_then(|()| out.sync_all())
        .with_context(|| format!("cannot write {}", file.display()))
}
