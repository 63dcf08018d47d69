//! `telesift topics`: what the log holds, and single records of it.

mod apply;

use anyhow::Result;
use serde_json::Value;

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
    let answer: Value = block_on(client.get(&path, &query))?;
    if connection.json {
        return print::json(&answer);
    }
    for record in answer["items"].as_array().into_iter().flatten() {
        print::line(format!(
            "{}  {}  {}",
            record["offset"],
            record["appended_at"].as_str().unwrap_or_default(),
            record["data"]
        ))?;
    }
    Ok(())
}
