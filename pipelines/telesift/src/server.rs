//! A running server: its tasks, its socket, its health, and how it ends.

mod restart;
mod signals;
mod tasks;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use telesift_api::{ApiConfig, ApiState, IssuedKey, KeyRequest, issue_key};
use telesift_ports::catalog::Scope;
use tokio::net::TcpListener;

use crate::{
    client::{ServerFile, admin_key_file, server_file},
    config::Config,
    topology::Flow,
};
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
    pub(crate) admin_key: String,
    tasks: Tasks,
    signals: Signals,
    flow: Flow,
}

impl Server {
    /// Opens the data directory, starts the flow and accepts requests.
    pub(crate) async fn start(config: &Config) -> Result<Self> {
        let data_dir = config.data_dir()?;
        create_private_dir(&data_dir)?;
        let metrics = metrics_exporter_prometheus::PrometheusBuilder::new()
            .install_recorder()
            .context("cannot install the metrics recorder")?;

        // Before anybody is told that the server is ready: a signal from then on is a request to stop in order.
        let signals = Signals::listen()?;
        let mut tasks = Tasks::new();
        let flow = Flow::start(config, &data_dir, &mut tasks).await?;
        let listener = bind(&config.server.listen).await?;
        let address = listener.local_addr().context("the socket has no address")?;
        let admin_key = admin_key(&flow, &data_dir).await?;
        let state = ApiState {
            log: flow.log.clone(),
            store: flow.store.clone(),
            catalog: flow.catalog.clone(),
            imports: flow.imports.clone(),
            replays: flow.replays.clone(),
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
        let app = telesift_api::router(state).into_make_service_with_connect_info::<SocketAddr>();
        tasks.spawn("api", move |stop| async move {
            axum::serve(listener, app)
                .with_graceful_shutdown(stop.cancelled_owned())
                .await?;
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
        request_timeout_s: config.server.request_timeout_s,
        open_metrics: config.server.metrics_public,
        allowed_origins: config.server.allowed_origins.clone(),
        ..ApiConfig::default()
    }
}

async fn bind(listen: &str) -> Result<TcpListener> {
    let listen = restart::listen_address().unwrap_or_else(|| listen.to_owned());
    TcpListener::bind(&listen)
        .await
        .with_context(|| format!("cannot listen on {listen}"))
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

/// The admin key of the data directory; the first start makes it.
async fn admin_key(flow: &Flow, data_dir: &Path) -> Result<String> {
    let file = admin_key_file(data_dir);
    match std::fs::read_to_string(&file) {
        Ok(text) => return Ok(text.trim().to_owned()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(e).with_context(|| format!("cannot read {}", file.display())),
    }
    let request = KeyRequest {
        name: "admin (made at the first start)".to_owned(),
        scopes: vec![Scope::Admin],
        chats: None,
        expires_at: None,
    };
    let IssuedKey { secret, .. } = issue_key(&*flow.catalog, &*flow.clock, request)
        .await
        .context("cannot make the admin key")?;
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
