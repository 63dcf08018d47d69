//! `telesift rules list`.

use anyhow::Result;
use serde_json::Value;

use super::positions;
use crate::{
    cli::Connection,
    client::Client,
    commands::{block_on, print},
};

pub(super) fn run(connection: &Connection, client: &Client) -> Result<()> {
    let answer: Value = block_on(client.get("/v1/rules", &[("limit", "500".to_owned())]))?;
    if connection.json {
        return print::json(&answer);
    }
    for rules in answer["items"].as_array().into_iter().flatten() {
        print::line(line(rules))?;
        for detail in details(rules) {
            print::line(format!("      {detail}"))?;
        }
    }
    Ok(())
}

fn line(rules: &Value) -> String {
    let text = |name: &str| rules[name].as_str().unwrap_or_default();
    let mark = if rules["active"] == true { "*" } else { " " };
    let origin = match rules["shipped"] == true {
        true => "ships with telesift".to_owned(),
        false => format!("added {}", text("added_at")),
    };
    let note = print::printable(text("note"));
    format!("{mark} {:<32} {origin}  {note}", text("version"))
        .trim_end()
        .to_owned()
}

fn details(rules: &Value) -> Vec<String> {
    let mut details = Vec::new();
    if let Some(since) = rules["since"].as_str() {
        details.push(format!(
            "active since {since}, from {} of telegram-raw on",
            positions(&rules["from"])
        ));
    }
    match (
        rules["problem"]["reason"].as_str(),
        rules["screens_as"].as_str(),
    ) {
        (Some(reason), _) => details.push(format!(
            "this version of telesift cannot use it: {}",
            print::printable(reason)
        )),
        (None, Some(now)) if rules["version"] != now => {
            details.push(format!("messages carry it as {now}"));
        }
        _ => {}
    }
    details
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_active_set_is_marked_and_says_from_where() {
        let rules = json!({"version": "ops@2+0a", "screens_as": "ops@2+0a", "active": true, "shipped": false,
            "since": "2026-01-05T10:05:00Z", "from": [{"partition": 0, "offset": 124}, {"partition": 1, "offset": 7}],
            "added_at": "2026-01-05T10:00:00Z", "note": "too\u{1b} much", "problem": null});
        let line = line(&rules);
        assert!(line.starts_with("* ops@2+0a "), "{line}");
        assert!(
            line.ends_with("added 2026-01-05T10:00:00Z  too much"),
            "{line}"
        );
        assert_eq!(
            details(&rules),
            ["active since 2026-01-05T10:05:00Z, from 0:124 1:7 of telegram-raw on"]
        );
    }

    #[test]
    fn a_set_that_cannot_be_used_says_why() {
        let rules = json!({"version": "ops@2+0a", "screens_as": null, "active": false, "since": null,
            "problem": {"line": 1, "reason": "there is no factor `x`"}});
        assert_eq!(
            details(&rules),
            ["this version of telesift cannot use it: there is no factor `x`"]
        );
    }
}
