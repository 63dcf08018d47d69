//! Files of a model from the Hugging Face hub, as streams to disk.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::{fs::File, io::AsyncWriteExt};

/// Tries at one file.
const MAX_ATTEMPTS: u32 = 4;
/// A download that brings nothing for so long is tried again.
const STALL: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_secs(1);

/// One revision of one model on a hub.
pub(super) struct Hub {
    client: Client,
    base: Url,
    name: String,
    revision: String,
}

impl Hub {
    pub(super) fn new(address: &str, name: &str, revision: &str) -> Result<Self> {
        let base = Url::parse(address).with_context(|| format!("`{address}` is no URL"))?;
        let client = Client::builder()
            .connect_timeout(STALL)
            .read_timeout(STALL)
            .build()
            .context("no HTTP client can be set up")?;
        Ok(Hub {
            client,
            base,
            name: name.to_owned(),
            revision: revision.to_owned(),
        })
    }

    /// Downloads `files` (name, whether it is needed) into the folder `into`.
    pub(super) async fn download(
        &self,
        files: &[(&str, bool)],
        into: &Path,
        is_quiet: bool,
    ) -> Result<()> {
        for (file, is_needed) in files {
            let found = self.file(file, into, is_quiet).await;
            let found = found.with_context(|| {
                format!("cannot bring {file} of {} from {}", self.name, self.base)
            })?;
            if !found && *is_needed {
                bail!(
                    "`{}` at `{}` has no {file} on {}: is it a BERT-shaped sentence encoder?",
                    self.name,
                    self.revision,
                    self.base
                );
            }
        }
        Ok(())
    }

    /// False if there is no such file.
    async fn file(&self, file: &str, into: &Path, is_quiet: bool) -> Result<bool> {
        let mut url = self.base.clone();
        let path = format!("{}/resolve/{}/{file}", self.name, self.revision);
        url.set_path(&format!("{}/{path}", url.path().trim_end_matches('/')));
        let mut attempt = 1;
        loop {
            let error = match self.attempt(&url, &into.join(file), file, is_quiet).await {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            if attempt >= MAX_ATTEMPTS || error.is::<Refused>() {
                return Err(error);
            }
            eprintln!("telesift: {error:#}; once more");
            tokio::time::sleep(PAUSE * attempt).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, url: &Url, to: &Path, file: &str, is_quiet: bool) -> Result<bool> {
        let response = self.client.get(url.clone()).send().await?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(false),
            status if status.is_success() => {
                write(response, to, file, is_quiet).await?;
                Ok(true)
            }
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                bail!("the hub answers {status}")
            }
            status => Err(Refused(status).into()),
        }
    }
}

/// An answer that no retry changes.
#[derive(Debug, thiserror::Error)]
#[error(
    "the hub answers {0}; a model that needs an account cannot be brought this way: download it and use --from"
)]
struct Refused(StatusCode);

async fn write(mut response: Response, to: &Path, file: &str, is_quiet: bool) -> Result<()> {
    let bar = progress_bar(response.content_length(), file, is_quiet);
    let mut out = File::create(to)
        .await
        .with_context(|| format!("cannot write {}", to.display()))?;
    while let Some(chunk) = response.chunk().await.context("the download broke off")? {
        out.write_all(&chunk).await.context("cannot write")?;
        bar.inc(chunk.len() as u64);
    }
    out.sync_all().await.context("cannot write")?;
    bar.finish_and_clear();
    Ok(())
}

fn progress_bar(length: Option<u64>, file: &str, is_quiet: bool) -> ProgressBar {
    let target = match is_quiet {
        true => ProgressDrawTarget::hidden(),
        false => ProgressDrawTarget::stderr(),
    };
    let bar = ProgressBar::with_draw_target(length, target);
    let style = ProgressStyle::with_template(
        "{msg:26} {bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  ETA {eta}",
    );
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(file.to_owned());
    bar
}
