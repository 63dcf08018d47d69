//! What the commands print: one place writes to stdout, so that a closed pipe is an ordinary end.

use std::io::{self, Write as _};

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

/// Prints a line.
pub(super) fn line(text: impl AsRef<str>) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", text.as_ref())?;
    Ok(out.flush()?)
}

/// Prints a value as one line of JSON.
pub(super) fn json(value: &impl Serialize) -> Result<()> {
    line(serde_json::to_string(value)?)
}

/// One message for a terminal: class (an analyst's own, marked `*`, before the screen's), time, chat, author and the start
/// of the text.
pub(super) fn message(message: &Value) -> String {
    let text = |pointer: &str| {
        message
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let class = match text("/label/class") {
        "" => text("/screen/class").to_owned(),
        label => format!("{label}*"),
    };
    let score = message
        .pointer("/screen/score")
        .and_then(Value::as_f64)
        .unwrap_or_default();
    let body = printable(text("/text"));
    let body = if body.is_empty() {
        format!("[{}]", text("/kind"))
    } else {
        shorten(&body, 240)
    };
    format!(
        "{class:<11} {score:.2}  {}  {} · {}\n    {body}\n    {}  {}",
        text("/event_time"),
        printable(text("/chat/title")),
        printable(text("/author/name")),
        text("/id"),
        text("/deep_link"),
    )
}

/// Text as a terminal may show it: on one line, without control and direction-changing characters, which could forge
/// output.
pub(super) fn printable(text: &str) -> String {
    let spaced: String = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control() && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        .collect();
    spaced
        .split(' ')
        .filter(|w| !w.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The first `n_chars` characters, with an ellipsis where that is not all.
pub(super) fn shorten(text: &str, n_chars: usize) -> String {
    match text.char_indices().nth(n_chars) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_analysts_class_is_shown_before_the_screens() {
        let mut shown =
            serde_json::json!({"screen": {"class": "noise", "score": 0.1}, "label": null});
        assert!(message(&shown).starts_with("noise "));
        shown["label"] = serde_json::json!({"class": null, "spam": true});
        assert!(message(&shown).starts_with("noise "));
        shown["label"]["class"] = "signal".into();
        assert!(message(&shown).starts_with("signal* "));
    }

    #[test]
    fn text_cannot_forge_terminal_output() {
        assert_eq!(printable("a\u{1b}[2J\n\u{202e}b\tc"), "a[2J b c");
    }
}
