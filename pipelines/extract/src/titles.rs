//! A sentence in a few words.

/// Longest title, in characters.
const MAX_CHARS: usize = 90;

/// The title of a claim made by `sentence`: without a label in front (`Decision:`), up to where its first part ends if that
/// says enough, cut at a word otherwise.
pub(crate) fn title(sentence: &str) -> String {
    let whole = flat(without_label(sentence));
    let whole = whole.trim_end_matches(['.', '!', ',', ';', ':', ' ']);
    if whole.chars().count() <= MAX_CHARS {
        return whole.to_owned();
    }
    let strong = part(whole, &[" — ", " – ", "; ", ": "]);
    match strong.or_else(|| part(whole, &[", "])) {
        Some(part) => part.to_owned(),
        None => cut(whole),
    }
}

/// The longest beginning up to one of `ends` that says enough and is no longer than a title.
fn part<'a>(whole: &'a str, ends: &[&str]) -> Option<&'a str> {
    ends.iter()
        .flat_map(|end| whole.match_indices(end))
        .map(|(at, _)| &whole[..at])
        .filter(|part| part.split(' ').count() >= 4 && part.chars().count() <= MAX_CHARS)
        .max_by_key(|part| part.len())
}

/// Without line breaks and repeated spaces.
pub(crate) fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn without_label(sentence: &str) -> &str {
    let Some((label, rest)) = sentence.split_once(':') else {
        return sentence;
    };
    let is_label = label.split_whitespace().count() <= 2
        && label.chars().all(|c| c.is_alphabetic() || c == ' ')
        && rest.starts_with(' ')
        && rest.split_whitespace().count() >= 4;
    if is_label {
        rest.trim_start()
    } else {
        sentence
    }
}

fn cut(text: &str) -> String {
    let end = text
        .char_indices()
        .nth(MAX_CHARS - 1)
        .map_or(text.len(), |(i, _)| i);
    let cut = &text[..end];
    let cut = cut.rfind(' ').map_or(cut, |space| &cut[..space]);
    format!("{}…", cut.trim_end_matches([',', ';', ':', '—', '-', ' ']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_short_and_begins_with_what_matters() {
        assert_eq!(
            title("Decision: the Redis backend will be removed in 1.0."),
            "the Redis backend will be removed in 1.0"
        );
        assert_eq!(
            title("Прод лежить, 500 на оплаті"),
            "Прод лежить, 500 на оплаті"
        );
        let long = "Переїжджаємо з Postgres 14 на 16 у ніч на неділю — сайт у цей час у режимі перегляду, замовлення не приймаємо зовсім";
        assert_eq!(
            title(long),
            "Переїжджаємо з Postgres 14 на 16 у ніч на неділю"
        );
        let endless = "слово ".repeat(60);
        assert!(title(&endless).chars().count() <= MAX_CHARS && title(&endless).ends_with('…'));
    }
}
