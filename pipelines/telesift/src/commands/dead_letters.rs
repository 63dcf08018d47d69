//! `telesift dead-letters`: what could not be processed, why, what to do, and another try of it.

mod retry;

use anyhow::Result;
use serde_json::Value;

use super::{block_on, print};
use crate::{
    cli::{Connection, DeadLettersAction, DeadLettersArgs, ListLetters},
    client::Client,
};

pub(crate) fn run(connection: Connection, args: DeadLettersArgs) -> Result<()> {
    match args.action {
        None => list(&connection, args.list),
        Some(DeadLettersAction::List(wanted)) => list(&connection, wanted),
        Some(DeadLettersAction::Show { id }) => show(&connection, &id),
        Some(DeadLettersAction::Retry(wanted)) => retry::run(&connection, wanted),
    }
}

fn show(connection: &Connection, id: &str) -> Result<()> {
    let client = Client::find(connection)?;
    let letter: Value = block_on(client.get(&format!("/v1/dead-letters/{id}"), &[]))?;
    if connection.json {
        return print::json(&letter);
    }
    print::line(serde_json::to_string_pretty(&letter)?)
}

fn list(connection: &Connection, wanted: ListLetters) -> Result<()> {
    let client = Client::find(connection)?;
    let states = match wanted.states.is_empty() {
        true => vec!["open".to_owned(), "retrying".to_owned()],
        false => wanted.states,
    };
    let mut query = vec![("limit", wanted.limit.to_string())];
    query.extend(wanted.of.stages.into_iter().map(|stage| ("stage", stage)));
    query.extend(wanted.of.codes.into_iter().map(|code| ("code", code)));
    query.extend(states.into_iter().map(|state| ("state", state)));
    let answer: Value = block_on(client.get("/v1/dead-letters", &query))?;
    if connection.json {
        return print::json(&answer);
    }
    let letters = answer["items"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    for letter in letters {
        print::line(in_words(letter))?;
    }
    print::line(match letters.len() {
        0 => "no dead letters".to_owned(),
        n => format!(
            "{n} dead letters; `telesift dead-letters show ID` shows one in full, `telesift dead-letters retry ID` tries it again"
        ),
    })
}

/// A letter on three lines: what and where it stands, why, what to do.
fn in_words(letter: &Value) -> String {
    let text = |name: &str| letter[name].as_str().unwrap_or_default();
    let attempts = letter["attempts"].as_u64().unwrap_or_default();
    let times = if attempts == 1 { "time" } else { "times" };
    format!(
        "{}  {}  {}, tried {attempts} {times}, last at {}\n    {}\n    {}",
        text("id"),
        text("code"),
        text("state"),
        text("last_at"),
        print::printable(text("message")),
        text("what_to_do")
    )
}
