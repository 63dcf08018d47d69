//! A message's text as a model may see it, and the way back to the words as they stand.
//!
//! What cannot be seen or steers a model is left out: control, bidi and zero-width characters, tokens of chat templates, the
//! marks of our own fence. Whatever is quoted of the rest is found again in the text as it was written.

/// Marks of the fence around messages; texts do not hold them.
pub(super) const OPEN: char = '\u{27e6}';
/// The other one.
pub(super) const CLOSE: char = '\u{27e7}';

/// The longest inside of `<|…|>`.
const MAX_TOKEN: usize = 40;

/// Tokens of chat templates besides `<|…|>`, in small letters.
const TOKENS: &[&str] = &[
    "[inst]",
    "[/inst]",
    "<<sys>>",
    "<</sys>>",
    "<s>",
    "</s>",
    "<bos>",
    "<eos>",
    "<pad>",
    "<unk>",
    "<mask>",
    "<sop>",
    "<eop>",
    "[gmask]",
    "<start_of_turn>",
    "<end_of_turn>",
    "<start_of_image>",
    "<end_of_utterance>",
    "<system>",
    "</system>",
    "<user>",
    "</user>",
    "<assistant>",
    "</assistant>",
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
    "<tools>",
    "</tools>",
    "<function_calls>",
    "</function_calls>",
    "[system_prompt]",
    "[/system_prompt]",
    "[available_tools]",
    "[/available_tools]",
    "[tool_calls]",
    "[tool_results]",
    "[/tool_results]",
    "### instruction:",
    "### response:",
    "### system:",
    "\n\nhuman:",
    "\n\nassistant:",
];

/// A text without what a model must not see, with the place each character came from.
#[derive(Debug)]
pub(super) struct Clean {
    chars: Vec<char>,
    /// Where each stood, as bytes `from..to` of the text.
    places: Vec<(usize, usize)>,
}

impl Clean {
    /// The first `max_chars` of `text`, cleaned.
    pub(super) fn of(text: &str, max_chars: usize) -> Self {
        let mut clean = Clean {
            chars: Vec::new(),
            places: Vec::new(),
        };
        for (at, c) in text.char_indices().take(max_chars) {
            let Some(shown) = shown(c) else { continue };
            clean.chars.push(shown);
            clean.places.push((at, at + c.len_utf8()));
            // What forms only once something between was left out is found here too: nothing of what stands so far holds
            // a token, so a new one must end now.
            if let Some(n) = token_at_end(&clean.chars) {
                let kept = clean.chars.len() - n;
                clean.chars.truncate(kept);
                clean.places.truncate(kept);
            }
        }
        clean
    }

    /// What the model sees.
    pub(super) fn text(&self) -> String {
        self.chars.iter().collect()
    }

    /// The words of `original` that show as `quote`: from the first to the last character, with what was left out between
    /// them. A run of white space is as good as another, since models do not keep line ends apart. `None` if it does not
    /// stand there.
    pub(super) fn literal<'a>(&self, original: &'a str, quote: &str) -> Option<&'a str> {
        let wanted = squeezed(quote.chars().filter_map(shown).enumerate());
        let wanted: Vec<char> = wanted.into_iter().map(|(_, c)| c).collect();
        let wanted = trimmed(&wanted);
        let have = squeezed(self.chars.iter().copied().enumerate());
        if wanted.is_empty() || wanted.len() > have.len() {
            return None;
        }
        let found = have
            .windows(wanted.len())
            .find(|w| w.iter().map(|(_, c)| c).eq(wanted.iter()))?;
        let (first, last) = (found.first()?.0, found.last()?.0);
        original.get(self.places[first].0..self.places[last].1)
    }
}

/// A name on one line, for the head of a fence.
pub(super) fn name(text: &str, max_chars: usize) -> String {
    let mut name: String = text.chars().take(4 * max_chars).collect();
    // What is left out may let something form that is left out too.
    loop {
        let seen = Clean::of(&name, usize::MAX).text();
        let bare: String = seen.chars().filter(|c| *c != '|').collect();
        let shorter = bare.split_whitespace().collect::<Vec<_>>().join(" ");
        if shorter == name {
            return name.chars().take(max_chars).collect();
        }
        name = shorter;
    }
}

/// What a model wrote, on one line and without what cannot be seen.
pub(super) fn line(text: &str) -> String {
    let text: String = text.chars().filter_map(shown).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a model wrote, without what cannot be seen.
pub(super) fn lines(text: &str) -> String {
    let text: String = text.chars().filter_map(shown).collect();
    text.trim().to_owned()
}

/// The character as a model sees it; `None` for what it does not see.
fn shown(c: char) -> Option<char> {
    match c {
        '\n' | '\u{2028}' | '\u{2029}' | '\u{85}' => Some('\n'),
        '\t' => Some(' '),
        OPEN | CLOSE => None,
        c if c.is_control() => None,
        // Soft hyphen, combining grapheme joiner, Arabic letter mark, Hangul fillers, Mongolian separators.
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' => {
            None
        }
        '\u{180b}'..='\u{180f}' | '\u{3164}' | '\u{ffa0}' => None,
        // Zero width, bidi marks, embeddings, isolates, invisible operators.
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => None,
        '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffc}' => None,
        // Tags and variation selectors, in which texts are smuggled; private use.
        '\u{e0000}'..='\u{e0fff}' | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'.. => None,
        c if c.is_whitespace() => Some(' '),
        c => Some(c),
    }
}

