//! `telesift story`: the messages that tell one story.

use anyhow::Result;
use serde_json::Value;

use super::{block_on, print};
use crate::{
    cli::{Connection, StoryArgs},
    client::Client,
};

pub(crate) fn run(connection: Connection, args: StoryArgs) -> Result<()> {
    let client = Client::find(&connection)?;
    let query = [("limit", args.limit.to_string())];
    let answer: Value = block_on(client.get(&format!("/v1/stories/{}", args.id), &query))?;
    if connection.json {
        return print::json(&answer);
    }
    let spread = &answer["spread"];
    if let Some(first) = spread["first_seen"].as_str() {
        let speed = spread["chats_per_hour"].as_f64();
        let speed = speed.map_or(String::new(), |n| format!(", {n:.1} chats per hour"));
        print::line(format!(
            "first seen {first}, in {} chats{speed}",
            spread["chats"]
        ))?;
    }
    let messages = answer["items"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    for message in messages {
        print::line(print::message(message))?;
    }
    let all = messages
        .first()
        .and_then(|m| m.pointer("/story/size"))
        .and_then(Value::as_u64);
    print::line(match all {
        Some(all) => format!("{} of {all} messages", messages.len()),
        None => format!("{} messages", messages.len()),
    })
}
