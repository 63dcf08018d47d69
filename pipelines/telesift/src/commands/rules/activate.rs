//! `telesift rules activate`, which is also the way back.

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

use super::{path_of, positions};
use crate::{
    cli::Connection,
    client::Client,
    commands::{block_on, print},
};

pub(super) fn run(
    connection: &Connection,
    client: &Client,
    version: &str,
    from: &str,
    note: Option<String>,
) -> Result<()> {
    let path = format!("{}/activate", path_of(version));
    let body = json!({"from": from, "note": note});
    let answer: Value = block_on(client.json(client.request(Method::POST, &path).json(&body)))?;
    if connection.json {
        return print::json(&answer);
    }
    print::line(format!(
        "{} is active: it screens telegram-raw from {} on; what was screened before stays as it is",
        answer["rules"].as_str().unwrap_or_default(),
        positions(&answer["from"]),
    ))
}
