//! One light stemmer for Russian and Ukrainian: their inflections are close enough to share one table of endings.
//!
//! Precise about what belongs together, careless about how a stem looks: it strips the longest ending that leaves
//! enough of the word, then maps what inflection changes inside a stem (`рік`/`року`, `оценок`/`оценка`) to one form.
//! The maps are applied to every word, so they can only join words, never part forms of one.

use std::{borrow::Cow, sync::LazyLock};

use rustc_hash::FxHashMap;

/// Reflexive endings of verbs.
const REFLEXIVE: &[&str] = &["ся", "сь"];

/// Endings of verbs and participles that need four letters before them.
const VERBAL: &[&str] = &[
    // Infinitives.
    "овать",
    "евать",
    "ивать",
    "ывать",
    "ировать",
    "ювати",
    "увати",
    "ать",
    "ять",
    "ить",
    "еть",
    "уть",
    "ыть",
    "оть",
    "ати",
    "яти",
    "ити",
    "іти",
    "їти",
    "ути",
    "оти",
    // Present and future.
    "ает",
    "яет",
    "уем",
    "ует",
    "юет",
    "еет",
    "ают",
    "яют",
    "уют",
    "еют",
    "аешь",
    "яешь",
    "уешь",
    "еешь",
    "аю",
    "яю",
    "ую",
    "ею",
    "аем",
    "яем",
    "аете",
    "яете",
    "уете",
    "ишь",
    "ешь",
    "ите",
    "ете",
    "ит",
    "ет",
    "ят",
    "ут",
    "ют",
    "ат",
    "ає",
    "яє",
    "ує",
    "ює",
    "іє",
    "аєш",
    "яєш",
    "уєш",
    "ієш",
    "аємо",
    "яємо",
    "уємо",
    "юємо",
    "іємо",
    "аєте",
    "яєте",
    "уєте",
    "юєте",
    "юєш",
    "їмо",
    "їш",
    "ають",
    "яють",
    "ують",
    "юють",
    "іють",
    "уть",
    "ють",
    "ять",
    "ать",
    "ить",
    "имо",
    "емо",
    "ємо",
    "єте",
    "иш",
    "еш",
    "ай",
    "яй",
    "уй",
    "юй",
    "айте",
    "яйте",
    "уйте",
    "йте",
    "іть",
    // Past.
    "ал",
    "ала",
    "али",
    "ало",
    "ял",
    "яла",
    "яли",
    "яло",
    "ил",
    "ила",
    "или",
    "ило",
    "ел",
    "ела",
    "ели",
    "ело",
    "ыл",
    "ыла",
    "ыли",
    "ыло",
    "ул",
    "ула",
    "ули",
    "уло",
    "ів",
    "іла",
    "іли",
    "іло",
    "ав",
    "яв",
    "ив",
    "їв",
    "овал",
    "овала",
    "овали",
    "овало",
    "ировал",
    "ировала",
    "ировали",
    "ировало",
    "ував",
    "ювала",
    "ювали",
    "увала",
    "ували",
    "увало",
    "ював",
    "ирует",
    "ируют",
    "ируем",
    "ирую",
];

/// Endings of nouns, adjectives and pronouns that need three letters before them.
const NOMINAL: &[&str] = &[
    "иями", "иях", "иям", "ией", "иею", "ием", "ии", "ия", "ию", "ие", "ий", "ій", "ії", "ія",
    "ію", "ією", "іями", "іях", "іям", "іє", "ьями", "ьях", "ьям", "ьев", "ья", "ье", "ью", "ьи",
    "ьём", "ьем", "ями", "ами", "ях", "ах", "ям", "ам", "ов", "ев", "ёв", "ів", "їв", "ой", "ей",
    "ою", "ею", "єю", "ом", "ем", "єм", "ові", "еві", "єві", "ого", "его", "ому", "ему", "ыми",
    "ими", "ых", "их", "ым", "им", "ый", "ая", "яя", "ую", "юю", "ое", "ее", "ые", "ій", "ього",
    "ьому", "іми", "іх", "їх", "їми", "їм", "ої", "ьої", "а", "я", "о", "е", "ё", "ы", "и", "і",
    "ї", "у", "ю", "ь", "й", "є",
];

