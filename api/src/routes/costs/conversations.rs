//! Messages of a chat in, about the conversations they are read in out: as the stage `units` groups them, but for what answers across
//! a silence.

use telesift_schemas::{ChatKind, Message};

use crate::config::ConversationBounds;

/// Splits the messages of one chat, in any order; each conversation's by time.
pub(super) fn conversations(
    mut messages: Vec<Message>,
    bounds: &ConversationBounds,
) -> Vec<Vec<Message>> {
    messages.sort_by_key(|m| (m.thread, m.event_time, m.id));
    let mut all: Vec<Vec<Message>> = Vec::new();
    let mut n_chars = 0;
    for message in messages {
        let n = message.text.chars().count();
        let open = all.last_mut().filter(|open| {
            open.len() < bounds.max_messages
                && n_chars + n <= bounds.max_chars
                && open
                    .last()
                    .is_some_and(|last| follows(last, &message, bounds))
        });
        match open {
            Some(open) => {
                n_chars += n;
                open.push(message);
            }
            None => {
                n_chars = n;
                all.push(vec![message]);
            }
        }
    }
    all
}

/// Whether the chat was not silent for too long in between. Posts of a channel stand alone.
fn follows(last: &Message, next: &Message, bounds: &ConversationBounds) -> bool {
    let pause_s = next.event_time.as_second() - last.event_time.as_second();
    next.chat.kind != ChatKind::Channel && last.thread == next.thread && pause_s <= bounds.gap_s
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(kind: &str, id: i64, at_s: i64, text: &str) -> Message {
        let time = telesift_schemas::Timestamp::from_second(1_767_225_600 + at_s).unwrap();
        let chat = json!({"id": "-1001", "title": "T", "kind": kind});
        serde_json::from_value(json!({
            "v": 1, "id": format!("-1001:{id}"), "chat": chat, "message_id": id, "edit": 0,
            "event_time": time.to_string(), "kind": "text", "text": text, "lang": "en",
            "links": [], "reactions": {},
        }))
        .unwrap()
    }

    fn lengths(messages: Vec<Message>) -> Vec<usize> {
        let bounds = ConversationBounds {
            max_messages: 3,
            max_chars: 40,
            ..ConversationBounds::default()
        };
        let all = conversations(messages, &bounds);
        all.iter().map(Vec::len).collect()
    }

    #[test]
    fn a_silence_a_channel_and_the_bounds_part_conversations() {
        let group = |times: &[i64]| {
            let all = times.iter().enumerate();
            all.map(|(i, at)| message("supergroup", i as i64, *at, "some words"))
                .collect::<Vec<_>>()
        };
        assert_eq!(lengths(group(&[0, 60, 1_860, 3_661])), [3, 1]);
        assert_eq!(
            lengths(group(&[3_661, 1_860, 0, 60])),
            [3, 1],
            "in any order"
        );
        assert_eq!(lengths(group(&[0, 1, 2, 3])), [3, 1]);
        let long = "x".repeat(35);
        let mut texts = group(&[0, 1]);
        texts.push(message("supergroup", 9, 2, &long));
        assert_eq!(lengths(texts), [2, 1]);
        let posts = (0..3).map(|id| message("channel", id, id, "post"));
        assert_eq!(lengths(posts.collect()), [1, 1, 1]);
    }
}
