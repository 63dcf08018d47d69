//! `telesift feedback`: labels given, listed, exported with their texts.

use std::collections::{BTreeMap, btree_map::Entry};

use anyhow::{Result, bail};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use telesift_schemas::Class;

use super::{block_on, print};
use crate::{
    cli::{Connection, FeedbackAction, FeedbackArgs, LabelFilters, Spam},
    client::Client,
    exit::Usage,
};

/// How many labels one request asks for.
const PAGE: usize = 500;

/// A label as `GET /v1/feedback?texts=true` lists it.
#[derive(Debug, Deserialize)]
struct Label {
    message: String,
    chat: String,
    edit: i64,
    class: Option<String>,
    spam: Option<bool>,
    text: Option<String>,
    lang: Option<String>,
}

/// A line of an export: what evaluation and learning read.
#[derive(Debug, PartialEq, Serialize)]
struct Line {
    text: String,
    lang: String,
    class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spam: Option<bool>,
    chat: String,
    message: String,
}

pub(crate) fn run(connection: Connection, args: FeedbackArgs) -> Result<()> {
    match args.action {
        None => give(&connection, args),
        Some(FeedbackAction::List { filters, limit }) => list(&connection, &filters, limit),
        Some(FeedbackAction::Export { filters }) => export(&connection, &filters),
    }
}

fn give(connection: &Connection, args: FeedbackArgs) -> Result<()> {
    if args.class.is_none() && args.spam.is_none() {
        bail!(Usage("say --class, --spam or both".to_owned()));
    }
    let mut body = Map::from_iter([("message".to_owned(), json!(args.message))]);
    if let Some(class) = args.class {
        let class = (class != "none").then_some(class);
        body.insert("class".to_owned(), json!(class));
    }
    if let Some(spam) = args.spam {
        let spam = match spam {
            Spam::Yes => json!(true),
            Spam::No => json!(false),
            Spam::None => Value::Null,
        };
        body.insert("spam".to_owned(), spam);
    }
    let client = Client::find(connection)?;
    let request = client.request(Method::POST, "/v1/feedback").json(&body);
    let answer: Value = block_on(client.json(request))?;
    if connection.json {
        return print::json(&answer);
    }
    let message = answer["message"].as_str().unwrap_or_default();
    print::line(match &answer["label"] {
        Value::Null => format!("{message}  no label"),
        label => format!("{message}  {}", in_words(label)),
    })
}

/// `signal, no spam, by Olena at …`.
fn in_words(label: &Value) -> String {
    let spam = label["spam"].as_bool();
    let spam = spam.map(|spam| if spam { "spam" } else { "no spam" });
    let said: Vec<&str> = label["class"].as_str().into_iter().chain(spam).collect();
    format!(
        "{}, by {} at {}",
        said.join(", "),
        print::printable(label["by"].as_str().unwrap_or_default()),
        label["at"].as_str().unwrap_or_default()
    )
}

fn query(filters: &LabelFilters) -> Vec<(&'static str, String)> {
    let chats: Vec<String> = filters.chats.iter().map(i64::to_string).collect();
    let named = [
        ("message", &filters.messages),
        ("class", &filters.classes),
        ("chat", &chats),
        ("by", &filters.by),
    ];
    let pairs = named
        .into_iter()
        .flat_map(|(name, values)| values.iter().map(move |v| (name, v.clone())));
    pairs.collect()
}

fn list(connection: &Connection, filters: &LabelFilters, limit: usize) -> Result<()> {
    let client = Client::find(connection)?;
    let mut query = query(filters);
    query.push(("limit", limit.to_string()));
    let answer: Value = block_on(client.get("/v1/feedback", &query))?;
    if connection.json {
        return print::json(&answer);
    }
    let labels = answer["items"].as_array();
    let labels = labels.map(Vec::as_slice).unwrap_or_default();
    for label in labels {
        let message = label["message"].as_str().unwrap_or_default();
        print::line(format!("{message:<28} {}", in_words(label)))?;
    }
    if labels.is_empty() {
        print::line("no labels")?;
    }
    Ok(())
}