/// The stem of a folded Cyrillic word.
pub(super) fn stem(word: &str) -> Cow<'_, str> {
    let mut chars: Vec<char> = word.chars().collect();
    if chars.len() < 3 {
        return Cow::Borrowed(word);
    }
    let first_vowel = chars.iter().position(|&c| is_vowel(c));
    if let Some(first_vowel) = first_vowel {
        let reflexive = Longest::of(&chars, first_vowel).reflexive;
        chars.truncate(chars.len() - reflexive);
        let longest = Longest::of(&chars, first_vowel);
        chars.truncate(chars.len() - longest.verbal.max(longest.nominal));
    }
    Cow::Owned(normalise(chars))
}

/// Letters of the longest ending of each kind that leaves enough of the word, with a vowel in it; 0 for none.
#[derive(Default)]
struct Longest {
    reflexive: usize,
    verbal: usize,
    nominal: usize,
}

impl Longest {
    fn of(word: &[char], first_vowel: usize) -> Self {
        let mut longest = Longest::default();
        let mut packed = 0;
        for (i, &c) in word.iter().rev().take(MAX_ENDING).enumerate() {
            let Some(letter) = pack(c) else { break };
            packed = packed << 8 | letter;
            let rest = word.len() - i - 1;
            if rest < MIN_NOMINAL || first_vowel >= rest {
                break;
            }
            let kinds = ENDINGS.get(&packed).copied().unwrap_or(0);
            if kinds & IS_NOMINAL != 0 {
                longest.nominal = i + 1;
            }
            if rest >= MIN_VERBAL {
                if kinds & IS_VERBAL != 0 {
                    longest.verbal = i + 1;
                }
                if kinds & IS_REFLEXIVE != 0 {
                    longest.reflexive = i + 1;
                }
            }
        }
        longest
    }
}

/// Letters that must stay before an ending of a verb, reflexive or not, and before one of a noun.
const MIN_VERBAL: usize = 4;
const MIN_NOMINAL: usize = 3;

/// Letters of the longest ending; that many fit into a key.
const MAX_ENDING: usize = 7;

const IS_REFLEXIVE: u8 = 1;
const IS_VERBAL: u8 = 2;
const IS_NOMINAL: u8 = 4;

/// All endings by their letters, last letter first, with their kinds: one look-up per letter of a word instead of one
/// comparison per ending.
static ENDINGS: LazyLock<FxHashMap<u64, u8>> = LazyLock::new(|| {
    let mut endings = FxHashMap::default();
    let lists = [
        (REFLEXIVE, IS_REFLEXIVE),
        (VERBAL, IS_VERBAL),
        (NOMINAL, IS_NOMINAL),
    ];
    for (list, kind) in lists {
        for ending in list {
            let key = ending.chars().rev().filter_map(pack);
            let key = key.fold(0, |packed, letter| packed << 8 | letter);
            *endings.entry(key).or_default() |= kind;
        }
    }
    endings
});

/// A letter as a byte, none of them 0; `None` for letters that no ending holds.
fn pack(c: char) -> Option<u64> {
    matches!(c, '\u{430}'..='\u{45f}').then(|| u64::from(c) - 0x400)
}

fn is_vowel(c: char) -> bool {
    matches!(
        c,
        'а' | 'е' | 'и' | 'о' | 'у' | 'ы' | 'э' | 'ю' | 'я' | 'і' | 'ї' | 'є'
    )
}

/// Maps what inflection changes inside a stem to one form.
fn normalise(mut chars: Vec<char>) -> String {
    while chars.len() > 3 && matches!(chars.last(), Some('ь' | 'й')) {
        chars.pop();
    }
    // знанн(я)/знань, сломанн(ый)/сломан.
    if chars.len() > 3 && chars.ends_with(&['н', 'н']) {
        chars.pop();
    }
    let len = chars.len();
    // оценок/оценк(а), отец/отц(а), рынок/рынк(а): the vowel that comes and goes.
    if len >= 4
        && matches!(chars[len - 1], 'к' | 'ц')
        && matches!(chars[len - 2], 'о' | 'е' | 'ё' | 'і')
        && !is_vowel(chars[len - 3])
    {
        chars.remove(len - 2);
    }
    // рік/рок(у), кількіст(ь)/кількост(і): Ukrainian і in a closed last syllable.
    let last = chars.iter().rposition(|&c| is_vowel(c));
    if let Some(last) = last.filter(|last| chars[*last] == 'і' && last + 1 < chars.len()) {
        chars[last] = 'о';
    }
    chars.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ending_fits_into_a_key() {
        for ending in [REFLEXIVE, VERBAL, NOMINAL].concat() {
            assert!(ending.chars().count() <= MAX_ENDING, "{ending}");
            assert!(ending.chars().all(|c| pack(c).is_some()), "{ending}");
        }
    }
}
