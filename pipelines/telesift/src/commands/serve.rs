//! `telesift serve`: the flow and its API, until a signal.

use std::io::IsTerminal;

use anyhow::{Context, Result};

use crate::{
    cli::{Connection, Role, ServeArgs},
    config::{Config, LogFormat},
    exit::{self, Usage},
    server::{self, Ended, Server},
    topology::Roles,
};

pub(crate) fn run(connection: Connection, args: ServeArgs) -> Result<()> {
    let config = load(&connection, &args).map_err(exit::usage)?;
    let roles = roles(&config, &args.roles)?;
    init_tracing(&config);
    runtime()?.block_on_and_leave(async {
        let server = Server::start(&config, &roles).await?;
        announce(&server);
        finish(server).await
    })
}

/// Configuration file and environment, then the command line.
pub(super) fn load(connection: &Connection, args: &ServeArgs) -> Result<Config> {
    let mut config = Config::load(args.config.as_deref())?;
    if let Some(dir) = &connection.data_dir {
        config.data.dir = dir.clone();
    }
    if let Some(listen) = &args.listen {
        config.server.listen = listen.clone();
    }
    Ok(config)
}

/// What this process takes part in.
///
/// # Errors
/// Work can only be shared where log and catalog can be.
fn roles(config: &Config, asked: &[Role]) -> Result<Roles> {
    if asked.contains(&Role::All) {
        return Ok(Roles::all());
    }
    if config.is_shared() {
        return Ok(Roles::of(asked));
    }
    Err(anyhow::Error::new(Usage(
        "roles other than `all` share work between processes, which the embedded log and SQLite cannot: set `[log] kind = \"fluvio\"` and `[catalog] url = \"postgres://...\"` for every worker (see docs/operations.md)"
            .to_owned(),
    )))
}

/// The one line on stdout that scripts wait for. Whoever waits for none may have closed it.
pub(super) fn announce(server: &Server) {
    if let Err(error) = super::print::line(format!("ready {}", server.url)) {
        tracing::debug!(%error, "nobody reads the ready line");
    }
}

/// Runs until the end, stops in order, and says how it ended.
pub(super) async fn finish(mut server: Server) -> Result<()> {
    let address = server.address;
    match server.run().await {
        Ended::Asked => {
            tracing::info!("stopping");
            server.stop().await
        }
        Ended::Hung(reason) => {
            tracing::error!(reason, "a SmartModule hangs: the process restarts itself");
            if let Err(error) = server.stop().await {
                tracing::warn!(%error, "stopping before the restart");
            }
            server::restart(address)
        }
        Ended::Failed(error) => {
            if let Err(error) = server.stop().await {
                tracing::warn!(%error, "stopping after a failure");
            }
            Err(error)
        }
    }
}

/// A runtime that does not wait, at its end, for a thread that a SmartModule may hold for ever.
pub(super) struct Runtime(tokio::runtime::Runtime);

pub(super) fn runtime() -> Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    Ok(Runtime(runtime.context("cannot start the runtime")?))
}

impl Runtime {
    pub(super) fn block_on_and_leave<T>(
        self,
        future: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let outcome = self.0.block_on(future);
        self.0.shutdown_background();
        outcome
    }
}

/// Logs to stderr; `RUST_LOG` overrides the configured filter.
pub(super) fn init_tracing(config: &Config) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env()
        .or_else(|_| EnvFilter::try_new(&config.telemetry.log))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_writer(std::io::stderr);
    let outcome = match config.telemetry.format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    if let Err(error) = outcome {
        eprintln!("telesift: logging was set up already: {error}");
    }
}
