//! `telesift trends`, `telesift bursts`: what is new, what is loud, who fell silent.

use anyhow::Result;
use serde_json::Value;

use super::{block_on, print};
use crate::{
    cli::{Connection, WindowsArgs},
    client::Client,
};

pub(crate) fn trends(connection: Connection, args: WindowsArgs) -> Result<()> {
    list(&connection, "/v1/trends", &args, |row| {
        format!(
            "{}  {:<5} {:>6} before {:>6}  x{:<7.1} {}",
            text(row, "window_end"),
            text(row, "kind"),
            row["messages"],
            row["previous"],
            row["growth"].as_f64().unwrap_or_default(),
            text(row, "name"),
        )
    })
}

pub(crate) fn bursts(connection: Connection, args: WindowsArgs) -> Result<()> {
    list(&connection, "/v1/bursts", &args, |row| {
        let loud = match row["last_seen"].as_str() {
            Some(last) => format!("{} in a day, none since {last}", row["baseline"]),
            None => format!(
                "{} messages, {:.1} times the mean before",
                row["messages"],
                row["ratio"].as_f64().unwrap_or_default()
            ),
        };
        format!(
            "{}  {:<8} {:<24} {loud}",
            text(row, "window_end"),
            text(row, "kind"),
            text(row, "name"),
        )
    })
}

fn text<'v>(row: &'v Value, field: &str) -> &'v str {
    row[field].as_str().unwrap_or_default()
}

fn list(
    connection: &Connection,
    path: &str,
    args: &WindowsArgs,
    words: impl Fn(&Value) -> String,
) -> Result<()> {
    let client = Client::find(connection)?;
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.until.clone().map(|at| ("until", at)));
    query.extend(args.since.clone().map(|at| ("since", at)));
    query.extend(args.kinds.iter().map(|kind| ("kind", kind.clone())));
    query.extend(args.chats.iter().map(|chat| ("chat", chat.to_string())));
    let page: Value = block_on(client.get(path, &query))?;
    if connection.json {
        return print::json(&page);
    }
    let rows = page["items"].as_array().map(Vec::as_slice);
    let rows = rows.unwrap_or_default();
    if rows.is_empty() {
        print::line("none in these windows; --since and --until ask for others")?;
    }
    for row in rows {
        print::line(words(row))?;
    }
    if !page["next_cursor"].is_null() {
        print::line("… more; see --limit and --json")?;
    }
    Ok(())
}
