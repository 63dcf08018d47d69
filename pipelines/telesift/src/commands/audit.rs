//! `telesift audit`: who administered what, newest first.

use anyhow::Result;
use serde_json::Value;

use super::{block_on, print};
use crate::{
    cli::{AuditArgs, Connection},
    client::Client,
};

pub(crate) fn run(connection: Connection, args: AuditArgs) -> Result<()> {
    let client = Client::find(&connection)?;
    let mut query = vec![("limit", args.limit.to_string())];
    let narrowed = [
        ("action", args.action),
        ("by", args.by),
        ("target", args.target),
        ("since", args.since),
        ("until", args.until),
    ];
    query.extend(narrowed.into_iter().filter_map(|(k, v)| Some((k, v?))));
    let answer: Value = block_on(client.get("/v1/audit", &query))?;
    if connection.json {
        return print::json(&answer);
    }
    for record in answer["items"].as_array().into_iter().flatten() {
        print::line(line(record))?;
    }
    Ok(())
}

fn line(record: &Value) -> String {
    let text = |pointer: &str| {
        let value = record.pointer(pointer).and_then(Value::as_str);
        print::printable(value.unwrap_or("-"))
    };
    let code = match record["code"].as_str() {
        Some(code) => format!(" ({code})"),
        None => String::new(),
    };
    format!(
        "{}  {:<20} {:<24} {}{code}  by {} from {}",
        text("/at"),
        text("/action"),
        text("/target"),
        text("/outcome"),
        text("/by/name"),
        text("/address"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_did_what_and_how_it_ended() {
        let record = serde_json::json!({
            "at": "2026-01-05T10:00:00Z", "action": "keys.revoke", "target": "k1", "outcome": "refused",
            "code": "not_found", "by": {"key": "a", "name": "Олена"}, "address": null,
        });
        let words: Vec<String> = line(&record)
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        assert_eq!(
            words.join(" "),
            "2026-01-05T10:00:00Z keys.revoke k1 refused (not_found) by Олена from -"
        );
    }
}
