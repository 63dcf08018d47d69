//! A text, read once: its words by list, its form, its signs.

use std::borrow::Cow;

use telesift_text::{Token, TokenKind, fold, fold_homoglyphs, tokens};

use crate::{Factor, Rules, rules::List};

mod form;

/// What a text holds, counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Analysis {
    /// Words that say something: neither function words nor chatter.
    pub(crate) n_content: u32,
    /// Words that are no function words.
    pub(crate) n_words: u32,
    pub(crate) n_numbers: u32,
    pub(crate) n_mentions: u32,
    pub(crate) n_links: u32,
    /// Links that invite to a chat or start a bot.
    pub(crate) n_invites: u32,
    /// Signs of code.
    pub(crate) n_code: u32,
    pub(crate) n_list_items: u32,
    /// Letters three times in a row.
    pub(crate) n_drawn_out: u32,
    /// Characters that can be seen.
    pub(crate) n_visible: u32,
    pub(crate) n_emoji: u32,
    pub(crate) n_upper: u32,
    pub(crate) n_lower: u32,
    /// Words that mix look-alike letters of two scripts.
    pub(crate) n_mixed_script: u32,
    /// Different words of the list `spam`.
    pub(crate) n_spam_words: u32,
    pub(crate) has_question: bool,
    pub(crate) has_currency: bool,
    total: [u32; List::COUNT],
    distinct: [u32; List::COUNT],
}

/// Told which words made a factor; for explanations.
pub(crate) trait Witness {
    /// `word` stands in the list of `factor`.
    fn saw(&mut self, factor: Factor, word: &str);
}

/// Nobody asks.
pub(crate) struct NoWitness;

impl Witness for NoWitness {
    fn saw(&mut self, _factor: Factor, _word: &str) {}
}

/// Different words counted per text and list: values level off long before.
const MAX_DISTINCT: usize = 48;

impl Analysis {
    pub(crate) fn new(text: &str, rules: &Rules, witness: &mut impl Witness) -> Self {
        let mut analysis = Analysis::default();
        analysis.read_form(text);
        let mut seen = Vec::new();
        let mut n_characters = 0;
        for token in tokens(text) {
            match token.kind {
                TokenKind::Word | TokenKind::Symbolic => {
                    analysis.add_word(&token, rules, &mut seen, witness);
                }
                TokenKind::Character => n_characters += 1,
                TokenKind::Number => analysis.n_numbers += 1,
                TokenKind::Url => analysis.add_link(token.text),
                TokenKind::Mention => analysis.n_mentions += 1,
                TokenKind::Email => analysis.n_content += 1,
                TokenKind::Hashtag => {
                    analysis.n_content += 1;
                    analysis.n_words += 1;
                }
            }
        }
        // Two Chinese characters are about a word.
        let n_cjk_words = u32::div_ceil(n_characters, 2);
        analysis.n_content += n_cjk_words;
        analysis.n_words += n_cjk_words;
        analysis
    }

    /// How many words stand in the factor's list.
    pub(crate) fn total(&self, factor: Factor) -> u32 {
        List::of(factor).map_or(0, |list| self.total[list as usize])
    }

    /// How many different words stand in the factor's list.
    pub(crate) fn distinct(&self, factor: Factor) -> u32 {
        List::of(factor).map_or(0, |list| self.distinct[list as usize])
    }

    /// Capitals only, in more than a word or two.
    pub(crate) fn is_shouting(&self) -> bool {
        let n_cased = self.n_upper + self.n_lower;
        n_cased >= 12 && self.n_upper * 10 >= n_cased * 7
    }

    fn add_word(
        &mut self,
        token: &Token<'_>,
        rules: &Rules,
        seen: &mut Vec<(u32, String)>,
        witness: &mut impl Witness,
    ) {
        let mended = mend(token.text);
        self.n_mixed_script += u32::from(matches!(mended, Cow::Owned(_)));
        if token.kind == TokenKind::Word && is_snake_case(token.text) {
            self.n_code += 1;
        }
        let word = if is_folded(&mended) {
            mended
        } else {
            Cow::Owned(fold(&mended))
        };
        let lists = rules.lexicon().lists_of(&word);
        if lists == 0 {
            self.n_words += 1;
            self.n_content += 1;
            return;
        }
        self.n_words += u32::from(lists & List::Filler.bit() == 0);
        let is_chatter = lists & List::CHATTER_OR_FILLER != 0;
        self.n_content += u32::from(!is_chatter || lists & List::SIGNAL != 0);
        let is_new = !seen.iter().any(|(l, w)| *l == lists && *w == word);
        for list in List::ALL.iter().filter(|list| lists & list.bit() != 0) {
            self.total[*list as usize] += 1;
            if is_new {
                self.distinct[*list as usize] += 1;
                if let Some(factor) = list.factor() {
                    witness.saw(factor, token.text);
                }
            }
        }
        if is_new && lists & List::Spam.bit() != 0 {
            self.n_spam_words += 1;
        }
        if is_new && seen.len() < MAX_DISTINCT {
            seen.push((lists, word.into_owned()));
        }
    }

    fn add_link(&mut self, url: &str) {
        self.n_links += 1;
        let invites = ["t.me/+", "t.me/joinchat", "wa.me/", "?start="];
        if invites.iter().any(|sign| url.contains(sign)) {
            self.n_invites += 1;
        }
    }
}

/// The word with look-alike letters put back. A word of one script needs none: that is nearly every word, and told by its
/// bytes.
fn mend(word: &str) -> Cow<'_, str> {
    let has_ascii = word.bytes().any(|b| b.is_ascii_alphanumeric());
    if has_ascii && !word.is_ascii() {
        fold_homoglyphs(word)
    } else {
        Cow::Borrowed(word)
    }
}

/// Whether [`fold`] surely leaves the word as it is: it is in small letters, ASCII or Cyrillic.
fn is_folded(word: &str) -> bool {
    word.chars()
        .all(|c| matches!(c, 'a'..='z' | '0'..='9' | 'а'..='я' | 'і' | 'ї' | 'є'))
}

/// `snake_case`: an underscore between ASCII letters or digits.
fn is_snake_case(word: &str) -> bool {
    word.is_ascii() && word.trim_matches('_').contains('_')
}

#[cfg(test)]
mod tests;
