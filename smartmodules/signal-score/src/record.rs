//! The record: a message's JSON comes in, the same JSON with its screen leaves, without being written anew.

use std::fmt::Write;

use serde_json::Value;

use crate::{MessageView, Rules, Scored};

/// The value of a record of `normalize` with `screen` added and `flags` moved into it. What is no message (a skip, a
/// failure, anything else) comes back unchanged: whoever reads it next knows better what to do with it.
pub fn score_record(value: &[u8], rules: &Rules) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 256);
    score_record_into(value, rules, &mut out);
    out
}

/// [`score_record`], appended to `out`.
pub(crate) fn score_record_into(value: &[u8], rules: &Rules, out: &mut Vec<u8>) {
    // A marker of normalize, which is nearly as common as a message in some exports.
    let markers: [&[u8]; 3] = [br#"{"skip""#, br#"{"fail""#, br#"{"reacted""#];
    if markers.iter().any(|marker| value.starts_with(marker)) {
        out.extend_from_slice(value);
        return;
    }
    let Some(message) = MessageView::parse(value) else {
        out.extend_from_slice(value);
        return;
    };
    match head(value, &message) {
        Some(head) => out.extend_from_slice(head),
        None => match rewritten(value) {
            Some(head) => out.extend_from_slice(&head),
            None => {
                out.extend_from_slice(value);
                return;
            }
        },
    }
    let scored = Scored::new(&message, rules);
    out.extend_from_slice(br#","screen":"#);
    write_screen(&scored, &message, rules, out);
    out.push(b'}');
}

/// The message up to where `screen` goes: without the closing brace, and without `flags`, which normalize writes last.
fn head<'v>(value: &'v [u8], message: &MessageView<'_>) -> Option<&'v [u8]> {
    if message.is_screened {
        return None;
    }
    let head = value.strip_suffix(b"}")?;
    if message.flags.is_empty() {
        return Some(head);
    }
    let mut tail = String::from(r#","flags":["#);
    for (i, flag) in message.flags.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        // A flag with a character to escape does not match, and goes the long way.
        let _ = write!(tail, r#"{comma}"{}""#, flag.0);
    }
    tail.push(']');
    head.strip_suffix(tail.as_bytes())
}

/// The same for a message that normalize did not write, or that was screened before.
fn rewritten(value: &[u8]) -> Option<Vec<u8>> {
    let mut message: Value = serde_json::from_slice(value).ok()?;
    let fields = message.as_object_mut()?;
    fields.remove("flags");
    fields.remove("screen");
    let mut head = serde_json::to_vec(&message).ok()?;
    head.pop();
    Some(head)
}

fn write_screen(scored: &Scored, message: &MessageView<'_>, rules: &Rules, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"class":""#);
    out.extend_from_slice(scored.class.as_str().as_bytes());
    out.extend_from_slice(br#"","score":"#);
    write_json(&scored.score, out);
    out.extend_from_slice(br#","factors":{"#);
    for (i, (factor, contribution)) in scored.counting().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(factor.name().as_bytes());
        out.extend_from_slice(br#"":"#);
        write_json(&contribution, out);
    }
    out.extend_from_slice(br#"},"flags":["#);
    for (i, flag) in scored.flags(message).enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_json(flag, out);
    }
    out.extend_from_slice(br#"],"spam_score":"#);
    write_json(&scored.spam_score, out);
    out.extend_from_slice(br#","rules":"#);
    write_json(rules.version(), out);
    out.push(b'}');
}

fn write_json<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value)
        .expect("texts and finite numbers are JSON, and a Vec takes all");
}

#[cfg(test)]
mod tests;
