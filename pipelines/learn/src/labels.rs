//! Labelled messages: one JSON object a line comes in, checked examples leave.

use std::{fmt, io::BufRead};

use serde::{Deserialize, Serialize};
use telesift_schemas::{ChatId, Class};

/// A message and what a person made of it. Fields unknown here are left alone, so that exports of other tools can be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Labelled {
    /// The text.
    pub text: String,
    /// Language code, `und` where unknown.
    #[serde(default = "undetermined")]
    pub lang: String,
    /// Its class, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// Whether it is spam, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spam: Option<bool>,
    /// The chat it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<ChatId>,
}

/// A line that holds no labelled message.
#[derive(Debug, thiserror::Error)]
pub struct LabelError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for LabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// Reads JSON Lines; empty lines are skipped.
///
/// # Errors
/// The first line that cannot be read, or that has neither class nor spam.
pub fn read(lines: impl BufRead) -> Result<Vec<Labelled>, LabelError> {
    let mut labels = Vec::new();
    for (i, line) in lines.lines().enumerate() {
        let fail = |reason: String| LabelError {
            line: i + 1,
            reason,
        };
        let line = line.map_err(|error| fail(error.to_string()))?;
        if line.trim().is_empty() {
            continue;
        }
        let label: Labelled = serde_json::from_str(&line).map_err(|e| fail(without_place(&e)))?;
        if label.class.is_none() && label.spam.is_none() {
            return Err(fail("neither `class` nor `spam` is given".to_owned()));
        }
        labels.push(label);
    }
    Ok(labels)
}

/// Without "at line 1", which is that of the object.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

fn undetermined() -> String {
    "und".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_bad_ones_named() {
        let good = "{\"text\":\"ok\",\"class\":\"noise\",\"more\":1}\n\n{\"text\":\"a\",\"lang\":\"uk\",\"spam\":true}\n";
        let labels = read(good.as_bytes()).unwrap();
        assert_eq!((labels.len(), labels[0].lang.as_str()), (2, "und"));
        let error = read("{\"text\":\"ok\",\"class\":\"noize\"}".as_bytes()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("line 1: unknown variant `noize`"),
            "{error}"
        );
        let error = read(format!("{good}{{\"text\":\"ok\"}}").as_bytes()).unwrap_err();
        assert_eq!(error.line, 4);
    }
}
