//! Code without a word about it: a text comes in that holds signs of code, whether that is all it holds leaves.

/// Whether the text is code alone: most of its lines have the form of code, and nowhere do a few words of prose follow one
/// another, nor is anything asked beside the code. What stands in quotes and comments is part of the code.
pub(super) fn is_bare_code(text: &str) -> bool {
    let (mut n_lines, mut n_code) = (0u32, 0u32);
    let mut is_fenced = false;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(fenced) = line.strip_prefix("```") {
            is_fenced = !is_fenced && !fenced.ends_with("```");
            (n_lines, n_code) = (n_lines + 1, n_code + 1);
            continue;
        }
        let is_code = is_fenced || has_form_of_code(line);
        n_lines += 1;
        n_code += u32::from(is_code);
        let is_asked = !is_code && line.contains('?');
        if is_asked || (!is_comment(line) && longest_prose(line) >= PROSE) {
            return false;
        }
    }
    n_code > 0 && n_code * 2 >= n_lines
}

/// So many words one after another are prose.
const PROSE: u32 = 4;

/// Beginnings of lines of code.
const BEGINNINGS: [&str; 18] = [
    "</", "<", "}", ")", "]", "@", "#include", "import ", "from ", "use ", "def ", "fn ", "func ",
    "const ", "let ", "var ", "return ", "select ",
];

fn has_form_of_code(line: &str) -> bool {
    let lower = line.get(..10).unwrap_or(line).to_ascii_lowercase();
    let ends = |signs: &[char]| line.ends_with(signs);
    is_comment(line)
        || ends(&[';', '{', '}', '(', '['])
        || (ends(&[')', ',', ':', '>', '`']) && line.contains(['(', '=', '`', '<']))
        || BEGINNINGS
            .iter()
            .any(|beginning| lower.starts_with(beginning))
}

fn is_comment(line: &str) -> bool {
    ["//", "/*", "* ", "# ", "-- "]
        .iter()
        .any(|sign| line.starts_with(sign))
}

/// The most words that follow one another with nothing but blanks and commas between, outside of quotes. A keyword of a
/// programming language ends the row.
fn longest_prose(line: &str) -> u32 {
    let (mut longest, mut row) = (0, 0);
    let mut quote = None;
    for word in line.split_whitespace() {
        let was_quoted = quote.is_some();
        for c in word.chars().filter(|c| matches!(c, '"' | '\'' | '`')) {
            match quote {
                None => quote = Some(c),
                Some(open) if open == c => quote = None,
                Some(_) => {}
            }
        }
        let is_quoted = was_quoted || quote.is_some();
        let plain = word.trim_end_matches([',', '.', ':', '!']);
        let is_word = !plain.is_empty()
            && plain
                .chars()
                .all(|c| c.is_alphabetic() || matches!(c, '\'' | '’' | '-'));
        row = if is_word && !is_quoted && !KEYWORDS.contains(&plain.to_ascii_lowercase().as_str()) {
            row + 1
        } else {
            0
        };
        longest = longest.max(row);
    }
    longest
}

/// Words that stand beside one another in code.
const KEYWORDS: [&str; 40] = [
    "abstract",
    "and",
    "as",
    "async",
    "await",
    "by",
    "case",
    "class",
    "const",
    "else",
    "export",
    "extends",
    "final",
    "for",
    "from",
    "function",
    "if",
    "implements",
    "import",
    "in",
    "insert",
    "int",
    "into",
    "join",
    "let",
    "limit",
    "mut",
    "new",
    "null",
    "on",
    "order",
    "private",
    "public",
    "return",
    "select",
    "static",
    "string",
    "using",
    "void",
    "where",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_bare_where_nothing_is_said_of_it() {
        for code in [
            "let total: u64 = rows.iter().map(|r| r.size).sum();",
            "if err != nil {\n    return nil, err\n}",
            "public static final int SIZE = size();",
            "SELECT name, count(*) FROM visits GROUP BY name ORDER BY 2 DESC;",
            "```\nprintln!(\"hello to all who read this\");\n```",
            "// what follows is the usual way to say it\nconsole.log(\"all of this is quoted text\");",
            "<div class=\"card\">\n  <h2>{title()}</h2>\n</div>",
            "const kind = isOpen() ? \"open\" : \"closed\";",
        ] {
            assert!(is_bare_code(code), "{code}");
        }
        for text in [
            "checkout() fails when the cart is empty",
            "stok minus, checkout() balapan",
            "why does this not compile?\nlet x = read();",
            "let x = read();\nwhat is wrong here?",
            "The worker calls flush() twice, so rows are written twice;",
            "перенеси auth() у middleware, інакше токен не перевіряється;",
        ] {
            assert!(!is_bare_code(text), "{text}");
        }
    }
}
