//! `telesift import`: sends export files to the server and follows their progress to a summary line.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use futures::TryStreamExt;
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use reqwest::{Body, Method};
use telesift_ports::imports::{ImportState, ImportStatus};
use tokio_util::io::ReaderStream;

use super::{block_on, print};
use crate::{
    cli::{Connection, ImportArgs},
    client::Client,
};

/// How often the server is asked how far it is.
const POLL_EVERY: Duration = Duration::from_millis(200);

pub(crate) fn run(connection: Connection, args: ImportArgs) -> Result<()> {
    let client = Client::find(&connection)?;
    block_on(async {
        let mut n_failed = 0;
        for file in &args.files {
            match import(&client, &connection, &args, file).await {
                Ok(()) => {}
                Err(error) if args.files.len() == 1 => return Err(error),
                Err(error) => {
                    eprintln!("telesift: {error:#}");
                    n_failed += 1;
                }
            }
        }
        anyhow::ensure!(
            n_failed == 0,
            "{n_failed} of {} files failed",
            args.files.len()
        );
        Ok(())
    })
}

async fn import(
    client: &Client,
    connection: &Connection,
    args: &ImportArgs,
    file: &Path,
) -> Result<()> {
    let name = file.display().to_string();
    let bar = progress_bar(connection.json);
    let queued = upload(client, args, file, &bar)
        .await
        .with_context(|| name.clone())?;
    let status = if args.no_wait {
        queued
    } else {
        tokio::select! {
            status = follow(client, &queued.id, &bar) => status,
            _ = tokio::signal::ctrl_c() => Err(anyhow!("not followed any more")),
        }
        .inspect_err(|_| bar.finish_and_clear())
        .with_context(|| {
            format!("{name}: the import {} goes on in the server; import the file again to follow it, nothing comes twice", queued.id)
        })?
    };
    bar.finish_and_clear();
    if connection.json {
        print::json(&status)?;
    } else {
        print::line(summary(&name, &status))?;
    }
    match status.state {
        ImportState::Failed => bail!("{name}: {}", status.error.unwrap_or_default()),
        _ => Ok(()),
    }
}

/// Sends the file as a stream; the server validates it before it answers.
async fn upload(
    client: &Client,
    args: &ImportArgs,
    path: &Path,
    bar: &ProgressBar,
) -> Result<ImportStatus> {
    let file = tokio::fs::File::open(path)
        .await
        .context("cannot open the file")?;
    let metadata = file.metadata().await.context("cannot read the file")?;
    if metadata.is_dir() {
        bail!("a folder; name the `result.json` that Telegram Desktop wrote into it");
    }
    let length = metadata.len();
    bar.set_length(length);
    bar.set_message("sending");
    let counted = bar.clone();
    let stream = ReaderStream::with_capacity(file, 1 << 18)
        .inspect_ok(move |bytes| counted.inc(bytes.len() as u64));
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut query = vec![("name", name), ("tz", args.tz.clone())];
    query.extend(args.chats.iter().map(|id| ("chats", id.to_string())));
    let request = client
        .request(Method::POST, "/v1/imports")
        .query(&query)
        .header(reqwest::header::CONTENT_LENGTH, length)
        .body(Body::wrap_stream(stream));
    client.json(request).await
}

/// Asks until the import is over. The import does not need us: it goes on in the server, even over its restart.
async fn follow(client: &Client, id: &str, bar: &ProgressBar) -> Result<ImportStatus> {
    bar.set_position(0);
    bar.reset_eta();
    loop {
        let status: ImportStatus = client.get(&format!("/v1/imports/{id}"), &[]).await?;
        bar.set_length(status.bytes_total);
        bar.set_position(status.progress.bytes_read);
        bar.set_message(format!(
            "{} messages",
            HumanCount(status.progress.messages_read)
        ));
        if matches!(status.state, ImportState::Done | ImportState::Failed) {
            return Ok(status);
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

fn progress_bar(json: bool) -> ProgressBar {
    let target = if json {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let bar = ProgressBar::with_draw_target(None, target);
    let style = ProgressStyle::with_template(
        "{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  ETA {eta}  {msg}",
    );
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn summary(name: &str, status: &ImportStatus) -> String {
    let progress = &status.progress;
    let skipped: Vec<String> = progress
        .skipped
        .iter()
        .map(|(reason, n)| format!("{n} {reason}"))
        .collect();
    let skipped = if skipped.is_empty() {
        String::new()
    } else {
        format!(", skipped {}", skipped.join(", "))
    };
    format!(
        "{name}: {} — {} read, {} new, {} duplicate{skipped} (import {})",
        status.state.as_str(),
        HumanCount(progress.messages_read),
        HumanCount(progress.messages_new),
        HumanCount(progress.messages_duplicate),
        status.id,
    )
}
