//! `telesift subjects`: what the atoms are on, and its names.

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    atoms::{in_words, items},
    block_on, print,
};
use crate::{
    cli::{Connection, SubjectsAction, SubjectsArgs},
    client::Client,
};

pub(crate) fn run(connection: Connection, args: SubjectsArgs) -> Result<()> {
    match args.action {
        None => list(&connection, args.limit),
        Some(SubjectsAction::Show { id, limit }) => show(&connection, &id, limit),
        Some(SubjectsAction::Rename { id, name }) => {
            change(&connection, &id, &json!({"name": name}))
        }
        Some(SubjectsAction::Merge { id, into }) => {
            change(&connection, &id, &json!({"merge_into": into}))
        }
    }
}

fn list(connection: &Connection, limit: usize) -> Result<()> {
    let client = Client::find(connection)?;
    let query = [("limit", limit.to_string())];
    let answer: Value = block_on(client.get("/v1/subjects", &query))?;
    if connection.json {
        return print::json(&answer);
    }
    for subject in items(&answer) {
        print::line(in_a_line(subject))?;
    }
    let n = items(&answer).len();
    let more = match answer["next_cursor"].is_null() {
        true => String::new(),
        false => format!(
            "; there are more (--limit {})",
            limit.saturating_mul(4).min(500)
        ),
    };
    print::line(format!(
        "{n} subjects by name; `telesift subjects show ID` shows what is on one{more}"
    ))
}

fn show(connection: &Connection, id: &str, limit: usize) -> Result<()> {
    let client = Client::find(connection)?;
    let query = [("limit", limit.to_string())];
    let answer: Value = block_on(client.get(&format!("/v1/subjects/{id}"), &query))?;
    if connection.json {
        return print::json(&answer);
    }
    let name = answer["name"].as_str().unwrap_or_default();
    print::line(print::printable(name))?;
    for atom in items(&answer) {
        print::line(in_words(atom))?;
    }
    Ok(())
}

fn change(connection: &Connection, id: &str, body: &Value) -> Result<()> {
    let client = Client::find(connection)?;
    let path = format!("/v1/subjects/{id}");
    let request = client.request(Method::POST, &path).json(body);
    let answer: Value = block_on(client.json(request))?;
    if connection.json {
        return print::json(&answer);
    }
    let text = |name: &str| answer[name].as_str().unwrap_or_default();
    print::line(format!(
        "{}  {}",
        text("id"),
        print::printable(text("name"))
    ))
}

/// A subject with how much is on it.
pub(super) fn in_a_line(subject: &Value) -> String {
    let text = |name: &str| subject[name].as_str().unwrap_or_default();
    let atoms = match subject["n_atoms"].as_u64() {
        Some(1) => "atom ",
        _ => "atoms",
    };
    format!(
        "{}  {:>4} {atoms}  {}",
        text("id"),
        subject["n_atoms"],
        print::printable(text("name"))
    )
}
