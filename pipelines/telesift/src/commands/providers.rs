//! `telesift providers`: add, list, try and remove the language models that may be asked.

use std::io::{self, BufRead, IsTerminal as _};

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};

use super::{block_on, print};
use crate::{
    cli::{Connection, NewProvider, ProvidersAction, ProvidersArgs},
    client::Client,
    exit::Usage,
};

const KEY: &str = "TELESIFT_PROVIDER_KEY";

pub(crate) fn run(connection: Connection, args: ProvidersArgs) -> Result<()> {
    let client = Client::find(&connection)?;
    match args.action {
        ProvidersAction::Add(provider) => add(&connection, &client, &provider),
        ProvidersAction::List => list(&connection, &client),
        ProvidersAction::Test { name } => test(&connection, &client, &name),
        ProvidersAction::Remove { name } => {
            let path = format!("/v1/providers/{name}");
            block_on(client.send(client.request(Method::DELETE, &path)))?;
            match connection.json {
                true => print::json(&json!({"removed": name})),
                false => print::line(format!("removed {}", print::printable(&name))),
            }
        }
    }
}

fn add(connection: &Connection, client: &Client, new: &NewProvider) -> Result<()> {
    let mut body = json!({
        "name": new.name,
        "kind": new.kind,
        "url": new.base_url,
        "model": new.model,
        "usd_per_million_in": new.usd_per_million_in,
        "usd_per_million_out": new.usd_per_million_out,
        "reasoning": new.reasoning,
    });
    for (field, value) in [
        ("key", key(new.no_key)?.map(Value::from)),
        ("max_tokens_out", new.max_tokens_out.map(Value::from)),
        ("timeout_s", new.timeout_s.map(Value::from)),
        ("max_concurrent", new.max_concurrent.map(Value::from)),
        (
            "requests_per_minute",
            new.requests_per_minute.map(Value::from),
        ),
        ("tokens_per_minute", new.tokens_per_minute.map(Value::from)),
    ] {
        if let Some(value) = value {
            body[field] = value;
        }
    }
    let request = client.request(Method::POST, "/v1/providers").json(&body);
    let answer: Value = block_on(client.json(request))?;
    if connection.json {
        return print::json(&answer);
    }
    print::line(line(&answer))?;
    eprintln!(
        "no chat goes there yet: `telesift chats set ID --enrich remote --consent` allows one; `telesift providers test {}` tries it",
        new.name
    );
    Ok(())
}

/// The key: of the environment, else a line of standard input. Never of the command line, which others can see.
fn key(is_none: bool) -> Result<Option<String>> {
    if is_none {
        return Ok(None);
    }
    if let Some(key) = std::env::var(KEY).ok().filter(|key| !key.is_empty()) {
        return Ok(Some(key));
    }
    if io::stdin().is_terminal() {
        eprintln!("key:");
    }
    let line = io::stdin().lock().lines().next().transpose();
    let line = line.context("standard input cannot be read")?;
    match line.map(|l| l.trim().to_owned()).filter(|l| !l.is_empty()) {
        Some(key) => Ok(Some(key)),
        None => bail!(Usage(format!(
            "no key: give it as a line of standard input, set {KEY}, or say --no-key"
        ))),
    }
}

fn list(connection: &Connection, client: &Client) -> Result<()> {
    let answer: Value = block_on(client.get("/v1/providers", &[("limit", "500".to_owned())]))?;
    if connection.json {
        return print::json(&answer);
    }
    let providers = answer["items"].as_array().map(Vec::as_slice);
    let providers = providers.unwrap_or_default();
    if providers.is_empty() {
        return print::line(
            "no providers: the built-in rules read every chat; `telesift providers add` adds one",
        );
    }
    for provider in providers {
        print::line(line(provider))?;
    }
    Ok(())
}

fn test(connection: &Connection, client: &Client, name: &str) -> Result<()> {
    let path = format!("/v1/providers/{name}/test");
    let answer: Value = block_on(client.json(client.request(Method::POST, &path)))?;
    let is_ok = answer["ok"] == true;
    match connection.json {
        true => print::json(&answer)?,
        false if is_ok => print::line(format!(
            "answered in {} ms; {} tokens sent, {} received, {}",
            answer["latency_ms"],
            answer["tokens_in"],
            answer["tokens_out"],
            super::costs::dollars(&answer["micro_usd"]),
        ))?,
        false => {}
    }
    match is_ok {
        true => Ok(()),
        false => bail!(
            "`{name}` did not answer as asked: {}",
            print::printable(answer["error"].as_str().unwrap_or("no reason given"))
        ),
    }
}

/// One provider on one line.
fn line(provider: &Value) -> String {
    let text = |name: &str| print::printable(provider[name].as_str().unwrap_or_default());
    let place = match provider["local"] == true {
        true => "local",
        false => "remote",
    };
    let key = match provider["has_key"] == true {
        true => "with key",
        false => "no key",
    };
    let failure = match provider["failure"].as_str() {
        Some(failure) => format!("  ! {}", print::printable(failure)),
        None => String::new(),
    };
    format!(
        "{:<20} {:<10} {place:<7} {:<24} {}  {key}  ${}/${} per million{failure}",
        text("name"),
        text("kind"),
        text("model"),
        text("url"),
        provider["usd_per_million_in"],
        provider["usd_per_million_out"],
    )
}