fn export(connection: &Connection, filters: &LabelFilters) -> Result<()> {
    let classes = &filters.classes;
    let known = |name: &&String| Class::ALL.iter().any(|c| c.as_str() == *name);
    if let Some(unknown) = classes.iter().find(|name| !known(name)) {
        bail!(Usage(format!(
            "`{unknown}` is no class; there are noise, weak_signal and signal"
        )));
    }
    let client = Client::find(connection)?;
    let labels = block_on(all(&client, filters))?;
    let (lines, n_without_text) = lines(labels);
    // The class in force: asked for earlier, a later label of another class would not be seen.
    let wanted = |line: &Line| line.class.as_ref().is_some_and(|c| classes.contains(c));
    for line in lines.iter().filter(|l| classes.is_empty() || wanted(l)) {
        print::json(line)?;
    }
    if n_without_text > 0 {
        eprintln!("{n_without_text} labelled messages left out: their texts are not stored");
    }
    Ok(())
}

/// What an export holds of all labels, as JSON.
pub(crate) fn exported(client: &Client) -> Result<Vec<Value>> {
    let labels = block_on(all(client, &LabelFilters::default()))?;
    let (lines, _) = lines(labels);
    Ok(lines.into_iter().map(|line| json!(line)).collect())
}

/// Every label of any class, the last given first.
async fn all(client: &Client, filters: &LabelFilters) -> Result<Vec<Label>> {
    #[derive(Deserialize)]
    struct Page {
        items: Vec<Label>,
        next_cursor: Option<String>,
    }
    let mut first = query(filters);
    first.retain(|(name, _)| *name != "class");
    first.push(("texts", "true".to_owned()));
    first.push(("limit", PAGE.to_string()));
    let (mut labels, mut cursor) = (Vec::new(), None);
    loop {
        let mut query = first.clone();
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        let page: Page = client.get("/v1/feedback", &query).await?;
        labels.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(labels);
        }
    }
}

/// One line per message version: of its labels, which come the last given first, the first that says something counts,
/// for class and for spam each. And how many versions have no text.
fn lines(labels: Vec<Label>) -> (Vec<Line>, usize) {
    let mut versions: BTreeMap<(String, i64), Label> = BTreeMap::new();
    for label in labels {
        match versions.entry((label.message.clone(), label.edit)) {
            Entry::Vacant(free) => {
                free.insert(label);
            }
            Entry::Occupied(mut held) => {
                let held = held.get_mut();
                held.class = held.class.take().or(label.class);
                held.spam = held.spam.or(label.spam);
            }
        }
    }
    let n_versions = versions.len();
    let lines: Vec<Line> = versions
        .into_values()
        .filter_map(|label| {
            Some(Line {
                text: label.text?,
                lang: label.lang.unwrap_or_else(|| "und".to_owned()),
                class: label.class,
                spam: label.spam,
                chat: label.chat,
                message: label.message,
            })
        })
        .collect();
    let n_without_text = n_versions - lines.len();
    (lines, n_without_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(message: &str, class: Option<&str>, spam: Option<bool>, text: Option<&str>) -> Label {
        Label {
            message: message.to_owned(),
            chat: "7".to_owned(),
            edit: 0,
            class: class.map(str::to_owned),
            spam,
            text: text.map(str::to_owned),
            lang: Some("uk".to_owned()),
        }
    }

    #[test]
    fn an_export_has_one_line_per_version_with_what_is_in_force() {
        let labels = vec![
            label("7:2", None, Some(true), Some("two")),
            label("7:1", Some("signal"), None, Some("one")),
            label("7:2", Some("noise"), Some(false), Some("two")),
            label("7:1", Some("noise"), None, Some("one")),
            label("7:3", Some("noise"), None, None),
        ];
        let (lines, n_without_text) = lines(labels);
        let written: Vec<String> = lines
            .iter()
            .map(|l| serde_json::to_string(l).expect("JSON"))
            .collect();
        assert_eq!(
            written,
            [
                r#"{"text":"one","lang":"uk","class":"signal","chat":"7","message":"7:1"}"#,
                r#"{"text":"two","lang":"uk","class":"noise","spam":true,"chat":"7","message":"7:2"}"#,
            ]
        );
        assert_eq!(n_without_text, 1);
    }
}
