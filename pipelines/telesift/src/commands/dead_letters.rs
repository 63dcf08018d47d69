//! `telesift dead-letters`: what could not be processed, why, and what to do.

use anyhow::Result;
use serde_json::Value;

use super::{block_on, print};
use crate::{
    cli::{Connection, DeadLettersArgs},
    client::Client,
};

pub(crate) fn run(connection: Connection, args: DeadLettersArgs) -> Result<()> {
    let client = Client::find(&connection)?;
    if let Some(id) = &args.id {
        let letter: Value = block_on(client.get(&format!("/v1/dead-letters/{id}"), &[]))?;
        return print::line(serde_json::to_string_pretty(&letter)?);
    }
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.stage.map(|stage| ("stage", stage)));
    let answer: Value = block_on(client.get("/v1/dead-letters", &query))?;
    if connection.json {
        return print::json(&answer);
    }
    let letters = answer["items"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    for letter in letters {
        let text = |name: &str| letter[name].as_str().unwrap_or_default();
        print::line(format!(
            "{}  {}  {}\n    {}",
            text("id"),
            text("code"),
            print::printable(text("message")),
            text("what_to_do")
        ))?;
    }
    print::line(match letters.len() {
        0 => "no dead letters".to_owned(),
        n => format!("{n} dead letters; `telesift dead-letters ID` shows one in full"),
    })
}
