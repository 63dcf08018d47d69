//! The lines a channel closes its posts with, taken off: whoever posts the text elsewhere has others.

use crate::{
    fold::fold,
    tokens::{TokenKind, tokens},
};

/// Longer lines say something.
const MAX_WORDS: usize = 8;

/// How a line that asks for subscribers, or names the source, begins one of its words; folded. Ukrainian, Russian,
/// English.
const CALLS: &[&str] = &[
    "підписатис",
    "підписатьс",
    "підписуйс",
    "підписуйтес",
    "підпишис",
    "підпишіт",
    "подписатьс",
    "подписывайс",
    "подписывайтес",
    "подпишис",
    "подпишитес",
    "прислать",
    "надіслати",
    "приєднуйтес",
    "присоединяйтес",
    "джерело",
    "источник",
    "subscribe",
    "follow",
    "join",
    "source",
    "via",
];

/// `text` without the last lines that only name the channel: short, and with a mention, a link into Telegram, a call to
/// subscribe, or nothing but tags. The first line always stays.
pub(super) fn without_footer(text: &str) -> &str {
    let mut body = text.trim_end();
    while let Some((above, line)) = body.rsplit_once('\n') {
        let above = above.trim_end();
        if above.trim_start().is_empty() || !is_footer(line) {
            break;
        }
        body = above;
    }
    body
}

fn is_footer(line: &str) -> bool {
    let (mut n_words, mut n_tags, mut is_marked) = (0, 0, false);
    for token in tokens(line) {
        match token.kind {
            TokenKind::Mention => is_marked = true,
            TokenKind::Url => is_marked |= leads_into_telegram(token.text),
            TokenKind::Hashtag => n_tags += 1,
            _ => {
                n_words += 1;
                let folded = fold(token.text);
                is_marked |= CALLS.iter().any(|call| folded.starts_with(call));
            }
        }
        if n_words > MAX_WORDS {
            return false;
        }
    }
    is_marked || (n_tags > 0 && n_words == 0)
}

fn leads_into_telegram(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    host.starts_with("t.me/") || host.starts_with("telegram.me/")
}
