//! `telesift atoms`: claims with the words they stand on, and what readers say of them.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{block_on, print};
use crate::{
    cli::{ApprovalRules, AtomsAction, AtomsArgs, Connection, EditAtom, ListAtoms},
    client::Client,
};

pub(crate) fn run(connection: Connection, args: AtomsArgs) -> Result<()> {
    match args.action {
        None => list(&connection, args.list),
        Some(AtomsAction::List(wanted)) => list(&connection, wanted),
        Some(AtomsAction::Show { id }) => show(&connection, &id),
        Some(AtomsAction::Approve { ids }) => review(&connection, &ids, "approve", None),
        Some(AtomsAction::Reject { ids }) => review(&connection, &ids, "reject", None),
        Some(AtomsAction::Merge { ids, into }) => review(&connection, &ids, "merge", Some(into)),
        Some(AtomsAction::Edit(edit)) => self::edit(&connection, edit),
        Some(AtomsAction::Rules(rules)) => approval_rules(&connection, rules),
    }
}

fn list(connection: &Connection, wanted: ListAtoms) -> Result<()> {
    let client = Client::find(connection)?;
    let mut query = vec![("limit", wanted.limit.to_string())];
    query.extend(wanted.kinds.into_iter().map(|v| ("kind", v)));
    query.extend(wanted.statuses.into_iter().map(|v| ("status", v)));
    query.extend(wanted.subjects.into_iter().map(|v| ("subject", v)));
    query.extend(wanted.chats.iter().map(|v| ("chat", v.to_string())));
    let one = [
        ("query", wanted.query),
        ("since", wanted.since),
        ("until", wanted.until),
    ];
    query.extend(one.into_iter().filter_map(|(name, v)| Some((name, v?))));
    let answer: Value = block_on(client.get("/v1/atoms", &query))?;
    if connection.json {
        return print::json(&answer);
    }
    let atoms = items(&answer);
    for atom in atoms {
        print::line(in_words(atom))?;
    }
    print::line(match atoms.len() {
        0 => "no atoms".to_owned(),
        n => format!(
            "{n} atoms{}; `telesift atoms show ID` shows one in full",
            match answer["next_cursor"].is_null() {
                true => "",
                false => ", and more (--limit)",
            }
        ),
    })
}

fn show(connection: &Connection, id: &str) -> Result<()> {
    let client = Client::find(connection)?;
    let query = [("history", "true".to_owned())];
    let atom: Value = block_on(client.get(&format!("/v1/atoms/{id}"), &query))?;
    if connection.json {
        return print::json(&atom);
    }
    print::line(in_words(&atom))?;
    let content = text(&atom, "content");
    let quotes = atom["evidence"].as_array().into_iter().flatten();
    // The built-in rules say it in the very words.
    if !quotes.into_iter().any(|e| text(e, "quote") == content) {
        print::line(format!("    {}", print::printable(content)))?;
    }
    for link in atom["links"].as_array().into_iter().flatten() {
        print::line(format!("    {} {}", text(link, "kind"), text(link, "to")))?;
    }
    for source in atom["sources"].as_array().into_iter().flatten() {
        let source = source.as_str().unwrap_or_default();
        print::line(format!("    told again in {source}"))?;
    }
    for version in atom["versions"].as_array().into_iter().flatten() {
        print::line(format!(
            "    version {}  {}  {}  {}",
            version["version"],
            seconds(text(version, "updated_at")),
            text(version, "status"),
            print::printable(text(version, "title"))
        ))?;
    }
    Ok(())
}

fn review(
    connection: &Connection,
    ids: &[String],
    verdict: &str,
    into: Option<String>,
) -> Result<()> {
    let mut body = json!({"ids": ids, "verdict": verdict});
    if let Some(into) = into {
        body["into"] = into.into();
    }
    let answer = send(connection, Method::POST, "/v1/atoms/review", &body)?;
    if connection.json {
        return print::json(&answer);
    }
    for atom in items(&answer) {
        print::line(in_words(atom))?;
    }
    Ok(())
}

fn edit(connection: &Connection, edit: EditAtom) -> Result<()> {
    let mut body = Map::new();
    body.insert("verdict".to_owned(), "edit".into());
    let fields = [
        ("kind", edit.kind),
        ("title", edit.title),
        ("content", edit.content),
        ("subject", edit.subject),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            body.insert(name.to_owned(), value.into());
        }
    }
    let path = format!("/v1/atoms/{}/review", edit.id);
    let atom = send(connection, Method::POST, &path, &Value::Object(body))?;
    match connection.json {
        true => print::json(&atom),
        false => print::line(in_words(&atom)),
    }
}

fn approval_rules(connection: &Connection, wanted: ApprovalRules) -> Result<()> {
    let answer = match &wanted.file {
        None => {
            let client = Client::find(connection)?;
            block_on(client.get("/v1/approval-rules", &[]))?
        }
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            let mut body: Value = serde_json::from_str(&text)
                .with_context(|| format!("{} is no JSON", file.display()))?;
            match wanted.set {
                true => {
                    body["existing"] = wanted.existing.into();
                    send(connection, Method::PUT, "/v1/approval-rules", &body)?
                }
                false => {
                    let path = "/v1/approval-rules/preview";
                    send(connection, Method::POST, path, &body)?
                }
            }
        }
    };
    if connection.json {
        return print::json(&answer);
    }
    if answer.get("tried").is_some() {
        for atom in answer["samples"].as_array().into_iter().flatten() {
            print::line(in_words(atom))?;
        }
        return print::line(format!(
            "{} of {} atoms that wait for a review would be approved; nothing was changed (--set sets the rules)",
            answer["approved"], answer["tried"]
        ));
    }
    if wanted.file.is_none() && items_of(&answer, "rules").is_empty() {
        return print::line(
            "no rules: every atom waits for a reader; docs/knowledge.md shows a file of rules to try",
        );
    }
    print::line(serde_json::to_string_pretty(&answer)?)
}

fn send(connection: &Connection, method: Method, path: &str, body: &Value) -> Result<Value> {
    let client = Client::find(connection)?;
    block_on(client.json(client.request(method, path).json(body)))
}

pub(super) fn items(answer: &Value) -> &[Value] {
    items_of(answer, "items")
}

/// A time without the part of a second nobody reads.
fn seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => time.to_owned(),
    }
}

fn items_of<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// An atom on a few lines: what it claims, and the words it stands on.
pub(super) fn in_words(atom: &Value) -> String {
    let subject = atom.pointer("/subject/name").and_then(Value::as_str);
    let subject = subject.map_or(String::new(), |s| format!("  [{}]", print::printable(s)));
    let mut lines = format!(
        "{:<11} {:.2}  {}{subject}\n    {}  {}  {}",
        text(atom, "kind"),
        atom["confidence"].as_f64().unwrap_or_default(),
        print::printable(text(atom, "title")),
        text(atom, "id"),
        text(atom, "status"),
        text(atom, "first_at"),
    );
    for evidence in atom["evidence"].as_array().into_iter().flatten() {
        let quote = print::shorten(&print::printable(text(evidence, "quote")), 200);
        lines.push_str(&format!("\n    “{quote}”  {}", text(evidence, "message")));
    }
    if atom["evidence_removed"] == true {
        lines.push_str("\n    what it stood on was removed");
    }
    lines
}
