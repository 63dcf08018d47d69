//! `telesift rules show`: TOML that `rules add` takes again, with comments that say what it is.

use anyhow::Result;
use serde_json::Value;

use super::path_of;
use crate::{
    cli::Connection,
    client::Client,
    commands::{block_on, print},
};

pub(super) fn run(connection: &Connection, client: &Client, version: Option<&str>) -> Result<()> {
    let rules: Value = block_on(async {
        let path = match version {
            Some(version) => path_of(version),
            None => {
                let active: Value = client.get("/v1/rules/active", &[]).await?;
                path_of(active["rules"]["version"].as_str().unwrap_or_default())
            }
        };
        client.get(&path, &[]).await
    })?;
    if connection.json {
        return print::json(&rules);
    }
    let text = |name: &str| print::printable(rules[name].as_str().unwrap_or_default());
    let state = if rules["active"] == true {
        ", active"
    } else {
        ""
    };
    match rules["shipped"] == true {
        true => print::line(format!("# {}: ships with telesift{state}", text("version")))?,
        false => print::line(format!(
            "# {}: added {} by {}{state}",
            text("version"),
            text("added_at"),
            text("added_by")
        ))?,
    }
    if rules["note"].is_string() {
        print::line(format!("# {}", text("note")))?;
    }
    print::line(rules["toml"].as_str().unwrap_or_default().trim_end())
}
