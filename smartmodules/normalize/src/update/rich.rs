//! The plain text of a `rich_message`: blocks, tables and nested spans, read down to their words.

use serde_json::{Value, value::RawValue};

/// A rich message's words and URLs.
#[derive(Debug, Default)]
pub(super) struct Rich {
    pub(super) text: String,
    pub(super) links: Vec<String>,
}

/// Fields of blocks and spans that hold text, in reading order.
const TEXT_FIELDS: &[&str] = &[
    "title", "summary", "header", "label", "text", "blocks", "cells", "items", "rows", "children",
    "caption", "credit",
];

/// Reads what it can; nesting beyond the JSON reader's limit gives an empty text.
pub(super) fn read_rich(raw: &RawValue) -> Rich {
    let mut rich = Rich::default();
    let Ok(value) = serde_json::from_str::<Value>(raw.get()) else {
        return rich;
    };
    let blocks = value.get("blocks").and_then(Value::as_array);
    for block in blocks.map_or(&[][..], Vec::as_slice) {
        break_line(&mut rich.text);
        gather(block, &mut rich);
    }
    rich.text.truncate(rich.text.trim_end().len());
    rich
}

fn gather(value: &Value, rich: &mut Rich) {
    match value {
        Value::String(text) => rich.text.push_str(text),
        Value::Array(values) => values.iter().for_each(|v| gather(v, rich)),
        Value::Object(fields) => {
            let links = ["url", "href"]
                .iter()
                .filter_map(|f| fields.get(*f)?.as_str());
            rich.links.extend(links.map(str::to_owned));
            for field in TEXT_FIELDS {
                match fields.get(*field) {
                    // Rows of cells, blocks and list items stand apart; spans of a text do not.
                    Some(Value::Array(values)) if *field != "text" => {
                        for value in values {
                            break_line(&mut rich.text);
                            gather_cells(value, rich);
                        }
                    }
                    Some(value) => gather(value, rich),
                    None => {}
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A row of a table, with blanks between its cells; anything else as it is.
fn gather_cells(value: &Value, rich: &mut Rich) {
    let Value::Array(cells) = value else {
        return gather(value, rich);
    };
    for (i, cell) in cells.iter().enumerate() {
        if i > 0 {
            rich.text.push(' ');
        }
        gather(cell, rich);
    }
}

fn break_line(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}
