//! `telesift gaps`: the holes in the message ids of chats, and what they can mean.

use anyhow::Result;
use serde_json::Value;

use super::{block_on, print};
use crate::{
    cli::{Connection, GapsArgs},
    client::Client,
};

pub(crate) fn run(connection: Connection, args: GapsArgs) -> Result<()> {
    let client = Client::find(&connection)?;
    let chats = match args.chats.is_empty() {
        true => block_on(all(&client))?,
        false => args.chats.iter().map(i64::to_string).collect(),
    };
    for chat in chats {
        let path = format!("/v1/chats/{chat}/gaps");
        let limit = [("limit", args.limit.to_string())];
        let report: Value = block_on(client.get(&path, &limit))?;
        if connection.json {
            print::json(&report)?;
            continue;
        }
        for line in words(&report) {
            print::line(line)?;
        }
    }
    Ok(())
}

/// Every chat, by id.
async fn all(client: &Client) -> Result<Vec<String>> {
    let (mut chats, mut query) = (Vec::new(), vec![("limit", "500".to_owned())]);
    loop {
        let page: Value = client.get("/v1/chats", &query).await?;
        let items = page["items"].as_array().into_iter().flatten();
        chats.extend(items.filter_map(|c| c["id"].as_str().map(str::to_owned)));
        match page["next_cursor"].as_str() {
            Some(next) => {
                query.truncate(1);
                query.push(("cursor", next.to_owned()));
            }
            None => return Ok(chats),
        }
    }
}

fn words(report: &Value) -> Vec<String> {
    let mut words = vec![format!(
        "{}  {} of ids {} .. {} known, {} missing{}",
        report["chat"].as_str().unwrap_or_default(),
        report["n_known"],
        report["first"],
        report["last"],
        report["n_missing"],
        match report["conclusive"].as_bool() {
            Some(false) => ", by nature: ids are shared between chats",
            _ => "",
        }
    )];
    for hole in report["items"].as_array().into_iter().flatten() {
        words.push(format!(
            "    {} .. {}  ({})",
            hole["from"], hole["to"], hole["n"]
        ));
    }
    if !report["next_cursor"].is_null() {
        words.push("    … more; see --limit and --json".to_owned());
    }
    words
}
