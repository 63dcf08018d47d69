//! A text, read once: its words by list, its form, its signs.

use telesift_text::{TokenKind, fold_into};

use crate::{
    Factor, Rules,
    model::{self, Gram, Grams, Model, Sums},
    rules::List,
};

mod bare_code;
mod disguise;
mod form;
mod laughter;
mod signs;

use disguise::{Piece, pieces};

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
    /// Code, and nothing said or asked beside it.
    pub(crate) is_bare_code: bool,
    pub(crate) n_list_items: u32,
    /// Letters three times in a row.
    pub(crate) n_drawn_out: u32,
    /// Characters that can be seen.
    pub(crate) n_visible: u32,
    /// Chinese, Japanese and Korean characters.
    pub(crate) n_characters: u32,
    pub(crate) n_emoji: u32,
    /// Words with a capital that begin no sentence.
    pub(crate) n_names: u32,
    pub(crate) n_upper: u32,
    pub(crate) n_lower: u32,
    /// Words in disguise: with look-alike letters of another script, spaced out, with signs for letters.
    pub(crate) n_disguised: u32,
    /// Different words of the list `spam`.
    pub(crate) n_spam_words: u32,
    pub(crate) has_question: bool,
    pub(crate) has_currency: bool,
    /// What the learned weights of the n-grams come to.
    pub(crate) grams: Sums,
    /// What the rules' own terms come to, in ten-thousandths of a logit.
    pub(crate) terms: i64,
    total: [u32; List::COUNT],
    distinct: [u32; List::COUNT],
}

/// Told what made a factor; for explanations.
pub(crate) trait Witness {
    /// `word` stands in the list of `factor`.
    fn saw(&mut self, factor: Factor, word: &str);

    /// The n-gram went into the bucket.
    fn saw_gram(&mut self, bucket: u32, gram: Gram<'_>);
}

/// Nobody asks.
pub(crate) struct NoWitness;

impl Witness for NoWitness {
    fn saw(&mut self, _factor: Factor, _word: &str) {}

