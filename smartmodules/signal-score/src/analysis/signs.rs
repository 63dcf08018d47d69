//! What stands between two words: a gap comes in, the names of the signs in it leave, each once and in order.

use super::form::is_emoji;

/// Names under which the model knows signs, by kind.
const NAMES: [&str; 13] = [
    "<?>",
    "<!>",
    "<...>",
    "<)>",
    "<:>",
    "<\">",
    "<%>",
    "<$>",
    "<item>",
    "<code>",
    "<line>",
    "<blank line>",
    "<emoji>",
];

/// Hands the signs of the gap to `take`.
#[inline]
pub(super) fn signs(gap: &str, mut take: impl FnMut(&'static str)) {
    // Nearly every gap is a blank, or a comma and one.
    if matches!(gap, " " | "" | ", ") {
        return;
    }
    let (mut seen, mut before) = (0u32, ' ');
    for c in gap.chars() {
        if let Some(kind) = kind(c, before)
            && seen & (1 << kind) == 0
        {
            seen |= 1 << kind;
            take(NAMES[kind]);
        }
        before = c;
    }
}

/// The kind of a character after another; `None` where it says nothing.
fn kind(c: char, before: char) -> Option<usize> {
    let kind = match c {
        ' ' | ',' => return None,
        '?' => 0,
        '!' => 1,
        '.' if before == '.' => 2,
        '…' => 2,
        // The mouth of a smile, and the end of what is in brackets.
        ')' if before != '(' => 3,
        ':' => 4,
        '"' | '«' | '“' => 5,
        '%' => 6,
        '$' | '€' | '₴' | '₽' | '£' => 7,
        '-' | '—' | '–' | '•' | '*' if before == '\n' => 8,
        '{' | '}' | ';' | '=' | '<' | '>' | '`' => 9,
        '\n' if before == '\n' => 11,
        '\n' => 10,
        c if is_emoji(c) => 12,
        _ => return None,
    };
    Some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(gap: &str) -> Vec<&'static str> {
        let mut names = Vec::new();
        signs(gap, |name| names.push(name));
        names
    }

    #[test]
    fn each_sign_is_named_once_and_in_order() {
        assert_eq!(of(", "), [""; 0]);
        assert_eq!(of("!!! 🔥🔥 "), ["<!>", "<emoji>"]);
        assert_eq!(of("..."), ["<...>"]);
        assert_eq!(of(".\n\n— "), ["<line>", "<blank line>", "<item>"]);
        assert_eq!(of("() => {"), ["<code>"]);
        assert_eq!(of(" ))"), ["<)>"]);
    }
}
