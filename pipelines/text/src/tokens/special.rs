//! Tokens that hold signs: addresses, mentions, tags, and names such as `C++`.

use super::{Class, Token, TokenKind, class};

/// The special token that starts at byte `at`, if one does.
pub(super) fn at(text: &str, at: usize) -> Option<Token<'_>> {
    let rest = &text[at..];
    let first = rest.as_bytes()[0];
    // Most characters can start none of these; decide on the first byte.
    if !(first.is_ascii_alphanumeric() || matches!(first, b'@' | b'#' | b'.' | b'+')) {
        return None;
    }
    if text[..at].chars().next_back().is_some_and(joins_left) {
        return None;
    }
    let (n_bytes, kind) = match first {
        b'@' => (1 + name(&rest[1..], 2)?, TokenKind::Mention),
        b'#' => (1 + tag(&rest[1..])?, TokenKind::Hashtag),
        b'.' => (1 + dotted(&text[..at], &rest[1..])?, TokenKind::Symbolic),
        b'+' => (1 + digits(&rest[1..])?, TokenKind::Symbolic),
        _ => address(rest)?,
    };
    Some(Token {
        text: &rest[..n_bytes],
        start: at,
        kind,
    })
}

/// How many bytes of signs after `word` belong to its name: `C++`, `C#`, `N+1`.
pub(super) fn trailing_signs(word: &str, rest: &str) -> usize {
    let bytes = rest.as_bytes();
    if !matches!(bytes.first(), Some(b'+' | b'#'))
        || !word.bytes().all(|b| b.is_ascii_alphanumeric())
    {
        return 0;
    }
    let ends = |n: usize| {
        !rest[n..]
            .chars()
            .next()
            .is_some_and(|c| matches!(class(c), Class::Letter | Class::Digit))
    };
    let is_letters = word.bytes().all(|b| b.is_ascii_alphabetic());
    if rest.starts_with("++") && is_letters && ends(2) && !rest.starts_with("+++") {
        return 2;
    }
    if rest.starts_with('#') && word.len() == 1 && is_letters && ends(1) {
        return 1;
    }
    match digits(&rest[1..]) {
        Some(n) if bytes[0] == b'+' && word.len() <= 2 && ends(1 + n) => 1 + n,
        _ => 0,
    }
}

/// Whether a special token cannot start right after `c`.
fn joins_left(c: char) -> bool {
    matches!(
        class(c),
        Class::Letter | Class::Digit | Class::Underscore | Class::Extend | Class::Complex
    ) || matches!(c, '@' | '#' | '+' | '/')
}

fn digits(rest: &str) -> Option<usize> {
    let n = rest.bytes().take_while(u8::is_ascii_digit).count();
    (n > 0).then_some(n)
}

fn name(rest: &str, at_least: usize) -> Option<usize> {
    let n = rest
        .bytes()
        .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
        .count();
    (n >= at_least).then_some(n)
}

fn tag(rest: &str) -> Option<usize> {
    let mut has_letter = false;
    let mut end = 0;
    for (i, c) in rest.char_indices() {
        match class(c) {
            Class::Digit | Class::Underscore | Class::Extend => {}
            Class::Letter | Class::Character => has_letter = true,
            Class::Complex => has_letter |= c.is_alphabetic(),
            Class::Apostrophe | Class::NumberSign | Class::Outside => break,
        }
        end = i + c.len_utf8();
    }
    has_letter.then_some(end)
}

/// `.NET`, `.env`: a point right before a Latin name, after a blank or bracket.
fn dotted(before: &str, rest: &str) -> Option<usize> {
    if !before
        .chars()
        .next_back()
        .is_none_or(|c| c.is_whitespace() || matches!(c, '(' | '[' | '"' | '«' | '“' | '`' | '*'))
    {
        return None;
    }
    let n = name(rest, 2)?;
    let is_name = rest.as_bytes()[0].is_ascii_alphabetic();
    let ends = rest[n..]
        .chars()
        .next()
        .is_none_or(|c| class(c) != Class::Letter);
    (is_name && ends).then_some(n)
}

/// A URL or e-mail address.
fn address(rest: &str) -> Option<(usize, TokenKind)> {
    // Only ASCII leads to the signs that decide; nothing is scanned twice, since it fails at the first other byte.
    let stop = rest
        .bytes()
        .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+' | b'%')))
        .unwrap_or(rest.len());
    let (head, tail) = rest.split_at(stop);
    if tail.starts_with("://") && head.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+') {
        return url(rest, stop + 3).map(|n| (n, TokenKind::Url));
    }
    let is_www = head.len() > 4 && head.as_bytes()[..4].eq_ignore_ascii_case(b"www.");
    let is_t_me = tail.starts_with('/')
        && (head.eq_ignore_ascii_case("t.me") || head.eq_ignore_ascii_case("telegram.me"));
    if is_www || is_t_me {
        return url(rest, 4).map(|n| (n, TokenKind::Url));
    }
    if let Some(domain) = tail.strip_prefix('@') {
        let n = domain
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
            .count();
        let domain = domain[..n].trim_end_matches(['.', '-']);
        let has_tld = domain
            .rsplit_once('.')
            .is_some_and(|(host, tld)| !host.is_empty() && tld.len() >= 2);
        return has_tld.then_some((stop + 1 + domain.len(), TokenKind::Email));
    }
    None
}

/// The length of the URL whose host starts at `host`, without the punctuation that follows it in a sentence.
fn url(rest: &str, host: usize) -> Option<usize> {
    let end = rest[host..]
        .find(|c: char| c.is_whitespace() || c.is_control() || "<>\"«»“”„`|\\^{}".contains(c))
        .map_or(rest.len(), |i| host + i);
    let mut url = &rest[..end];
    loop {
        let before = url.len();
        url = url.trim_end_matches([
            '.', ',', ';', ':', '!', '?', '\'', '’', '*', '…', '，', '。',
        ]);
        for (open, close) in [('(', ')'), ('[', ']')] {
            if url.ends_with(close) && url.matches(open).count() < url.matches(close).count() {
                url = &url[..url.len() - 1];
            }
        }
        if url.len() == before {
            break;
        }
    }
    (url.len() > host).then_some(url.len())
}
