//! `telesift cost`: what language models cost, what is left of the budgets, and what a stretch would cost.

use anyhow::Result;
use serde_json::Value;

use super::{block_on, print};
use crate::{
    cli::{Connection, CostArgs},
    client::Client,
};

pub(crate) fn run(connection: Connection, args: CostArgs) -> Result<()> {
    let client = Client::find(&connection)?;
    let mut query = Vec::new();
    query.extend(args.since.map(|since| ("since", since)));
    query.extend(args.until.map(|until| ("until", until)));
    query.extend(args.chats.iter().map(|chat| ("chat", chat.to_string())));
    let path = match args.estimate {
        true => "/v1/stats/cost/estimate",
        false => {
            query.push(("by", args.by));
            "/v1/stats/cost"
        }
    };
    let answer: Value = block_on(client.get(path, &query))?;
    if connection.json {
        return print::json(&answer);
    }
    let lines = match args.estimate {
        true => estimated(&answer),
        false => spent(&answer),
    };
    for line in lines {
        print::line(line)?;
    }
    Ok(())
}

/// Millionths of a dollar as dollars.
pub(super) fn dollars(micro_usd: &Value) -> String {
    format!("${:.4}", micro_usd.as_u64().unwrap_or(0) as f64 / 1e6)
}

fn spent(answer: &Value) -> Vec<String> {
    let row = |row: &Value, key: &str| {
        format!(
            "{:<20} {:>7} calls, {} cached, {} failed  {:>9} in {:>8} out  {}",
            print::printable(key),
            row["calls"],
            row["cached"],
            row["failed"],
            row["tokens_in"],
            row["tokens_out"],
            dollars(&row["micro_usd"]),
        )
    };
    let items = answer["items"].as_array().into_iter().flatten();
    let mut lines: Vec<String> = items
        .filter(|item| item["key"] != "")
        .map(|item| row(item, item["key"].as_str().unwrap_or_default()))
        .collect();
    lines.push(row(&answer["total"], "total"));
    let budgets = &answer["budgets"];
    for (name, words) in [("daily", "today"), ("chat_daily", "each chat today")] {
        let budget = &budgets[name];
        let side = |side: &str, show: &dyn Fn(&Value) -> String| {
            let spent = show(&budget[side]["spent"]);
            match budget[side]["limit"].is_null() {
                true => format!("{spent} (no limit)"),
                false => format!("{spent} of {}", show(&budget[side]["limit"])),
            }
        };
        lines.push(format!(
            "budget, {words}: tokens {}, money {}",
            side("tokens", &|v: &Value| v.to_string()),
            side("micro_usd", &dollars),
        ));
    }
    lines
}

fn estimated(answer: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, share) in answer["by"].as_object().into_iter().flatten() {
        lines.push(format!(
            "{:<20} {} messages in about {} units: {} tokens in, at most {} out, at most {}",
            print::printable(name),
            share["messages"],
            share["units"],
            share["tokens_in"],
            share["tokens_out_at_most"],
            dollars(&share["micro_usd_at_most"]),
        ));
    }
    let more = match answer["truncated"] == true {
        true => "; there are more messages than were looked at",
        false => "",
    };
    lines.push(format!(
        "{} messages, at most {}{more}",
        answer["messages"],
        dollars(&answer["micro_usd_at_most"])
    ));
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn money_is_told_in_dollars_and_budgets_with_their_limits() {
        let row = json!({"key": "2026-01-05", "calls": 3, "cached": 1, "failed": 0, "tokens_in": 900, "tokens_out": 50, "micro_usd": 12_345});
        let answer = json!({
            "items": [row], "total": row,
            "budgets": {
                "daily": {"tokens": {"limit": null, "spent": 950}, "micro_usd": {"limit": 1_000_000, "spent": 12_345}},
                "chat_daily": {"tokens": {"limit": 500, "spent": 0}, "micro_usd": {"limit": null, "spent": 0}},
            },
        });
        let lines = spent(&answer);
        assert!(
            lines[0].starts_with("2026-01-05") && lines[0].ends_with("$0.0123"),
            "{lines:?}"
        );
        assert_eq!(
            lines[2],
            "budget, today: tokens 950 (no limit), money $0.0123 of $1.0000"
        );
        assert_eq!(
            lines[3],
            "budget, each chat today: tokens 0 of 500, money $0.0000 (no limit)"
        );
    }
}
