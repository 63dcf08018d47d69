//! A replay's id in, its last state out; in between a bar with rate and ETA.

use std::{future::Future, pin::Pin, task::Poll, time::Duration};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reqwest::Method;
use serde_json::Value;

use super::path;
use crate::client::Client;

/// How often the server is asked how far it is.
const POLL_EVERY: Duration = Duration::from_millis(250);

/// Ctrl-C, listened to from the moment it was made.
pub(super) struct Interrupt(Pin<Box<dyn Future<Output = std::io::Result<()>>>>);

impl Interrupt {
    /// Listens from now on.
    pub(super) async fn listen() -> Self {
        let mut interrupt: Pin<Box<dyn Future<Output = _>>> = Box::pin(tokio::signal::ctrl_c());
        // The first poll registers the handler; were it to come already, the next poll would wait for another.
        match futures::poll!(&mut interrupt) {
            Poll::Pending => Interrupt(interrupt),
            Poll::Ready(outcome) => Interrupt(Box::pin(std::future::ready(outcome))),
        }
    }
}

/// Asks until the replay is over. Ctrl-C cancels it.
pub(super) async fn follow(
    client: &Client,
    id: &str,
    interrupt: Interrupt,
    is_quiet: bool,
) -> Result<Value> {
    let bar = progress_bar(is_quiet);
    let outcome = tokio::select! {
        biased;
        interrupted = interrupt.0 => {
            interrupted.context("cannot listen to Ctrl-C")?;
            bar.finish_and_clear();
            return cancel(client, id).await;
        }
        outcome = until_over(client, id, &bar) => outcome,
    };
    bar.finish_and_clear();
    outcome.with_context(|| {
        format!("the replay goes on in the server; `telesift replay show {id}` shows it")
    })
}

async fn until_over(client: &Client, id: &str, bar: &ProgressBar) -> Result<Value> {
    loop {
        let replay: Value = client.get(&path(id), &[]).await?;
        bar.set_length(replay["total"].as_u64().unwrap_or_default());
        bar.set_position(replay["processed"].as_u64().unwrap_or_default());
        let state = replay["state"].as_str().unwrap_or_default().to_owned();
        if matches!(state.as_str(), "done" | "failed" | "cancelled") {
            return Ok(replay);
        }
        bar.set_message(state);
        tokio::time::sleep(POLL_EVERY).await;
    }
}

async fn cancel(client: &Client, id: &str) -> Result<Value> {
    let request = client.request(Method::POST, &format!("{}/cancel", path(id)));
    client
        .send(request)
        .await
        .with_context(|| format!("interrupted, but the replay {id} could not be cancelled"))?;
    bail!("interrupted: the replay {id} is cancelled")
}

fn progress_bar(is_quiet: bool) -> ProgressBar {
    let target = match is_quiet {
        true => ProgressDrawTarget::hidden(),
        false => ProgressDrawTarget::stderr(),
    };
    let bar = ProgressBar::with_draw_target(None, target);
    let style = ProgressStyle::with_template(
        "{bar:30} {human_pos}/{human_len} records  {per_sec}  ETA {eta}  {msg}",
    );
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
