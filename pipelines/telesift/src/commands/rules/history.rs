//! `telesift rules history`.

use anyhow::Result;
use serde_json::Value;

use super::positions;
use crate::{
    cli::Connection,
    client::Client,
    commands::{block_on, print},
};

pub(super) fn run(connection: &Connection, client: &Client, limit: usize) -> Result<()> {
    let answer: Value = block_on(client.get("/v1/rules/history", &[("limit", limit.to_string())]))?;
    if connection.json {
        return print::json(&answer);
    }
    let activations = answer["items"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    for activation in activations {
        let text = |name: &str| print::printable(activation[name].as_str().unwrap_or_default());
        let line = format!(
            "{}  {:<32} from {}  by {}  {}",
            text("at"),
            text("rules"),
            positions(&activation["from"]),
            text("by"),
            text("note"),
        );
        print::line(line.trim_end())?;
    }
    if answer["next_cursor"].is_null() {
        print::line("before that: the rules that ship with telesift, from offset 0 on")?;
    }
    Ok(())
}