    #[inline]
    fn saw_gram(&mut self, _bucket: u32, _gram: Gram<'_>) {}
}

/// Different words counted per text and list: values level off long before.
const MAX_DISTINCT: usize = 48;

/// What a text is read with, and what is known of it so far.
struct Reader<'r, W> {
    rules: &'r Rules,
    model: Model,
    witness: &'r mut W,
    grams: Grams,
    /// Words of lists and terms seen, with their lists.
    seen: Vec<(u32, String)>,
    /// The word that is read, folded; kept for its capacity.
    folded: String,
}

impl Analysis {
    pub(crate) fn new(text: &str, rules: &Rules, witness: &mut impl Witness) -> Self {
        let mut analysis = Analysis::default();
        analysis.read_form(text);
        let mut reader = Reader {
            rules,
            model: model::SHIPPED,
            witness,
            grams: Grams::default(),
            seen: Vec::new(),
            folded: String::new(),
        };
        let mut end = 0;
        for piece in pieces(text) {
            analysis.add_signs(text.get(end..piece.start).unwrap_or_default(), &mut reader);
            end = piece.start + piece.source.len();
            match piece.kind {
                TokenKind::Word | TokenKind::Symbolic => analysis.add_word(&piece, &mut reader),
                TokenKind::Character => {
                    analysis.n_characters += 1;
                    analysis.add_grams(&piece.word, &mut reader);
                }
                TokenKind::Number => {
                    analysis.n_numbers += 1;
                    analysis.stand_in("<number>", &mut reader);
                }
                TokenKind::Url => {
                    let name = analysis.add_link(piece.source);
                    analysis.stand_in(name, &mut reader);
                }
                TokenKind::Mention => {
                    analysis.n_mentions += 1;
                    analysis.stand_in("<mention>", &mut reader);
                }
                TokenKind::Email => {
                    analysis.n_content += 1;
                    analysis.stand_in("<email>", &mut reader);
                }
                TokenKind::Hashtag => {
                    analysis.n_content += 1;
                    analysis.n_words += 1;
                    let mut folded = std::mem::take(&mut reader.folded);
                    folded.clear();
                    fold_into(piece.source, &mut folded);
                    analysis.add_grams(&folded, &mut reader);
                    reader.folded = folded;
                }
            }
        }
        analysis.add_signs(text.get(end..).unwrap_or_default(), &mut reader);
        analysis.end_grams(&mut reader);
        // Two Chinese characters are about a word.
        let n_cjk_words = u32::div_ceil(analysis.n_characters, 2);
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

    /// How many different words stand in the list.
    pub(crate) fn distinct_of(&self, list: List) -> u32 {
        self.distinct[list as usize]
    }

    /// Capitals only, in more than a word or two.
    pub(crate) fn is_shouting(&self) -> bool {
        let n_cased = self.n_upper + self.n_lower;
        n_cased >= 12 && self.n_upper * 10 >= n_cased * 7
    }

    fn add_word(&mut self, piece: &Piece<'_>, reader: &mut Reader<'_, impl Witness>) {
        self.n_disguised += u32::from(piece.is_disguised);
        if piece.kind == TokenKind::Word && is_snake_case(piece.source) {
            self.n_code += 1;
        }
        if is_folded(&piece.word) {
            self.add_folded(&piece.word, piece, reader);
            return;
        }
        let mut folded = std::mem::take(&mut reader.folded);
        folded.clear();
        fold_into(&piece.word, &mut folded);
        self.add_folded(&folded, piece, reader);
        reader.folded = folded;
    }

    fn add_folded(&mut self, word: &str, piece: &Piece<'_>, reader: &mut Reader<'_, impl Witness>) {
        self.add_grams(word, reader);
        let term = reader.rules.term_weight(word);
        let mut lists = reader.rules.lexicon().lists_of(word);
        if lists == 0 && laughter::is_laughter(word) {
            lists = List::Laughter.bit();
        }
        if lists == 0 && term.is_none() {
            self.n_words += 1;
            self.n_content += 1;
            return;
        }
        self.n_words += u32::from(lists & List::Filler.bit() == 0);
        let is_chatter = lists & List::CHATTER_OR_FILLER != 0;
        self.n_content += u32::from(!is_chatter || lists & List::SIGNAL != 0);
        let is_new = !reader.seen.iter().any(|(l, w)| *l == lists && *w == word);
        for list in List::ALL.iter().filter(|list| lists & list.bit() != 0) {
            self.total[*list as usize] += 1;
            if is_new {
                self.distinct[*list as usize] += 1;
                if let Some(factor) = list.factor() {
                    reader.witness.saw(factor, piece.source);
                }
            }
        }
        if !is_new {
            return;
        }
        if lists & List::Spam.bit() != 0 {
            self.n_spam_words += 1;
        }
        if let Some(weight) = term {
            self.terms += weight;
            reader.witness.saw(Factor::Terms, piece.source);
        }
        if reader.seen.len() < MAX_DISTINCT {
            reader.seen.push((lists, word.to_owned()));
        }
    }

    fn add_grams<W: Witness>(&mut self, folded: &str, reader: &mut Reader<'_, W>) {
        let Reader {
            grams,
            model,
            witness,
            ..
        } = reader;
        grams.word(folded, &mut |bucket, gram| {
            model.add(bucket, &mut self.grams);
            witness.saw_gram(bucket, gram);
        });
    }

    fn stand_in<W: Witness>(&mut self, name: &str, reader: &mut Reader<'_, W>) {
        let Reader {
            grams,
            model,
            witness,
            ..
        } = reader;
        grams.stand_in(name, &mut |bucket, gram| {
            model.add(bucket, &mut self.grams);
            witness.saw_gram(bucket, gram);
        });
    }

    fn add_signs(&mut self, gap: &str, reader: &mut Reader<'_, impl Witness>) {
        signs::signs(gap, |name| self.stand_in(name, reader));
    }

    fn end_grams<W: Witness>(&mut self, reader: &mut Reader<'_, W>) {
        let Reader {
            grams,
            model,
            witness,
            ..
        } = reader;
        grams.end(&mut |bucket, gram| {
            model.add(bucket, &mut self.grams);
            witness.saw_gram(bucket, gram);
        });
    }

    /// Counts a link, and says what stands for it in the model.
    fn add_link(&mut self, url: &str) -> &'static str {
        self.n_links += 1;
        let has = |signs: &[&str]| signs.iter().any(|sign| url.contains(sign));
        if has(&["t.me/+", "t.me/joinchat", "wa.me/", "?start="]) {
            self.n_invites += 1;
            "<invite>"
        } else if has(&["utm_", "erid", "promo", "ref="]) {
            "<campaign>"
        } else {
            "<link>"
        }
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