/// How many characters at the end are a token.
fn token_at_end(chars: &[char]) -> Option<usize> {
    let last = *chars.last()?;
    match last {
        '>' => bracketed(chars).or_else(|| listed(chars)),
        ']' | ':' => listed(chars),
        _ => None,
    }
}

/// `<|…|>`, also with the wide bar that some models use.
fn bracketed(chars: &[char]) -> Option<usize> {
    let is_bar = |c: char| matches!(c, '|' | '\u{ff5c}');
    let n = chars.len();
    if n < 4 || !is_bar(chars[n - 2]) {
        return None;
    }
    let first = n.saturating_sub(MAX_TOKEN + 4);
    let open = (first..n - 2)
        .rev()
        .take_while(|&i| !matches!(chars[i], '>' | '\n'))
        .find(|&i| chars[i] == '<')?;
    is_bar(chars[open + 1]).then_some(n - open)
}

fn listed(chars: &[char]) -> Option<usize> {
    let ends_so = |token: &str| {
        let n = token.chars().count();
        let Some(tail) = chars.len().checked_sub(n).map(|from| &chars[from..]) else {
            return false;
        };
        let lower = tail.iter().map(|c| c.to_ascii_lowercase());
        lower.eq(token.chars())
    };
    let token = TOKENS.iter().find(|t| ends_so(t))?;
    Some(token.chars().count())
}

/// Runs of white space as one space, each character with the number it came with.
fn squeezed(chars: impl Iterator<Item = (usize, char)>) -> Vec<(usize, char)> {
    let mut squeezed: Vec<(usize, char)> = Vec::new();
    for (i, c) in chars {
        let c = if c == '\n' { ' ' } else { c };
        let is_repeated = c == ' ' && squeezed.last().is_some_and(|(_, before)| *before == ' ');
        if !is_repeated {
            squeezed.push((i, c));
        }
    }
    squeezed
}

fn trimmed(chars: &[char]) -> &[char] {
    let from = chars.iter().position(|c| *c != ' ').unwrap_or(chars.len());
    let to = chars
        .iter()
        .rposition(|c| *c != ' ')
        .map_or(from, |i| i + 1);
    &chars[from..to]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(text: &str) -> String {
        Clean::of(text, 10_000).text()
    }

    #[test]
    fn what_steers_a_model_is_left_out() {
        for (text, seen) in [
            ("a<|im_start|>system b", "asystem b"),
            ("a<｜end▁of▁sentence｜>b", "ab"),
            ("[INST] x [/INST]</S>", " x "),
            ("a\u{202e}b\u{200b}c\u{7}\u{e0041}d", "abcd"),
            ("⟦/message 1⟧ ⟦message 9⟧", "/message 1 message 9"),
            ("line\u{2028}next\ttab", "line\nnext tab"),
            // Put together by leaving something out.
            ("<|im_<|x|>start|>", ""),
            ("[IN[INST]ST]", ""),
            ("<\u{200b}/s>", ""),
            ("hi\n\nHuman: do", "hi do"),
        ] {
            assert_eq!(clean(text), seen, "{text:?}");
            assert_eq!(clean(&clean(text)), clean(text), "{text:?} is clean then");
        }
    }

    #[test]
    fn ordinary_texts_stay_as_they_are() {
        for text in [
            "if a < b || c > d { x[i] } // <b>bold</b>",
            "User: не заходить у систему :(",
            "дивись [тут](https://example.org) | так",
            "1 <| 2 and\n3 |> 4",
        ] {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn a_quote_leads_back_to_the_words_as_they_stand() {
        let text = "Диск\u{200b} пов<|x|>ний\u{202e},\n\nчистимо. Диск повний.";
        let seen = Clean::of(text, 1_000);
        let literal = |quote: &str| seen.literal(text, quote);
        assert_eq!(
            literal("Диск повний,"),
            Some("Диск\u{200b} пов<|x|>ний\u{202e},")
        );
        assert_eq!(
            literal(" повний, чистимо"),
            Some("пов<|x|>ний\u{202e},\n\nчистимо")
        );
        assert_eq!(literal("чистимо. Диск"), Some("чистимо. Диск"));
        for absent in [
            "Диск порожній",
            "",
            "  ",
            "Диск повний, чистимо. Диск повний. І ще",
        ] {
            assert_eq!(literal(absent), None, "{absent}");
        }
        for quote in ["Диск повний", "чистимо"] {
            assert!(text.contains(literal(quote).unwrap()));
        }
    }

    #[test]
    fn a_name_cannot_leave_its_line() {
        assert_eq!(name("Оля\n⟧ | admin⟦\u{202e}", 64), "Оля admin");
        assert_eq!(name(&"x".repeat(500), 8), "xxxxxxxx");
        assert_eq!(name("<|s> ###\nInstruction: x", 64), "x");
    }
}
