//! The URLs of a text: those Telegram marked as entities, and those that only stand in the text.

use std::ops::Range;

use telesift_text::{TokenKind, tokens};

/// Collects the URLs of one text.
#[derive(Debug, Default)]
pub(crate) struct Links {
    found: Vec<(Range<usize>, String)>,
}

impl Links {
    /// A URL marked at these bytes of the text. E-mail and `tg:` addresses count too, as written.
    pub(crate) fn mark(&mut self, at: Range<usize>, url: &str) {
        if !url.trim().is_empty() {
            self.found.push((at, url.trim().to_owned()));
        }
    }

    /// All URLs, in the order of the text and without repeats: the marked ones, and those in the rest of `text`.
    pub(crate) fn finish(mut self, text: &str) -> Vec<String> {
        let n_marked = self.found.len();
        for at in unmarked(text) {
            let is_marked = self.found[..n_marked]
                .iter()
                .any(|(m, _)| m.start < at.end && at.start < m.end);
            if !is_marked {
                self.found.push((at.clone(), text[at].to_owned()));
            }
        }
        self.found.sort_by_key(|(at, _)| at.start);
        let mut links: Vec<String> = Vec::with_capacity(self.found.len());
        for (_, url) in self.found {
            if !links.contains(&url) {
                links.push(url);
            }
        }
        links
    }
}

/// Where URLs stand in `text`. Most texts hold none, so look for their signs first.
fn unmarked(text: &str) -> Vec<Range<usize>> {
    if !has_sign(text) {
        return Vec::new();
    }
    let mut ranges = Vec::new();
    for chunk in text.split_whitespace().filter(|chunk| has_sign(chunk)) {
        let start = chunk.as_ptr() as usize - text.as_ptr() as usize;
        let urls = tokens(chunk).filter(|t| t.kind == TokenKind::Url);
        for url in urls {
            let at = start + url.start;
            ranges.extend(
                plain(&text[at..start + url.range().end]).map(|r| at + r.start..at + r.end),
            );
        }
    }
    ranges
}

/// The URLs in one that may be the middle of a link in Markdown, `[name](url)`: names are often URLs themselves.
fn plain(url: &str) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    url.split("](").filter_map(move |part| {
        let start = from;
        from += part.len() + "](".len();
        let kept = match part.len() < url.len() {
            true => part.strip_suffix(')').unwrap_or(part),
            false => part,
        };
        has_sign(kept).then(|| start..start + kept.len())
    })
}

/// Whether there is a `://`, `www.` or `t.me/`: one pass, told by the points and strokes, which are few.
fn has_sign(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr2_iter(b'/', b'.', bytes).any(|at| {
        let (before, from) = bytes.split_at(at);
        match from[0] {
            b'.' => before.ends_with(b"www"),
            _ => before.ends_with(b"t.me") || (before.ends_with(b":") && from.starts_with(b"//")),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_come_in_order_without_repeats() {
        let text = "див. https://a.example/1, сюди і www.b.example (https://a.example/1)";
        let mut links = Links::default();
        let at = text.find("сюди").unwrap();
        links.mark(at..at + "сюди".len(), "https://hidden.example");
        assert_eq!(
            links.finish(text),
            [
                "https://a.example/1",
                "https://hidden.example",
                "www.b.example"
            ]
        );
    }

    #[test]
    fn links_in_markdown_are_urls_without_it() {
        for (text, urls) in [
            (
                "[https://a.example/1](https://a.example/1)",
                &["https://a.example/1"][..],
            ),
            (
                "див. [https://a.example](https://b.example/x), так",
                &["https://a.example", "https://b.example/x"],
            ),
            ("https://a.example/x_(y)", &["https://a.example/x_(y)"]),
        ] {
            assert_eq!(Links::default().finish(text), urls, "{text}");
        }
    }

    #[test]
    fn a_marked_url_is_not_found_twice() {
        let text = "x https://a.example/ü y";
        let mut links = Links::default();
        links.mark(2..text.len() - 2, "https://a.example/ü");
        assert_eq!(links.finish(text), ["https://a.example/ü"]);
    }
}
