//! `telesift dead-letters retry`: asks, waits until each letter's stage has tried it, and says how it ended.

use std::time::Duration;

use anyhow::{Result, bail};
use reqwest::Method;
use serde_json::{Value, json};

use super::{in_words, print};
use crate::{
    cli::{Connection, OfLetters, RetryLetters},
    client::Client,
    commands::block_on,
};

/// How often it asks how a letter stands.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// How long it waits for one letter. A stage that is busy or waits for its store takes the request up later.
const PATIENCE: Duration = Duration::from_secs(120);
/// Letters one request names or lists.
const PAGE: usize = 500;

pub(super) fn run(connection: &Connection, wanted: RetryLetters) -> Result<()> {
    let client = Client::find(connection)?;
    block_on(async {
        let letters = match wanted.all {
            false => named(&client, &wanted.ids).await?,
            true => open(&client, &wanted.of).await?,
        };
        request(&client, &wanted, &letters).await?;
        if wanted.no_wait {
            return taken(connection, letters.len());
        }
        let mut n_failed = 0;
        let mut ended = Vec::with_capacity(letters.len());
        for letter in &letters {
            let letter = outcome(&client, letter).await?;
            n_failed += usize::from(letter["state"] != "solved");
            if !connection.json {
                print::line(match letter["state"].as_str() {
                    Some("solved") => {
                        format!("{}  solved", letter["id"].as_str().unwrap_or_default())
                    }
                    _ => in_words(&letter),
                })?;
            }
            ended.push(letter);
        }
        if connection.json {
            print::json(&json!({"items": ended}))?;
        }
        match n_failed {
            0 => summary(connection, letters.len()),
            n => bail!("{n} of {} dead letters are not solved", letters.len()),
        }
    })
}

fn taken(connection: &Connection, n: usize) -> Result<()> {
    match connection.json {
        true => print::json(&json!({"requested": n})),
        false => print::line(format!("{n} dead letters are being tried again")),
    }
}

fn summary(connection: &Connection, n: usize) -> Result<()> {
    match (connection.json, n) {
        (true, _) => Ok(()),
        (false, 0) => print::line("no open dead letters"),
        (false, n) => print::line(format!("{n} dead letters solved")),
    }
}

/// The letters of these ids, as they stand.
async fn named(client: &Client, ids: &[String]) -> Result<Vec<Value>> {
    let mut letters = Vec::with_capacity(ids.len());
    for id in ids {
        letters.push(one(client, id).await?);
    }
    Ok(letters)
}

/// All open letters that the filters leave.
async fn open(client: &Client, of: &OfLetters) -> Result<Vec<Value>> {
    let mut query = vec![("state", "open".to_owned()), ("limit", PAGE.to_string())];
    query.extend(of.stages.iter().map(|stage| ("stage", stage.clone())));
    query.extend(of.codes.iter().map(|code| ("code", code.clone())));
    let mut letters = Vec::new();
    loop {
        let mut page: Value = client.get("/v1/dead-letters", &query).await?;
        if let Some(items) = page["items"].as_array_mut() {
            letters.append(items);
        }
        query.retain(|(name, _)| *name != "cursor");
        match page["next_cursor"].as_str() {
            Some(next) => query.push(("cursor", next.to_owned())),
            None => return Ok(letters),
        }
    }
}

/// Asks for those letters: what was open when they were listed, however many come up meanwhile.
async fn request(client: &Client, wanted: &RetryLetters, letters: &[Value]) -> Result<()> {
    let ids: Vec<&str> = letters.iter().filter_map(|l| l["id"].as_str()).collect();
    if let ([id], false) = (&ids[..], wanted.all) {
        let path = format!("/v1/dead-letters/{id}/retry");
        client.send(client.request(Method::POST, &path)).await?;
        return Ok(());
    }
    for part in ids.chunks(PAGE) {
        let request = client.request(Method::POST, "/v1/dead-letters/retry");
        client.send(request.json(&json!({"ids": part}))).await?;
    }
    Ok(())
}

/// The letter once its stage has tried it once more than `before`.
async fn outcome(client: &Client, before: &Value) -> Result<Value> {
    let id = before["id"].as_str().unwrap_or_default();
    let attempts = |letter: &Value| letter["attempts"].as_u64().unwrap_or_default();
    let asked = std::time::Instant::now();
    loop {
        let letter = one(client, id).await?;
        let is_over = match letter["state"].as_str() {
            Some("solved") => true,
            Some("open") => attempts(&letter) > attempts(before),
            _ => false,
        };
        if is_over || asked.elapsed() > PATIENCE {
            return Ok(letter);
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

async fn one(client: &Client, id: &str) -> Result<Value> {
    client.get(&format!("/v1/dead-letters/{id}"), &[]).await
}
