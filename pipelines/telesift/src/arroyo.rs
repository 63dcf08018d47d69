//! Arroyo's REST API: UDFs, pipelines and their jobs, with a time limit on every call and few repeats of those that change
//! nothing.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use backon::{BackoffBuilder, ExponentialBuilder};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// For most calls.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Arroyo compiles a UDF within the call: a hundred seconds the first time.
const COMPILE_TIMEOUT: Duration = Duration::from_secs(900);
/// A call that changes nothing is made so often at most.
const TRIES: usize = 3;
/// How long a pipeline may take to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(500);

/// Speaks to one Arroyo.
#[derive(Clone, Debug)]
pub(crate) struct Arroyo {
    http: reqwest::Client,
    url: String,
}

/// A UDF that every pipeline may call.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RemoteUdf {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) definition: String,
}

/// A pipeline as Arroyo keeps it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RemotePipeline {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) query: String,
}

/// The job of a pipeline.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Job {
    pub(crate) state: String,
    /// Why it failed: a text, or in later versions an object with one.
    #[serde(default, alias = "failureMessage")]
    failure_message: Option<String>,
    #[serde(default)]
    failure_reason: Option<Value>,
}

impl Job {
    /// Whether it does nothing any more.
    pub(crate) fn is_over(&self) -> bool {
        ["Stopped", "Finished", "Failed"].contains(&self.state.as_str())
    }

    /// Why it failed.
    pub(crate) fn failure(&self) -> Option<String> {
        let reason = self.failure_reason.as_ref();
        let reason = reason.and_then(|r| r["error"].as_str().or(r.as_str()));
        reason
            .map(str::to_owned)
            .or_else(|| self.failure_message.clone())
    }
}

#[derive(Deserialize)]
struct Collection<T> {
    data: Vec<T>,
    /// In camel case in every version, unlike the rest of later ones.
    #[serde(default, rename = "hasMore", alias = "has_more")]
    has_more: bool,
}

