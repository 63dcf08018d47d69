//! Laughter that no list can hold: few letters, over and over (`owokwokwok`, `ahahhaha`, `jajaja`).

/// Letters of the shortest laugh told by its shape.
const MIN_LETTERS: usize = 6;
/// Different letters a laugh is made of.
const MAX_DISTINCT: usize = 4;
/// How often one pair of letters comes.
const MIN_REPEATS: usize = 3;

/// Whether a folded word is laughter by its shape.
pub(super) fn is_laughter(word: &str) -> bool {
    let mut distinct = ['\0'; MAX_DISTINCT];
    let (mut n_distinct, mut n_letters) = (0, 0);
    for c in word.chars() {
        if !is_letter(c) {
            return false;
        }
        n_letters += 1;
        if distinct[..n_distinct].contains(&c) {
            continue;
        }
        // Nearly every word ends here, after a few letters.
        if n_distinct == MAX_DISTINCT {
            return false;
        }
        distinct[n_distinct] = c;
        n_distinct += 1;
    }
    n_letters >= MIN_LETTERS && n_distinct >= 2 && has_repeated_pair(word)
}

/// `char::is_alphabetic`, quick for the letters of most texts.
fn is_letter(c: char) -> bool {
    matches!(c, 'a'..='z' | '\u{430}'..='\u{45f}') || c.is_alphabetic()
}

fn has_repeated_pair(word: &str) -> bool {
    let pairs = || word.chars().zip(word.chars().skip(1));
    pairs().any(|pair| {
        pair.0 != pair.1 && pairs().filter(|other| *other == pair).count() >= MIN_REPEATS
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn laughs_are_told_from_words() {
        for laugh in [
            "ахахаха",
            "хахахах",
            "owokwokwowkowk",
            "mwekekekeke",
            "jajajaja",
            "wkwkwk",
            "ыхыхых",
        ] {
            assert!(is_laughter(laugh), "{laugh}");
        }
        for word in [
            "banana",
            "бананами",
            "мама",
            "tested",
            "assess",
            "000000",
            "papapa1",
        ] {
            assert!(!is_laughter(word), "{word}");
        }
    }
}
