//! `telesift rules add`.

use std::path::Path;

use anyhow::{Context, Result};
use reqwest::{Method, StatusCode, header};
use serde_json::Value;

use crate::{
    cli::Connection,
    client::Client,
    commands::{block_on, print},
};

pub(super) fn run(
    connection: &Connection,
    client: &Client,
    file: &Path,
    note: Option<String>,
) -> Result<()> {
    let (text, is_json) = super::read(file)?;
    let content_type = match is_json {
        true => "application/json",
        false => "application/toml",
    };
    let query: Vec<(&str, String)> = note.map(|note| ("note", note)).into_iter().collect();
    let request = client
        .request(Method::POST, "/v1/rules")
        .query(&query)
        .header(header::CONTENT_TYPE, content_type)
        .body(text);
    let (status, rules): (StatusCode, Value) = block_on(async {
        let response = client.send(request).await?;
        Ok((response.status(), response.json().await?))
    })
    .with_context(|| format!("{}", file.display()))?;
    if connection.json {
        return print::json(&rules);
    }
    let version = rules["version"].as_str().unwrap_or_default();
    print::line(match status {
        StatusCode::CREATED => {
            format!("added {version}; `telesift rules activate {version}` makes it screen")
        }
        _ => format!("{version} was there already"),
    })
}
