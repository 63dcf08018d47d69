//! `telesift replay generations` and `retire`: what there is beside the live generation.

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{cli::Connection, client::Client, commands::print};

const PATH: &str = "/v1/generations";

pub(super) async fn list(connection: &Connection, client: &Client) -> Result<()> {
    let answer: Value = client.get(PATH, &[]).await?;
    if connection.json {
        return print::json(&answer);
    }
    for generation in answer["items"].as_array().into_iter().flatten() {
        print::line(line(generation))?;
    }
    Ok(())
}

/// One generation in a line.
fn line(generation: &Value) -> String {
    let state = match generation["live"].as_bool() {
        Some(true) => "live",
        _ => generation["state"].as_str().unwrap_or_default(),
    };
    let parts = &generation["parts"];
    let stages = generation["stages"].as_array().into_iter().flatten();
    let lag: u64 = stages.filter_map(|s| s["lag"].as_u64()).sum();
    let mut line = format!(
        "g{:<4} {state:<9} messages g{}, store g{}{}, stories g{}, windows g{}, knowledge g{}",
        generation["number"].as_u64().unwrap_or_default(),
        parts["messages"],
        parts["store"],
        model(&generation["model"]),
        parts["stories"],
        parts["windows"],
        parts["knowledge"],
    );
    if state != "retired" {
        line.push_str(&format!("  {lag} records behind"));
    }
    if let Some(replay) = generation["replay"].as_str() {
        line.push_str(&format!("  replay {}", print::printable(replay)));
    }
    line
}

/// The model of its vectors, in brackets.
fn model(model: &Value) -> String {
    let name = model.as_str().map(print::printable);
    name.map_or_else(String::new, |name| format!(" ({name})"))
}

pub(super) async fn retire(connection: &Connection, client: &Client, number: u32) -> Result<()> {
    let request = client.request(Method::DELETE, &format!("{PATH}/{number}"));
    client.send(request).await?;
    match connection.json {
        true => print::json(&json!({"retired": number})),
        false => print::line(format!("generation {number} is retired")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_one_line() {
        let generation = json!({
            "number": 2, "state": "ready", "live": false, "parts": {"messages": 2, "store": 2, "stories": 1, "windows": 2, "knowledge": 1},
            "model": "hash@1/256", "replay": "r1", "stages": [{"lag": 3}, {"lag": 4}],
        });
        let expected = "g2    ready     messages g2, store g2 (hash@1/256), stories g1, windows g2, knowledge g1  7 records behind  replay r1";
        assert_eq!(line(&generation), expected);
    }
}
