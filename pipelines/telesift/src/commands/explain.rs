//! `telesift explain`: why a message got its score, as a table that adds up.

use anyhow::Result;
use serde_json::Value;

use super::{block_on, print};
use crate::{
    cli::{Connection, ExplainArgs},
    client::Client,
};

pub(crate) fn run(connection: Connection, args: ExplainArgs) -> Result<()> {
    let client = Client::find(&connection)?;
    let path = format!("/v1/messages/{}/explain", args.message);
    let answer: Value = block_on(client.get(&path, &[]))?;
    if connection.json {
        return print::json(&answer);
    }
    for line in lines(&answer) {
        print::line(line)?;
    }
    Ok(())
}

/// The answer for a terminal: the judgement, what made it, spam, and the way through the stages.
fn lines(answer: &Value) -> Vec<String> {
    let text = |pointer: &str| {
        let text = answer.pointer(pointer).and_then(Value::as_str);
        print::printable(text.unwrap_or("-"))
    };
    let mut lines = vec![format!(
        "{}  {} {}  by {}",
        text("/message"),
        text("/class"),
        number(&answer["score"], 4),
        text("/rules"),
    )];
    if let Some(note) = answer["note"].as_str() {
        lines.push(format!("note: {note}"));
    }
    lines.extend(table("factor", &answer["factors"]));
    lines.push(format!(
        "logit {}, score {} (weak_signal from {}, signal from {})",
        number(&answer["logit"], 4),
        number(&answer["recomputed"]["score"], 4),
        number(&answer["recomputed"]["weak_signal_from"], 2),
        number(&answer["recomputed"]["signal_from"], 2),
    ));
    let spam = &answer["spam"];
    if spam.is_object() {
        lines.push(String::new());
        lines.push(format!(
            "spam {} (flagged from {})",
            number(&spam["score"], 4),
            number(&spam["spam_from"], 2)
        ));
        lines.extend(table("cue", &spam["cues"]));
    }
    lines.push(String::new());
    for stage in list(&answer["stages"]) {
        let word = |key: &str| stage[key].as_str().unwrap_or_default();
        lines.push(format!(
            "{:<8}{:<10}{:<24}{}",
            word("stage"),
            word("outcome"),
            place(&stage["output"]),
            word("at")
        ));
    }
    lines
}

/// What counted, one line each; nothing where nothing did.
fn table(name: &str, factors: &Value) -> Vec<String> {
    let counting = list(factors).iter().filter(|factor| {
        let contribution = factor["contribution"].as_f64();
        contribution.is_some_and(|contribution| contribution != 0.0)
    });
    let row = |factor: &Value| {
        let evidence: Vec<&str> = list(&factor["evidence"])
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let line = format!(
            "{:<18}{:>8}{:>9}{:>14}  {}",
            factor["name"].as_str().unwrap_or_default(),
            number(&factor["value"], 2),
            number(&factor["weight"], 2),
            number(&factor["contribution"], 4),
            print::printable(&evidence.join(", ")),
        );
        line.trim_end().to_owned()
    };
    let rows: Vec<String> = counting.map(row).collect();
    if rows.is_empty() {
        return rows;
    }
    let head = format!(
        "{name:<18}{:>8}{:>9}{:>14}",
        "value", "weight", "contribution"
    );
    std::iter::once(head).chain(rows).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn number(value: &Value, decimals: usize) -> String {
    let number = value.as_f64();
    number.map_or("-".to_owned(), |number| format!("{number:.decimals$}"))
}

/// `telegram-raw/1@11`, or nothing.
fn place(origin: &Value) -> String {
    match (&origin["topic"], &origin["partition"], &origin["offset"]) {
        (Value::String(topic), partition, offset) => format!("{topic}/{partition}@{offset}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_counted_is_shown_with_its_words_and_the_rest_is_not() {
        let factor = |name: &str, value: f64, contribution: f64, evidence: &[&str]| {
            json!({
                "name": name, "value": value, "weight": 2.5, "contribution": contribution, "evidence": evidence,
            })
        };
        let lines = lines(&json!({
            "message": "-1001:7", "class": "signal", "score": 0.9966, "rules": "ops@1+ab", "note": null, "logit": 5.67,
            "factors": [factor("bias", 1.0, -0.43, &[]), factor("incident", 1.0, 2.5, &["\u{202e}fire"]), factor("code", 0.0, 0.0, &[])],
            "recomputed": {"score": 0.9966, "weak_signal_from": 0.45, "signal_from": 0.95},
            "spam": {"score": 0.0006, "spam_from": 0.5, "cues": []},
            "stages": [{"stage": "ingest", "outcome": "appended", "output": {"topic": "telegram-raw", "partition": 1, "offset": 11},
                        "at": "2026-01-05T10:00:00Z"}],
        }));
        insta::assert_snapshot!(lines.join("\n"), @r"
        -1001:7  signal 0.9966  by ops@1+ab
        factor               value   weight  contribution
        bias                  1.00     2.50       -0.4300
        incident              1.00     2.50        2.5000  fire
        logit 5.6700, score 0.9966 (weak_signal from 0.45, signal from 0.95)

        spam 0.0006 (flagged from 0.50)

        ingest  appended  telegram-raw/1@11       2026-01-05T10:00:00Z
        ");
    }

    #[test]
    fn an_explanation_without_its_record_says_so_and_does_not_fail() {
        let lines = lines(&json!({
            "message": "-1001:7", "class": "noise", "score": 0.1, "rules": "ops@1+ab", "note": "its record is not kept",
            "logit": null, "factors": [], "recomputed": null, "spam": null, "stages": [],
        }));
        assert_eq!(lines[1], "note: its record is not kept");
        assert!(lines[2].starts_with("logit -, score -"), "{lines:?}");
    }
}