impl Arroyo {
    /// The one at `url`, such as `http://127.0.0.1:5115`.
    pub(crate) fn new(url: &str) -> Result<Self> {
        if !(url.starts_with("http://") || url.starts_with("https://")) {
            bail!(crate::exit::Usage(format!("`{url}` is no http URL")));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .user_agent(concat!("telesift/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("cannot start the HTTP client")?;
        let url = url.trim_end_matches('/');
        let url = url.strip_suffix("/api/v1").unwrap_or(url).to_owned();
        Ok(Arroyo { http, url })
    }

    /// All UDFs.
    pub(crate) async fn udfs(&self) -> Result<Vec<RemoteUdf>> {
        let udfs: Collection<RemoteUdf> = self.get("/udfs").await?;
        Ok(udfs.data)
    }

    /// Compiles and keeps a UDF.
    ///
    /// # Errors
    /// The compiler's words if it does not compile.
    pub(crate) async fn create_udf(&self, name: &str, source: &str) -> Result<()> {
        let body = json!({"definition": source, "language": "rust"});
        let checked = self.call(Method::POST, "/udfs/validate", Some(body), COMPILE_TIMEOUT);
        let checked: Value = checked.await?;
        let errors = texts(&checked["errors"]);
        if !errors.is_empty() {
            // Arroyo quotes the compiler: its lines end in a written `\n`.
            let said = errors.join("\n").replace("\\n", "\n").replace("\\\"", "\"");
            bail!("the UDF `{name}` does not compile: {said}");
        }
        let body = json!({
            "prefix": "telesift", "language": "rust", "definition": source,
            "description": "made by telesift pipelines apply",
        });
        let made = self.call::<Value>(Method::POST, "/udfs", Some(body), COMPILE_TIMEOUT);
        made.await
            .with_context(|| format!("cannot make the UDF `{name}`"))?;
        Ok(())
    }

    pub(crate) async fn delete_udf(&self, id: &str) -> Result<()> {
        self.delete(&format!("/udfs/{id}")).await
    }

    /// All pipelines.
    pub(crate) async fn pipelines(&self) -> Result<Vec<RemotePipeline>> {
        let mut all: Vec<RemotePipeline> = Vec::new();
        loop {
            let after = all
                .last()
                .map(|last| format!("&starting_after={}", last.id));
            let path = format!("/pipelines?limit=50{}", after.unwrap_or_default());
            let page: Collection<RemotePipeline> = self.get(&path).await?;
            let is_last = !page.has_more || page.data.is_empty();
            all.extend(page.data);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// The job of a pipeline; there is one each.
    pub(crate) async fn job(&self, pipeline: &str) -> Result<Option<Job>> {
        let jobs: Collection<Job> = self.get(&format!("/pipelines/{pipeline}/jobs")).await?;
        Ok(jobs.data.into_iter().next())
    }

    /// Asks whether Arroyo can run `query`.
    ///
    /// # Errors
    /// Its words if not: an unknown column, a UDF that is not there, a wrong option.
    pub(crate) async fn validate(&self, name: &str, query: &str) -> Result<()> {
        let body = json!({"query": query, "udfs": []});
        let path = "/pipelines/validate_query";
        let checked = self.call(Method::POST, path, Some(body), TIMEOUT).await;
        let checked: Value = checked.with_context(|| format!("in {name}.sql"))?;
        let errors = texts(&checked["errors"]);
        if !errors.is_empty() {
            bail!("Arroyo cannot run {name}.sql: {}", errors.join("\n"));
        }
        Ok(())
    }

    /// Starts a pipeline.
    pub(crate) async fn create_pipeline(
        &self,
        name: &str,
        query: &str,
        parallelism: u64,
    ) -> Result<()> {
        let body = json!({
            "name": name, "query": query, "udfs": [], "parallelism": parallelism,
        });
        let made = self.call::<Value>(Method::POST, "/pipelines", Some(body), COMPILE_TIMEOUT);
        made.await
            .with_context(|| format!("cannot start the pipeline `{name}`"))?;
        Ok(())
    }

    /// Stops a pipeline, and deletes it once its job is over.
    pub(crate) async fn remove_pipeline(&self, pipeline: &RemotePipeline) -> Result<()> {
        let path = format!("/pipelines/{}", pipeline.id);
        let started = std::time::Instant::now();
        let mut is_asked = false;
        while let Some(job) = self.job(&pipeline.id).await? {
            if job.is_over() {
                break;
            }
            if !is_asked {
                let stop = json!({"stop": "immediate"});
                let _: Value = self.call(Method::PATCH, &path, Some(stop), TIMEOUT).await?;
                is_asked = true;
            } else if started.elapsed() > STOP_PATIENCE {
                bail!(
                    "the pipeline `{}` does not stop: its job is {}",
                    pipeline.name,
                    job.state
                );
            } else {
                tokio::time::sleep(POLL).await;
            }
        }
        self.delete(&path).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.call(Method::GET, path, None, TIMEOUT).await
    }

    /// What is not there is deleted.
    async fn delete(&self, path: &str) -> Result<()> {
        let (status, text) = self.send(Method::DELETE, path, None, TIMEOUT).await?;
        match status.is_success() || status == StatusCode::NOT_FOUND {
            true => Ok(()),
            false => Err(refusal(status, &text)),
        }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        limit: Duration,
    ) -> Result<T> {
        let (status, text) = self.send(method, path, body, limit).await?;
        if !status.is_success() {
            return Err(refusal(status, &text));
        }
        serde_json::from_str(&text).with_context(|| {
            format!(
                "{} answered {path} with something else than Arroyo does",
                self.url
            )
        })
    }

    /// Sends; a call that changes nothing is repeated when Arroyo cannot be reached or is not well.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        limit: Duration,
    ) -> Result<(StatusCode, String)> {
        let tries = if method == Method::GET { TRIES } else { 1 };
        let mut delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_jitter()
            .with_max_times(tries - 1)
            .build();
        loop {
            let url = format!("{}/api/v1{path}", self.url);
            let mut request = self.http.request(method.clone(), url).timeout(limit);
            if let Some(body) = &body {
                request = request.json(body);
            }
            let outcome = match request.send().await {
                Ok(response) => {
                    let status = response.status();
                    response.text().await.map(|text| (status, text))
                }
                Err(error) => Err(error),
            };
            let delay = delays.next();
            match outcome {
                Ok((status, _)) if status.is_server_error() && delay.is_some() => {}
                Ok(answer) => return Ok(answer),
                Err(_) if delay.is_some() => {}
                Err(error) if error.is_connect() => bail!(
                    "no Arroyo answers at {}; start one with `arroyo cluster`, or name one with --arroyo",
                    self.url
                ),
                Err(error) if error.is_timeout() => {
                    bail!("Arroyo at {} did not answer in time", self.url)
                }
                Err(error) => {
                    return Err(anyhow::Error::new(error.without_url())
                        .context("the connection to Arroyo failed"));
                }
            }
            tokio::time::sleep(delay.unwrap_or_default()).await;
        }
    }
}

/// What Arroyo says of a call it refuses: `{"error": "…"}`.
fn refusal(status: StatusCode, text: &str) -> anyhow::Error {
    let read: Option<Value> = serde_json::from_str(text).ok();
    match read.as_ref().and_then(|v| v["error"].as_str()) {
        Some(words) => anyhow!("Arroyo refuses: {words}"),
        None => anyhow!("Arroyo answered {status}"),
    }
}

/// Errors in a list: texts, or in later versions objects with a `message`.
fn texts(errors: &Value) -> Vec<String> {
    let errors = errors.as_array().into_iter().flatten();
    let text = |e: &Value| e.as_str().or(e["message"].as_str()).map(str::to_owned);
    errors.filter_map(text).collect()
}
