//! The HTTP client of the commands: finds the server and the key, and turns problem documents into words.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{cli::Connection, config, exit::Usage};

/// What a running server leaves in its data directory.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ServerFile {
    pub(crate) url: String,
    pub(crate) pid: u32,
}

/// Where [`ServerFile`] lies.
pub(crate) fn server_file(data_dir: &Path) -> PathBuf {
    data_dir.join("server.json")
}

/// Where the admin key lies.
pub(crate) fn admin_key_file(data_dir: &Path) -> PathBuf {
    data_dir.join("admin.key")
}

/// Speaks to one server with one key.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

/// The fields of a problem document that people need.
#[derive(Debug, Deserialize)]
struct Problem {
    title: String,
    #[serde(default)]
    detail: Option<String>,
    code: String,
}

/// How a server stands, part by part.
#[derive(Debug, Deserialize)]
struct Readiness {
    checks: Vec<Part>,
}

#[derive(Debug, Deserialize)]
struct Part {
    name: String,
    ok: bool,
}

impl Client {
    /// The server and key of `connection`, else those of the data directory.
    pub(crate) fn find(connection: &Connection) -> Result<Self> {
        let data_dir = config::data_dir(connection.data_dir.as_deref())?;
        let url = match &connection.url {
            Some(url) => url.clone(),
            None => running_server(&data_dir)?.url,
        };
        let url = checked(&url)?;
        let key = match &connection.key {
            Some(key) => key.clone(),
            None => read_admin_key(&data_dir)?,
        };
        Self::new(url, &key)
    }

    /// A client of the server at `url`.
    pub(crate) fn new(url: &str, key: &str) -> Result<Self> {
        let url = checked(url)?;
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(Duration::from_secs(120))
            .user_agent(concat!("telesift/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("cannot start the HTTP client")?;
        Ok(Client {
            http,
            url: url.to_owned(),
            key: key.trim().to_owned(),
        })
    }

    /// The server's URL, without a slash at its end.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The key.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// A request with the key, to be sent by [`Client::send`].
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.key)
    }

    /// Sends, and reads the JSON of the answer.
    pub(crate) async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let response = self.send(request).await?;
        response
            .json()
            .await
            .context("the server's answer is not what this version expects")
    }

    /// Reads the JSON at `path`.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T> {
        self.json(self.request(Method::GET, path).query(query))
            .await
    }

    /// The parts of the server that do not work: none if it is ready.
    pub(crate) async fn not_ready(&self) -> Result<Vec<String>> {
        let request = self.request(Method::GET, "/readyz");
        let response = request.send().await.map_err(|e| self.unreachable(e))?;
        let status = response.status();
        let body = response.bytes().await.unwrap_or_default();
        let Ok(readiness) = serde_json::from_slice::<Readiness>(&body) else {
            return Err(self.refusal(status, &body));
        };
        let failed = readiness.checks.into_iter().filter(|check| !check.ok);
        Ok(failed.map(|check| check.name).collect())
    }

    /// Sends; an answer that is a problem becomes an error in its words.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(|e| self.unreachable(e))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.bytes().await.unwrap_or_default();
        Err(self.refusal(status, &body))
    }

    /// What the server says by an answer that is no success.
    pub(crate) fn refusal(&self, status: StatusCode, body: &[u8]) -> anyhow::Error {
        let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
            return anyhow!("{} answered {status}; is it a telesift server?", self.url);
        };
        let words = problem.detail.unwrap_or(problem.title);
        let error = anyhow!("{words} ({})", problem.code);
        // What is wrong with a file is no fault of the command line.
        let is_file = ["invalid_export", "invalid_rules"].contains(&problem.code.as_str());
        match status == StatusCode::BAD_REQUEST && !is_file {
            true => crate::exit::usage(error),
            false => error,
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> anyhow::Error {
        if error.is_connect() {
            anyhow!(
                "no server answers at {}; start one with `telesift serve`",
                self.url
            )
        } else if error.is_timeout() {
            anyhow!("{} did not answer in time", self.url)
        } else {
            anyhow::Error::new(error.without_url()).context("the connection failed")
        }
    }
}

fn checked(url: &str) -> Result<&str> {
    if url.starts_with("http://") || url.starts_with("https://") {
        return Ok(url.trim_end_matches('/'));
    }
    bail!(Usage(format!("`{url}` is no http URL")))
}

fn running_server(data_dir: &Path) -> Result<ServerFile> {
    let file = server_file(data_dir);
    let text = std::fs::read_to_string(&file).map_err(|_| {
        anyhow!(
            "no server is running on {}; start one with `telesift serve`, or name one with --url",
            data_dir.display()
        )
    })?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is damaged; restart the server", file.display()))
}

fn read_admin_key(data_dir: &Path) -> Result<String> {
    let file = admin_key_file(data_dir);
    let text = std::fs::read_to_string(&file).map_err(|e| {
        anyhow!(
            "no key: cannot read {} ({}); set TELESIFT_KEY",
            file.display(),
            e.kind()
        )
    })?;
    Ok(text.trim().to_owned())
}
