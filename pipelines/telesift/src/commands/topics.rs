//! `telesift topics`: what the log holds, and single records of it.

mod apply;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{block_on, print};
use crate::{
    cli::{Connection, TopicsAction, TopicsArgs},
    client::Client,
};

pub(crate) fn run(connection: Connection, args: TopicsArgs) -> Result<()> {
    if let Some(TopicsAction::Apply(args)) = &args.action {
        return apply::run(&connection, args);
    }
    let client = Client::find(&connection)?;
    match &args.topic {
        None => list(&connection, &client),
        Some(topic) => records(&connection, &client, topic, &args),
    }
}

fn list(connection: &Connection, client: &Client) -> Result<()> {
    let answer: Value = block_on(client.get("/v1/topics", &[]))?;
    if connection.json {
        return print::json(&answer);
    }
    for topic in answer["items"].as_array().into_iter().flatten() {
        for partition in topic["partitions"].as_array().into_iter().flatten() {
            let of = match topic["generation"].as_u64() {
                Some(number) if topic["live"] == true => format!("  live: generation {number}"),
                Some(number) => format!("  generation {number}"),
                None => String::new(),
            };
            print::line(format!(
                "{:<16} {:>3}  {} .. {}{of}",
                topic["topic"].as_str().unwrap_or_default(),
                partition["partition"],
                partition["start"],
                partition["end"],
            ))?;
        }
    }
    Ok(())
}

fn records(connection: &Connection, client: &Client, topic: &str, args: &TopicsArgs) -> Result<()> {
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.from.map(|from| ("from", from.to_string())));
    let path = format!("/v1/topics/{topic}/partitions/{}/records", args.partition);
    let answer: Box<RawValue> = block_on(client.get(&path, &query))?;
    if connection.json {
        return print::line(answer.get());
    }
    let records: Records<'_> = serde_json::from_str(answer.get())
        .context("the server's answer is not what this version expects")?;
    for record in records.items {
        // What is no JSON is shown in base64, as a text.
        let data = record.data.or(record.data_base64);
        print::line(format!(
            "{}  {}  {}",
            record.offset,
            record.appended_at,
            data.map_or("", RawValue::get)
        ))?;
    }
    Ok(())
}

/// Records with their values as stored, byte for byte.
#[derive(Deserialize)]
struct Records<'a> {
    #[serde(borrow)]
    items: Vec<Record<'a>>,
}

#[derive(Deserialize)]
struct Record<'a> {
    offset: u64,
    appended_at: &'a str,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data_base64: Option<&'a RawValue>,
}
