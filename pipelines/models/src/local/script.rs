//! Whether a model knows more of a text than its letters.

use telesift_text::{Script, script_of};

/// Letters per token below which a text was spelt out, not read: a vocabulary made for English cuts Cyrillic words into
/// single letters (1.0 to 1.3 a token), one made for many languages into pieces of three to five.
const MIN_LETTERS_PER_TOKEN: f64 = 1.8;
/// What a tokenizer adds to each text.
const SPECIAL_TOKENS: usize = 2;

/// Whether a vector of this text, cut into `n_tokens`, means anything. Scripts whose characters are words, or nearly, and
/// texts of a few letters are always taken.
pub(super) fn is_known(text: &str, n_tokens: usize) -> bool {
    let letters = text.chars().filter(|c| c.is_alphabetic());
    let spelt: Vec<Script> = letters.map(script_of).collect();
    let n_letters = spelt.iter().filter(|s| !s.is_per_character()).count();
    if n_letters < 6 || n_letters * 2 < spelt.len() {
        return true;
    }
    let is_sign = |c: &char| !c.is_alphanumeric() && !c.is_whitespace();
    let n_signs = text.chars().filter(is_sign).count();
    let n_tokens = n_tokens.saturating_sub(SPECIAL_TOKENS + n_signs).max(1);
    n_letters as f64 / n_tokens as f64 >= MIN_LETTERS_PER_TOKEN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_spelt_letter_by_letter_are_not_known() {
        // all-MiniLM-L6-v2 on both; the second by intfloat/multilingual-e5-small would be six tokens.
        assert!(is_known("parking in the centre", 6));
        assert!(!is_known("парковка в центре", 17));
        assert!(is_known("парковка в центре", 8));
        assert!(is_known("query: a ferry...", 10));
        assert!(is_known("数据库连接失败", 9));
        assert!(is_known("ok", 3) && is_known("", 2));
    }
}
